//! A plan of `EXPLAIN`, reduced to what is compared and shown.

/// The planner's expectation for the scan of a relation.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedScan {
    pub relation: String,
    pub rows: f64,
    pub cost: f64,
    /// An index finds the rows, or gives their order.
    pub by_index: bool,
}

/// A plan and, when it was executed, what it touched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Node types, relations and indexes as an indented text; conditions without literals.
    pub text: String,
    /// Hash over node types, relations and indexes: same shape, same plan.
    pub shape: u64,
    /// The same without the names of indexes: an index that repeats another gives the same nodes.
    pub nodes: u64,
    /// The planner's total cost, in its own unit.
    pub cost: f64,
    /// The same if no `LIMIT` stopped it early.
    pub full_cost: f64,
    /// Rows that the planner expects the top node to return.
    pub expected_rows: f64,
    /// Scans of relations.
    pub scans: Vec<PlannedScan>,
    /// Indexes the plan reads.
    pub indexes: Vec<String>,
    /// Shared and local blocks hit and read; `None` when not executed.
    pub buffers: Option<u64>,
    /// Blocks of temporary files read and written; `None` when not executed.
    pub temp_blocks: Option<u64>,
    /// Rows that scans of relations and functions produced or filtered out, over all loops; `None` when not
    /// executed.
    pub rows_scanned: Option<u64>,
    /// Rows that the top node returned; `None` when not executed.
    pub rows: Option<u64>,
}
