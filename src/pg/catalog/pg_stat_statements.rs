//! `pg_stat_statements` over a connection.

use tokio_postgres::Row;

use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};

/// Counters of one statement, as the view has them.
#[derive(Debug, Clone)]
pub struct StatementRow {
    pub query: String,
    pub queryid: Option<i64>,
    pub calls: u64,
    pub total_us: u64,
    pub rows: u64,
    pub blocks: u64,
    /// The role that executed it; empty where it is gone.
    pub user: String,
}

/// Reads the counters of this database; our own statements are left out.
///
/// # Errors
/// When the extension is missing, not preloaded, or may not be read, each with the line that mends it.
pub fn read(connection: &Connection) -> Result<Vec<StatementRow>, PgError> {
    let what = format!("cannot read pg_stat_statements in {}", connection.database);
    let schema = connection.query(
        "SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
         WHERE e.extname = 'pg_stat_statements'",
        &[],
    )?;
    let Some(schema) = schema.first().map(|row| row.get::<_, String>(0)) else {
        return Err(PgError::new(
            PgErrorKind::Statement,
            what,
            "the extension is not installed in this database",
        )
        .with_help(
            "CREATE EXTENSION pg_stat_statements; it must also be in shared_preload_libraries",
        ));
    };
    // Up to 12 the columns have other names, and there is no planning time.
    let times = if connection.version < 130_000 {
        "total_time"
    } else {
        "total_exec_time + total_plan_time"
    };
    let sql = format!(
        "SELECT query, queryid, calls, {times}, rows, shared_blks_hit + shared_blks_read, \
         coalesce((SELECT r.rolname::text FROM pg_roles r WHERE r.oid = s.userid), '') \
         FROM {}.pg_stat_statements(true) s \
         WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
           AND query IS NOT NULL",
        crate::sql::lex::identifier::quote(&schema)
    );
    let rows = connection.query(&sql, &[]).map_err(|error| {
        let help = match error.sqlstate.as_deref() {
            Some("42501") => "GRANT pg_read_all_stats TO your role;",
            Some("55000") => {
                "add pg_stat_statements to shared_preload_libraries and restart the server"
            }
            _ => "is the extension up to date? ALTER EXTENSION pg_stat_statements UPDATE;",
        };
        PgError { what, help: Some(help.to_owned()), ..error }
    })?;
    let hidden =
        rows.iter().filter(|row| row.get::<_, &str>(0) == "<insufficient privilege>").count();
    if hidden > 0 && hidden == rows.len() {
        return Err(PgError {
            sqlstate: Some("42501".to_owned()),
            ..PgError::new(
                PgErrorKind::Statement,
                format!("cannot read pg_stat_statements in {}", connection.database),
                "the texts of all statements are hidden from this role",
            )
        }
        .with_help("GRANT pg_read_all_stats TO your role;"));
    }
    Ok(rows
        .iter()
        .filter(|row| row.get::<_, &str>(0) != "<insufficient privilege>")
        .map(statement)
        .collect())
}

fn statement(row: &Row) -> StatementRow {
    let unsigned = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
    StatementRow {
        query: row.get(0),
        queryid: row.get(1),
        calls: unsigned(2),
        total_us: (row.get::<_, f64>(3) * 1_000.0) as u64,
        rows: unsigned(4),
        blocks: unsigned(5),
        user: row.get(6),
    }
}
