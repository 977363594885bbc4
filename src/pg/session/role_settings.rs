//! Settings of the roles of a workload: `ALTER ROLE app SET work_mem` does not hold for those who connect as another.

use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;

/// A setting that a role has of its own and that the session does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleSetting {
    pub role: String,
    pub name: String,
    pub value: String,
}

/// Settings of these roles that change plans or memory, as far as the session has other values.
///
/// # Errors
/// The server's error.
pub fn role_settings(
    connection: &Connection,
    roles: &[String],
) -> Result<Vec<RoleSetting>, PgError> {
    let rows = connection.query(include_str!("queries/role_settings.sql"), &[&roles])?;
    let setting = |row: &tokio_postgres::Row| RoleSetting {
        role: row.get(0),
        name: row.get(1),
        value: row.get(2),
    };
    Ok(rows.iter().map(setting).collect())
}
