//! Traits through which planner costs reach the advice.

use super::catalog::{Column, Table};
use super::index::IndexDef;
use super::name::TableName;
use super::plan::PlannedScan;
use super::workload::Query;
use super::workload::literal::Literal;
use super::workload::shape::Shape;

/// Asks a planner what statements would cost with indexes that are not there. Implemented by `pg` with
/// HypoPG.
pub trait WhatIf {
    /// Whether the planner can be shown the index at all.
    ///
    /// # Errors
    /// A sentence why not: the method is one that cannot be pretended, or the server would refuse to
    /// build it.
    fn check(&mut self, index: &IndexDef) -> Result<(), String>;

    /// Whether the planner sees an index that it is shown, in a statement of this shape.
    ///
    /// # Errors
    /// A sentence why it does not.
    fn sees(&self, index: &IndexDef, shape: &Shape) -> Result<(), String> {
        let _ = (index, shape);
        Ok(())
    }

    /// The plan of `query` with what is there and with all of `indexes`, each of which it sees.
    ///
    /// # Errors
    /// A sentence when the server cannot plan the statement.
    fn plan(&mut self, query: &Query, indexes: &[&IndexDef]) -> Result<PlanCost, String>;

    /// Returns the source of statistics.
    fn statistics(&mut self) -> &mut dyn Statistics;

    /// Returns the planner's name for the report.
    fn name(&self) -> &'static str;

    /// Plans asked for so far.
    fn asked(&self) -> u64;
}

/// Statistics that the catalog does not hold and the server can compute.
pub trait Statistics {
    /// Rows of the table that the planner expects to meet `condition` with these parameters.
    ///
    /// # Errors
    /// A sentence when the server cannot plan it.
    fn rows(
        &mut self,
        table: &TableName,
        condition: &str,
        parameters: &[Literal],
    ) -> Result<f64, String>;

    /// Distinct values of a column, counted or estimated from many rows; `None` where that would take too
    /// long.
    fn distinct(&mut self, table: &Table, column: &str) -> Option<Distinct>;

    /// Returns the statistics that an expression on a table would have as a column; `None` where computing them
    /// would take too long.
    fn measured(&mut self, table: &Table, expression: &str) -> Option<Column>;

    /// Returns the greatest length of some expressions over all rows of a table, bytes; `None` where reading them
    /// would take too long.
    fn longest(&mut self, table: &Table, expressions: &[String]) -> Option<Vec<u32>>;

    /// Rows of the table that meet `condition` and agree in all of `columns`, by the size of such a group;
    /// the first column is the one of most values. `None` where counting them would take too long.
    fn groups(
        &mut self,
        table: &Table,
        columns: &[&str],
        condition: Option<&str>,
    ) -> Option<Vec<RowGroups>>;

    /// Keys that a GIN index would have, by the number of rows that hold them, estimated from some of the
    /// rows. `None` where that would take too long, or what is indexed is nothing whose keys are known.
    fn keys(&mut self, table: &Table, index: &IndexDef) -> Option<Vec<KeyGroups>>;
}

/// How many values a column has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distinct {
    pub values: f64,
    /// The number of values that occur in one row only; `None` where not every row was read.
    pub once: Option<f64>,
}

/// Groups of rows that are of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowGroups {
    pub count: f64,
    /// Rows in each of them.
    pub rows: f64,
}

/// Keys of an inverted index that equally many rows hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyGroups {
    pub count: f64,
    /// Rows that hold each of them.
    pub rows: f64,
    /// Mean size of such a key.
    pub key_bytes: f64,
    /// Part of those rows that follow another one of the same key in the same page of the table; `None`
    /// where that was not seen.
    pub same_page: Option<f64>,
}

/// Builds indexes and takes them away again: for those that cannot be pretended.
pub trait IndexBuilder {
    /// Builds `index`, of an estimated size, alone, plans each of `queries` with it, and rolls back.
    ///
    /// # Errors
    /// A sentence when the index cannot be built, or when there is no room or time left for it.
    fn alone(
        &mut self,
        index: &IndexDef,
        size_bytes: f64,
        queries: &[&Query],
    ) -> Result<Built, String>;
}

/// The planner's answer for one statement.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlanCost {
    /// Total cost, in the planner's unit: the mean over the executions that were planned.
    pub cost: f64,
    /// The same if nothing stopped early: what the chosen plan costs when the rows that a `LIMIT` waits
    /// for come last.
    pub full_cost: f64,
    /// Rows that it is expected to return.
    pub rows: f64,
    /// Positions of the offered indexes that some execution used.
    pub used: Vec<usize>,
    /// Indexes that are there and that some execution used.
    pub present: Vec<String>,
    /// The planner's estimates of the scans, one for each relation.
    pub scans: Vec<PlannedScan>,
}

/// Measurements of an index that was built.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    pub size_bytes: u64,
    pub build_ms: f64,
    /// One for each statement asked for; `None` where it could not be planned. `used` is empty, or
    /// holds the index.
    pub plans: Vec<Option<PlanCost>>,
}
