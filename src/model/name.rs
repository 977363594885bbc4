//! Names of tables, as the catalog knows them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table by schema and name, both in the catalog's spelling (unquoted, case preserved).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        TableName { schema: schema.into(), name: name.into() }
    }
}

/// Prints `schema.name` for people and for the run file; SQL wants `sql::lex::identifier::quote_table`.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}
