//! One record of a server log, whatever its format.

use super::database::Database;

/// The kinds of records that reading distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Severity {
    Log,
    /// A record of its own in stderr logs and syslog; a field elsewhere.
    Detail,
    /// `ERROR` and worse: what the session had under way has failed.
    Error,
    #[default]
    Other,
}

impl Severity {
    /// From the server's word.
    pub fn of(word: &[u8]) -> Severity {
        match word {
            b"LOG" => Severity::Log,
            b"DETAIL" => Severity::Detail,
            b"ERROR" | b"FATAL" | b"PANIC" => Severity::Error,
            _ => Severity::Other,
        }
    }
}

/// Borrowed from the block that was read, or from a buffer where escapes had to be undone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    pub at_us: Option<i64>,
    /// The server's session id, or the process id where there is none.
    pub session: &'a [u8],
    pub database: &'a [u8],
    pub user: &'a [u8],
    pub application: &'a [u8],
    /// The virtual transaction id; empty where the source has none.
    pub transaction: &'a [u8],
    pub severity: Severity,
    pub text: &'a [u8],
    pub detail: &'a [u8],
    pub queryid: Option<i64>,
    /// The detail, if there is any, is here: none follows in a record of its own.
    pub is_whole: bool,
    /// Line of the block on which the record began, from 0.
    pub line: u64,
}

/// One execution, as it is counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogRecord<'a> {
    pub at_us: Option<i64>,
    /// Hash of the session.
    pub session: u64,
    /// Hash of database and user.
    pub role_key: u32,
    pub database: Database,
    /// Hash of the application's name; 0 where the source does not say.
    pub application: u32,
    pub transaction: &'a [u8],
    pub text: &'a [u8],
    /// The text of the `DETAIL` that lists the parameters.
    pub parameters: &'a [u8],
    /// Parse, bind and execution together, microseconds; `None` where none was logged.
    pub duration_us: Option<u64>,
    /// The server's own identifier, where the source has it.
    pub queryid: Option<i64>,
    /// Goes on with rows of an execution that was counted before.
    pub is_continued: bool,
    /// Place among events of the same time: source, piece, place in the piece.
    pub order: u64,
}
