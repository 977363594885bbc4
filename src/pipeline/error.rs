//! Why a step could not be done, in three parts.

use crate::pg::error::{PgError, PgErrorKind};
use crate::source::error::SourceError;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request was wrong.
    Usage,
    /// A database or an input that cannot be reached, read or understood.
    Unreadable,
    /// The user interrupted.
    Interrupted,
}

/// Why a step could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {cause}")]
pub struct Error {
    pub kind: ErrorKind,
    pub what: String,
    pub cause: String,
    /// How to fix it.
    pub help: Option<String>,
}

impl Error {
    pub fn new(kind: ErrorKind, what: impl Into<String>, cause: impl Into<String>) -> Error {
        Error { kind, what: what.into(), cause: cause.into(), help: None }
    }

    pub fn unreadable(what: impl Into<String>, cause: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unreadable, what, cause)
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Error {
        self.help = Some(help.into());
        self
    }

    /// An input that gave nothing, with its name.
    pub fn source(name: &str, error: &SourceError) -> Error {
        let (kind, help) = match error {
            SourceError::Empty => (ErrorKind::Unreadable, "was the log written to another file?"),
            SourceError::UnknownFormat => (
                ErrorKind::Unreadable,
                "give a stderr log, csvlog, jsonlog, or an export of pg_stat_statements with a header",
            ),
            SourceError::Prefix(_) => (
                ErrorKind::Unreadable,
                "give the server's setting: --log-line-prefix \"$(psql -Atc 'SHOW log_line_prefix')\"",
            ),
            SourceError::Capture(_) => (
                ErrorKind::Unreadable,
                "was it written by another version of pgassay? capture again from the logs",
            ),
            SourceError::BadPrefix(_) => (ErrorKind::Usage, "compare it with SHOW log_line_prefix"),
            SourceError::Io(_) => {
                (ErrorKind::Unreadable, "check that the file is there and readable")
            }
        };
        Error::new(kind, format!("cannot read {name}"), error.to_string()).with_help(help)
    }
}

impl From<PgError> for Error {
    fn from(error: PgError) -> Error {
        let kind = match error.kind {
            PgErrorKind::Settings | PgErrorKind::Consent => ErrorKind::Usage,
            PgErrorKind::Connection | PgErrorKind::Statement => ErrorKind::Unreadable,
            PgErrorKind::Interrupted => ErrorKind::Interrupted,
        };
        let cause = match &error.sqlstate {
            _ if kind == ErrorKind::Interrupted => "everything was rolled back".to_owned(),
            Some(state) => format!("{} (SQLSTATE {state})", error.cause),
            None => error.cause,
        };
        Error { kind, what: error.what, cause, help: error.help }
    }
}
