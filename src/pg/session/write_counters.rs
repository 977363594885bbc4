//! Rows that a transaction has written so far, and the unique columns of a table.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use crate::model::name::TableName;
use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;
use crate::sql::lex::identifier::quote_table;

/// Rows of one table that the open transaction has written, what was rolled back to a savepoint
/// included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteCounters {
    pub inserted: i64,
    pub updated: i64,
    /// The updated rows whose update was HOT.
    pub hot_updated: i64,
    pub deleted: i64,
}

impl WriteCounters {
    /// The difference to `earlier`.
    pub fn since(self, earlier: WriteCounters) -> WriteCounters {
        WriteCounters {
            inserted: self.inserted - earlier.inserted,
            updated: self.updated - earlier.updated,
            hot_updated: self.hot_updated - earlier.hot_updated,
            deleted: self.deleted - earlier.deleted,
        }
    }

    pub fn plus(self, other: WriteCounters) -> WriteCounters {
        WriteCounters {
            inserted: self.inserted + other.inserted,
            updated: self.updated + other.updated,
            hot_updated: self.hot_updated + other.hot_updated,
            deleted: self.deleted + other.deleted,
        }
    }

    /// Part of the updated rows that touched no index; `None` where none was updated.
    pub fn hot_ratio(self) -> Option<f64> {
        (self.updated > 0).then(|| self.hot_updated as f64 / self.updated as f64)
    }
}

/// Rows of `table` that the open transaction of `connection` has written so far.
///
/// # Errors
/// The server's error.
pub fn written(connection: &Connection, table: &TableName) -> Result<WriteCounters, PgError> {
    let row = connection.row(include_str!("queries/written_rows.sql"), &[&quote_table(table)])?;
    let count = |at: usize| row.get::<_, Option<i64>>(at).unwrap_or(0);
    Ok(WriteCounters {
        inserted: count(0),
        updated: count(1),
        hot_updated: count(2),
        deleted: count(3),
    })
}

/// The columns of each unique key of a table.
///
/// # Errors
/// The server's error.
pub fn unique_keys(
    connection: &Connection,
    table: &TableName,
) -> Result<Vec<Vec<String>>, PgError> {
    let rows = connection.query(include_str!("queries/unique_keys.sql"), &[&quote_table(table)])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Last values of the sequences of tables, by name.
///
/// # Errors
/// The server's error.
pub fn sequences(
    connection: &Connection,
    tables: &[&TableName],
) -> Result<BTreeMap<String, i64>, PgError> {
    let names: Vec<String> = tables.iter().map(|table| quote_table(table)).collect();
    let rows = connection.query(include_str!("queries/sequences.sql"), &[&names])?;
    let value = |row: &Row| (row.get(0), row.get::<_, Option<i64>>(1).unwrap_or(0));
    Ok(rows.iter().map(value).collect())
}
