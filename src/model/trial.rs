//! What a replay measured.

use std::fmt;

use super::fingerprint::Fingerprint;
use super::plan::Plan;

/// Executions of one statement in one arm, round by round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arm {
    /// Latencies of each round, microseconds, from the moment an execution was due.
    pub rounds: Vec<Vec<f64>>,
    /// Executions that were stopped at their time limit: they take at least the latency that stands here.
    pub timed_out: usize,
}

impl Arm {
    pub fn all(&self) -> Vec<f64> {
        self.rounds.iter().flatten().copied().collect()
    }

    /// Median of all executions, microseconds; `None` where there is none.
    pub fn median_us(&self) -> Option<f64> {
        let mut all = self.all();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied()
    }

    /// Mean of all executions, microseconds; zero where there is none.
    pub fn mean_us(&self) -> f64 {
        self.rounds.iter().flatten().sum::<f64>() / self.len().max(1) as f64
    }

    pub fn len(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A verdict is about an interval against a band, never about one number.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Improved,
    Regressed,
    Unchanged,
    Inconclusive(String),
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Improved => "improved",
            Verdict::Regressed => "regressed",
            Verdict::Unchanged => "unchanged",
            Verdict::Inconclusive(_) => "inconclusive",
        }
    }

    pub fn why(&self) -> Option<&str> {
        match self {
            Verdict::Inconclusive(why) => Some(why),
            _ => None,
        }
    }
}

/// One statement with and without the change.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryTrial {
    pub fingerprint: Fingerprint,
    pub before: Arm,
    pub after: Arm,
    /// Before against before, in the same rounds.
    pub control: Arm,
    /// Change of the quantile judged, percent: negative is faster.
    pub change_pct: f64,
    /// 95 % interval of the change, percent.
    pub interval_pct: (f64, f64),
    /// 95 % interval of control against before, percent.
    pub control_interval_pct: (f64, f64),
    pub verdict: Verdict,
    /// `p95`, or `p50` where there were too few executions for it.
    pub judged_by: &'static str,
    /// Same rows with and without the change; `None` where the statement itself is not repeatable.
    pub rows_identical: Option<bool>,
    pub plan_before: Plan,
    pub plan_after: Plan,
    /// Where the parameters come from.
    pub parameters: String,
}

/// The time with a change as a part of the time without.
fn ratio(change_pct: f64) -> f64 {
    1.0 + change_pct / 100.0
}

/// Blocks that make no difference worth an index.
const FEW_BLOCKS: u64 = 8;

impl QueryTrial {
    /// Slower than in another trial, each against its own before: the intervals do not touch, the ratio
    /// differs by more than a tenth, and that is more than a little of the time before.
    pub fn is_slower_than(&self, other: &QueryTrial) -> bool {
        let (own, theirs) = (ratio(self.change_pct), ratio(other.change_pct));
        self.interval_pct.0 > other.interval_pct.1 && own > 1.1 * theirs && own - theirs > 0.05
    }

    /// About as fast as in another trial, each against its own before: the intervals touch, the medians differ by
    /// less than a quarter, and it does not touch many more blocks. Medians, because they vary least; blocks,
    /// because on a busy machine everything seems to take the same time.
    pub fn is_as_fast_as(&self, other: &QueryTrial) -> bool {
        let medians = |of: &QueryTrial| Some(of.after.median_us()? / of.before.median_us()?);
        let blocks = self.plan_after.buffers.zip(other.plan_after.buffers);
        let many_more = |(own, theirs): (u64, u64)| own > theirs + theirs / 2 + FEW_BLOCKS;
        self.interval_pct.0 <= other.interval_pct.1
            && !blocks.is_some_and(many_more)
            && medians(self).zip(medians(other)).is_some_and(|(own, theirs)| own <= 1.25 * theirs)
    }
}

/// One index of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct TriedIndex {
    /// Id of its recommendation.
    pub recommendation: String,
    pub name: String,
    /// Time one build took, milliseconds.
    pub build_ms: f64,
    /// Real size, bytes.
    pub size_bytes: Option<u64>,
    /// Statements that were replayed and whose plan uses it, for one of their parameter sets at least.
    pub used_by: Vec<Fingerprint>,
    /// Why it could not be built.
    pub failed: Option<String>,
}

/// One `INSERT`, `UPDATE` or `DELETE` without and with new indexes.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteQuery {
    pub fingerprint: Fingerprint,
    pub before: Arm,
    pub after: Arm,
    /// Change of the median, percent: positive is slower.
    pub change_pct: f64,
    /// 95 % interval of the change, percent.
    pub interval_pct: (f64, f64),
    /// Write-ahead log of one execution, bytes; `None` before PostgreSQL 13.
    pub wal_before_bytes: Option<u64>,
    pub wal_after_bytes: Option<u64>,
    /// Part of its updated rows that changed no index (HOT); `None` where it updated none.
    pub hot_before: Option<f64>,
    pub hot_after: Option<f64>,
}

/// What new indexes cost the writes of the workload.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteTrial {
    pub rounds: u32,
    pub queries: Vec<WriteQuery>,
    /// Change of the time that all writes as the workload has them take in the server, percent; `None` where none was
    /// replayed.
    pub change_pct: Option<f64>,
    /// 95 % interval of the change, percent.
    pub interval_pct: Option<(f64, f64)>,
    /// 95 % interval of control against before, percent.
    pub control_interval_pct: Option<(f64, f64)>,
    /// Statements that were left out, with the reason.
    pub left_out: Vec<(Fingerprint, String)>,
    /// Why nothing could be measured at all.
    pub failed: Option<String>,
}

/// Why a trial did not replay a statement that reads the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreplayed {
    /// It could have been replayed; others take more of the workload's time.
    LessTime,
    /// Its executions take the time of all others.
    TooLong,
    /// It seemed to become slower, and the time did not suffice to be sure.
    SlowerOnce,
    /// It cannot be replayed, or failed; the reason as it is told.
    Unable(String),
}

impl fmt::Display for Unreplayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LessTime => "less time than the statements replayed",
            Self::TooLong => {
                "its executions would take the time of the other statements; --time-budget gives more"
            }
            Self::SlowerOnce => {
                "executed once, it took a multiple of its time with the change; --time-budget gives more to be sure"
            }
            Self::Unable(why) => why,
        })
    }
}

/// Recommendations that were tried together; most often one.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub recommendations: Vec<String>,
    pub indexes: Vec<TriedIndex>,
    pub mode: &'static str,
    pub rounds: u32,
    /// Times the change was made and rolled back again.
    pub builds: u32,
    /// Half-width of what the same statement differs from itself, percent.
    pub noise_floor_pct: f64,
    pub queries: Vec<QueryTrial>,
    pub left_out: Vec<(Fingerprint, Unreplayed)>,
    /// Why the trial could not be held at all.
    pub failed: Option<String>,
    /// What they cost the writes, where that was asked for.
    pub writes: Option<WriteTrial>,
}

impl Trial {
    /// Time that one build of all takes, milliseconds.
    pub fn build_ms(&self) -> f64 {
        self.indexes.iter().map(|index| index.build_ms).sum()
    }

    /// Real size of all that was built, bytes; `None` where nothing was.
    pub fn size_bytes(&self) -> Option<u64> {
        let built = self.indexes.iter().filter(|index| index.failed.is_none());
        built.map(|index| index.size_bytes).reduce(|a, b| Some(a? + b?)).flatten()
    }

    /// The trial of one recommendation that is in a set as well.
    pub fn is_alone_in(&self, set: &Trial) -> bool {
        matches!(&self.recommendations[..], [only] if set.recommendations.contains(only))
    }

    /// What was measured of one statement.
    pub fn query(&self, fingerprint: Fingerprint) -> Option<&QueryTrial> {
        self.queries.iter().find(|query| query.fingerprint == fingerprint)
    }

    /// A statement is slower than in another trial.
    pub fn is_slower_than(&self, other: &Trial) -> bool {
        self.queries.iter().any(|query| {
            other.query(query.fingerprint).is_some_and(|theirs| query.is_slower_than(theirs))
        })
    }

    /// The index of one recommendation.
    pub fn index_of(&self, recommendation: &str) -> Option<&TriedIndex> {
        self.indexes.iter().find(|index| index.recommendation == recommendation)
    }
}
