//! Reads roles, privileges and functions of a database.

use serde::de::DeserializeOwned;

use crate::model::access::privileges::Privileges;
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};

/// # Errors
/// The server's error.
pub fn load(connection: &Connection) -> Result<Privileges, PgError> {
    // Before 14 no function has a body of parsed SQL.
    let sql_body =
        if connection.version >= 140_000 { "pg_get_function_sqlbody(p.oid)" } else { "NULL" };
    let routines = include_str!("queries/access/routines.sql")
        .replace("pg_get_function_sqlbody(p.oid)", sql_body);
    Ok(Privileges {
        roles: objects(connection, include_str!("queries/access/roles.sql"))?,
        relations: objects(connection, include_str!("queries/access/relations.sql"))?,
        routines: objects(connection, &routines)?,
        default_grants: objects(connection, include_str!("queries/access/default_grants.sql"))?,
    })
}

/// Rows of one JSON object each.
fn objects<T: DeserializeOwned>(connection: &Connection, sql: &str) -> Result<Vec<T>, PgError> {
    let rows = connection.query(sql, &[])?;
    let object = |text: &str| {
        serde_json::from_str(text).map_err(|error| {
            PgError::new(
                PgErrorKind::Statement,
                "cannot read privileges",
                format!("an object has another form than expected: {error}"),
            )
        })
    };
    rows.iter().map(|row| object(row.get(0))).collect()
}
