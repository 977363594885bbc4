//! Arms to a verdict.

use super::replay::Outcome;
use crate::model::trial::Verdict;
use crate::stats::bootstrap::{Change, quantile_change};
use crate::stats::verdict::{Judgement, judge, log_ratio};

/// Changes of p95 within this are nothing, percent. With it, 60 of 60 comparisons of a statement with
/// itself stayed silent on a busy machine, where intervals alone raised the alarm in 6 to 8 of 100.
pub const BAND_PCT: f64 = 10.0;
/// Executions in an arm from which on p95 has a one-sided 95 % bound at all: 0.95^59 < 0.05.
pub const FEWEST_FOR_P95: usize = 59;
/// Executions in an arm below which not even the median has such a bound: 0.5^6 < 0.025.
pub const FEWEST_FOR_MEDIAN: usize = 6;

/// What the arms of one statement say.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub change: Change,
    pub control: Change,
    pub verdict: Verdict,
    /// The quantile that was judged: `p95`, or `p50` where there are too few executions for it.
    pub judged_by: &'static str,
}

/// Compares after with before, and control with before, and judges the first by the second.
///
/// The band is the wider of [`BAND_PCT`] and what the control differed, so that a machine too busy to
/// tell says so.
pub fn compare(outcome: &Outcome, rows_identical: Option<bool>, seed: u64) -> Comparison {
    let nothing = Change { change_pct: 0.0, low_pct: f64::NEG_INFINITY, high_pct: f64::INFINITY };
    let executions = outcome.before.len().min(outcome.after.len());
    let (quantile, judged_by) =
        if executions >= FEWEST_FOR_P95 { (0.95, "p95") } else { (0.5, "p50") };
    let change = |arm: &[Vec<f64>]| quantile_change(&outcome.before.rounds, arm, quantile, seed);
    let (Some(after), Some(control)) =
        (change(&outcome.after.rounds), change(&outcome.control.rounds))
    else {
        let verdict = Verdict::Inconclusive("fewer than two rounds".to_owned());
        return Comparison { change: nothing, control: nothing, verdict, judged_by };
    };
    let mut verdict = verdict(executions, rows_identical, after, control);
    // All arms are stopped at the same limit, so that a quantile that was stopped is the largest of all: one that is
    // larger with the change is so by at least as much, and of one that is the same nothing is known. Where some
    // executions do not come to their end with the change, that others became faster is no improvement.
    let is_open = match verdict {
        Verdict::Improved => outcome.after.timed_out > 0,
        Verdict::Unchanged => outcome.before.timed_out + outcome.after.timed_out > 0,
        Verdict::Regressed | Verdict::Inconclusive(_) => false,
    };
    if is_open {
        verdict = Verdict::Inconclusive("executions were stopped at their time limit".to_owned());
    }
    Comparison { change: after, control, verdict, judged_by }
}

fn verdict(
    executions: usize,
    rows_identical: Option<bool>,
    after: Change,
    control: Change,
) -> Verdict {
    if rows_identical == Some(false) {
        return Verdict::Inconclusive(
            "the rows differ: an error, not a change of speed".to_owned(),
        );
    }
    if executions < FEWEST_FOR_MEDIAN {
        return Verdict::Inconclusive(format!("only {executions} executions an arm"));
    }
    let noise = noise_pct(control);
    match judge(after, BAND_PCT.max(noise)) {
        Judgement::Below => Verdict::Improved,
        Judgement::Above => Verdict::Regressed,
        // Inside a band that noise has widened says nothing about the narrow one.
        Judgement::Inside if judge(after, BAND_PCT) == Judgement::Inside => Verdict::Unchanged,
        Judgement::Inside | Judgement::Crosses => Verdict::Inconclusive(format!(
            "the same statement differs from itself by up to {noise:.0} %"
        )),
    }
}

/// How far the same statement differed from itself: the larger end of the control's interval as a
/// ratio, written as percent slower.
pub fn noise_pct(control: Change) -> f64 {
    let ratio = log_ratio(control.low_pct).abs().max(log_ratio(control.high_pct).abs());
    100.0 * (ratio.exp() - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trial::Arm;

    /// Eight rounds of five executions, of which some in each are stopped at their limit, and the others take so long.
    fn arm(stopped: usize, others_us: f64) -> Arm {
        let round = |round: usize| {
            let one = |at: usize| if at < stopped { 9_000.0 } else { others_us } + round as f64;
            (0..5).map(one).collect()
        };
        Arm { rounds: (0..8).map(round).collect(), timed_out: 8 * stopped }
    }

    #[test]
    fn what_was_stopped_is_a_bound_on_one_side_only() {
        let verdict = |before: Arm, after: Arm| {
            let outcome = Outcome { control: before.clone(), before, after, ..Outcome::default() };
            compare(&outcome, None, 7).verdict.word()
        };
        assert_eq!(verdict(arm(5, 0.0), arm(0, 100.0)), "improved");
        assert_eq!(verdict(arm(0, 100.0), arm(5, 0.0)), "regressed");
        assert_eq!(verdict(arm(5, 0.0), arm(5, 0.0)), "inconclusive");
        // A median that is better is no improvement where some never end.
        assert_eq!(verdict(arm(0, 8_000.0), arm(0, 100.0)), "improved");
        assert_eq!(verdict(arm(0, 8_000.0), arm(1, 100.0)), "inconclusive");
    }
}
