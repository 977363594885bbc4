//! What `EXPLAIN` said of a statement, reduced to what is compared and shown.

/// A plan and, when it was executed, what it touched.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Node types, relations and indexes as an indented text; conditions without literals.
    pub text: String,
    /// Hash over node types, relations and indexes: same shape, same plan.
    pub shape: u64,
    /// The planner's total cost, in its own unit.
    pub cost: f64,
    /// The same if no `LIMIT` stopped it early.
    pub full_cost: f64,
    /// Relations that are scanned, with the rows expected of them and the cost of the scan.
    pub scans: Vec<(String, f64, f64)>,
    /// Indexes the plan reads.
    pub indexes: Vec<String>,
    /// Shared and local blocks hit and read; `None` when not executed.
    pub buffers: Option<u64>,
    /// Rows that scans produced or filtered out, over all loops; `None` when not executed.
    pub rows_scanned: Option<u64>,
    /// Rows that the top node returned; `None` when not executed.
    pub rows: Option<u64>,
}
