//! Expressions that indexes could hold, of which there are no statistics before they are indexed.

use std::collections::HashMap;

use super::candidates::Candidate;
use crate::model::catalog::{Catalog, Column};
use crate::model::name::TableName;
use crate::model::recommendation::IndexPlan;
use crate::model::whatif::Statistics;

/// Expressions that are measured, at most: a fraction of a second each.
const MOST_MEASURED: usize = 20;
/// An expression with fewer values finds too many rows: without statistics the planner expects two hundred
/// values (`DEFAULT_NUM_DISTINCT` in PostgreSQL's `selfuncs.h`), and a gain that is not there.
const FEW_VALUES: f64 = 100.0;

/// The expressions of a table, each as if it were a column, under its SQL.
pub type Expressions = HashMap<TableName, Vec<Column>>;

/// What the expressions that btrees begin with are like.
pub fn measured(
    found: &[Candidate],
    catalog: &Catalog,
    statistics: &mut dyn Statistics,
) -> Expressions {
    let mut asked: Vec<(&TableName, &str)> = Vec::new();
    let mut measured = Expressions::new();
    for (table, expression) in found.iter().filter_map(|candidate| first(&candidate.plan)) {
        if asked.contains(&(table, expression)) || asked.len() >= MOST_MEASURED {
            continue;
        }
        asked.push((table, expression));
        let column = catalog.table(table).and_then(|table| statistics.measured(table, expression));
        measured.entry(table.clone()).or_default().extend(column);
    }
    measured
}

/// The candidates but for those that begin with an expression of few values. No index finds few rows by
/// those, and the planner, which knows no better, expects it.
pub fn without_coarse(found: Vec<Candidate>, measured: &Expressions) -> Vec<Candidate> {
    let is_coarse = |plan: &IndexPlan| {
        let Some((table, expression)) = first(plan) else { return false };
        let columns = measured.get(table).into_iter().flatten();
        let column = columns.filter(|column| column.name == expression).find_map(|c| c.distinct);
        column.is_some_and(|values| values < FEW_VALUES)
    };
    found.into_iter().filter(|candidate| !is_coarse(&candidate.plan)).collect()
}

/// The expression that a btree begins with.
fn first(plan: &IndexPlan) -> Option<(&TableName, &str)> {
    let key = plan.keys.first().filter(|key| plan.method == "btree" && !key.is_column)?;
    Some((&plan.table, key.expression.as_str()))
}
