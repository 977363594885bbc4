//! What a database holds: tables, columns, indexes, constraints, row-level rules, statistics.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::access::privileges::Privileges;
use super::index::Index;
use super::name::TableName;

/// The origin of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// From a server, with statistics.
    Live,
    /// From a schema dump: structure only.
    Ddl,
}

impl Origin {
    pub fn word(self) -> &'static str {
        match self {
            Origin::Live => "live",
            Origin::Ddl => "ddl",
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Catalog {
    pub origin: Origin,
    pub database: Option<String>,
    /// As the server prints it, such as `15.18`.
    pub server_version: Option<String>,
    /// The identifier of the server's cluster, where it may be read.
    #[serde(default)]
    pub system_identifier: Option<String>,
    /// Schemas that unqualified names are looked up in, in order.
    pub search_path: Vec<String>,
    /// By name.
    #[serde(deserialize_with = "tables")]
    pub tables: Vec<Table>,
    /// Extensions that are installed.
    pub extensions: Vec<String>,
    /// Operator classes that their name alone does not find, as no search path has their schema, with that.
    #[serde(default)]
    pub hidden_classes: BTreeMap<String, String>,
    /// Functions that are not the server's own.
    #[serde(default)]
    pub functions: Vec<UserFunction>,
    /// How long statistics of use were gathered, days; `None` where that is not known.
    #[serde(default)]
    pub statistics_days: Option<f64>,
    /// Servers that follow this one, or that it follows: reads there are counted there.
    #[serde(default)]
    pub replicas: u32,
    /// Roles, privileges and functions.
    #[serde(default)]
    pub privileges: Privileges,
}

/// A function of the database's own or of an extension, that gives one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFunction {
    pub schema: String,
    pub name: String,
    /// Arguments without those that have a default.
    pub least_arguments: usize,
    pub most_arguments: usize,
    /// Type of what it gives, as the server writes it.
    pub returns: String,
    /// It is declared to give the same for the same arguments, always.
    pub immutable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    Table,
    Partitioned,
    View,
    MaterializedView,
    Foreign,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    pub name: TableName,
    pub kind: TableKind,
    /// The role that owns it; `None` without a server.
    #[serde(default)]
    pub owner: Option<String>,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
    pub foreign_keys: Vec<ForeignKey>,
    pub policies: Vec<Policy>,
    pub row_security: bool,
    /// Login roles that policies of this table hold for and that cannot bypass them by `SET ROLE`; empty for a table
    /// without policies, or without a server.
    #[serde(default)]
    pub bound: Vec<String>,
    /// The query behind a view, where it is known.
    #[serde(default)]
    pub definition: Option<String>,
    /// Estimated rows, of a partitioned table those of its partitions; `None` without statistics.
    pub rows: Option<f64>,
    /// Size of the heap, with all partitions, bytes; `None` without a server.
    pub size_bytes: Option<u64>,
    /// Writes since the statistics were reset; `None` without a server.
    #[serde(default)]
    pub activity: Option<Activity>,
    pub never_analyzed: bool,
    /// Roles other than the owner that may read or write the table; `PUBLIC` included.
    pub granted_to: Vec<String>,
    /// Other tables inherit from it: a query of it is one of them too.
    #[serde(default)]
    pub inherited: bool,
    /// The leaf partitions of a partitioned table; empty for any other table.
    #[serde(default)]
    pub partitions: Vec<TableName>,
    /// Columns that triggers set before each update, as far as their text tells.
    #[serde(default)]
    pub set_by_triggers: Vec<String>,
    /// Indexes of its partitions, at every level, with or without one of the whole table that they are parts of.
    #[serde(default)]
    pub part_indexes: Vec<PartIndex>,
}

/// An index of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartIndex {
    /// The partition.
    pub table: TableName,
    /// The partition has partitions itself.
    pub partitioned: bool,
    /// The index that it is a part of, by schema and name.
    pub above: Option<TableName>,
    pub index: Index,
}

/// Rows written into a table and its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    pub inserted: u64,
    pub updated: u64,
    /// The updated rows whose update was HOT: no index was touched.
    pub hot_updated: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// As `format_type` prints it, such as `timestamp with time zone`.
    pub type_name: String,
    pub not_null: bool,
    /// As in `pg_stats`: a count, or a negative fraction of the rows.
    pub distinct: Option<f64>,
    /// Values that one row alone has, where they were counted.
    #[serde(default)]
    pub once: Option<f64>,
    pub null_fraction: Option<f64>,
    /// Mean width, bytes.
    pub width_bytes: Option<u32>,
    /// Shares of the rows that the most frequent values have, largest first.
    #[serde(default)]
    pub frequencies: Vec<f32>,
    /// How far the order of the rows on disk is that of the values, from -1 to 1.
    #[serde(default)]
    pub correlation: Option<f32>,
    /// How values are stored and compared; `None` without a server.
    #[serde(default)]
    pub storage: Option<Storage>,
}

/// How the values of a column are stored and compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Storage {
    /// Bytes of every value; `None` where they differ.
    pub length_bytes: Option<u16>,
    /// For values of different lengths: the mean stored size of a short value, bytes, and its standard deviation.
    #[serde(default)]
    pub varying_bytes: Option<(f32, f32)>,
    /// The longest of the values that statistics hold, bytes; they hold none of more than a kilobyte.
    #[serde(default)]
    pub longest_bytes: Option<u32>,
    /// Addresses of values are multiples of this.
    pub alignment_bytes: u8,
    /// Equal values have equal bytes, so that a btree keeps them once (13 and later).
    pub deduplicates: bool,
    /// Values are ordered by their bytes, so that a plain btree serves `LIKE 'prefix%'`.
    pub bytewise: bool,
    /// Its comparisons are LEAKPROOF: policies do not keep an index on it from use.
    #[serde(default)]
    pub leakproof: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub name: String,
    pub columns: Vec<String>,
    pub references: TableName,
    pub referenced_columns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub name: String,
    pub command: String,
    pub permissive: bool,
    pub roles: Vec<String>,
    pub using: Option<String>,
    pub check: Option<String>,
    /// Columns that `using` compares with one value by equality; empty until the policies are resolved.
    #[serde(skip)]
    pub compared: Vec<String>,
}

/// Reads tables, and tells their indexes the table that is not stored with them.
fn tables<'de, D: Deserializer<'de>>(stored: D) -> Result<Vec<Table>, D::Error> {
    let mut tables: Vec<Table> = Vec::deserialize(stored)?;
    for Table { name, indexes, part_indexes, .. } in &mut tables {
        indexes.iter_mut().for_each(|index| index.def.table = name.clone());
        part_indexes.iter_mut().for_each(|part| part.index.def.table = part.table.clone());
    }
    Ok(tables)
}

impl Catalog {
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.iter().find(|table| &table.name == name)
    }

    /// Looks a name up as the server would: with its schema, or along the search path. A partition is found as
    /// the table that it is a part of: what is said of the one holds of the other, and they come and go.
    pub fn lookup(&self, schema: Option<&str>, name: &str) -> Option<&Table> {
        match schema {
            Some(schema) => {
                let is_it = |known: &TableName| known.schema == schema && known.name == name;
                let whole = self.tables.iter().find(|table| is_it(&table.name));
                whole
                    .or_else(|| self.tables.iter().find(|table| table.partitions.iter().any(is_it)))
            }
            None => self
                .search_path
                .iter()
                .find_map(|schema| self.lookup(Some(schema), name))
                .or_else(|| self.only_one_called(name)),
        }
    }

    /// The only table of this name, where nothing tells which schemas the server searches.
    fn only_one_called(&self, name: &str) -> Option<&Table> {
        if self.origin != Origin::Ddl {
            return None;
        }
        let mut found = self.tables.iter().filter(|table| table.name.name == name);
        found.next().filter(|_| found.next().is_none())
    }
}

/// Tables below this many rows are small.
const SMALL_TABLE_ROWS: f64 = 500.0;

impl Table {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Holds rows of its own that an index can be built on.
    pub fn is_indexable(&self) -> bool {
        matches!(self.kind, TableKind::Table | TableKind::Partitioned | TableKind::MaterializedView)
    }

    /// Known to have so few rows (about ten pages) that reading them all is faster than through an index.
    pub fn is_small(&self) -> bool {
        self.rows.is_some_and(|rows| (0.0..SMALL_TABLE_ROWS).contains(&rows))
    }

    /// Columns that an update which sets these sets in the end, triggers included.
    pub fn set_with(&self, written: &[String]) -> Vec<String> {
        written.iter().chain(&self.set_by_triggers).cloned().collect()
    }

    /// Some unique index has exactly these columns as its keys, in any order.
    pub fn has_unique(&self, columns: &[&str]) -> bool {
        self.indexes.iter().any(|index| {
            index.unique
                && index.def.predicate.is_none()
                && index.def.keys.len() == columns.len()
                && index.def.keys.iter().all(|key| columns.contains(&key.expression.as_str()))
        })
    }
}

impl Column {
    /// Its values are known to be ordered by their bytes.
    pub fn is_bytewise(&self) -> bool {
        self.storage.is_some_and(|storage| storage.bytewise)
    }

    /// Number of distinct values, resolved against the table's rows.
    pub fn distinct_count(&self, rows: f64) -> Option<f64> {
        self.distinct.map(|distinct| if distinct < 0.0 { -distinct * rows } else { distinct })
    }
}
