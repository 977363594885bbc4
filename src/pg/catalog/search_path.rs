//! Where the roles of a workload look names up: `ALTER ROLE app SET search_path` is a setting of the role, and those who
//! connect as another do not have it.

use crate::pg::connect::connection::Connection;
use crate::pg::connect::error::PgError;

/// Looks names up as this role does from here on, where it has a setting of its own. Returns the schemas.
///
/// # Errors
/// The server's error.
pub fn look_up_as(connection: &Connection, role: &str) -> Result<Option<Vec<String>>, PgError> {
    // What is said of the role in this database goes before what is said of it everywhere.
    let sql = "SELECT substr(own.setting, length('search_path=') + 1) \
               FROM pg_db_role_setting s \
               JOIN pg_roles r ON r.oid = s.setrole \
               CROSS JOIN unnest(s.setconfig) own(setting) \
               WHERE r.rolname = $1 AND own.setting LIKE 'search\\_path=%' \
                 AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) \
               ORDER BY s.setdatabase DESC LIMIT 1";
    let rows = connection.query(sql, &[&role])?;
    let Some(path) = rows.first().map(|row| row.get::<_, String>(0)) else { return Ok(None) };
    connection.query("SELECT set_config('search_path', $1, false)", &[&path])?;
    Ok(Some(connection.row("SELECT current_schemas(false)::text[]", &[])?.get(0)))
}
