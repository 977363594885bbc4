//! The shape of a statement: its scans, with every name resolved as far as is known.

use crate::model::name::TableName;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    Select,
    Insert,
    Update,
    Delete,
    Merge,
    /// Transaction control, settings, DDL and everything else that reads no table by predicate.
    Utility,
}

/// A statement, flattened to its scans.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub kind: StatementKind,
    /// One entry for each occurrence of a base table, sub-queries included.
    pub scans: Vec<Scan>,
    /// The only table of which HypoPG can show partial and expression indexes: the first range table entry of every
    /// query that is planned by itself, neither partitioned nor inherited from.
    pub first: Option<TableName>,
    /// Names of the functions called, lower case, with their schema where given.
    pub functions: Vec<String>,
    /// A function stands in a `FROM` list.
    pub reads_function: bool,
    /// Takes row locks (`FOR UPDATE` and its kin).
    pub locks_rows: bool,
    /// Returns one row whatever it reads: an aggregate without `GROUP BY`. For an `INSERT`: its rows
    /// are written out.
    pub single_row: bool,
    /// Writes: DML at the top or inside a CTE, or `SELECT … INTO`.
    pub writes: bool,
    /// The outermost query has a `WHERE`.
    pub conditional: bool,
    /// The outermost query has a `LIMIT`.
    pub limited: bool,
    /// The outermost query has a `GROUP BY` or a `DISTINCT`.
    pub grouped: bool,
    /// Literal positions behind `OFFSET`, of any query of the statement.
    pub offsets: Vec<u16>,
}

/// One occurrence of a base table.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    pub table: TableName,
    /// The catalog knows the table.
    pub known: bool,
    /// Conjuncts that hold for every row the scan keeps.
    pub filters: Vec<Predicate>,
    /// For each condition of several alternatives (`a = 1 OR b = 2`), the scan that each of them alone would
    /// make: its filters and those that hold for all rows, and nothing else. One that no index serves has the
    /// whole table read.
    pub alternatives: Vec<Vec<Scan>>,
    pub joins: Vec<Join>,
    pub lookups: Vec<Lookup>,
    /// `ORDER BY` of the query the scan belongs to, when all its keys are columns of this scan.
    pub sort: Vec<SortKey>,
    /// The query that owns the sort has a `LIMIT`.
    pub limited: bool,
    /// The least or the greatest of this, `min` or `max`, is all that is asked for of the scan.
    pub extreme: Option<Key>,
    /// The scan is what the statement writes.
    pub target: bool,
    /// Columns of this scan in the select list of the outermost query; `*` for all.
    pub outputs: Vec<String>,
    /// Columns that the statement reads, wherever they stand; `*` where all are read and the catalog
    /// does not name them.
    pub columns: Vec<String>,
    /// The outermost select list has a `*` for this scan.
    pub whole_row: bool,
    /// Columns that an `UPDATE` sets or an `INSERT` fills.
    pub written: Vec<String>,
    /// The columns that are assigned a literal, each with the literal's position in the normalized text, counted
    /// from 1.
    pub assigned: Vec<(String, u16)>,
}

/// The left side of a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    Column(String),
    /// An expression over columns of one table, unqualified, such as `lower(email)`.
    Expression {
        sql: String,
        columns: Vec<String>,
    },
}

impl Key {
    pub fn sql(&self) -> &str {
        match self {
            Key::Column(name) => name,
            Key::Expression { sql, .. } => sql,
        }
    }

    pub fn columns(&self) -> Vec<&str> {
        match self {
            Key::Column(name) => vec![name.as_str()],
            Key::Expression { columns, .. } => columns.iter().map(String::as_str).collect(),
        }
    }

    pub fn column(&self) -> Option<&str> {
        match self {
            Key::Column(name) => Some(name),
            Key::Expression { .. } => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    Equal,
    /// `IN (…)` or `= ANY(…)`.
    In,
    /// `<`, `<=`, `>`, `>=`, `BETWEEN`.
    Range,
    /// `LIKE`, case-sensitive.
    Like,
    /// `ILIKE` and regular expressions.
    ILike,
    IsNull,
    IsNotNull,
    /// `@>`, `?`, `&&` and their kin on arrays, documents, ranges and shapes, `>>` and `>>=` on networks.
    Contains,
    /// `<@`: is part of what is asked for.
    Contained,
    /// `<<` and `<<=`: an address in a network; to ranges and shapes, on the left of another.
    Within,
    /// `%` and its kin (pg_trgm): text that is like another.
    Similar,
    /// `value = ANY (column)`, which no index serves; `column @> ARRAY[value]` finds the same rows.
    Element,
    NotEqual,
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    pub key: Key,
    pub operator: Operator,
    /// Literal positions on the other side, as numbered in the normalized text from 1.
    pub slots: Vec<u16>,
    /// The condition, columns unqualified, with `$n` where the normalized text has them.
    pub sql: String,
}

/// An equality between columns of two scans.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    pub column: String,
    /// Index into [`Shape::scans`].
    pub other_scan: usize,
    pub other_column: String,
    /// The other scan is one of a query around: its value is given whenever this one's rows are looked for.
    pub outer: bool,
}

/// A value that is compared with the rows of something that is no table: an expression, the result of a function
/// or a recursive query, a column of a union.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    pub key: Key,
    /// The rows it is looked up for are few beside those of a table: those of a function, of written-out values,
    /// or the last ones of a recursion.
    pub for_few: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    pub key: Key,
    pub descending: bool,
    pub nulls_first: bool,
}

impl Scan {
    /// A scan of a table of which nothing is known yet.
    pub fn of(table: TableName) -> Scan {
        Scan {
            table,
            known: false,
            filters: Vec::new(),
            alternatives: Vec::new(),
            joins: Vec::new(),
            lookups: Vec::new(),
            sort: Vec::new(),
            limited: false,
            extreme: None,
            target: false,
            outputs: Vec::new(),
            columns: Vec::new(),
            whole_row: false,
            written: Vec::new(),
            assigned: Vec::new(),
        }
    }

    /// Its rows are wanted by this column for each row of something else.
    pub fn is_joined_by(&self, column: &str) -> bool {
        self.joins.iter().any(|join| join.column == column)
            || self.lookups.iter().any(|lookup| lookup.key.column() == Some(column))
    }

    /// Keys that an equality fixes to one value for each lookup.
    pub fn fixed(&self) -> impl Iterator<Item = Key> {
        let by_constants = self.filters.iter().filter(|f| f.operator == Operator::Equal);
        let by_rows_around = self.joins.iter().filter(|join| join.outer);
        by_constants
            .map(|filter| filter.key.clone())
            .chain(by_rows_around.map(|join| Key::Column(join.column.clone())))
    }

    /// Returns the first sort key that the rows of the scan are ordered by.
    pub fn ordered_by(&self) -> Option<&Key> {
        self.sort.first().map(|sort| &sort.key).or(self.extreme.as_ref())
    }
}

impl Shape {
    /// Names of the base tables, each once, in order of appearance.
    pub fn tables(&self) -> Vec<&TableName> {
        let mut names: Vec<&TableName> = Vec::new();
        for scan in &self.scans {
            if !names.contains(&&scan.table) {
                names.push(&scan.table);
            }
        }
        names
    }

    /// The scans, and behind all of them those of their alternatives.
    pub fn with_alternatives(&self) -> Vec<&Scan> {
        let alternatives = self.scans.iter().flat_map(|scan| scan.alternatives.iter().flatten());
        self.scans.iter().chain(alternatives).collect()
    }
}
