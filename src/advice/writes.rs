//! What an index costs every write.

use crate::model::catalog::Table;
use crate::model::recommendation::IndexPlan;
use crate::model::shape::{Shape, StatementKind};
use crate::model::workload::Workload;

/// Time to put one row into a btree, microseconds: the mean over 18 indexes and 77,000 written rows of
/// a marketplace, cached, WAL included.
const BTREE_ENTRY_US: f64 = 3.0;
/// The same for the entries that one row makes in a GIN index: trigrams of a title, and the few of an
/// array or a document.
const TRIGRAMS_US: f64 = 40.0;
const ELEMENTS_US: f64 = 12.0;
/// A range of blocks has its summary widened only now and then.
const SUMMARY_US: f64 = 0.05;
/// Time to write one row and its WAL without any index, microseconds, in the same measurement.
const ROW_US: f64 = 4.0;
/// Part of the updates that keep every index as it is when no indexed column changes (HOT), where
/// nothing was counted.
const HOT_SHARE: f64 = 0.8;

/// Rows written into one table.
#[derive(Debug, Clone, Default)]
pub struct Written {
    pub inserted: f64,
    /// For each statement that updates: its rows, and the columns it sets.
    pub updated: Vec<(f64, Vec<String>)>,
}

/// What the statements of a workload wrote into a table.
pub fn written(workload: &Workload, shapes: &[Option<Shape>], table: &Table) -> Written {
    let mut written = Written::default();
    for (query, shape) in workload.queries.iter().zip(shapes) {
        let Some(shape) = shape else { continue };
        let target = shape.scans.iter().find(|scan| scan.target && scan.table == table.name);
        let Some(target) = target else { continue };
        let rows = query.rows.map_or(query.calls as f64, |rows| rows as f64);
        match shape.kind {
            StatementKind::Insert | StatementKind::Merge => written.inserted += rows,
            StatementKind::Update => written.updated.push((rows, target.written.clone())),
            _ => {}
        }
    }
    written
}

/// Time that an index adds to the writes of a workload, microseconds. `fraction` is the part of the rows
/// that the index holds.
pub fn upkeep_us(table: &Table, plan: &IndexPlan, fraction: f64, written: &Written) -> f64 {
    let entry = entry_us(plan) * fraction;
    let mut upkeep = written.inserted * entry;
    for (rows, columns) in &written.updated {
        upkeep += rows
            * if touches(plan, columns) {
                // Every index of the row gets an entry that none would have got.
                entry + HOT_SHARE * table.indexes.len() as f64 * BTREE_ENTRY_US
            } else {
                (1.0 - HOT_SHARE) * entry
            };
    }
    upkeep
}

/// What an index adds to the writes of its table, percent; `None` where nothing was written.
pub fn overhead_pct(table: &Table, upkeep_us: f64, written: &Written) -> Option<f64> {
    let rows = written.inserted + written.updated.iter().map(|(rows, _)| rows).sum::<f64>();
    let now = rows * (ROW_US + table.indexes.len() as f64 * BTREE_ENTRY_US);
    (rows > 0.0).then(|| 100.0 * upkeep_us / now)
}

fn entry_us(plan: &IndexPlan) -> f64 {
    let trigrams =
        || plan.keys.iter().any(|key| key.operator_class.as_deref() == Some("gin_trgm_ops"));
    match plan.method.as_str() {
        "gin" if trigrams() => TRIGRAMS_US,
        "gin" | "gist" => ELEMENTS_US,
        "brin" => SUMMARY_US,
        _ => BTREE_ENTRY_US,
    }
}

/// The index holds one of the columns, as a key, beside the keys, or in its condition.
fn touches(plan: &IndexPlan, columns: &[String]) -> bool {
    columns.iter().any(|column| {
        plan.include.contains(column)
            || plan.keys.iter().any(|key| {
                if key.is_column {
                    key.expression == *column
                } else {
                    names(&key.expression, column)
                }
            })
            || plan.predicate.as_ref().is_some_and(|predicate| names(predicate, column))
    })
}

/// The expression has the column's name in it as a word.
fn names(expression: &str, column: &str) -> bool {
    expression.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == column)
}
