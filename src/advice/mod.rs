//! Findings and planner costs to recommendations, each with its undo. Pure: costs come in through
//! [`crate::model::whatif`].

pub mod advise;
mod alone;
pub mod candidates;
pub mod cautions;
mod charge;
pub mod choose;
pub mod costs;
mod counted;
pub mod drops;
mod expressions;
mod findings;
pub mod gin;
mod guarded;
mod inverted;
pub mod keys;
pub mod lengths;
mod look;
mod members;
pub mod offline;
pub mod pinned;
pub mod reasons;
pub mod recommend;
mod relevant;
pub mod room;
pub mod select;
pub mod size;
mod stand_in;
pub mod weigh;
pub mod writes;

use crate::model::catalog::Catalog;
use crate::model::finding::Finding;
use crate::model::shape::Shape;
use crate::model::workload::Workload;

/// What advice is made from.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub workload: &'a Workload,
    /// One for each statement of the workload.
    pub shapes: &'a [Option<Shape>],
    pub catalog: &'a Catalog,
    pub findings: &'a [Finding],
    pub limits: Limits,
}

/// What the user allows all new indexes together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub budget_bytes: Option<u64>,
    pub max_indexes: Option<usize>,
    /// What they may add to the time that all writes of the workload take, percent.
    pub max_write_overhead_pct: Option<f64>,
}
