//! A workload: every distinct statement with what was observed of it, and the order of executions.

use std::sync::Arc;

use super::duration::Durations;
use super::event::Fingerprint;
use super::literal::Literal;

/// Where a number comes from. The three are never mixed in one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// Seen in a log or in `pg_stat_statements`.
    Observed,
    /// Measured by replay.
    Measured,
    /// The planner's estimate; not time.
    Estimated,
}

impl Provenance {
    pub fn word(self) -> &'static str {
        match self {
            Provenance::Observed => "observed",
            Provenance::Measured => "measured",
            Provenance::Estimated => "estimated",
        }
    }
}

/// One execution kept for replay: the text as the application sent it, and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sample {
    pub text: Arc<str>,
    pub parameters: Vec<Literal>,
}

/// What one literal position (`$n` of the normalized text) held over all executions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotValues {
    /// Executions in which the position held a value that was seen.
    pub seen: u64,
    /// Distinct values with their counts, most frequent first; at most [`SlotValues::MOST`].
    pub counts: Vec<(Literal, u64)>,
    /// More distinct values came than are kept.
    pub overflow: bool,
    /// Executions in which the position was a list of more than one element.
    pub lists: u64,
}

impl SlotValues {
    /// Distinct values kept a position: enough to tell a constant and a small set from a key.
    pub const MOST: usize = 8;

    /// The one value the position always had; `None` when it varied or was seen fewer than twice.
    pub fn constant(&self) -> Option<&Literal> {
        match self.counts.as_slice() {
            [(value, count)] if !self.overflow && *count == self.seen && *count > 1 => Some(value),
            _ => None,
        }
    }
}

/// One distinct statement.
#[derive(Debug, Clone)]
pub struct Query {
    pub fingerprint: Fingerprint,
    /// The server's identifier, where a source had one.
    pub queryid: Option<i64>,
    /// Literals as `$1`, `$2`, …; comments gone; one space where there was any.
    pub normalized: String,
    pub calls: u64,
    /// Time in the server over all calls, microseconds. Zero where no duration was observed.
    pub total_us: u64,
    /// Calls that came with a duration of their own.
    pub durations: Durations,
    /// Rows returned or affected over all calls, where a source counts them.
    pub rows: Option<u64>,
    /// Shared blocks hit or read over all calls, where a source counts them.
    pub blocks: Option<u64>,
    /// Executions kept for replay, a bounded sample.
    pub samples: Vec<Sample>,
    /// One entry for each `$n` of `normalized`.
    pub slots: Vec<SlotValues>,
    pub databases: Vec<String>,
}

impl Query {
    /// Mean over all calls, microseconds; `None` where no time was observed.
    pub fn mean_us(&self) -> Option<u64> {
        (self.calls > 0 && self.total_us > 0).then(|| self.total_us / self.calls)
    }
}

/// One execution in the order the server finished it, small enough to keep by the million.
#[derive(Debug, Clone, Copy)]
pub struct Execution {
    pub at_us: i64,
    pub duration_us: u64,
    /// Index into [`Workload::queries`].
    pub query: u32,
    /// Number of the database and user pair.
    pub lane: u32,
    pub session: u32,
    /// Hash of the transaction, zero where unknown.
    pub transaction: u64,
    /// Start in [`Timeline::slot_hashes`]; one hash for each slot of the query follows.
    pub slots_start: u64,
    pub slots_len: u16,
}

/// Executions ordered by time.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    pub executions: Vec<Execution>,
    /// Hash of the value at each literal position; zero for a list of several elements.
    pub slot_hashes: Vec<u64>,
    /// Executions not kept because the bound was reached.
    pub dropped: u64,
}

impl Timeline {
    pub fn slots(&self, execution: &Execution) -> &[u64] {
        let start = execution.slots_start as usize;
        self.slot_hashes.get(start..start + execution.slots_len as usize).unwrap_or(&[])
    }
}

/// Something that was not read or not understood, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub reason: String,
    pub count: u64,
    /// Where and what the first one was, without literals.
    pub example: String,
}

/// What was read and what of it was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Lines or records read.
    pub lines: u64,
    /// Executions seen, weighted by calls.
    pub statements: u64,
    /// Of these, executions whose statement was understood.
    pub understood: u64,
    pub skipped: Vec<Skipped>,
}

impl Coverage {
    /// Counts `count` more of `reason`; the first example stays.
    pub fn skip(&mut self, reason: &str, count: u64, example: impl FnOnce() -> String) {
        match self.skipped.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.count += count,
            None => {
                self.skipped.push(Skipped { reason: reason.to_owned(), count, example: example() })
            }
        }
    }
}

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Workload {
    /// By time, longest total first; ties by calls, then fingerprint.
    pub queries: Vec<Query>,
    pub timeline: Timeline,
    /// First and last time seen, microseconds since the Unix epoch.
    pub window: Option<(i64, i64)>,
    pub coverage: Coverage,
    pub warnings: Vec<String>,
}

impl Workload {
    /// Time over all queries, microseconds.
    pub fn total_us(&self) -> u64 {
        self.queries.iter().map(|query| query.total_us).sum()
    }

    /// Share of the time, percent; zero when no time was observed.
    pub fn share_pct(&self, total_us: u64) -> f64 {
        match self.total_us() {
            0 => 0.0,
            whole => 100.0 * total_us as f64 / whole as f64,
        }
    }

    pub fn find(&self, fingerprint: Fingerprint) -> Option<&Query> {
        self.queries.iter().find(|query| query.fingerprint == fingerprint)
    }
}
