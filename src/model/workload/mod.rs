//! A workload: every distinct statement with what was observed of it, and the order of executions.
//!
//! In: nothing. Out: plain types.
//! Never: reading. `source` makes workloads.

pub mod duration;
pub mod fingerprint;
pub mod literal;
pub mod shape;
pub mod timeline;
pub mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use duration::Durations;
use fingerprint::Fingerprint;
use literal::Literal;
use shape::Shape;
use timeline::Timeline;
use values::Values;

/// The origin of a figure: observed, measured or estimated. The three are never mixed in one column.
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

/// A plan by which the statement ran, as the server logged it; values are left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObservedPlan {
    pub duration_us: u64,
    pub text: String,
}

/// Executions of a statement whose spelling is resolved.
pub const SPELLINGS: usize = 8;

/// A statement as one of its executions wrote it, with the constants in it.
#[derive(Debug, Clone)]
pub struct Spelling {
    /// Position of the execution in [`Query::samples`].
    pub sample: usize,
    /// It has the scans and filters of [`Query::shape`].
    pub shape: Shape,
}

/// A setting of the application, or a member of the document that it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// Such as `app.user_id`.
    pub name: String,
    /// Keys of the document from the outermost, joined by dots.
    pub member: Option<String>,
    /// Some of its values.
    pub examples: Vec<Literal>,
}

/// One distinct statement.
#[derive(Debug, Clone, Default)]
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
    /// When and in which session each sample was executed, as the timeline has it: microseconds since the epoch, and
    /// the hash of the session. `None` where the source does not say.
    pub sample_places: Vec<Option<(i64, u32)>>,
    /// One entry for each `$n` of `normalized`.
    pub slots: Vec<Values>,
    /// The plan of the slowest execution that `auto_explain` logged.
    pub plan: Option<ObservedPlan>,
    /// The roles whose sessions executed it; empty where one of them is not known.
    pub users: Vec<String>,
    /// `None` until it is resolved, and where it cannot be parsed.
    pub shape: Option<Shape>,
    /// The spellings of some of the samples; empty until they are resolved for advice.
    pub spellings: Vec<Spelling>,
}

impl Query {
    /// Mean over all calls, microseconds; `None` where no time was observed.
    pub fn mean_us(&self) -> Option<u64> {
        (self.calls > 0 && self.total_us > 0).then(|| self.total_us / self.calls)
    }
}

/// Something that was not read or not understood, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub reason: String,
    pub count: u64,
    /// The first of them, with its place and without literals.
    pub example: String,
}

/// How much was read, and how much of it was understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Lines or records read.
    pub lines: u64,
    /// Executions seen, weighted by calls.
    pub statements: u64,
    /// The executions whose statement was understood.
    pub understood: u64,
    pub skipped: Vec<Skipped>,
}

impl Coverage {
    pub fn merge(&mut self, other: Coverage) {
        self.lines = self.lines.saturating_add(other.lines);
        self.statements = self.statements.saturating_add(other.statements);
        self.understood = self.understood.saturating_add(other.understood);
        for skipped in other.skipped {
            self.skip(&skipped.reason, skipped.count, || skipped.example);
        }
    }

    /// Counts `count` more of `reason`; the first example stays.
    pub fn skip(&mut self, reason: &str, count: u64, example: impl FnOnce() -> String) {
        match self.skipped.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.count = known.count.saturating_add(count),
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
    /// Settings that the application gives values to.
    pub settings: Vec<Setting>,
    /// Names of database roles, by the role keys of executions.
    pub roles: BTreeMap<u32, String>,
    /// Names of applications, by their hash.
    pub applications: BTreeMap<u32, String>,
    /// First and last time seen, microseconds since the Unix epoch.
    pub window: Option<(i64, i64)>,
    pub coverage: Coverage,
    pub warnings: Vec<String>,
    /// Summed when first asked for; the queries are complete by then.
    pub total_us: OnceLock<u64>,
}

impl Workload {
    /// Time over all queries, microseconds.
    pub fn total_us(&self) -> u64 {
        *self.total_us.get_or_init(|| {
            self.queries.iter().fold(0, |sum: u64, query| sum.saturating_add(query.total_us))
        })
    }

    /// The statements that were understood, each with its shape.
    pub fn understood(&self) -> impl Iterator<Item = (&Query, &Shape)> {
        self.queries.iter().filter_map(|query| Some((query, query.shape.as_ref()?)))
    }

    /// The shape of the statement at a position.
    pub fn shape(&self, at: usize) -> Option<&Shape> {
        self.queries.get(at)?.shape.as_ref()
    }

    /// How often a statement ran; zero where it is not known.
    pub fn calls(&self, fingerprint: Fingerprint) -> u64 {
        self.query(fingerprint).map_or(0, |query| query.calls)
    }

    /// One statement.
    pub fn query(&self, fingerprint: Fingerprint) -> Option<&Query> {
        self.queries.iter().find(|query| query.fingerprint == fingerprint)
    }

    /// Share of the time, percent; zero when no time was observed.
    pub fn share_pct(&self, total_us: u64) -> f64 {
        match self.total_us() {
            0 => 0.0,
            whole => 100.0 * total_us as f64 / whole as f64,
        }
    }
}
