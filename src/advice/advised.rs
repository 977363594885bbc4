//! The result of advice: the chosen indexes, and why statements have none.

use super::candidates::key_length::Longest;
use crate::model::index::IndexDef;
use crate::model::recommendation::{Estimate, Takes};

/// An index worth having, and why.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub def: IndexDef,
    /// Statements that are cheaper by it than by the others alone, by position in the workload.
    pub serves: Vec<usize>,
    pub takes: Takes,
    pub estimate: Option<Estimate>,
    /// Why there is no estimate.
    pub why: Option<String>,
}

/// The chosen indexes, and why statements have none.
#[derive(Debug, Clone)]
pub struct Advised {
    /// The chosen indexes, those that save the most time first.
    pub chosen: Vec<Chosen>,
    /// The cost of all of them to the writes of the workload; `None` for a workload without writes.
    pub write_overhead_pct: Option<f64>,
    /// Expensive statements without an index, by position in the workload, with the reason.
    pub no_index: Vec<(usize, String)>,
    /// Statements that the server cannot plan, by position in the workload, with the reason.
    pub unplanned: Vec<(usize, String)>,
    /// How long the values are that the candidates would hold.
    pub longest: Longest,
}
