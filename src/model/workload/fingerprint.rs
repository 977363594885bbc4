//! The fingerprint of a distinct statement.

use std::fmt;

/// Same for texts that differ only in literals, spacing, comments, letter case or list length.
///
/// Ours, not the server's: the server's `queryid` changes between versions and is kept apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
