//! One execution of one statement, as one source saw it.

use std::borrow::Cow;
use std::fmt;

use super::literal::Literal;

/// Same for texts that differ only in literals, spacing, comments, letter case or list length.
///
/// Ours, not the server's: the server's `queryid` changes between versions and is kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One execution. Text is borrowed from the source wherever the source holds it in one piece.
#[derive(Debug, Clone)]
pub struct QueryEvent<'a> {
    /// When the server wrote the record (the end of the execution), microseconds since the Unix
    /// epoch; `None` where the source has no usable time.
    pub at_us: Option<i64>,
    /// The session: the server's session id, or the process id where there is none.
    pub session: Cow<'a, str>,
    pub database: Cow<'a, str>,
    pub user: Cow<'a, str>,
    pub application: Cow<'a, str>,
    /// The virtual transaction id, empty where the source has none.
    pub transaction: Cow<'a, str>,
    pub text: Cow<'a, str>,
    /// Values of `$1`, `$2`, … in order; empty for statements without parameters.
    pub parameters: Vec<Literal>,
    /// Parse, bind and execution together, microseconds; `None` where none was logged.
    pub duration_us: Option<u64>,
    /// The server's own identifier, where the source has it.
    pub queryid: Option<i64>,
}
