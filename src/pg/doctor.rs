//! Examines a connection: what is missing, what each lack costs, and the statement that fixes it.

use tokio_postgres::Row;

use super::connect::connection::Connection;
use super::connect::pooler::{Pooling, direct};
use crate::pg::config::settings::Settings;
use crate::pg::error::PgError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Good,
    /// Works, with less.
    Partly,
    Missing,
}

/// One line of the examination.
#[derive(Debug, Clone)]
pub struct Check {
    pub mark: Mark,
    pub name: &'static str,
    pub text: String,
    /// The line that mends it.
    pub help: Option<String>,
}

fn counted(tables: usize) -> String {
    if tables == 1 { "1 table".to_owned() } else { format!("{tables} tables") }
}

/// What may be waited for, in the transaction that examines.
const LIMITS: &str = "SET TRANSACTION READ ONLY; SET LOCAL search_path = pg_catalog, pg_temp; \
                      SET LOCAL statement_timeout = '30s'; SET LOCAL lock_timeout = '3s'";

/// Examines a connection in one transaction, so that nothing is left on a session that a pooler lends.
///
/// # Errors
/// When the server goes away.
pub fn examine(
    connection: &Connection,
    settings: &Settings,
    pooling: Pooling,
) -> Result<Vec<Check>, PgError> {
    let row = connection.rolled_back(|| {
        connection.batch(LIMITS)?;
        connection.row(include_str!("queries/doctor.sql"), &[])
    })?;
    let mut checks = checks(connection.version, &row)?;
    if pooling != Pooling::None {
        checks.insert(1, pooler(connection, settings, pooling));
    }
    Ok(checks)
}

fn pooler(connection: &Connection, settings: &Settings, pooling: Pooling) -> Check {
    match pooling {
        Pooling::Transaction => lack(
            Mark::Missing,
            "pooler",
            "a transaction pooler is in between: no other command works through it",
            &format!("connect to the server itself: {}", direct(connection, settings)),
        ),
        _ => good("pooler", "a pooler is in between; each connection keeps its session"),
    }
}

fn checks(version_number: u32, row: &Row) -> Result<Vec<Check>, PgError> {
    let encrypted = if row.get::<_, bool>(7) { "encrypted" } else { "not encrypted" };
    Ok(vec![
        good("connection", format!("PostgreSQL {}, {encrypted}", row.get::<_, &str>(0))),
        version(version_number),
        counters(row.get(1), row.get(2)),
        visibility(row.get(3)),
        hypopg(row.get(4)),
        statistics(row.get(5)),
        statement_log(row.get(8), row.get(9)),
        ownership(row.get(10)),
        reading(row.get(11), version_number),
        staging_marker(row.get(6)),
    ])
}

fn good(name: &'static str, text: impl Into<String>) -> Check {
    Check { mark: Mark::Good, name, text: text.into(), help: None }
}

fn lack(mark: Mark, name: &'static str, text: impl Into<String>, help: &str) -> Check {
    Check { mark, name, text: text.into(), help: Some(help.to_owned()) }
}

fn version(version: u32) -> Check {
    match version {
        130_000.. => good("version", "supported"),
        _ => lack(Mark::Partly, "version", "older than 13: not tested", "upgrade the server"),
    }
}

fn counters(version: Option<&str>, is_loaded: bool) -> Check {
    let name = "pg_stat_statements";
    match (version, is_loaded) {
        (Some(version), true) => good(name, format!("version {version}")),
        (Some(_), false) => lack(
            Mark::Missing,
            name,
            "installed, but the server does not load it: no counters",
            "add it to shared_preload_libraries and restart",
        ),
        (None, _) => lack(
            Mark::Missing,
            name,
            "not installed: only logs show the workload",
            "CREATE EXTENSION pg_stat_statements;",
        ),
    }
}

fn visibility(sees_others: bool) -> Check {
    let name = "statistics of others";
    match sees_others {
        true => good(name, "visible"),
        false => lack(
            Mark::Partly,
            name,
            "statements of other roles are hidden",
            "GRANT pg_read_all_stats TO your role;",
        ),
    }
}

fn hypopg(version: Option<&str>) -> Check {
    match version {
        Some(version) => good("hypopg", format!("version {version}")),
        None => lack(
            Mark::Partly,
            "hypopg",
            "not installed: index candidates have no estimate, unless analyze --build may build them",
            "CREATE EXTENSION hypopg;",
        ),
    }
}

fn statistics(never_analyzed: Vec<String>) -> Check {
    let text = match &never_analyzed[..] {
        [] => return good("statistics", "every table was analyzed"),
        [one] => format!("{one} was never analyzed: its plans are guesses"),
        [first, ..] => {
            let count = never_analyzed.len();
            format!("{count} tables were never analyzed, {first} among them: plans are guesses")
        }
    };
    lack(Mark::Partly, "statistics", text, "ANALYZE;")
}

fn statement_log(from_ms: i32, prefix: &str) -> Check {
    let text = match from_ms {
        0 => {
            let text = format!("every statement, log_line_prefix = '{prefix}'");
            return good("statement log", text);
        }
        -1 => "statements are not logged: no percentiles, no parameters, no loops".to_owned(),
        from_ms => {
            format!("only statements from {from_ms} ms on: loops of quick statements are not seen")
        }
    };
    let help = "ALTER SYSTEM SET log_min_duration_statement = 0; SELECT pg_reload_conf();";
    lack(Mark::Partly, "statement log", text, help)
}

fn ownership(foreign: i64) -> Check {
    if foreign == 0 {
        return good("ownership", "every table's owner is a role of yours");
    }
    let tables = counted(usize::try_from(foreign).unwrap_or(0));
    lack(
        Mark::Partly,
        "ownership",
        format!("{tables} of other owners: trial and --build cannot index them"),
        "connect as their owner, or be granted the owner's role",
    )
}

fn reading(unreadable: Vec<String>, version: u32) -> Check {
    let Some(first) = unreadable.first() else {
        return good("reading", "every table may be read");
    };
    let tables = counted(unreadable.len());
    lack(
        Mark::Partly,
        "reading",
        format!(
            "{tables} that this role may not read, such as {first}: their statements have no plan"
        ),
        // Version 14 has a role for it.
        match version {
            140_000.. => "GRANT pg_read_all_data TO your role;",
            _ => "GRANT SELECT ON ALL TABLES IN SCHEMA … TO your role;",
        },
    )
}

fn staging_marker(environment: &str) -> Check {
    match environment {
        "" => lack(
            Mark::Partly,
            "staging marker",
            "nothing says that this is staging: trial and --build ask first",
            "ALTER DATABASE … SET pgassay.environment = 'staging';",
        ),
        environment => good("staging marker", environment),
    }
}
