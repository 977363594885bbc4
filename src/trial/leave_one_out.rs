//! Tries each index of a set without it: what its statements do beside the other new indexes.
//!
//! One session builds all indexes but one, runs the statements that use that one, builds it and runs them again; all
//! in a transaction that is rolled back. To leave each of *n* indexes out in turn, half of those that are to be left
//! out are built while the other half is looked at, and so on: about *n* log *n* builds instead of *n* times *n*.

use std::collections::BTreeMap;
use std::time::Instant;

use super::config::{NewlyBuilt, TrialTarget};
use super::plan::statements::{PlannedStatement, ReplayedStatement};
use super::run::compare::BAND_PCT;
use super::run::replay::{Executed, Prepared, REPLAY_SAVEPOINT, Session};
use super::run::sessions::{build_all, connect, work_of};
use super::run::work::{WorkChange, is_less_for_some, work_change};
use crate::model::trial::{Arm, NOTICEABLE_US, WithoutIndex, WithoutQuery, Work, WorkPairs};
use crate::model::workload::fingerprint::Fingerprint;
use crate::pg::connect::caller::Caller;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::planner::explain;
use crate::stats::quantile::median;

/// Rounds without the index and with it, where the first one does not decide.
const ROUNDS: usize = 3;
/// Work of the statement without the index and with it from which on it pays whatever the clock says: so many times as
/// much, and more by so much that it is noticed (some thirty blocks take a twentieth of a millisecond from the cache).
const MANY_TIMES: u64 = 5;
const NOTICED: Work = Work { blocks: 32, rows: 1_000 };
/// Part of the time of the workload that an index has to save where it saves less than anybody notices, percent.
const SHARE_PCT: f64 = 1.0;
/// Executions of a statement in a round, at least and at most, and the time they may take beyond the fewest, seconds.
const EXECUTIONS: (usize, usize) = (3, 20);
const ROUND_S: f64 = 0.3;
/// Parameter sets of a statement that are explained, and the time for them, seconds.
const EXPLAINED: usize = 8;
const EXPLAIN_S: f64 = 1.0;
/// An execution without the index is stopped after so many times what it takes with it, and not before this time,
/// milliseconds.
const STOPPED_AFTER: f64 = 20.0;
const SHORTEST_LIMIT_MS: f64 = 500.0;

/// One index that is left out, and the statements that use it in the set.
pub struct LeftOut<'c, 'w> {
    pub change: NewlyBuilt<'c>,
    pub statements: Vec<&'c PlannedStatement<'w>>,
    /// The shortest median that each statement had with one of the indexes, microseconds.
    pub latencies_us: Vec<f64>,
}

/// The outcome of leaving one index out.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOutOutcome {
    pub without: WithoutIndex,
    pub pays: Pays,
}

/// Whether an index pays beside the others.
#[derive(Debug, Clone, PartialEq)]
pub enum Pays {
    /// This statement misses it.
    Yes(Fingerprint),
    /// None of its statements does.
    No,
    /// Time moved and work did not tell.
    Unclear,
    /// It could not be tried, for this reason.
    Failed(String),
}

/// Leaves each of `left_out` out in turn; `others` stand all the time. `workload_us` is the time of the whole
/// workload, and `calls` how often a statement ran in it. `step` is told when one is done.
///
/// # Errors
/// When the server goes away, or the user interrupts.
pub fn leave_one_out(
    target: TrialTarget<'_>,
    others: &[NewlyBuilt<'_>],
    left_out: &[LeftOut<'_, '_>],
    (workload_us, calls): (f64, &dyn Fn(Fingerprint) -> u64),
    step: &mut dyn FnMut(usize),
) -> Result<Vec<LeftOutOutcome>, PgError> {
    let mut session = Prepared::new(connect(target.settings, target.effort)?);
    session.connection.batch(&format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET LOCAL lock_timeout = {}",
        target.effort.lock_timeout_ms
    ))?;
    let mut names = Vec::new();
    let failed = build_others(&mut session, target.callers.path(), others, &mut names)?;
    let mut run = LeaveOneOut {
        target,
        session,
        left_out,
        outcomes: vec![None; left_out.len()],
        workload_us,
        calls,
        names,
        failed,
        done: 0,
        step,
    };
    run.halves(&(0..left_out.len()).collect::<Vec<_>>())?;
    let LeaveOneOut { session, outcomes, .. } = run;
    session.connection.clean_up("ROLLBACK")?;
    Ok(outcomes.into_iter().flatten().collect())
}

/// Builds indexes and notes by which names plans call them. Returns why one could not be built.
fn build_others(
    session: &mut Prepared,
    path: &Caller,
    changes: &[NewlyBuilt<'_>],
    names: &mut Vec<(String, String)>,
) -> Result<Option<String>, PgError> {
    let (indexes, of_each) = build_all(session, path, changes)?;
    for (index, own) in indexes.iter().zip(of_each) {
        names.extend(own.into_iter().map(|name| (name, index.recommendation.clone())));
    }
    Ok(indexes.into_iter().find_map(|index| index.failed))
}

struct LeaveOneOut<'v, 'c, 'w> {
    target: TrialTarget<'v>,
    session: Prepared,
    left_out: &'v [LeftOut<'c, 'w>],
    outcomes: Vec<Option<LeftOutOutcome>>,
    workload_us: f64,
    calls: &'v dyn Fn(Fingerprint) -> u64,
    /// Name of an index in a plan, and its recommendation.
    names: Vec<(String, String)>,
    /// Why one of those that should stand could not be built.
    failed: Option<String>,
    done: usize,
    step: &'v mut dyn FnMut(usize),
}

/// The measurements of one statement with one set of indexes.
#[derive(Default)]
struct ObservedStatement {
    /// Work and nodes of the plan for each parameter set that was explained, in their order; `None` where it failed.
    touched: Vec<Option<(Work, u64)>>,
    indexes: Vec<String>,
    /// Number of the parameter set and latency of each execution, microseconds.
    executions: Vec<(usize, f64)>,
    is_stopped: bool,
}

impl ObservedStatement {
    fn latencies_us(&self) -> Vec<f64> {
        self.executions.iter().map(|(_, latency_us)| *latency_us).collect()
    }
}

/// One statement while its index is left out: the shortest execution of each parameter set, microseconds.
#[derive(Default)]
struct Shortest {
    without_us: BTreeMap<usize, f64>,
    with_us: BTreeMap<usize, f64>,
}

impl Shortest {
    fn note(&mut self, without: &ObservedStatement, with: &ObservedStatement) {
        for (shortest, seen) in [(&mut self.without_us, without), (&mut self.with_us, with)] {
            for (set, latency_us) in &seen.executions {
                let known = shortest.entry(*set).or_insert(*latency_us);
                *known = known.min(*latency_us);
            }
        }
    }

    /// Without the index and with it, of the sets that ran on both sides.
    fn pairs(&self) -> Vec<(f64, f64)> {
        let both = |(set, without): (&usize, &f64)| Some((*without, *self.with_us.get(set)?));
        self.without_us.iter().filter_map(both).collect()
    }
}

impl LeaveOneOut<'_, '_, '_> {
    /// All indexes but `rest` stand. Builds one half of the rest to look at the other, and the other way round.
    fn halves(&mut self, rest: &[usize]) -> Result<(), PgError> {
        let [first, .., _] = rest else {
            return match rest {
                [one] => self.leave_out(*one),
                _ => Ok(()),
            };
        };
        let savepoint = format!("pgassay_without_{first}_{}", rest.len());
        let (left, right) = rest.split_at(rest.len() / 2);
        for (looked_at, built) in [(left, right), (right, left)] {
            let changes: Vec<NewlyBuilt<'_>> =
                built.iter().map(|at| self.left_out[*at].change).collect();
            self.session.connection.batch(&format!("SAVEPOINT {savepoint}"))?;
            let (known, failed) = (self.names.len(), self.failed.clone());
            let path = self.target.callers.path();
            let why = build_others(&mut self.session, path, &changes, &mut self.names)?;
            self.failed = self.failed.take().or(why);
            self.halves(looked_at)?;
            self.session.connection.batch(&format!(
                "ROLLBACK TO SAVEPOINT {savepoint}; RELEASE SAVEPOINT {savepoint}"
            ))?;
            self.names.truncate(known);
            self.failed = failed;
        }
        Ok(())
    }

    /// All indexes but one stand.
    fn leave_out(&mut self, at: usize) -> Result<(), PgError> {
        let left_out = &self.left_out[at];
        let mut queries: Vec<WithoutQuery> = Vec::new();
        let mut shortest: Vec<Shortest> = Vec::new();
        let mut served_by: Vec<String> = Vec::new();
        let mut failed = self.failed.clone();
        let mut is_used = false;
        for round in 0..ROUNDS {
            if failed.is_some() || (round > 0 && self.is_obvious(&queries)) {
                break;
            }
            let without = self.run_statements(left_out)?;
            self.session.connection.batch("SAVEPOINT pgassay_with")?;
            let known = self.names.len();
            let path = self.target.callers.path();
            failed = build_others(&mut self.session, path, &[left_out.change], &mut self.names)?;
            let own = self.names.split_off(known);
            let with = self.run_statements(left_out)?;
            let uses =
                |seen: &ObservedStatement| own.iter().any(|(name, _)| seen.indexes.contains(name));
            is_used |= with.iter().any(uses);
            self.session
                .connection
                .batch("ROLLBACK TO SAVEPOINT pgassay_with; RELEASE SAVEPOINT pgassay_with")?;
            for (number, (without, with)) in without.into_iter().zip(with).enumerate() {
                if round == 0 {
                    self.note_substitutes(&without, &with, &mut served_by);
                    queries.push(first(
                        left_out.statements[number].query.fingerprint,
                        &without,
                        &with,
                    ));
                    shortest.push(Shortest::default());
                }
                let query = &mut queries[number];
                shortest[number].note(&without, &with);
                query.shortest_us = shortest[number].pairs();
                query.without.timed_out += usize::from(without.is_stopped);
                query.without.rounds.push(without.latencies_us());
                query.with.rounds.push(with.latencies_us());
            }
        }
        let pays = match failed {
            Some(why) => Pays::Failed(why),
            // Rows that an open snapshot still sees keep a new index from use.
            None if !is_used => Pays::Failed("no statement used it once it was built".to_owned()),
            None => self.pays(&queries),
        };
        self.outcomes[at] =
            Some(LeftOutOutcome { without: WithoutIndex { queries, served_by }, pays });
        self.done += 1;
        (self.step)(self.done);
        Ok(())
    }

    /// Notes the indexes that a statement uses without the index and not with it.
    fn note_substitutes(
        &self,
        without: &ObservedStatement,
        with: &ObservedStatement,
        served_by: &mut Vec<String>,
    ) {
        for name in without.indexes.iter().filter(|name| !with.indexes.contains(name)) {
            let new = self.names.iter().find(|(known, _)| known == name);
            let substitute = new.map_or(name, |(_, recommendation)| recommendation);
            if !served_by.contains(substitute) {
                served_by.push(substitute.clone());
            }
        }
    }

    /// Runs the statements of one index with the present indexes, in a read-only part of the transaction that is rolled
    /// back.
    fn run_statements(
        &mut self,
        left_out: &LeftOut<'_, '_>,
    ) -> Result<Vec<ObservedStatement>, PgError> {
        let session = &mut self.session;
        session.connection.batch(&format!(
            "SAVEPOINT pgassay_look; SET TRANSACTION READ ONLY; SAVEPOINT {REPLAY_SAVEPOINT}"
        ))?;
        let mut all = Vec::new();
        for (planned, latency_us) in left_out.statements.iter().zip(&left_out.latencies_us) {
            let limit_ms = (STOPPED_AFTER * latency_us / 1e3).max(SHORTEST_LIMIT_MS) as u64;
            let limit_ms = limit_ms.min(self.target.effort.statement_timeout_ms);
            all.push(observe(session, &planned.replayed, limit_ms)?);
        }
        session
            .connection
            .batch("ROLLBACK TO SAVEPOINT pgassay_look; RELEASE SAVEPOINT pgassay_look")?;
        Ok(all)
    }

    /// One more round would not change what is said of the index.
    fn is_obvious(&self, queries: &[WithoutQuery]) -> bool {
        queries.iter().any(is_many_times)
            || queries.iter().all(|query| work_change(&query.work) == WorkChange::Same)
    }

    fn pays(&self, queries: &[WithoutQuery]) -> Pays {
        let mut pays = Pays::No;
        for query in queries {
            if is_many_times(query) {
                return Pays::Yes(query.fingerprint);
            }
            let saved_us = query.saved_us();
            let share_pct = match self.workload_us > 0.0 {
                true => {
                    100.0 * saved_us * (self.calls)(query.fingerprint) as f64 / self.workload_us
                }
                false => 0.0,
            };
            let is_noticed = saved_us >= NOTICEABLE_US || share_pct >= SHARE_PCT;
            if !is_noticed {
                continue;
            }
            let is_unclear = work_change(&query.work) == WorkChange::Unclear;
            // The sets that it serves may be few, as with one of several members of a document.
            if is_less_for_some(&query.work) || (is_unclear && is_faster(query)) {
                return Pays::Yes(query.fingerprint);
            }
            if is_unclear {
                pays = Pays::Unclear;
            }
        }
        pays
    }
}

/// Returns the measurements of a statement in the first round.
fn first(
    fingerprint: Fingerprint,
    without: &ObservedStatement,
    with: &ObservedStatement,
) -> WithoutQuery {
    let both = without.touched.iter().zip(&with.touched);
    let both: Vec<_> = both.filter_map(|(without, with)| Some(((*without)?, (*with)?))).collect();
    let work = WorkPairs {
        pairs: both.iter().map(|((without, _), (with, _))| (*without, *with)).collect(),
        same_nodes: both.iter().all(|((_, without), (_, with))| without == with),
    };
    WithoutQuery {
        fingerprint,
        without: Arm::default(),
        with: Arm::default(),
        work,
        shortest_us: Vec::new(),
    }
}

/// Without the index it does many times the work, or does not come to its end.
fn is_many_times(query: &WithoutQuery) -> bool {
    let is = |(without, with): (Work, Work)| {
        let is_noticed = without.blocks > with.blocks + NOTICED.blocks
            || without.rows > with.rows + NOTICED.rows;
        is_noticed && without.is_at_least(MANY_TIMES, with) && with.is_within(without)
    };
    query.without.timed_out > 0 || query.work.mean().is_some_and(is)
}

/// The median of every round with the index is shorter than that of every round without, by more than the band.
fn is_faster(query: &WithoutQuery) -> bool {
    let medians =
        |arm: &Arm| -> Vec<f64> { arm.rounds.iter().filter_map(|round| median(round)).collect() };
    let shortest = medians(&query.without).into_iter().min_by(f64::total_cmp);
    let longest = medians(&query.with).into_iter().max_by(f64::total_cmp);
    let ratio = 1.0 + BAND_PCT / 100.0;
    shortest.zip(longest).is_some_and(|(without, with)| without > ratio * with)
}

/// Explains and executes one statement; a statement that reaches the limit is cancelled, and its other parameter sets are left out.
fn observe(
    session: &mut Prepared,
    query: &ReplayedStatement,
    limit_ms: u64,
) -> Result<ObservedStatement, PgError> {
    let mut seen = ObservedStatement::default();
    let started = Instant::now();
    for (set, sample) in query.samples.iter().take(EXPLAINED).enumerate() {
        session.connection.control(&format!("SET LOCAL statement_timeout = {limit_ms}"))?;
        match explain::executed(&session.connection, &query.caller, sample) {
            Ok(plan) => {
                seen.touched.push(work_of(&plan).map(|work| (work, plan.nodes)));
                seen.indexes.extend(plan.indexes);
            }
            Err(error) if error.kind != PgErrorKind::Statement => return Err(error),
            Err(error) => {
                session.go_back()?;
                if error.is_timeout() {
                    seen.executions.push((set, limit_ms as f64 * 1e3));
                    seen.is_stopped = true;
                    return Ok(seen);
                }
                // It fails for these parameters with the index as well.
                seen.touched.push(None);
            }
        }
        if started.elapsed().as_secs_f64() > EXPLAIN_S {
            break;
        }
    }
    let started = Instant::now();
    let (fewest, most) = EXECUTIONS;
    for number in 0..most {
        if number >= fewest && started.elapsed().as_secs_f64() > ROUND_S {
            break;
        }
        let set = number % query.samples.len();
        match session.replay(&query.caller, &query.samples[set], Some(limit_ms))? {
            Executed::Done(answer) => seen.executions.push((set, answer.latency_us)),
            Executed::Stopped(latency_us) => {
                seen.executions.push((set, latency_us));
                seen.is_stopped = true;
                break;
            }
            Executed::Failed(_) => {}
        }
    }
    Ok(seen)
}
