//! Errors of a server: what was tried, why it failed, what to do.

use std::fmt;

use crate::sql::normalize::redact::redact_message;

/// The kinds of failure that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PgErrorKind {
    /// Settings that make no sense.
    Settings,
    /// No connection, or it was lost.
    Connection,
    /// The server refused a statement.
    Statement,
    /// We refused: the target is not known to be staging.
    Consent,
    /// Ctrl-C.
    Interrupted,
}

/// A failure in three parts. Holds no literal value: messages pass through redaction.
#[derive(Debug, Clone)]
pub struct PgError {
    pub kind: PgErrorKind,
    /// The failed step, such as `cannot read pg_stat_statements in shop`.
    pub what: String,
    pub cause: String,
    pub sqlstate: Option<String>,
    pub help: Option<String>,
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)?;
        match &self.sqlstate {
            Some(state) => write!(f, " (SQLSTATE {state})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for PgError {}

impl PgError {
    pub fn settings(what: impl Into<String>, cause: impl Into<String>) -> Self {
        PgError::new(PgErrorKind::Settings, what, cause)
    }

    pub fn new(kind: PgErrorKind, what: impl Into<String>, cause: impl Into<String>) -> Self {
        PgError { kind, what: what.into(), cause: cause.into(), sqlstate: None, help: None }
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The statement ran into `statement_timeout`, or somebody cancelled it.
    pub fn is_timeout(&self) -> bool {
        self.sqlstate.as_deref() == Some("57014")
    }

    /// Nothing more can be asked: the server is gone, or the user wants to stop.
    pub fn ends_the_run(&self) -> bool {
        matches!(self.kind, PgErrorKind::Interrupted | PgErrorKind::Connection)
    }

    fn interrupted() -> Self {
        PgError::new(PgErrorKind::Interrupted, "interrupted", "stopped by a signal")
    }

    /// # Errors
    /// When the user has asked to stop.
    pub fn unless_interrupted() -> Result<(), PgError> {
        if crate::pg::stop_flag::is_set() { Err(PgError::interrupted()) } else { Ok(()) }
    }

    /// From the driver's error while doing `what`.
    pub fn from_driver(what: impl Into<String>, error: &tokio_postgres::Error) -> Self {
        if crate::pg::stop_flag::is_set() {
            return PgError::interrupted();
        }
        let state = error.code().map(|code| code.code().to_owned());
        let kind = match state.as_deref() {
            // 57P: the server is going away; 08: connection; 28: who are you; 3D: no such database.
            Some(s)
                if s.starts_with("57P")
                    || s.starts_with("08")
                    || s.starts_with("28")
                    || s == "3D000" =>
            {
                PgErrorKind::Connection
            }
            None => PgErrorKind::Connection,
            Some(_) => PgErrorKind::Statement,
        };
        let cause = match error.as_db_error() {
            Some(db) => redact_message(db.message(), db.code().code()),
            None => driver_cause(error),
        };
        let help = match state.as_deref() {
            None if error.is_closed() => Some(
                "the server or the network went away; whatever was open is rolled back by the server",
            ),
            state => state.and_then(help_for),
        };
        PgError { kind, what: what.into(), cause, sqlstate: state, help: help.map(str::to_owned) }
    }
}

/// The chain of causes of an error that did not come from the server.
fn driver_cause(error: &tokio_postgres::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !parts.iter().any(|known| known.contains(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    parts.join(": ")
}

fn help_for(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "28P01" | "28000" => "check the user and the password: PGPASSWORD, ~/.pgpass, or the URL",
        "3D000" => "check the name of the database: psql -l lists them",
        "42501" => "connect as a role that has the privilege, or grant it",
        "53300" => "the server has no free connection: close some, or raise max_connections",
        "55P03" => {
            "another session holds the lock: try again when it is quiet, or raise --lock-timeout"
        }
        "57014" => "the statement was cancelled or ran into statement_timeout",
        "57P01" | "57P02" | "57P03" => {
            "the server is stopping or starting: try again when it is up"
        }
        _ => return None,
    })
}
