//! Estimates what an index adds to the time of writes.

use std::collections::HashMap;

use crate::index::size::key_width;
use crate::model::catalog::{Catalog, Table};
use crate::model::index::{AccessMethod, IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::model::workload::Workload;
use crate::model::workload::shape::StatementKind;

/// Time to put one row into a btree, microseconds: the mean over 18 indexes and 77,000 written rows of
/// a marketplace, cached, WAL included.
const BTREE_ENTRY_US: f64 = 3.0;
/// The same for the entries that one row makes in a GIN index: trigrams of a title, and the few of an
/// array or a document.
const TRIGRAMS_US: f64 = 40.0;
const ELEMENTS_US: f64 = 12.0;
/// The same for each byte of longer values, measured on such of 20 to 4,000 bytes, cleaning up included.
const TRIGRAMS_BYTE_US: f64 = 0.45;
const ELEMENTS_BYTE_US: f64 = 0.1;
/// A range of blocks has its summary widened only now and then.
const SUMMARY_US: f64 = 0.05;
/// Time that an execution takes longer when its update is no HOT update any more, beside the entries, microseconds:
/// 14 to 50 with one to five indexes on rows updated one by one, each in a transaction of its own. The pages of the
/// indexes are logged as well, and the old row stays for a vacuum. Many rows of one statement share that.
const LOST_HOT_US: f64 = 20.0;
/// Time to write one row and its WAL without any index, microseconds, in the same measurement.
const ROW_US: f64 = 4.0;
/// Part of the updates that keep every index as it is when no indexed column changes (HOT), where
/// nothing was counted.
const HOT_SHARE: f64 = 0.8;

/// If writes are unknown, indexes over as many rows as the database has must save this part of the time of all
/// statements: each is one more for every write, and a log of what is slow shows no writes.
const PRICE_OF_ALL_ROWS: f64 = 0.01;

/// Updates below which what was counted says little about how many of them are HOT.
const ENOUGH_UPDATES: u64 = 1_000;

/// Rows written into one table.
#[derive(Debug, Clone)]
struct TableWrites {
    inserted: f64,
    /// By each statement that updates.
    updated: Vec<Updated>,
    /// Part of the updates that touches no index.
    hot_share: f64,
}

/// Rows that one statement updates.
#[derive(Debug, Clone)]
struct Updated {
    rows: f64,
    executions: f64,
    /// Columns that it sets; none where those are not known.
    columns: Vec<String>,
}

/// The writes of a workload, table by table, and the cost that indexes add to them.
pub struct Writes<'a> {
    pub catalog: &'a Catalog,
    of: HashMap<&'a TableName, TableWrites>,
}

impl<'a> Writes<'a> {
    pub fn of(workload: &Workload, catalog: &'a Catalog) -> Self {
        let of =
            catalog.tables.iter().map(|table| (&table.name, written(workload, catalog, table)));
        Writes { catalog, of: of.collect() }
    }

    /// Time that all writes take now, microseconds.
    pub fn time_us(&self) -> f64 {
        self.catalog.tables.iter().map(|table| self.of[&table.name].time_us(table)).sum()
    }

    /// Time that an index over `rows` rows adds, microseconds.
    pub fn upkeep_us(&self, def: &IndexDef, rows: f64) -> f64 {
        let Some(table) = self.catalog.table(&def.table) else { return 0.0 };
        let fraction = (rows / table.rows.unwrap_or(rows).max(1.0)).min(1.0);
        upkeep_us(table, def, fraction, &self.of[&table.name])
    }

    /// Returns the time, microseconds, that an index has to save for each of its rows because of unknown writes,
    /// if all statements take `whole_us`. Where the log knows of any, or the server counted some in its time,
    /// they tell of all.
    pub fn unseen_row_us(&self, whole_us: f64) -> f64 {
        let all: f64 = self.catalog.tables.iter().filter_map(|table| table.rows).sum();
        if self.time_us() > 0.0 || all < 1.0 { 0.0 } else { PRICE_OF_ALL_ROWS * whole_us / all }
    }

    /// Returns the time that an index over `rows` rows adds to the writes of its table, percent; `None` for a
    /// table without writes.
    pub fn overhead_pct(&self, def: &IndexDef, rows: f64) -> Option<f64> {
        let table = self.catalog.table(&def.table)?;
        let now_us = self.of[&table.name].time_us(table);
        (now_us > 0.0).then(|| 100.0 * self.upkeep_us(def, rows) / now_us)
    }
}

/// Returns the rows written to a table during a workload: by its statements, or, where the server counted more in
/// as much time, by others as well.
fn written(workload: &Workload, catalog: &Catalog, table: &Table) -> TableWrites {
    let mut written = TableWrites { inserted: 0.0, updated: Vec::new(), hot_share: HOT_SHARE };
    for (query, shape) in workload.understood() {
        let target = shape.scans.iter().find(|scan| scan.target && scan.table == table.name);
        let Some(target) = target else { continue };
        let rows = query.rows.map_or(query.calls as f64, |rows| rows as f64);
        match shape.kind {
            StatementKind::Insert | StatementKind::Merge => written.inserted += rows,
            StatementKind::Update => written.updated.push(Updated {
                rows,
                executions: (query.calls as f64).min(rows),
                columns: table.set_with(&target.written),
            }),
            _ => {}
        }
    }
    let Some(counted) = table.activity else { return written };
    if counted.updated >= ENOUGH_UPDATES {
        written.hot_share = counted.hot_updated as f64 / counted.updated as f64;
    }
    // A log may hold no more than what is slow, and writes seldom are.
    if let Some(part) = part_of_the_counters(workload, catalog) {
        written.inserted = written.inserted.max(counted.inserted as f64 * part);
        let others = counted.updated as f64 * part - written.updates();
        if others > 0.0 {
            written.updated.push(Updated { rows: others, executions: others, columns: Vec::new() });
        }
    }
    written
}

/// The time of the workload as a part of the time that the server has counted for.
fn part_of_the_counters(workload: &Workload, catalog: &Catalog) -> Option<f64> {
    let (first_us, last_us) = workload.window?;
    let counted_us = catalog.statistics_days? * 86_400e6;
    (counted_us > 0.0).then(|| ((last_us - first_us) as f64 / counted_us).min(1.0))
}

impl TableWrites {
    fn updates(&self) -> f64 {
        self.updated.iter().map(|updated| updated.rows).sum()
    }

    /// Time that all of it takes now, microseconds.
    fn time_us(&self, table: &Table) -> f64 {
        (self.inserted + self.updates()) * (ROW_US + table.indexes.len() as f64 * BTREE_ENTRY_US)
    }
}

/// Time that an index adds to the writes of a workload, microseconds. `fraction` is the part of the rows
/// that the index holds.
fn upkeep_us(table: &Table, def: &IndexDef, fraction: f64, written: &TableWrites) -> f64 {
    let entry = entry_us(table, def) * fraction;
    let mut upkeep = written.inserted * entry;
    for Updated { rows, executions, columns } in &written.updated {
        upkeep += if def.hangs_on(columns) {
            // Every index of the row gets an entry that none would have got.
            let others = table.indexes.len() as f64 * BTREE_ENTRY_US;
            rows * entry + written.hot_share * (rows * others + executions * LOST_HOT_US)
        } else {
            rows * (1.0 - written.hot_share) * entry
        };
    }
    upkeep
}

/// Time to put one row into the index, microseconds.
fn entry_us(table: &Table, def: &IndexDef) -> f64 {
    let parts_us = |key: &IndexKey| match key.operator_class.as_deref() {
        Some("gin_trgm_ops") => TRIGRAMS_US.max(TRIGRAMS_BYTE_US * key_width(table, key)),
        _ => ELEMENTS_US.max(ELEMENTS_BYTE_US * key_width(table, key)),
    };
    match &def.method {
        AccessMethod::Gin | AccessMethod::Gist => def.keys.iter().map(parts_us).sum(),
        AccessMethod::Brin => SUMMARY_US,
        _ => BTREE_ENTRY_US,
    }
}
