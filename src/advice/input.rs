//! The input of advice.

use crate::model::catalog::Catalog;
use crate::model::finding::Finding;
use crate::model::workload::Workload;

/// The input of advice.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub workload: &'a Workload,
    pub catalog: &'a Catalog,
    pub findings: &'a [Finding],
    pub limits: Limits,
}

/// Limits for all new indexes together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub budget_bytes: Option<u64>,
    pub max_indexes: Option<usize>,
    /// The limit on the time that they add to all writes of the workload, percent.
    pub max_write_overhead_pct: Option<f64>,
}
