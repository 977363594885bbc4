//! Indexes: what one is made of, and what the server knows of one that is there.

use serde::{Deserialize, Serialize};

use super::name::TableName;

/// How an index finds its rows. Its name is that of the server: `btree`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum AccessMethod {
    Btree,
    Hash,
    Gin,
    Gist,
    SpGist,
    Brin,
    /// One of an extension.
    Other(String),
}

impl AccessMethod {
    /// As in `USING name`.
    pub fn name(&self) -> &str {
        match self {
            AccessMethod::Btree => "btree",
            AccessMethod::Hash => "hash",
            AccessMethod::Gin => "gin",
            AccessMethod::Gist => "gist",
            AccessMethod::SpGist => "spgist",
            AccessMethod::Brin => "brin",
            AccessMethod::Other(name) => name,
        }
    }

    /// GIN or GiST: cannot return rows in key order.
    pub fn is_inverted(&self) -> bool {
        matches!(self, AccessMethod::Gin | AccessMethod::Gist)
    }
}

impl From<&str> for AccessMethod {
    fn from(name: &str) -> AccessMethod {
        match name {
            "btree" => AccessMethod::Btree,
            "hash" => AccessMethod::Hash,
            "gin" => AccessMethod::Gin,
            "gist" => AccessMethod::Gist,
            "spgist" => AccessMethod::SpGist,
            "brin" => AccessMethod::Brin,
            other => AccessMethod::Other(other.to_owned()),
        }
    }
}

impl From<String> for AccessMethod {
    fn from(name: String) -> AccessMethod {
        AccessMethod::from(name.as_str())
    }
}

impl From<AccessMethod> for String {
    fn from(method: AccessMethod) -> String {
        method.name().to_owned()
    }
}

impl std::fmt::Display for AccessMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One key of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexKey {
    /// A column's name, or an expression in the server's spelling.
    pub expression: String,
    pub is_column: bool,
    pub descending: bool,
    pub nulls_first: bool,
    /// Operator class where it is not the default one.
    pub operator_class: Option<String>,
    /// Collation where it is not that of the column or expression, quoted where it has to be. Only what asks for
    /// this one finds anything by the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
}

impl IndexKey {
    /// An ascending key on a column.
    pub fn column(name: impl Into<String>) -> Self {
        IndexKey {
            expression: name.into(),
            is_column: true,
            descending: false,
            nulls_first: false,
            operator_class: None,
            collation: None,
        }
    }

    /// It is the column, or made of it.
    pub fn is_of(&self, column: &str) -> bool {
        if self.is_column { self.expression == column } else { mentions(&self.expression, column) }
    }
}

/// The expression has the column's name in it as a word.
pub fn mentions(expression: &str, column: &str) -> bool {
    expression.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == column)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    pub name: String,
    pub schema: String,
    #[serde(flatten)]
    pub def: IndexDef,
    pub unique: bool,
    pub primary: bool,
    /// It serves a constraint and cannot be dropped by itself.
    pub constraint: bool,
    pub valid: bool,
    /// It is being built at this moment, and is not valid yet.
    #[serde(default)]
    pub building: bool,
    pub size_bytes: Option<u64>,
    /// Times it was read since the statistics were reset.
    pub scans: Option<u64>,
    /// The statement that makes it again.
    pub definition: String,
    /// Its storage parameters: `fillfactor=70`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Statements that give it back what the definition does not hold: comment, mark of `CLUSTER`,
    /// statistics targets.
    #[serde(default)]
    pub restore: Vec<String>,
    /// `CLUSTER` goes by it.
    #[serde(default)]
    pub clustered: bool,
}

/// The definition of an index, existing or proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDef {
    /// Not stored with an index of a catalog, which stands with its table.
    #[serde(skip)]
    pub table: TableName,
    pub method: AccessMethod,
    pub keys: Vec<IndexKey>,
    /// Columns that are carried beside the keys.
    pub include: Vec<String>,
    /// The `WHERE` of a partial index, as the server spells it.
    pub predicate: Option<String>,
}

impl IndexDef {
    /// On all rows of a table, with nothing beside its keys.
    pub fn on(table: &TableName, method: AccessMethod, keys: Vec<IndexKey>) -> IndexDef {
        IndexDef { table: table.clone(), method, keys, include: Vec::new(), predicate: None }
    }

    /// One of the columns decides what stands in it: as a key, beside the keys, or in its condition.
    pub fn hangs_on(&self, columns: &[String]) -> bool {
        columns.iter().any(|column| {
            self.include.contains(column)
                || self.keys.iter().any(|key| key.is_of(column))
                || self.predicate.as_ref().is_some_and(|predicate| mentions(predicate, column))
        })
    }

    /// The column is one of the keys, or carried beside them.
    pub fn holds(&self, column: &String) -> bool {
        self.include.contains(column)
            || self.keys.iter().any(|key| key.is_column && key.expression == *column)
    }
}

/// An index to be made, under the name it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIndex {
    pub name: String,
    pub def: IndexDef,
}
