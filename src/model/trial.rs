//! What a replay measured.

use super::fingerprint::Fingerprint;
use super::plan::Plan;

/// Executions of one statement in one arm, round by round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arm {
    /// Latencies of each round, microseconds, from the moment an execution was due.
    pub rounds: Vec<Vec<f64>>,
}

impl Arm {
    pub fn all(&self) -> Vec<f64> {
        self.rounds.iter().flatten().copied().collect()
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

/// One recommendation, tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub recommendations: Vec<String>,
    pub mode: &'static str,
    pub rounds: u32,
    /// Times the change was made and rolled back again.
    pub builds: u32,
    /// Half-width of what the same statement differs from itself, percent.
    pub noise_floor_pct: f64,
    /// Time one build took, milliseconds.
    pub build_ms: f64,
    /// Real size of what was built, bytes.
    pub size_bytes: Option<u64>,
    pub queries: Vec<QueryTrial>,
    /// Statements that were left out, with the reason.
    pub left_out: Vec<(Fingerprint, String)>,
    /// Why the trial could not be held at all.
    pub failed: Option<String>,
}
