//! Is everything there that the tool can use? What each lack costs, and the line that mends it.

use super::connect::connection::Connection;
use super::connect::error::PgError;

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

/// Examines a connection. Reads only.
///
/// # Errors
/// When the server goes away.
pub fn examine(connection: &Connection) -> Result<Vec<Check>, PgError> {
    let mut checks = Vec::new();
    let row = connection.row(include_str!("queries/doctor.sql"), &[])?;
    let good = |name, text: String| Check { mark: Mark::Good, name, text, help: None };
    let lack = |mark, name, text: &str, help: &str| Check {
        mark,
        name,
        text: text.to_owned(),
        help: Some(help.to_owned()),
    };
    let encrypted = if row.get::<_, bool>(7) { "encrypted" } else { "not encrypted" };
    checks.push(good("connection", format!("PostgreSQL {}, {encrypted}", row.get::<_, &str>(0))));
    checks.push(if connection.version >= 130_000 {
        good("version", "supported".to_owned())
    } else {
        lack(Mark::Partly, "version", "older than 13: not tested", "upgrade the server")
    });
    let statements: Option<&str> = row.get(1);
    checks.push(match (statements, row.get::<_, bool>(2)) {
        (Some(version), true) => good("pg_stat_statements", format!("version {version}")),
        (Some(_), false) => lack(
            Mark::Missing,
            "pg_stat_statements",
            "installed, but the server does not load it: no counters",
            "add it to shared_preload_libraries and restart",
        ),
        (None, _) => lack(
            Mark::Missing,
            "pg_stat_statements",
            "not installed: only logs show the workload",
            "CREATE EXTENSION pg_stat_statements;",
        ),
    });
    checks.push(if row.get::<_, bool>(3) {
        good("statistics of others", "visible".to_owned())
    } else {
        lack(
            Mark::Partly,
            "statistics of others",
            "statements of other roles are hidden",
            "GRANT pg_read_all_stats TO your role;",
        )
    });
    checks.push(match row.get::<_, Option<&str>>(4) {
        Some(version) => good("hypopg", format!("version {version}")),
        None => lack(
            Mark::Partly,
            "hypopg",
            "not installed: index candidates have no estimate, unless analyze --build may build them",
            "CREATE EXTENSION hypopg;",
        ),
    });
    let never: Vec<String> = row.get(5);
    checks.push(match never.first() {
        None => good("statistics", "every table was analyzed".to_owned()),
        Some(first) => Check {
            mark: Mark::Partly,
            name: "statistics",
            text: match never.len() {
                1 => format!("{first} was never analyzed: its plans are guesses"),
                count => {
                    format!(
                        "{count} tables were never analyzed, {first} among them: plans are guesses"
                    )
                }
            },
            help: Some("ANALYZE;".to_owned()),
        },
    });
    let from_ms: i32 = row.get(8);
    checks.push(match from_ms {
        0 => good(
            "statement log",
            format!("every statement, log_line_prefix = '{}'", row.get::<_, &str>(9)),
        ),
        -1 => lack(
            Mark::Partly,
            "statement log",
            "statements are not logged: no percentiles, no parameters, no loops",
            "ALTER SYSTEM SET log_min_duration_statement = 0; SELECT pg_reload_conf();",
        ),
        from_ms => lack(
            Mark::Partly,
            "statement log",
            &format!(
                "only statements from {from_ms} ms on: loops of quick statements are not seen"
            ),
            "ALTER SYSTEM SET log_min_duration_statement = 0; SELECT pg_reload_conf();",
        ),
    });
    let foreign: i64 = row.get(10);
    checks.push(if foreign == 0 {
        good("ownership", "every table's owner is a role of yours".to_owned())
    } else {
        lack(
            Mark::Partly,
            "ownership",
            &format!(
                "{} of other owners: trial and --build cannot index them",
                counted(usize::try_from(foreign).unwrap_or(0))
            ),
            "connect as their owner, or be granted the owner's role",
        )
    });
    let unreadable: Vec<String> = row.get(11);
    checks.push(match unreadable.first() {
        None => good("reading", "every table may be read".to_owned()),
        Some(first) => lack(
            Mark::Partly,
            "reading",
            &format!(
                "{} that this role may not read, such as {first}: their statements have no plan",
                counted(unreadable.len())
            ),
            // Version 14 has a role for it.
            match connection.version {
                140_000.. => "GRANT pg_read_all_data TO your role;",
                _ => "GRANT SELECT ON ALL TABLES IN SCHEMA … TO your role;",
            },
        ),
    });
    let environment: &str = row.get(6);
    checks.push(if environment.is_empty() {
        lack(
            Mark::Partly,
            "staging marker",
            "nothing says that this is staging: trial and --build ask first",
            "ALTER DATABASE … SET pgassay.environment = 'staging';",
        )
    } else {
        good("staging marker", environment.to_owned())
    });
    Ok(checks)
}
