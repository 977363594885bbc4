//! A finding: a pattern that hurts, with its evidence.

use serde_json::Value;

use super::name::TableName;
use super::workload::fingerprint::Fingerprint;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// The objects that a finding is about. What does not apply stays empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    pub table: Option<TableName>,
    pub columns: Vec<String>,
    pub index: Option<String>,
    pub query: Option<Fingerprint>,
    pub parent_query: Option<Fingerprint>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Stable from run to run while the pattern stays: rule, colon, what it is about.
    pub id: String,
    pub rule: &'static str,
    pub level: Level,
    /// Share of the observed time that the statements in question take, percent.
    pub impact_pct: f64,
    pub subject: Subject,
    /// One sentence, lower case, no full stop.
    pub message: String,
    /// Objects with a `kind`; figures carry their unit in the key.
    pub evidence: Vec<Value>,
    /// Advice in words for a finding without SQL, such as the query to use instead of a loop.
    pub advice: Option<String>,
}
