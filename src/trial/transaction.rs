//! The trial in which nothing is ever committed: rounds of the same statements without and with a
//! change, all reading one snapshot, so that rows can be compared exactly.

use super::block::Block;
use super::compare::{compare, noise_pct};
use super::pace::{Pace, limits_ms};
use super::plan::{Plan, Planned};
use super::replay::{Outcome, Replayed, Sessions, run_round};
use super::schedule::round;
use super::share::{FEWEST_ROUNDS, FIRST_STRETCH, Shares, share};
use super::stage::{Effort, NewlyBuilt, Stage};
use crate::model::fingerprint::Fingerprint;
use crate::model::trial::{QueryTrial, Trial, Unreplayed};
use crate::pg::error::{Kind, PgError};
use crate::stats::random::Random;

/// Fresh sessions and a fresh build for each block of rounds, so that one unlucky backend does not
/// decide the trial.
const BLOCKS: usize = 4;
/// Builds may take this share of the time of the executions.
const BUILD_SHARE: f64 = 0.5;
/// Statements replayed for each index of a trial, at most.
pub const MOST_REPLAYED: usize = 4;
/// Part of the time of a trial that a statement may take when it is first executed, and what it always may,
/// milliseconds.
const FIRST_SHARE: f64 = 0.25;
const SHORTEST_FIRST_MS: f64 = 1_000.0;

/// Tries indexes, all of them together. `progress` is told the rounds done and to do.
///
/// # Errors
/// Only when the user interrupts or the server goes away. Everything else becomes `failed` of the
/// trial, so that the other recommendations are still tried.
pub fn try_indexes(
    stage: Stage<'_>,
    changes: &[NewlyBuilt<'_>],
    plan: Plan<'_>,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Trial, PgError> {
    let mut trial = empty(changes, plan.left_out);
    if plan.queries.is_empty() {
        trial.failed = Some("no statement of the workload can be replayed for it".to_owned());
        return Ok(trial);
    }
    let measured = measure(stage, changes, plan.queries, progress, &mut trial);
    or_failed(measured, trial)
}

/// Builds indexes, all of them together, and only looks which statements would use each. Nothing is
/// executed: the trial has no statements in it.
///
/// # Errors
/// As [`try_indexes`].
pub fn look_at_plans(
    stage: Stage<'_>,
    changes: &[NewlyBuilt<'_>],
    plan: Plan<'_>,
) -> Result<Trial, PgError> {
    let mut trial = empty(changes, plan.left_out);
    let looked =
        Block::open(stage.settings, stage.consent, changes, stage.effort).and_then(|mut block| {
            block.note_use(&plan.queries)?;
            trial.indexes = block.indexes.clone();
            block.close()
        });
    or_failed(looked, trial)
}

fn empty(changes: &[NewlyBuilt<'_>], left_out: Vec<(Fingerprint, Unreplayed)>) -> Trial {
    Trial {
        recommendations: changes.iter().map(|change| change.recommendation.to_owned()).collect(),
        indexes: Vec::new(),
        mode: "transaction",
        rounds: 0,
        builds: 0,
        noise_floor_pct: 0.0,
        queries: Vec::new(),
        left_out,
        failed: None,
        writes: None,
    }
}

/// What goes wrong in one trial is its own affair, unless nothing more can be tried at all.
fn or_failed(outcome: Result<(), PgError>, mut trial: Trial) -> Result<Trial, PgError> {
    match outcome {
        Err(error) if matches!(error.kind, Kind::Interrupted | Kind::Connection) => Err(error),
        Err(error) => {
            trial.failed = Some(error.to_string());
            Ok(trial)
        }
        Ok(()) => Ok(trial),
    }
}

fn measure(
    stage: Stage<'_>,
    changes: &[NewlyBuilt<'_>],
    planned: Vec<Planned<'_>>,
    progress: &mut dyn FnMut(usize, usize),
    trial: &mut Trial,
) -> Result<(), PgError> {
    let Stage { settings, consent, mut effort } = stage;
    let mut random = Random::new(effort.seed);
    let mut block = Block::open(settings, consent, changes, effort)?;
    trial.indexes = block.indexes.clone();
    if let Some(why) = all_failed(&block) {
        trial.failed = Some(why);
        return Ok(());
    }
    block.note_use(&planned)?;
    trial.indexes = block.indexes.clone();
    let most = MOST_REPLAYED * changes.len();
    let mut planned = block.pick(planned, most, &mut trial.left_out)?;
    // More statements than one index has get as much more time.
    effort.budget_s *= (planned.len() as f64 / MOST_REPLAYED as f64).max(1.0);
    let (Shares { rounds, executions, .. }, seconds) =
        settle(&mut block, &mut planned, effort, trial)?;
    if planned.is_empty() {
        let is_too_long = trial
            .left_out
            .iter()
            .any(|(_, why)| matches!(why, Unreplayed::TooLong | Unreplayed::SlowerOnce));
        trial.failed = Some(match is_too_long {
            true => "its statements take too long; --time-budget gives more time".to_owned(),
            false => "every statement failed when it was first executed".to_owned(),
        });
        return Ok(());
    }
    let queries: Vec<Replayed> = planned.iter().map(|p| p.replayed.clone()).collect();
    let sets: Vec<usize> = queries.iter().map(|query| query.samples.len()).collect();
    let blocks = blocks(rounds, effort, trial.build_ms() / 1e3);
    let mut outcomes = vec![Outcome::default(); queries.len()];
    let plans = block.explain_all(&queries, &seconds)?;
    for number in 0..rounds {
        if number > 0 && number % rounds.div_ceil(blocks) == 0 {
            block.close()?;
            block = Block::open(settings, consent, changes, effort)?;
            trial.builds += 1;
            block.warm_up_again(&planned, &seconds)?;
        }
        let mut sessions = Sessions {
            before: &mut block.before,
            after: &mut block.after,
            control: &mut block.control,
        };
        let slots = round((number, rounds), &sets, &executions, &mut random);
        run_round(&mut sessions, &queries, &slots, &mut outcomes)?;
        progress(number + 1, rounds);
    }
    trial.rounds = rounds as u32;
    trial.builds += 1;
    for ((planned, outcome), (plan_before, plan_after)) in planned.iter().zip(outcomes).zip(plans) {
        if let Some(why) = outcome.failed {
            trial.left_out.push((planned.query.fingerprint, Unreplayed::Unable(why)));
            continue;
        }
        let rows_identical = block.rows_identical(&planned.replayed, &outcome)?;
        let comparison = compare(&outcome, rows_identical, effort.seed);
        trial.noise_floor_pct = trial.noise_floor_pct.max(noise_pct(comparison.control));
        trial.queries.push(QueryTrial {
            fingerprint: planned.query.fingerprint,
            before: outcome.before,
            after: outcome.after,
            control: outcome.control,
            change_pct: comparison.change.change_pct,
            interval_pct: (comparison.change.low_pct, comparison.change.high_pct),
            control_interval_pct: (comparison.control.low_pct, comparison.control.high_pct),
            verdict: comparison.verdict,
            judged_by: comparison.judged_by,
            rows_identical,
            plan_before,
            plan_after,
            parameters: planned.parameters.clone(),
        });
    }
    block.close()
}

/// The reason, when no index of the block could be built.
fn all_failed(block: &Block) -> Option<String> {
    let reasons: Option<Vec<String>> =
        block.indexes.iter().map(|index| index.failed.clone()).collect();
    reasons?.into_iter().next()
}

/// Executes every statement once; leaves out what fails and what the time does not suffice for, and sets time limits.
/// Returns how often each of the others is executed, and the time one execution takes in all arms, seconds.
fn settle(
    block: &mut Block,
    planned: &mut Vec<Planned<'_>>,
    effort: Effort,
    trial: &mut Trial,
) -> Result<(Shares, Vec<f64>), PgError> {
    let limit_ms = |at: usize| {
        // What takes longer in one arm cannot run as often as it has to.
        let share = if at == 0 { FIRST_STRETCH / FEWEST_ROUNDS as f64 } else { FIRST_SHARE };
        let own_ms = (1e3 * share * effort.budget_s).max(SHORTEST_FIRST_MS);
        (own_ms as u64).min(effort.statement_timeout_ms)
    };
    let (mut paces, failed) = block.warm_up(planned, limit_ms)?;
    for (at, why) in failed.into_iter().rev() {
        paces.remove(at);
        trial.left_out.push((planned.remove(at).query.fingerprint, why));
    }
    // What may have become slower comes next after the first, so that the time suffices to be sure of it.
    let mut pairs: Vec<(Planned<'_>, Pace)> = planned.drain(..).zip(paces).collect();
    if let Some(others) = pairs.get_mut(1..) {
        others.sort_by_key(|(_, pace)| !pace.is_slower());
    }
    let paces: Vec<Pace>;
    (*planned, paces) = pairs.into_iter().unzip();
    let mut seconds = Vec::new();
    let limits = limits_ms(&paces, effort.budget_s);
    for ((planned, pace), limit_ms) in planned.iter_mut().zip(&paces).zip(limits) {
        planned.replayed.limit_ms = limit_ms;
        seconds.push(pace.within(limit_ms));
    }
    let shares = share(&seconds, effort.rounds, effort.budget_s);
    for at in shares.left_out.iter().rev() {
        seconds.remove(*at);
        let why = match paces[*at].is_slower() {
            true => Unreplayed::SlowerOnce,
            false => Unreplayed::TooLong,
        };
        trial.left_out.push((planned.remove(*at).query.fingerprint, why));
    }
    Ok((shares, seconds))
}

/// Blocks that the builds leave time for.
fn blocks(rounds: usize, effort: Effort, build_s: f64) -> usize {
    let affordable = (BUILD_SHARE * effort.budget_s / build_s.max(1e-3)) as usize;
    affordable.clamp(1, BLOCKS).min(rounds)
}
