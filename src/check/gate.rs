//! Compares a measurement with the baseline, statement by statement.
//!
//! Plans and buffers decide first: they do not depend on how busy the machine is. Time decides the
//! rest, by floors for each parameter set, with the shift that all statements share taken out. Where
//! there are too few of them to share one, statements that read no table of the user say how fast the
//! machine is.

use std::collections::BTreeMap;

use super::baseline::{BaselineQuery, Measured};
use super::measure::MeasuredStatement;
use crate::stats::quantile::median;

/// Buffers may grow this much beyond the growth of the data, as a factor.
const BUFFERS_BAND: f64 = 1.10;
/// Buffers that never matter, whatever the factor: a few pages of an index that split.
const BUFFERS_SLACK: f64 = 16.0;
/// Time may grow this much, as a factor.
const TIME_BAND: f64 = 1.10;
/// The same where there are too few statements to tell a shift of all of them: on a shared machine, the
/// shortest of sixty executions of one statement was once 40 % longer than that of another hour.
const TIME_BAND_OF_FEW: f64 = 1.50;
/// Time that nobody notices, microseconds, whatever the factor.
const TIME_SLACK_US: f64 = 100.0;
/// Statements from which on a shift of all of them can be told from a change of one.
const FEWEST_FOR_SHIFT: usize = 5;
/// The least change beyond the tolerance, as a part of the common shift: a machine that is half as fast as it was
/// does not slow every statement alike.
const SHIFT_DOUBT: f64 = 1.0 / 3.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Regressed,
    PlanChanged,
    DataGrowth,
    Improved,
    Unchanged,
    NotEstimable,
    Error,
    New,
    Missing,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Regressed => "regressed",
            Status::PlanChanged => "plan-changed",
            Status::DataGrowth => "data-growth",
            Status::Improved => "improved",
            Status::Unchanged => "unchanged",
            Status::NotEstimable => "not-estimable",
            Status::Error => "error",
            Status::New => "new",
            Status::Missing => "missing",
        }
    }
}

/// The outcome of one statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub fingerprint: String,
    pub normalized: String,
    pub status: Status,
    pub reason: String,
    /// Change of the floors with the common shift taken out, percent.
    pub change_pct: Option<f64>,
    pub buffers: Option<(u64, u64)>,
    /// Only time says that it regressed; here stands what plans and buffers say. Looked at again
    /// before it counts.
    pub status_without_time: Option<(Status, String)>,
    /// Growth of its tables, as a factor.
    pub growth: f64,
}

/// All statements, and what they share.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    pub checked: Vec<Checked>,
    /// Logarithm of the factor that all statements shifted by, or the machine where they are too few.
    pub shift: Option<f64>,
    /// Factor that the time of a statement may grow by.
    pub band: f64,
}

impl Compared {
    /// The shift that all statements share, percent.
    pub fn shift_pct(&self) -> Option<f64> {
        self.shift.map(|shift| percent(shift.exp()))
    }
}

/// Logarithm of how much slower the machine is than it was; `None` when one of the two was not timed.
pub fn machine_shift(before_us: &[f64], now_us: &[f64]) -> Option<f64> {
    let ratios = log_ratios(before_us.iter().copied().zip(now_us.iter().copied()));
    median(&ratios)
}

/// Compares each statement of the baseline with its outcome of current. `machine` is
/// [`machine_shift`].
pub fn compare(
    baseline: &[BaselineQuery],
    current: &[MeasuredStatement],
    rows_before: &BTreeMap<String, f64>,
    rows_now: &BTreeMap<String, f64>,
    machine: Option<f64>,
) -> Compared {
    let effects: Vec<Option<f64>> = baseline
        .iter()
        .zip(current)
        .map(|(query, outcome)| effect(&query.measured, outcome.as_ref().ok()?))
        .collect();
    let known: Vec<f64> = effects.iter().flatten().copied().collect();
    let (shift, band) = if known.len() >= FEWEST_FOR_SHIFT {
        (median(&known), TIME_BAND)
    } else {
        (machine, TIME_BAND_OF_FEW)
    };
    let checked = baseline
        .iter()
        .zip(current)
        .zip(effects)
        .map(|((query, outcome), effect)| {
            let growth = growth(&query.tables, rows_before, rows_now);
            let effect = effect.map(|effect| effect - shift.unwrap_or(0.0));
            check(query, outcome, effect, Limit { growth, shift: shift.unwrap_or(0.0), band })
        })
        .collect();
    Compared { checked, shift, band }
}

fn percent(factor: f64) -> f64 {
    100.0 * (factor - 1.0)
}

/// Median over the parameter sets of the logarithm of current's floor over the baseline's.
fn effect(before: &[Measured], now: &[Measured]) -> Option<f64> {
    median(&log_ratios(before.iter().zip(now).map(|(before, now)| (before.floor_us, now.floor_us))))
}

/// Logarithm of the second over the first of each pair, where both are times.
fn log_ratios(pairs: impl Iterator<Item = (f64, f64)>) -> Vec<f64> {
    pairs
        .filter(|(before, now)| *before > 0.0 && *now > 0.0)
        .map(|(before, now)| (now / before).ln())
        .filter(|ratio| ratio.is_finite())
        .collect()
}

/// The tolerance of one statement.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// Growth of its tables, as a factor.
    growth: f64,
    /// Logarithm of the common shift.
    shift: f64,
    /// Factor that the time may grow by beside.
    band: f64,
}

impl Limit {
    /// The factor that is allowed once the common shift is taken out.
    fn factor(self) -> f64 {
        self.band * self.growth * (self.shift.abs() * SHIFT_DOUBT).exp()
    }
}

/// The largest growth of the tables of a statement, as a factor; never below one.
fn growth(tables: &[String], before: &BTreeMap<String, f64>, now: &BTreeMap<String, f64>) -> f64 {
    tables
        .iter()
        .filter_map(|table| Some(now.get(table)? / before.get(table).filter(|rows| **rows > 0.0)?))
        .fold(1.0, f64::max)
}

fn check(
    query: &BaselineQuery,
    outcome: &MeasuredStatement,
    effect: Option<f64>,
    limit: Limit,
) -> Checked {
    let growth = limit.growth;
    let done = |status, reason: String| Checked {
        fingerprint: query.fingerprint.clone(),
        normalized: query.normalized.clone(),
        status,
        reason,
        change_pct: effect.map(|effect| percent(effect.exp())),
        buffers: None,
        status_without_time: None,
        growth,
    };
    if let Some(why) = &query.why_not {
        return done(Status::NotEstimable, why.clone());
    }
    let now = match outcome {
        Err(why) => return done(Status::Error, why.clone()),
        Ok(now) => now,
    };
    let sum = |list: &[Measured]| list.iter().map(|measured| measured.buffers).sum::<u64>();
    let (before_buffers, now_buffers) = (sum(&query.measured), sum(now));
    let plan_changed = query.measured.iter().zip(now).any(|(before, now)| before.plan != now.plan);
    let (status, reason) = by_buffers(query, growth, (before_buffers, now_buffers), plan_changed);
    let checked =
        Checked { buffers: Some((before_buffers, now_buffers)), ..done(status, reason.clone()) };
    match effect.filter(|effect| is_slower(&query.measured, now, *effect, limit)) {
        Some(effect) if status != Status::Regressed => {
            let plan = if plan_changed { ", with another plan" } else { "" };
            Checked {
                status: Status::Regressed,
                reason: format!("time {:+.0} % with the same buffers{plan}", percent(effect.exp())),
                status_without_time: Some((status, reason)),
                ..checked
            }
        }
        _ => checked,
    }
}

/// Slower by more than the band and by more than anybody notices.
fn is_slower(before: &[Measured], now: &[Measured], effect: f64, limit: Limit) -> bool {
    let floors = |list: &[Measured]| median(&list.iter().map(|m| m.floor_us).collect::<Vec<_>>());
    let gained = floors(now).zip(floors(before)).map_or(0.0, |(now, before)| now - before);
    effect.exp() > limit.factor() && gained > TIME_SLACK_US
}

/// Compares plans and buffers: these are the same every time on the same data.
fn by_buffers(
    query: &BaselineQuery,
    growth: f64,
    (before_buffers, now_buffers): (u64, u64),
    plan_changed: bool,
) -> (Status, String) {
    let sets = query.measured.len().max(1) as f64;
    let (before, after) = (before_buffers as f64, now_buffers as f64);
    let slack = BUFFERS_SLACK * sets;
    let plan = if plan_changed { ", with another plan" } else { "" };
    let buffers = format!("buffers {before_buffers} → {now_buffers}{plan}");
    if after > before * growth * BUFFERS_BAND + slack {
        (Status::Regressed, buffers)
    } else if after > before * BUFFERS_BAND + slack {
        (Status::DataGrowth, format!("{buffers}; its tables grew by {:.0} %", percent(growth)))
    } else if before > after * BUFFERS_BAND + slack {
        (Status::Improved, buffers)
    } else if plan_changed {
        (Status::PlanChanged, format!("another plan at the same cost: {buffers}"))
    } else {
        (Status::Unchanged, "same plan, same buffers".to_owned())
    }
}

/// Whether the shortest times of a second look still call the statement slower; `shift` is the common
/// shift, as a factor's logarithm.
pub fn is_still_slower(
    before: &[Measured],
    again: &[Measured],
    shift: f64,
    growth: f64,
    band: f64,
) -> bool {
    let limit = Limit { growth, shift, band };
    effect(before, again).is_some_and(|effect| is_slower(before, again, effect - shift, limit))
}

/// Takes the alarm of a statement back that was slower once and not again.
pub fn clear(checked: &mut Checked) {
    if let Some((status, reason)) = checked.status_without_time.take() {
        checked.status = status;
        checked.reason = format!("{reason}; slower once, and not when looked at again");
        checked.change_pct = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(plan: &str, buffers: u64, floor_us: f64) -> Measured {
        Measured {
            plan: plan.into(),
            plan_text: String::new(),
            buffers,
            rows_scanned: 0,
            rows: 0,
            floor_us,
        }
    }

    fn query(name: &str, plan: &str, buffers: u64, floor_us: f64) -> BaselineQuery {
        BaselineQuery {
            fingerprint: name.into(),
            normalized: name.into(),
            tables: vec!["t".into()],
            users: Vec::new(),
            samples: Vec::new(),
            measured: vec![measured(plan, buffers, floor_us)],
            why_not: None,
        }
    }

    fn statuses(before: &[BaselineQuery], now: Vec<Measured>, growth: f64) -> Vec<Status> {
        let current: Vec<MeasuredStatement> = now.into_iter().map(|m| Ok(vec![m])).collect();
        let rows = |n: f64| BTreeMap::from([("t".to_owned(), n)]);
        compare(before, &current, &rows(1_000.0), &rows(1_000.0 * growth), None)
            .checked
            .iter()
            .map(|checked| checked.status)
            .collect()
    }

    #[test]
    fn a_dropped_index_is_a_regression_and_growth_is_not() {
        let before = [query("a", "index", 1_000, 1_000.0)];
        assert_eq!(
            statuses(&before, vec![measured("seq", 40_000, 50_000.0)], 1.0),
            [Status::Regressed]
        );
        assert_eq!(
            statuses(&before, vec![measured("index", 1_250, 1_200.0)], 1.25),
            [Status::DataGrowth]
        );
        assert_eq!(
            statuses(&before, vec![measured("index", 1_010, 1_000.0)], 1.0),
            [Status::Unchanged]
        );
        assert_eq!(
            statuses(&before, vec![measured("other", 1_000, 1_000.0)], 1.0),
            [Status::PlanChanged]
        );
        assert_eq!(statuses(&before, vec![measured("other", 100, 900.0)], 1.0), [Status::Improved]);
    }

    #[test]
    fn a_slow_night_shifts_all_and_flags_none() {
        let before: Vec<_> = (0..6).map(|n| query(&n.to_string(), "p", 10, 1_000.0)).collect();
        let all_slower = (0..6).map(|_| measured("p", 10, 1_500.0)).collect();
        assert_eq!(statuses(&before, all_slower, 1.0), [Status::Unchanged; 6]);
        let mut one_slower: Vec<_> = (0..6).map(|_| measured("p", 10, 1_500.0)).collect();
        one_slower[2].floor_us = 2_000.0;
        let found = statuses(&before, one_slower, 1.0);
        assert_eq!(found.iter().filter(|s| **s == Status::Regressed).count(), 1);
    }

    #[test]
    fn the_machine_tells_a_slow_night_from_few_slow_statements() {
        let before = [query("a", "p", 10, 1_000.0)];
        let rows = BTreeMap::new();
        let status = |floor_us, machine: [f64; 3]| {
            let now: Vec<MeasuredStatement> = vec![Ok(vec![measured("p", 10, floor_us)])];
            let shift = machine_shift(&[100.0, 200.0, 300.0], &machine);
            compare(&before, &now, &rows, &rows, shift).checked[0].status
        };
        assert_eq!(status(1_600.0, [100.0, 200.0, 300.0]), Status::Regressed);
        assert_eq!(status(1_600.0, [150.0, 280.0, 460.0]), Status::Unchanged);
        assert_eq!(status(3_000.0, [150.0, 280.0, 460.0]), Status::Regressed);
        assert_eq!(machine_shift(&[], &[1.0]), None);
    }

    #[test]
    fn a_flag_of_time_alone_needs_a_second_look() {
        let before = [query("a", "p", 10, 1_000.0)];
        let slow: Vec<MeasuredStatement> = vec![Ok(vec![measured("p", 10, 1_600.0)])];
        let rows = BTreeMap::new();
        let checked = &compare(&before, &slow, &rows, &rows, None).checked[0];
        assert_eq!(checked.status, Status::Regressed);
        let mut cleared = checked.clone();
        clear(&mut cleared);
        assert_eq!(cleared.status, Status::Unchanged);
        let still = |floor_us| {
            is_still_slower(&before[0].measured, &[measured("p", 10, floor_us)], 0.0, 1.0, 1.1)
        };
        assert!(still(1_500.0) && still(1_150.0) && !still(1_050.0));
        // Faster by far and still within what nobody notices.
        let quick = query("b", "p", 10, 50.0);
        assert!(!is_still_slower(&quick.measured, &[measured("p", 10, 120.0)], 0.0, 1.0, 1.1));
    }
}
