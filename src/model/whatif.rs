//! The one door through which planner costs reach the advice.

use super::recommendation::IndexPlan;
use super::workload::Query;

/// Asks a planner what a statement would cost. Implemented by `pg` in two ways: with HypoPG, and by
/// building inside a transaction that is rolled back.
pub trait WhatIf {
    /// The planner's total cost of `query` with nothing but what is there, in the planner's unit.
    ///
    /// # Errors
    /// A sentence when the server cannot plan the statement.
    fn cost(&mut self, query: &Query) -> Result<f64, String>;

    /// Makes `index` visible to the planner, asks for the cost of each of `queries`, and takes the
    /// index away again.
    ///
    /// # Errors
    /// A sentence when the index cannot be made.
    fn costs_with(&mut self, index: &IndexPlan, queries: &[&Query]) -> Result<WithIndex, String>;

    /// What the costs come from, in words.
    fn method(&self) -> &'static str;
}

/// What a planner said with an index in place.
#[derive(Debug, Clone, PartialEq)]
pub struct WithIndex {
    /// One for each statement asked for; `None` where it could not be planned.
    pub costs: Vec<Option<f64>>,
    /// Size of the index, bytes; `None` where it is not known.
    pub size_bytes: Option<u64>,
}
