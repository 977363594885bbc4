//! Compares the arms of a statement and decides the verdict.

use super::replay::ReplayedArms;
use super::work::{WorkChange, work_change};
use crate::model::trial::{Arm, Evidence, NOTICEABLE_US, QuantileChange, Verdict, WorkPairs};
use crate::stats::bootstrap::{Change, FEWEST_ROUNDS, quantile_change};
use crate::stats::quantile::sample_quantile;
use crate::stats::verdict::{Judgement, judge, log_ratio};
use crate::trial::plan::time_budget::FEWEST_FOR_P95;

/// Changes of a quantile within this are nothing, percent. With it, 60 of 60 comparisons of a statement with
/// itself stayed silent on a busy machine, where intervals alone raised the alarm in 6 to 8 of 100.
pub const BAND_PCT: f64 = 10.0;
/// The same where plans and work are the same on both sides: nothing but a session that runs on a busier core
/// explains most of what moves there, and that was 31 % in one of twenty runs.
const SAME_WORK_BAND_PCT: f64 = 50.0;
/// Executions in an arm below which not even the median has such a bound: 0.5^6 < 0.025.
pub const FEWEST_FOR_MEDIAN: usize = 6;
/// Executions in an arm whose medians tell in which direction the time went, where work tells how far.
pub const FEWEST_FOR_DIRECTION: usize = 3;

/// Why nothing can be said of a statement that is as slow on both sides as its limit lets it.
const STOPPED: &str = "executions were stopped at their time limit";

/// The comparison of the arms of one statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub p50: QuantileChange,
    /// `None` where there were too few executions for it.
    pub p95: Option<QuantileChange>,
    pub verdict: Verdict,
    pub judged_by: Evidence,
    /// More rounds would not change the verdict.
    pub is_settled: bool,
}

/// Compares after with before: by rows, by work, by the median, by p95, in this order.
///
/// Work that falls or rises by a multiple decides when the medians moved in the same direction. Where plans and work
/// are the same nothing changed, unless latencies prove it with a band of their own. Everything else is decided by
/// latencies: a change of the median, else of p95, has to lie beyond the band with its whole interval and in every block
/// of sessions. The band is the wider of [`BAND_PCT`] and what the control differed, so that a machine too busy to
/// tell says so.
pub fn compare(
    outcome: &ReplayedArms,
    work: &WorkPairs,
    rows_identical: Option<bool>,
    seed: u64,
) -> Comparison {
    let executions = outcome.before.len().min(outcome.after.len());
    let change = |quantile: f64| quantile_of(outcome, quantile, seed);
    let p50 = change(0.5);
    let p95 = (executions >= FEWEST_FOR_P95).then(|| change(0.95)).flatten();
    let latency = LatencyComparison { outcome, executions, p50, p95 };
    let (verdict, judged_by, is_settled) = decide(&latency, work, rows_identical);
    Comparison { p50: p50.unwrap_or(UNKNOWN), p95, verdict, judged_by, is_settled }
}

const UNKNOWN: QuantileChange = QuantileChange {
    change_pct: 0.0,
    interval_pct: (f64::NEG_INFINITY, f64::INFINITY),
    control_interval_pct: (f64::NEG_INFINITY, f64::INFINITY),
};

fn quantile_of(outcome: &ReplayedArms, quantile: f64, seed: u64) -> Option<QuantileChange> {
    let change = |arm: &[Vec<f64>]| quantile_change(&outcome.before.rounds, arm, quantile, seed);
    let (after, control) = (change(&outcome.after.rounds)?, change(&outcome.control.rounds)?);
    Some(QuantileChange {
        change_pct: after.change_pct,
        interval_pct: (after.low_pct, after.high_pct),
        control_interval_pct: (control.low_pct, control.high_pct),
    })
}

/// The verdict, what it rests on, and whether more rounds could change it.
fn decide(
    latency: &LatencyComparison<'_>,
    work: &WorkPairs,
    rows_identical: Option<bool>,
) -> (Verdict, Evidence, bool) {
    if rows_identical == Some(false) {
        let why = "the rows differ: an error, not a change of speed".to_owned();
        return (Verdict::Inconclusive(why), Evidence::Rows, true);
    }
    if let Some(verdict) = latency.never_ends() {
        return (verdict, Evidence::Median, true);
    }
    let work = match latency.is_stopped() || latency.executions < FEWEST_FOR_DIRECTION {
        // What was stopped before its end did not do all of its work.
        true => WorkChange::Unclear,
        false => work_change(work),
    };
    let saved_us = latency.saved_us();
    match work {
        WorkChange::Less if saved_us > 0.0 => (Verdict::Improved, Evidence::Work, true),
        WorkChange::More if saved_us < 0.0 => (Verdict::Regressed, Evidence::Work, true),
        WorkChange::Same => match latency.proves_change() {
            Some(verdict) => (verdict, Evidence::Median, true),
            None => (Verdict::Unchanged, Evidence::Work, !latency.needs_more_rounds()),
        },
        _ => {
            let (verdict, judged_by) = latency.verdict(work);
            (verdict, judged_by, false)
        }
    }
}

/// The comparison of latencies.
struct LatencyComparison<'o> {
    outcome: &'o ReplayedArms,
    executions: usize,
    p50: Option<QuantileChange>,
    p95: Option<QuantileChange>,
}

impl LatencyComparison<'_> {
    fn is_stopped(&self) -> bool {
        self.outcome.before.timed_out + self.outcome.after.timed_out > 0
    }

    /// On one side every execution was stopped at its limit, and on the other none takes half of that: whatever the
    /// machine does, that is the change.
    fn never_ends(&self) -> Option<Verdict> {
        let ReplayedArms { before, after, .. } = self.outcome;
        let is_apart = |slow: &Arm, quick: &Arm| {
            let longest = quick.rounds.iter().flatten().copied().max_by(f64::total_cmp);
            slow.timed_out == slow.len()
                && quick.timed_out == 0
                && slow.shortest_us().zip(longest).is_some_and(|(slow, quick)| slow > 2.0 * quick)
        };
        if self.executions < FEWEST_FOR_DIRECTION {
            return None;
        }
        match (is_apart(before, after), is_apart(after, before)) {
            (true, _) => Some(Verdict::Improved),
            (_, true) => Some(Verdict::Regressed),
            _ => None,
        }
    }

    /// Median before less median after, microseconds.
    fn saved_us(&self) -> f64 {
        let ReplayedArms { before, after, .. } = self.outcome;
        before.median_us().unwrap_or(0.0) - after.median_us().unwrap_or(0.0)
    }

    fn verdict(&self, work: WorkChange) -> (Verdict, Evidence) {
        let Some(p50) = self.p50 else {
            return (Verdict::Inconclusive("fewer than two rounds".to_owned()), Evidence::Median);
        };
        if self.executions < FEWEST_FOR_MEDIAN {
            let why = format!("only {} executions an arm", self.executions);
            return (Verdict::Inconclusive(why), Evidence::Median);
        }
        let quantiles = [(Some(p50), 0.5, Evidence::Median), (self.p95, 0.95, Evidence::Tail)];
        let asked = || quantiles.iter().filter_map(|(q, part, by)| Some(((*q)?, *part, *by)));
        for (change, part, by) in asked() {
            let noise = noise_pct(change.control_interval_pct);
            let verdict = self.beyond(change, part, BAND_PCT.max(noise));
            if let Some(verdict) = verdict {
                return (self.unless_stopped(verdict), by);
            }
        }
        // Inside a band that noise has widened says nothing about the narrow one.
        let is_inside =
            |change: QuantileChange| judge(interval(change), BAND_PCT) == Judgement::Inside;
        let last = if self.p95.is_some() { Evidence::Tail } else { Evidence::Median };
        if asked().all(|(change, ..)| is_inside(change)) {
            return (self.unless_stopped(Verdict::Unchanged), last);
        }
        if self.is_stopped() {
            return (Verdict::Inconclusive(STOPPED.to_owned()), last);
        }
        let noise = asked().map(|(change, ..)| noise_pct(change.control_interval_pct));
        let noise = noise.fold(0.0, f64::max);
        let mut why = format!("the same statement differs from itself by up to {noise:.0} %");
        if matches!(work, WorkChange::Less | WorkChange::More) {
            why.push_str("; the work moved and the median did not");
        }
        (Verdict::Inconclusive(why), last)
    }

    /// Time moved beyond the band with its whole interval, and in every block of sessions.
    fn beyond(&self, change: QuantileChange, quantile: f64, band_pct: f64) -> Option<Verdict> {
        let verdict = match judge(interval(change), band_pct) {
            Judgement::Below => Verdict::Improved,
            Judgement::Above => Verdict::Regressed,
            Judgement::Inside | Judgement::Crosses => return None,
        };
        let is_faster = verdict == Verdict::Improved;
        let blocks = self.outcome.block_ratios(quantile);
        blocks.into_iter().all(|ratio| (ratio < 1.0) == is_faster).then_some(verdict)
    }

    /// All arms are stopped at the same limit, so that a quantile that was stopped is the largest of all: one that is
    /// larger with the change is so by at least as much, and of one that is the same nothing is known. Where some
    /// executions do not come to their end with the change, that others became faster is no improvement.
    fn unless_stopped(&self, verdict: Verdict) -> Verdict {
        let ReplayedArms { before, after, .. } = self.outcome;
        let is_open = match verdict {
            Verdict::Improved => after.timed_out > 0,
            Verdict::Unchanged => before.timed_out + after.timed_out > 0,
            Verdict::Regressed | Verdict::Inconclusive(_) => false,
        };
        match is_open {
            true => Verdict::Inconclusive(STOPPED.to_owned()),
            false => verdict,
        }
    }

    /// Latencies prove a change although plans and work are the same: the median moved by half and by what is
    /// noticed, in several blocks of sessions.
    fn proves_change(&self) -> Option<Verdict> {
        let p50 = self.p50.filter(|_| self.needs_more_rounds())?;
        let is_enough =
            self.outcome.before.rounds.len() >= FEWEST_ROUNDS && self.outcome.blocks_held() > 1;
        let noise = 2.0 * noise_pct(p50.control_interval_pct);
        self.beyond(p50, 0.5, SAME_WORK_BAND_PCT.max(noise)).filter(|_| is_enough)
    }

    /// The medians are so far apart that more rounds should tell whether it is the change.
    fn needs_more_rounds(&self) -> bool {
        let change_pct = self.p50.map_or(0.0, |p50| p50.change_pct);
        let band = (1.0 + SAME_WORK_BAND_PCT / 100.0).ln();
        log_ratio(change_pct).abs() > band && self.saved_us().abs() >= NOTICEABLE_US
    }
}

fn interval(change: QuantileChange) -> Change {
    let (low_pct, high_pct) = change.interval_pct;
    Change { change_pct: change.change_pct, low_pct, high_pct }
}

impl ReplayedArms {
    /// A quantile with the change as a part of the same without, for each block of sessions.
    fn block_ratios(&self, quantile: f64) -> Vec<f64> {
        let of = |arm: &[Vec<f64>], block: usize| {
            let rounds = arm.iter().zip(&self.blocks).filter(|(_, own)| **own == block);
            let mut all: Vec<f64> = rounds.flat_map(|(round, _)| round.iter().copied()).collect();
            all.sort_by(f64::total_cmp);
            sample_quantile(&all, quantile)
        };
        let last = self.blocks.iter().max().copied().unwrap_or(0);
        (0..=last)
            .filter_map(|block| {
                let before = of(&self.before.rounds, block)?;
                Some(of(&self.after.rounds, block)? / before.max(f64::MIN_POSITIVE))
            })
            .collect()
    }

    fn blocks_held(&self) -> usize {
        let mut blocks = self.blocks.clone();
        blocks.dedup();
        blocks.len()
    }
}

/// How far the same statement differed from itself: the larger end of the control's interval as a
/// ratio, written as percent slower.
pub fn noise_pct((low_pct, high_pct): (f64, f64)) -> f64 {
    let ratio = log_ratio(low_pct).abs().max(log_ratio(high_pct).abs());
    100.0 * (ratio.exp() - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trial::Work;

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
            let outcome =
                ReplayedArms { control: before.clone(), before, after, ..ReplayedArms::default() };
            compare(&outcome, &WorkPairs::default(), None, 7).verdict.word()
        };
        assert_eq!(verdict(arm(5, 0.0), arm(0, 100.0)), "improved");
        assert_eq!(verdict(arm(0, 100.0), arm(5, 0.0)), "regressed");
        assert_eq!(verdict(arm(5, 0.0), arm(5, 0.0)), "inconclusive");
        // A median that is better is no improvement where some never end.
        assert_eq!(verdict(arm(0, 8_000.0), arm(0, 100.0)), "improved");
        assert_eq!(verdict(arm(0, 8_000.0), arm(1, 100.0)), "inconclusive");
    }

    /// Twelve rounds in three blocks of sessions; `latency_us` is told the round.
    fn outcome(before: impl Fn(usize) -> f64, after: impl Fn(usize) -> f64) -> ReplayedArms {
        let arm = |latency_us: &dyn Fn(usize) -> f64| Arm {
            rounds: (0..12).map(|round| vec![latency_us(round); 6]).collect(),
            timed_out: 0,
        };
        ReplayedArms {
            before: arm(&before),
            after: arm(&after),
            control: arm(&before),
            blocks: (0..12).map(|round| round / 4).collect(),
            ..ReplayedArms::default()
        }
    }

    fn judged(
        outcome: &ReplayedArms,
        work: [u64; 2],
        same_nodes: bool,
    ) -> (&'static str, Evidence) {
        let [before, after] = work.map(|blocks| Work { blocks, rows: 0 });
        let work = WorkPairs { pairs: vec![(before, after)], same_nodes };
        let Comparison { verdict, judged_by, .. } = compare(outcome, &work, None, 7);
        (verdict.word(), judged_by)
    }

    #[test]
    fn work_that_falls_decides_whatever_the_tail_does() {
        // One round in three is disturbed, and the tail with the change is ten times as long.
        let noisy = |scale: f64| {
            move |round: usize| {
                if round.is_multiple_of(3) { 90_000.0 } else { scale + round as f64 }
            }
        };
        let faster = outcome(|round| 9_000.0 + round as f64, noisy(700.0));
        assert_eq!(judged(&faster, [308, 2], false), ("improved", Evidence::Work));
        // Without work to go by, the tail alone would say the contrary.
        assert_eq!(judged(&faster, [308, 280], false), ("regressed", Evidence::Tail));
        let slower = outcome(|_| 700.0, noisy(9_000.0));
        assert_eq!(judged(&slower, [2, 308], false), ("regressed", Evidence::Work));
        // Work and time that move apart prove nothing.
        assert_ne!(judged(&slower, [308, 2], false), ("improved", Evidence::Work));
    }

    #[test]
    fn the_same_plan_with_the_same_work_is_unchanged_unless_the_clock_proves_more() {
        let busier = outcome(|round| 1_000.0 + round as f64, |round| 1_350.0 + round as f64);
        assert_eq!(judged(&busier, [50, 50], true), ("unchanged", Evidence::Work));
        let twice = outcome(|round| 1_000.0 + round as f64, |round| 2_100.0 + round as f64);
        assert_eq!(judged(&twice, [50, 50], true), ("regressed", Evidence::Median));
        // Twice as slow by less than anybody notices, and in one block of sessions only.
        let quick = outcome(|_| 20.0, |_| 45.0);
        assert_eq!(judged(&quick, [50, 50], true), ("unchanged", Evidence::Work));
        let once = outcome(|_| 1_000.0, |round| if round < 4 { 900.0 } else { 2_100.0 });
        assert_eq!(judged(&once, [50, 50], true), ("unchanged", Evidence::Work));
    }

    #[test]
    fn without_work_time_has_to_move_in_every_block_of_sessions() {
        let faster = outcome(|round| 1_000.0 + round as f64, |round| 600.0 + round as f64);
        assert_eq!(judged(&faster, [100, 70], false), ("improved", Evidence::Median));
        let lucky =
            outcome(|_| 1_000.0, |round| if round < 4 { 1_010.0 } else { 500.0 + round as f64 });
        assert_eq!(judged(&lucky, [100, 70], false).0, "inconclusive");
    }
}
