//! Index sizes from counted rows, where ANALYZE underestimates distinct counts or has no statistics: how many values
//! columns have, how many rows have the same keys or meet a condition, and the keys of a GIN index.

use std::collections::{HashMap, HashSet};

use super::relevance::SizedCandidate;
use crate::advice::candidates::candidate::Candidate;
use crate::index::gin_size::gin_bytes;
use crate::index::size::btree_bytes;
use crate::model::catalog::{Catalog, Column, Table};
use crate::model::index::{AccessMethod, IndexDef, mentions};
use crate::model::name::TableName;
use crate::model::whatif::{RowGroups, Statistics};

/// Rows that `ANALYZE` looks at by default.
const ANALYZED_ROWS: f64 = 30_000.0;
/// Rows that a value has, as the statistics say, where their error shows in the size of an index.
const DOUBTFUL_FROM: f64 = 1.05;
const DOUBTFUL_TO: f64 = 60.0;
/// A size that is off by less changes nothing.
const NOT_WORTH_IT: f64 = 0.05;
/// Columns whose values are counted, at most: a fraction of a second each.
const MOST_COUNTED: usize = 40;

/// Tables whose statistics are likely to say too few distinct values for the size of an index, with better
/// numbers.
pub fn counted(
    found: &[Candidate],
    catalog: &Catalog,
    statistics: &mut dyn Statistics,
) -> HashMap<TableName, Table> {
    let mut counted: HashMap<TableName, Table> = HashMap::new();
    let mut asked: HashSet<(&TableName, &str)> = HashSet::new();
    for def in
        found.iter().map(|candidate| &candidate.def).filter(|def| def.method == AccessMethod::Btree)
    {
        let Some(table) = catalog.table(&def.table) else { continue };
        // Keys that are nearly unique together leave nothing to be kept once.
        if !shares_keys(table, def) {
            continue;
        }
        for key in def.keys.iter().filter(|key| key.is_column) {
            let Some(at) = table.columns.iter().position(|c| c.name == key.expression) else {
                continue;
            };
            let is_new = asked.len() < MOST_COUNTED
                && is_doubtful(table, &table.columns[at])
                && asked.insert((&table.name, key.expression.as_str()));
            let distinct = if is_new { statistics.distinct(table, &key.expression) } else { None };
            // Too few is the way in which they err.
            if let Some(distinct) = distinct
                && table.columns[at].distinct_count(table.rows.unwrap_or(0.0))
                    < Some(distinct.values)
            {
                let own = counted.entry(table.name.clone()).or_insert_with(|| table.clone());
                own.columns[at].distinct = Some(distinct.values);
                own.columns[at].once = distinct.once;
            }
        }
    }
    counted
}

/// Looks at the rows of those that were chosen, where columns may have to do with each other or keys are not
/// values of columns: their sizes, and whether any is larger, or smaller by more than an estimate may be off.
/// Each is looked at once.
pub fn resized(
    sized: &mut [SizedCandidate],
    chosen: &[usize],
    catalog: &Catalog,
    statistics: &mut dyn Statistics,
) -> bool {
    let mut has_changed = false;
    for at in chosen {
        let SizedCandidate { candidate, rows, size_bytes, is_counted, .. } = &mut sized[*at];
        let Some(table) = catalog.table(&candidate.def.table) else { continue };
        if std::mem::replace(is_counted, true) {
            continue;
        }
        let def = &candidate.def;
        let counted_bytes = match def.method == AccessMethod::Gin {
            true => statistics.keys(table, def).map(|keys| gin_bytes(table, &keys)),
            false => grouped_bytes(table, def, rows, *size_bytes, statistics),
        };
        let Some(counted_bytes) = counted_bytes else { continue };
        let is_as_before = *size_bytes * (1.0 - NOT_WORTH_IT)..=*size_bytes;
        has_changed |= !is_as_before.contains(&counted_bytes);
        *size_bytes = counted_bytes;
    }
    has_changed
}

/// Size of a btree over the groups that its rows make, which are counted as well; `None` where that is what is
/// known, or would take too long.
fn grouped_bytes(
    table: &Table,
    def: &IndexDef,
    rows: &mut f64,
    size_bytes: f64,
    statistics: &mut dyn Statistics,
) -> Option<f64> {
    let columns = joint(table, def, *rows, size_bytes)?;
    let groups = statistics.groups(table, &columns, def.predicate.as_deref())?;
    *rows = groups.iter().map(|groups| groups.count * groups.rows).sum();
    Some(btree_bytes(table, def, &groups))
}

/// The keys of an index, the one with most values first, if columns that have to do with each other would
/// change its size.
fn joint<'p>(table: &Table, def: &'p IndexDef, rows: f64, size_bytes: f64) -> Option<Vec<&'p str>> {
    if def.method != AccessMethod::Btree || !def.keys.iter().all(|key| key.is_column) {
        return None;
    }
    let all = table.rows?;
    let distinct = |name: &str| {
        table.column(name).and_then(|column| column.distinct_count(all)).unwrap_or(all)
    };
    let mut columns: Vec<&str> = def.keys.iter().map(|key| key.expression.as_str()).collect();
    columns.sort_by(|a, b| distinct(b).total_cmp(&distinct(a)));
    let of_condition = def.predicate.as_ref().map_or(0, |predicate| {
        table.columns.iter().filter(|column| mentions(predicate, &column.name)).count()
    });
    // At the most the others say no more than the one with most values.
    let values = distinct(columns[0]).min(rows).max(1.0);
    let fewest = [RowGroups { count: values, rows: rows / values }];
    let is_certain = btree_bytes(table, def, &fewest) >= size_bytes * (1.0 - NOT_WORTH_IT);
    // Where a value's rows lie in several partitions, each has it once.
    let is_spread = table.partitions.len() > 1;
    (is_spread || of_condition > 1 || columns.len() > 1 && !is_certain).then_some(columns)
}

/// Several rows have the same keys, as the statistics say.
fn shares_keys(table: &Table, def: &IndexDef) -> bool {
    let rows = table.rows.unwrap_or(0.0);
    let distinct = |name: &str| table.column(name).and_then(|column| column.distinct_count(rows));
    let keys = def.keys.iter().map(|key| distinct(&key.expression).unwrap_or(rows).max(1.0));
    def.include.is_empty() && keys.product::<f64>() * DOUBTFUL_FROM <= rows
}

/// `ANALYZE` looks at thirty thousand rows and takes values that it met twice for frequent ones; and the
/// size of an index hangs on their number where a value has a few rows.
fn is_doubtful(table: &Table, column: &Column) -> bool {
    let rows = table.rows.unwrap_or(0.0);
    let rows_a_value = column.distinct_count(rows).map_or(1.0, |distinct| rows / distinct.max(1.0));
    rows > ANALYZED_ROWS
        && (DOUBTFUL_FROM..DOUBTFUL_TO).contains(&rows_a_value)
        && column.storage.is_some_and(|storage| storage.deduplicates)
}
