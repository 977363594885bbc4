//! Recognizes transaction poolers before anything is set on a session.
//!
//! A pooler that gives each transaction another session leaves our settings to whoever comes next. It makes up
//! the process id that it tells for cancelling, so a session without a pooler is known by its own.

use super::connection::{Connection, NOT_POSTGRESQL};
use crate::pg::config::settings::Settings;
use crate::pg::error::{PgError, PgErrorKind};

/// Times that both connections are asked for their process.
const ROUNDS: usize = 3;
/// How long a second connection is waited for. A pool of sessions that are all taken lets it wait.
const SECOND_CONNECTION_S: u64 = 3;

/// What stands between us and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Nothing that makes up process ids.
    None,
    /// Each connection keeps one session: it is ours until we leave.
    Session,
    /// Each transaction may have another session.
    Transaction,
}

/// Finds out what the connection goes through. Sets nothing.
///
/// # Errors
/// When the server goes away.
pub fn pooling(connection: &Connection, settings: &Settings) -> Result<Pooling, PgError> {
    if !connection.is_proxied() {
        return Ok(Pooling::None);
    }
    if settings.says_pooler {
        return Ok(Pooling::Transaction);
    }
    let wait = Settings {
        connect_timeout_s: settings.connect_timeout_s.min(SECOND_CONNECTION_S),
        ..settings.clone()
    };
    let second = match Connection::open(&wait) {
        Ok(second) => second,
        // It waits for a session, as behind a pool of sessions of which ours is the last.
        Err(error) if error.sqlstate.is_none() => return Ok(Pooling::Session),
        Err(_) => return Ok(Pooling::Transaction),
    };
    // With a session each, both keep their process. Of a common pool, the one takes what the other leaves.
    for _ in 0..ROUNDS {
        let (own, other) = (process(connection)?, process(&second)?);
        if own == other || own != connection.process_id || other != second.process_id {
            return Ok(Pooling::Transaction);
        }
    }
    Ok(Pooling::Session)
}

/// Refuses a transaction pooler, with the line that connects past it.
///
/// # Errors
/// Where the connection goes through one.
pub fn refuse_transaction_pooler(
    connection: &Connection,
    settings: &Settings,
) -> Result<(), PgError> {
    if pooling(connection, settings)? != Pooling::Transaction {
        return Ok(());
    }
    let cause = "a transaction pooler gives each transaction another session; \
                 settings, indexes that are only planned and open snapshots would meet others";
    Err(PgError::new(PgErrorKind::Settings, "will not work through this connection", cause)
        .with_help(format!("connect to the server itself: {}", direct(connection, settings))))
}

/// The flags that lead past the pooler, as far as the server tells where it is.
pub fn direct(connection: &Connection, settings: &Settings) -> String {
    let sql = "SELECT coalesce(pg_catalog.host(pg_catalog.inet_server_addr()), \
                               pg_catalog.split_part(pg_catalog.current_setting('unix_socket_directories'), ',', 1)), \
                      pg_catalog.current_setting('port'), pg_catalog.current_database()";
    let answer = connection.first_row(sql).unwrap_or_default();
    let column = |at: usize| answer.get(at).cloned().flatten();
    // A pooler may have another name for the database.
    let (host, port, database) = (column(0), column(1), column(2));
    format!(
        "-h {} -p {} -U {} -d {}",
        host.filter(|host| !host.is_empty()).unwrap_or_else(|| "HOST".to_owned()),
        port.unwrap_or_else(|| "PORT".to_owned()),
        settings.user,
        database.as_deref().unwrap_or(&settings.database)
    )
}

fn process(connection: &Connection) -> Result<i32, PgError> {
    let row = connection.first_row("SELECT pg_catalog.pg_backend_pid()")?;
    row.first().cloned().flatten().and_then(|id| id.parse().ok()).ok_or_else(|| {
        PgError::new(PgErrorKind::Connection, "cannot ask for the process", NOT_POSTGRESQL)
    })
}
