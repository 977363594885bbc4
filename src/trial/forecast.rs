//! Forecasts how long trials take, and corrects it by finished ones.

use std::time::Instant;

use super::config::{Effort, TrialInput};
use super::plan::time_budget::{ENOUGH, FEWEST_ROUNDS, STRETCH};
use super::run::transaction::{FOR_MEDIAN, MOST_REPLAYED};
use crate::model::recommendation::Recommendation;
use crate::model::workload::Query;

/// The duration of a trial's other steps: sessions, plans, the catalog, seconds.
const TRIAL_S: f64 = 0.3;
/// Speed of a build, bytes of the index a second: 9 MB of trigrams in 0.9 s, 7 MB of a btree in 0.14 s.
const BUILD_BYTES_A_SECOND: f64 = 20e6;
/// Executions beside those that are timed, as a part of them: to warm up, to explain, to compare the rows.
const BESIDE_TIMED: f64 = 0.3;
/// Time that leaving one index out takes beside the builds, seconds.
const LEFT_OUT_S: f64 = 0.6;
/// Weight of the forecast against what the first steps took, seconds.
const TRUST_S: f64 = 5.0;

/// One step of the trials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForecastStep {
    /// Plans with the whole set.
    Plans,
    /// The trial of one recommendation.
    Single(String),
    /// The trial of all that are left.
    Set,
    /// Each left out of the set.
    LeaveOneOut,
    /// The replay of the writes.
    Writes,
}

/// The steps of the trials of `proposed`, with the seconds that each is expected to take: where statements take as
/// long as they did in the log and the first set stands.
pub fn steps(
    case: &TrialInput<'_>,
    recommendations: &[Recommendation],
    proposed: &[usize],
) -> Vec<(ForecastStep, f64)> {
    let effort = case.target.effort;
    let builds: Vec<f64> = proposed.iter().map(|at| build_s(&recommendations[*at])).collect();
    let replayed = |executions: usize| -> Vec<f64> {
        proposed.iter().map(|at| replay_s(case, &recommendations[*at], executions)).collect()
    };
    let alone = replayed(if proposed.len() > 1 { FOR_MEDIAN } else { ENOUGH });
    let singles = alone.iter().zip(&builds).map(|(replay_s, build_s)| TRIAL_S + build_s + replay_s);
    let all_builds: f64 = builds.iter().sum();
    let count = proposed.len() as f64;
    let mut steps: Vec<(ForecastStep, f64)> = Vec::new();
    if proposed.len() > 1 {
        steps.push((ForecastStep::Plans, TRIAL_S + all_builds));
    }
    let ids = proposed.iter().map(|at| ForecastStep::Single(recommendations[*at].id.clone()));
    steps.extend(ids.zip(singles));
    if proposed.len() > 1 {
        let builds = all_builds * (1.0 + count.log2());
        steps.push((ForecastStep::LeaveOneOut, builds + LEFT_OUT_S * count));
        let together_s: f64 = replayed(ENOUGH).iter().sum();
        steps.push((ForecastStep::Set, TRIAL_S + all_builds + together_s));
    }
    if case.with_writes && !proposed.is_empty() {
        steps.push((ForecastStep::Writes, effort.budget_s + 4.0 * all_builds));
    }
    steps
}

fn build_s(recommendation: &Recommendation) -> f64 {
    let size_bytes = recommendation.takes.map_or(0, |takes| takes.size_bytes);
    size_bytes as f64 / BUILD_BYTES_A_SECOND
}

/// Time of the executions of the statements that one index serves.
fn replay_s(case: &TrialInput<'_>, recommendation: &Recommendation, executions: usize) -> f64 {
    let served = recommendation.serves.iter().take(MOST_REPLAYED);
    let served = served.filter_map(|fingerprint| case.workload.query(*fingerprint));
    let each: f64 = served
        .filter_map(Query::mean_us)
        .map(|us| of_one(us as f64, executions, case.target.effort))
        .sum();
    each.min(STRETCH * case.target.effort.budget_s)
}

/// Before takes what the log says, the rare control a third of it, after next to nothing.
fn of_one(mean_us: f64, executions: usize, effort: Effort) -> f64 {
    let once_s = mean_us / 1e6;
    let timed_s = match 2.0 * once_s * ENOUGH as f64 <= STRETCH * effort.budget_s {
        true => once_s * (1.0 + 1.0 / 3.0) * executions as f64,
        false => 2.0 * once_s * FEWEST_ROUNDS as f64,
    };
    timed_s * (1.0 + BESIDE_TIMED)
}

/// The remaining time of the trials.
pub struct Forecast {
    left: Vec<(ForecastStep, f64)>,
    /// The step under way, what it is expected to take, and since when.
    under_way: Option<(ForecastStep, f64, Instant)>,
    /// For the finished steps: the expected and the actual duration, seconds.
    expected_s: f64,
    taken_s: f64,
}

impl Forecast {
    pub fn new(steps: Vec<(ForecastStep, f64)>) -> Forecast {
        Forecast { left: steps, under_way: None, expected_s: TRUST_S, taken_s: TRUST_S }
    }

    /// A step begins. One that was not foreseen counts as taking no time.
    pub fn begin(&mut self, step: ForecastStep) {
        self.end();
        let at = self.left.iter().position(|(known, _)| *known == step);
        let expected_s = at.map_or(0.0, |at| self.left.remove(at).1);
        self.under_way = Some((step, expected_s, Instant::now()));
    }

    /// The step under way is over.
    pub fn end(&mut self) {
        if let Some((_, expected_s, since)) = self.under_way.take() {
            self.expected_s += expected_s;
            self.taken_s += since.elapsed().as_secs_f64();
        }
    }

    /// Seconds that are left, the step under way included.
    pub fn left_s(&self) -> f64 {
        let under_way_s = self.under_way.as_ref().map_or(0.0, |(_, expected_s, _)| *expected_s);
        let left_s: f64 = self.left.iter().map(|(_, expected_s)| expected_s).sum();
        (left_s + under_way_s) * self.taken_s / self.expected_s
    }
}

/// `40 s`, `12 min`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        few if few < 100.0 => format!("{:.0} s", few.max(1.0)),
        many => format!("{:.0} min", many / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_was_expected_until_a_step_took_longer() {
        let single = |name: &str| ForecastStep::Single(name.to_owned());
        let mut forecast = Forecast::new(vec![
            (single("a"), 10.0),
            (single("b"), 20.0),
            (ForecastStep::Set, 30.0),
        ]);
        assert_eq!(forecast.left_s(), 60.0);
        forecast.begin(single("a"));
        assert_eq!(forecast.left_s(), 60.0);
        forecast.end();
        // It took no time at all: 5 of 15 seconds are the forecast's own.
        assert!((forecast.left_s() - 50.0 / 3.0).abs() < 1.0, "{}", forecast.left_s());
        assert_eq!(
            (duration(0.2), duration(40.4), duration(126.0)),
            ("1 s".into(), "40 s".into(), "2 min".into())
        );
    }

    #[test]
    fn a_statement_that_takes_long_runs_less_often() {
        let effort = Effort {
            rounds: 20,
            budget_s: 20.0,
            lock_timeout_ms: 1,
            statement_timeout_ms: 1,
            seed: 1,
        };
        assert!(of_one(1_000.0, 60, effort) < 0.2);
        assert!((of_one(30e6, 60, effort) - 60.0 * 8.0 * 1.3).abs() < 1.0);
    }
}
