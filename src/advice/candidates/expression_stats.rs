//! Estimates for expressions, which have no statistics before they are indexed.

use std::collections::HashMap;

use super::candidate::Candidate;
use crate::model::catalog::{Catalog, Column};
use crate::model::index::{AccessMethod, IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::model::whatif::Statistics;

/// Expressions that are measured, at most: a fraction of a second each.
const MOST_MEASURED: usize = 20;
/// Keys that begin with an expression and have fewer values together find too many rows: without statistics the
/// planner expects two hundred values of it (`DEFAULT_NUM_DISTINCT` in PostgreSQL's `selfuncs.h`), and a gain that is
/// not there.
const FEW_VALUES: f64 = 100.0;

/// The expressions of a table, each as if it were a column, under its SQL.
pub type Expressions = HashMap<TableName, Vec<Column>>;

/// Returns the statistics of the expressions that btree candidates begin with.
pub fn measured(
    found: &[Candidate],
    catalog: &Catalog,
    statistics: &mut dyn Statistics,
) -> Expressions {
    let mut asked: Vec<(&TableName, &str)> = Vec::new();
    let mut measured = Expressions::new();
    let begins = found.iter().map(|candidate| &candidate.def).filter(|def| first(def).is_some());
    let all = begins.flat_map(|def| {
        let expressions = def.keys.iter().filter(|key| !key.is_column);
        expressions.map(|key| (&def.table, key.expression.as_str()))
    });
    for (table, expression) in all {
        if asked.contains(&(table, expression)) || asked.len() >= MOST_MEASURED {
            continue;
        }
        asked.push((table, expression));
        let column = catalog.table(table).and_then(|table| statistics.measured(table, expression));
        measured.entry(table.clone()).or_default().extend(column);
    }
    measured
}

/// The candidates but for those that begin with an expression and have few values. No index finds few rows by
/// those, and the planner, which knows no better, expects it.
pub fn without_coarse(
    found: Vec<Candidate>,
    measured: &Expressions,
    catalog: &Catalog,
) -> Vec<Candidate> {
    let is_coarse = |def: &IndexDef| {
        let Some(first) = first(def) else { return false };
        let expressions = measured.get(&def.table).into_iter().flatten();
        let of_expression = |name: &str| {
            expressions.clone().find(|column| column.name == name).and_then(|c| c.distinct)
        };
        let table = catalog.table(&def.table);
        let of_column = |name: &str| {
            table.and_then(|table| table.column(name)?.distinct_count(table.rows.unwrap_or(1.0)))
        };
        let values = |key: &IndexKey| match key.is_column {
            true => of_column(&key.expression),
            false => of_expression(&key.expression),
        };
        // Where nothing is known of the expression, it is the planner's word that counts.
        of_expression(first).is_some()
            && def.keys.iter().map(|key| values(key).unwrap_or(1.0)).product::<f64>() < FEW_VALUES
    };
    found.into_iter().filter(|candidate| !is_coarse(&candidate.def)).collect()
}

/// The expression that a btree begins with.
fn first(def: &IndexDef) -> Option<&str> {
    let key = def.keys.first().filter(|key| def.method == AccessMethod::Btree && !key.is_column)?;
    Some(key.expression.as_str())
}
