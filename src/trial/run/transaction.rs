//! Runs a trial in transactions that are rolled back: rounds of the same statements without and with a change, all
//! reading one snapshot, so that rows can be compared exactly.

use std::ops::Range;

use super::compare::{Comparison, compare, noise_pct};
use super::replay::{ReplayedArms, Sessions, run_round};
use super::sessions::{Block, ExplainedStatement};
use super::work::{WorkChange, work_change};
use crate::model::trial::{QueryTrial, Trial, Unreplayed, WorkPairs};
use crate::model::workload::fingerprint::Fingerprint;
use crate::pg::error::{PgError, PgErrorKind};
use crate::stats::random::Random;
use crate::trial::config::{Effort, NewlyBuilt, TrialTarget};
use crate::trial::plan::pace::{Pace, limits_ms};
use crate::trial::plan::schedule::round;
use crate::trial::plan::statements::{PlannedStatement, ReplayPlan, ReplayedStatement};
use crate::trial::plan::time_budget::{
    ENOUGH, FEWEST_ROUNDS, FIRST_ROUNDS, FIRST_STRETCH, Shares, share,
};

/// Fresh sessions and a fresh build for each block of rounds, so that one unlucky backend does not
/// decide the trial.
const BLOCKS: usize = 4;
/// Builds may take this share of the time of the executions.
const BUILD_SHARE: f64 = 0.5;
/// Executions in each of the first rounds of a statement on which the change does nothing, as far as plans and work
/// tell.
const FEW_A_ROUND: usize = 3;
/// The same of one whose work changes, where the median is enough.
const SOME_A_ROUND: usize = 7;
/// The same in all of the first rounds.
pub const FOR_MEDIAN: usize = FIRST_ROUNDS * SOME_A_ROUND;
/// Statements replayed for each index of a trial, at most.
pub const MOST_REPLAYED: usize = 4;
/// Part of the time of a trial that a statement may take when it is first executed, and what it always may,
/// milliseconds.
const FIRST_SHARE: f64 = 0.25;
const SHORTEST_FIRST_MS: f64 = 1_000.0;

/// How many executions a trial gives what work decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// As many as p95 needs.
    Tail,
    /// Enough for the median: p95 is that of the set.
    Median,
}

/// Tries indexes, all of them together. `progress` is told the rounds done and to do.
///
/// # Errors
/// Only when the user interrupts or the server goes away. Everything else becomes `failed` of the
/// trial, so that the other recommendations are still tried.
pub fn try_indexes(
    target: TrialTarget<'_>,
    changes: &[NewlyBuilt<'_>],
    plan: ReplayPlan<'_>,
    detail: Detail,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Trial, PgError> {
    let mut trial = empty(changes, plan.left_out);
    if plan.queries.is_empty() {
        trial.failed = Some("no statement of the workload can be replayed for it".to_owned());
        return Ok(trial);
    }
    let measured = measure(target, changes, plan.queries, (detail, progress), &mut trial);
    or_failed(measured, trial)
}

/// Builds indexes, all of them together, and only looks which statements would use each. Nothing is
/// executed: the trial has no statements in it.
///
/// # Errors
/// As [`try_indexes`].
pub fn look_at_plans(
    target: TrialTarget<'_>,
    changes: &[NewlyBuilt<'_>],
    plan: ReplayPlan<'_>,
) -> Result<Trial, PgError> {
    let mut trial = empty(changes, plan.left_out);
    let looked = Block::open(target, changes).and_then(|mut block| {
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

/// Turns an error into a failed trial, unless nothing more can be tried at all.
fn or_failed(outcome: Result<(), PgError>, mut trial: Trial) -> Result<Trial, PgError> {
    match outcome {
        Err(error) if matches!(error.kind, PgErrorKind::Interrupted | PgErrorKind::Connection) => {
            Err(error)
        }
        Err(error) => {
            trial.failed = Some(error.to_string());
            Ok(trial)
        }
        Ok(()) => Ok(trial),
    }
}

fn measure(
    target: TrialTarget<'_>,
    changes: &[NewlyBuilt<'_>],
    planned: Vec<PlannedStatement<'_>>,
    (detail, progress): (Detail, &mut dyn FnMut(usize, usize)),
    trial: &mut Trial,
) -> Result<(), PgError> {
    let mut effort = target.effort;
    let mut block = Block::open(TrialTarget { effort, ..target }, changes)?;
    trial.builds += 1;
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
    let (shares, seconds) = warm_up_and_share_time(&mut block, &mut planned, effort, trial)?;
    if planned.is_empty() {
        trial.failed = Some(why_nothing_is_left(trial));
        return Ok(());
    }
    let queries: Vec<ReplayedStatement> = planned.iter().map(|p| p.replayed.clone()).collect();
    let explained = block.explain_all(&queries, &seconds)?;
    let mut rounds = Rounds {
        target: TrialTarget { effort, ..target },
        changes,
        planned: &planned,
        seconds: &seconds,
        sets: queries.iter().map(|query| query.samples.len()).collect(),
        outcomes: vec![ReplayedArms::default(); queries.len()],
        random: Random::new(effort.seed),
        block,
        of: shares.rounds,
        rare_control: Vec::new(),
        queries,
        progress,
    };
    rounds.hold((&shares, detail), &explained, trial)?;
    let Rounds { outcomes, mut block, .. } = rounds;
    for ((planned, outcome), explained) in planned.iter().zip(outcomes).zip(explained) {
        if let Some(why) = outcome.failed {
            trial.left_out.push((planned.query.fingerprint, Unreplayed::Unable(why)));
            continue;
        }
        let rows_identical = block.rows_identical(&planned.replayed, &outcome)?;
        trial.queries.push(judged(planned, outcome, explained, rows_identical, effort.seed));
    }
    let noise = trial.queries.iter().map(|query| noise_pct(query.shown().1.control_interval_pct));
    trial.noise_floor_pct = noise.fold(0.0, f64::max);
    block.close()
}

/// The verdict on one statement, with what it rests on.
fn judged(
    planned: &PlannedStatement<'_>,
    outcome: ReplayedArms,
    ExplainedStatement { before, after, work }: ExplainedStatement,
    rows_identical: Option<bool>,
    seed: u64,
) -> QueryTrial {
    let Comparison { p50, p95, verdict, judged_by, .. } =
        compare(&outcome, &work, rows_identical, seed);
    QueryTrial {
        fingerprint: planned.query.fingerprint,
        before: outcome.before,
        after: outcome.after,
        control: outcome.control,
        work,
        p50,
        p95,
        verdict,
        judged_by,
        rows_identical,
        plan_before: before,
        plan_after: after,
        parameters: planned.parameters.clone(),
        log_gap: None,
    }
}

fn why_nothing_is_left(trial: &Trial) -> String {
    let is_long = |(_, why): &(Fingerprint, Unreplayed)| {
        matches!(why, Unreplayed::TooLong | Unreplayed::SlowerOnce)
    };
    match trial.left_out.iter().any(is_long) {
        true => "its statements take too long; --time-budget gives more time",
        false => "every statement failed when it was first executed",
    }
    .to_owned()
}

/// The rounds of a trial: a few in which what is obvious is decided, then those that the clock needs for the rest.
struct Rounds<'r> {
    target: TrialTarget<'r>,
    changes: &'r [NewlyBuilt<'r>],
    planned: &'r [PlannedStatement<'r>],
    /// The duration of one execution of each statement in all arms.
    seconds: &'r [f64],
    queries: Vec<ReplayedStatement>,
    /// Parameter sets of each statement.
    sets: Vec<usize>,
    /// Statements that work decides about, while the first rounds run.
    rare_control: Vec<bool>,
    outcomes: Vec<ReplayedArms>,
    random: Random,
    block: Block,
    of: usize,
    progress: &'r mut dyn FnMut(usize, usize),
}

impl Rounds<'_> {
    fn hold(
        &mut self,
        (shares, detail): (&Shares, Detail),
        explained: &[ExplainedStatement],
        trial: &mut Trial,
    ) -> Result<(), PgError> {
        let first: Vec<usize> = shares
            .executions
            .iter()
            .zip(explained)
            .map(|(all, explained)| first_executions(*all, detail, &explained.work))
            .collect();
        let ranges: Vec<Range<usize>> = first.iter().map(|until| 0..*until).collect();
        // With fewer executions some round would have no control at all.
        let is_rare = |(explained, number): (&ExplainedStatement, &usize)| {
            is_decided_by_work(&explained.work) && *number >= FOR_MEDIAN
        };
        self.rare_control = explained.iter().zip(&first).map(is_rare).collect();
        for number in 0..FIRST_ROUNDS {
            self.run_one((number, FIRST_ROUNDS), 0, &ranges)?;
            (self.progress)(number + 1, self.of);
        }
        self.rare_control.clear();
        trial.rounds = FIRST_ROUNDS as u32;
        let is_settled = |(outcome, explained): (&ReplayedArms, &ExplainedStatement)| {
            outcome.failed.is_some()
                || compare(outcome, &explained.work, None, self.target.effort.seed).is_settled
        };
        let settled: Vec<bool> = self.outcomes.iter().zip(explained).map(is_settled).collect();
        if !settled.contains(&false) {
            (self.progress)(self.of, self.of);
            return Ok(());
        }
        let rest = first.iter().zip(&shares.executions).zip(&settled);
        let ranges: Vec<Range<usize>> = rest
            .map(|((from, all), is_settled)| *from..if *is_settled { *from } else { *all })
            .collect();
        let blocks = blocks(self.of, self.target.effort, trial.build_ms() / 1e3);
        let rounds = self.of.saturating_sub(FIRST_ROUNDS).max(1);
        let length = rounds.div_ceil((blocks - 1).max(1));
        for number in 0..rounds {
            let mut block = 0;
            if blocks > 1 {
                block = 1 + number / length;
                if number % length == 0 {
                    self.next_block()?;
                    trial.builds += 1;
                }
            }
            self.run_one((number, rounds), block, &ranges)?;
            (self.progress)((FIRST_ROUNDS + number + 1).min(self.of), self.of);
        }
        trial.rounds = (FIRST_ROUNDS + rounds) as u32;
        Ok(())
    }

    fn run_one(
        &mut self,
        round_of: (usize, usize),
        block: usize,
        executions: &[Range<usize>],
    ) -> Result<(), PgError> {
        let slots = round(round_of, &self.sets, executions, &self.rare_control, &mut self.random);
        let mut sessions = Sessions {
            before: &mut self.block.before,
            after: &mut self.block.after,
            control: &mut self.block.control,
        };
        run_round((&mut sessions, block), &self.queries, &slots, &mut self.outcomes)
    }

    /// Fresh sessions and a fresh build. The old transactions end first: their locks would be in the way.
    fn next_block(&mut self) -> Result<(), PgError> {
        self.block.close()?;
        self.block = Block::open(self.target, self.changes)?;
        self.block.warm_up_again(self.planned, self.seconds)
    }
}

/// Work falls or rises by a multiple.
fn is_decided_by_work(work: &WorkPairs) -> bool {
    matches!(work_change(work), WorkChange::Less | WorkChange::More)
}

/// Executions of a statement in the first rounds: as many as p95 needs where there is time for them, and a few where
/// plans and work are the same on both sides or executions take long.
fn first_executions(all: usize, detail: Detail, work: &WorkPairs) -> usize {
    let few = all.min(FIRST_ROUNDS * FEW_A_ROUND);
    match (work_change(work), detail) {
        (WorkChange::Same, _) => few,
        (WorkChange::Less | WorkChange::More, Detail::Median) => all.min(FOR_MEDIAN),
        _ if all >= ENOUGH => ENOUGH,
        _ => all.min(FIRST_ROUNDS),
    }
}

/// The reason, when no index of the block could be built.
fn all_failed(block: &Block) -> Option<String> {
    let reasons: Option<Vec<String>> =
        block.indexes.iter().map(|index| index.failed.clone()).collect();
    reasons?.into_iter().next()
}

/// Executes every statement once; leaves out what fails and what the time does not suffice for, and sets time limits.
/// Returns how often each of the others is executed, and the time one execution takes in all arms, seconds.
fn warm_up_and_share_time(
    block: &mut Block,
    planned: &mut Vec<PlannedStatement<'_>>,
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
    let mut pairs: Vec<(PlannedStatement<'_>, Pace)> = planned.drain(..).zip(paces).collect();
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
