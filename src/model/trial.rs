//! The results of a replay.

use std::fmt;

use super::plan::Plan;
use super::workload::fingerprint::Fingerprint;

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

    /// The shortest execution, microseconds; `None` where there is none.
    pub fn shortest_us(&self) -> Option<f64> {
        self.rounds.iter().flatten().copied().min_by(f64::total_cmp)
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

/// The evidence that decided a verdict, in the order in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The rows that came back.
    Rows,
    /// Blocks and rows that executions touched, and their plans: the same however busy the machine is.
    Work,
    /// The median latency.
    Median,
    /// The 95th percentile of latency.
    Tail,
}

impl Evidence {
    pub fn word(self) -> &'static str {
        match self {
            Evidence::Rows => "rows",
            Evidence::Work => "work",
            Evidence::Median => "p50",
            Evidence::Tail => "p95",
        }
    }
}

/// Blocks and rows that executions touched, as `EXPLAIN (ANALYZE, BUFFERS)` counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Shared and local blocks hit and read, and blocks of temporary files.
    pub blocks: u64,
    /// Rows that scans produced or filtered out.
    pub rows: u64,
}

impl std::iter::Sum for Work {
    fn sum<I: Iterator<Item = Work>>(all: I) -> Work {
        all.fold(Work::default(), |a, b| Work {
            blocks: a.blocks + b.blocks,
            rows: a.rows + b.rows,
        })
    }
}

/// Work of the same parameter sets on both sides, one pair for each set that was explained.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkPairs {
    pub pairs: Vec<(Work, Work)>,
    /// The plans of all parameter sets have the same nodes on both sides, whatever their indexes are called.
    pub same_nodes: bool,
}

impl WorkPairs {
    /// The mean over the parameter sets, without the change and with it; `None` where nothing was explained.
    pub fn mean(&self) -> Option<(Work, Work)> {
        let count = self.pairs.len() as u64;
        let mean = |side: fn(&(Work, Work)) -> Work| {
            let sum: Work = self.pairs.iter().map(side).sum();
            Work { blocks: (sum.blocks + count / 2) / count, rows: (sum.rows + count / 2) / count }
        };
        (count > 0).then(|| (mean(|pair| pair.0), mean(|pair| pair.1)))
    }
}

/// Change of one quantile of latency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileChange {
    /// Percent: negative is faster.
    pub change_pct: f64,
    /// 95 % interval of the change, percent.
    pub interval_pct: (f64, f64),
    /// 95 % interval of control against before, percent.
    pub control_interval_pct: (f64, f64),
}

/// One statement with and without the change.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryTrial {
    pub fingerprint: Fingerprint,
    pub before: Arm,
    pub after: Arm,
    /// Before against before, in the same rounds.
    pub control: Arm,
    pub work: WorkPairs,
    pub p50: QuantileChange,
    /// `None` where there were too few executions for it.
    pub p95: Option<QuantileChange>,
    pub verdict: Verdict,
    /// The evidence that the verdict rests on.
    pub judged_by: Evidence,
    /// Same rows with and without the change; `None` where the statement itself is not repeatable.
    pub rows_identical: Option<bool>,
    pub plan_before: Plan,
    pub plan_after: Plan,
    /// The origin of the parameters.
    pub parameters: String,
    /// Why the latency in the log is another than that of the replay, in words, where it is.
    pub log_gap: Option<String>,
}

/// Time that is noticed, microseconds an execution. Less is not told apart from nothing where work does not tell.
pub const NOTICEABLE_US: f64 = 100.0;

impl QueryTrial {
    /// The quantile that is shown: p95 where there are enough executions for it, else the median.
    pub fn shown(&self) -> (&'static str, QuantileChange) {
        self.p95.map_or(("p50", self.p50), |p95| ("p95", p95))
    }

    /// The statement became faster.
    pub fn is_improved(&self) -> bool {
        self.verdict == Verdict::Improved
    }

    /// Slower with its change than in another trial with the other change, each against its own before. Work is
    /// asked first; where it is not known the intervals of the medians must not touch, and the ratios must differ by
    /// more than a tenth and by more than a twentieth of the time before.
    pub fn is_slower_than(&self, other: &QueryTrial) -> bool {
        if let (Some((_, own)), Some((_, theirs))) = (self.work.mean(), other.work.mean()) {
            return own.is_multiple_of(theirs);
        }
        let ratio = |change_pct: f64| 1.0 + change_pct / 100.0;
        let (own, theirs) = (ratio(self.p50.change_pct), ratio(other.p50.change_pct));
        self.p50.interval_pct.0 > other.p50.interval_pct.1
            && own > 1.1 * theirs
            && own - theirs > 0.05
    }
}

/// Blocks and rows that make no difference, an execution.
const FEW_BLOCKS: u64 = 8;
const FEW_ROWS: u64 = 100;
/// Times from which on work counts as a multiple.
const MULTIPLE: u64 = 2;

impl Work {
    /// Some of the work is a multiple of the other's, and by more than a few blocks or rows.
    pub fn is_multiple_of(self, other: Work) -> bool {
        self.is_at_least(MULTIPLE, other)
    }

    /// Blocks or rows are so many times those of the other, and more by a number that matters.
    pub fn is_at_least(self, times: u64, other: Work) -> bool {
        let is = |own: u64, theirs: u64, few: u64| own >= times * theirs && own > theirs + few;
        is(self.blocks, other.blocks, FEW_BLOCKS) || is(self.rows, other.rows, FEW_ROWS)
    }

    /// Neither blocks nor rows are more than the other's by a tenth and a few.
    pub fn is_within(self, other: Work) -> bool {
        let is = |own: u64, theirs: u64, few: u64| own <= theirs + (theirs / 10).max(few);
        is(self.blocks, other.blocks, FEW_BLOCKS) && is(self.rows, other.rows, FEW_ROWS)
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

/// One statement beside other new indexes, without one of them and with it.
#[derive(Debug, Clone, PartialEq)]
pub struct WithoutQuery {
    pub fingerprint: Fingerprint,
    pub without: Arm,
    pub with: Arm,
    /// Pairs are without the index and with it.
    pub work: WorkPairs,
    /// The shortest execution without the index and with it, microseconds, of each parameter set that ran on both
    /// sides.
    pub shortest_us: Vec<(f64, f64)>,
}

impl WithoutQuery {
    /// The time that the index saves an execution, microseconds: the mean over the parameter sets, since an index
    /// may serve some of them and not others. The shortest executions are compared, so that a disturbed one is no
    /// gain.
    pub fn saved_us(&self) -> f64 {
        if self.without.timed_out > 0 || self.shortest_us.is_empty() {
            return self.without.median_us().unwrap_or(0.0) - self.with.median_us().unwrap_or(0.0);
        }
        let saved: f64 = self.shortest_us.iter().map(|(without, with)| without - with).sum();
        saved / self.shortest_us.len() as f64
    }
}

/// How the statements of an index fare without it, beside the other new indexes.
#[derive(Debug, Clone, PartialEq)]
pub struct WithoutIndex {
    pub queries: Vec<WithoutQuery>,
    /// The indexes that they use in its place: ids of recommendations, and names of existing indexes.
    pub served_by: Vec<String>,
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
    /// Blocks that one execution touches.
    pub blocks_before: u64,
    pub blocks_after: u64,
    /// Part of its updated rows that changed no index (HOT); `None` where it updated none.
    pub hot_before: Option<f64>,
    pub hot_after: Option<f64>,
}

/// The cost of one of several new indexes for the writes of its table.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnWriteCost {
    /// Id of its recommendation.
    pub recommendation: String,
    /// Change of the time of all writes of the table, percent: positive is slower.
    pub change_pct: f64,
    /// 95 % interval of the change, percent.
    pub interval_pct: (f64, f64),
    /// Write-ahead log of a write in the mean, bytes; `None` before PostgreSQL 13.
    pub wal_before_bytes: Option<u64>,
    pub wal_after_bytes: Option<u64>,
}

/// The cost of new indexes for the writes of the workload.
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
    /// For several indexes, the cost of each without the others.
    pub own: Vec<OwnWriteCost>,
    /// Statements that were left out, with the reason.
    pub left_out: Vec<(Fingerprint, String)>,
    /// Why nothing could be measured at all.
    pub failed: Option<String>,
    /// Sequences that gave values, which no rollback takes back, and by how many they advanced.
    pub sequences: Vec<(String, i64)>,
    /// Rows that were written and rolled back: they are dead until the next vacuum.
    pub dead_rows: u64,
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
            Self::LessTime => "a smaller share of the time than the statements that were replayed",
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
    /// How far the same statement differed from itself, percent: the noisiest of those replayed.
    pub noise_floor_pct: f64,
    pub queries: Vec<QueryTrial>,
    pub left_out: Vec<(Fingerprint, Unreplayed)>,
    /// Why the trial could not be held at all.
    pub failed: Option<String>,
    /// Their cost to writes, where it was measured.
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

    /// The trial of this recommendation alone.
    pub fn is_of(&self, recommendation: &str) -> bool {
        self.recommendations == [recommendation]
    }

    /// The trial of one recommendation that is in a set as well.
    pub fn is_alone_in(&self, set: &Trial) -> bool {
        matches!(&self.recommendations[..], [only] if set.recommendations.contains(only))
    }

    /// The measurements of one statement.
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

/// Trials as tests need them.
#[cfg(test)]
pub mod fixture {
    use super::*;

    /// A statement that took so long without the change and with it, in one round, and whose work is not known.
    pub fn query(fingerprint: Fingerprint, before_us: f64, after_us: f64) -> QueryTrial {
        let arm = |latency_us: f64| Arm { rounds: vec![vec![latency_us]], timed_out: 0 };
        let change_pct = 100.0 * (after_us / before_us - 1.0);
        QueryTrial {
            fingerprint,
            before: arm(before_us),
            after: arm(after_us),
            control: arm(before_us),
            work: WorkPairs::default(),
            p50: QuantileChange {
                change_pct,
                interval_pct: (change_pct - 2.0, change_pct + 2.0),
                control_interval_pct: (-2.0, 2.0),
            },
            p95: None,
            verdict: if change_pct < -10.0 { Verdict::Improved } else { Verdict::Unchanged },
            judged_by: Evidence::Median,
            rows_identical: Some(true),
            plan_before: Plan::default(),
            plan_after: Plan::default(),
            parameters: String::new(),
            log_gap: None,
        }
    }

    /// A trial of these recommendations together, whose indexes these statements use.
    pub fn trial(ids: &[&str], queries: Vec<QueryTrial>) -> Trial {
        let index = |id: &&str| TriedIndex {
            recommendation: (*id).to_owned(),
            name: (*id).to_owned(),
            build_ms: 1.0,
            size_bytes: None,
            used_by: queries.iter().map(|query| query.fingerprint).collect(),
            failed: None,
        };
        Trial {
            recommendations: ids.iter().map(|id| (*id).to_owned()).collect(),
            indexes: ids.iter().map(index).collect(),
            mode: "transaction",
            rounds: 8,
            builds: 1,
            noise_floor_pct: 2.0,
            queries,
            left_out: Vec::new(),
            failed: None,
            writes: None,
        }
    }
}
