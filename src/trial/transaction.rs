//! The trial in which nothing is ever committed.
//!
//! One session builds the index in a transaction that it rolls back in the end. Only that session's
//! planner sees the index; the other two go on without it, on the same data and the same cache. All
//! three read one snapshot, so that rows can be compared exactly. If anything dies, the server rolls
//! back, and there is nothing to clean up.

use std::time::Instant;

use super::compare::{FEWEST_FOR_P95, compare, noise_pct};
use super::plan::{LESS_TIME, Plan, Planned};
use super::replay::{Outcome, Prepared, Replayed, Session, Sessions, run_round};
use super::schedule::round;
use crate::model::fingerprint::Fingerprint;
use crate::model::plan::Plan as ServerPlan;
use crate::model::recommendation::{IndexPlan, Recommendation};
use crate::model::trial::{QueryTrial, Trial};
use crate::model::workload::Sample;
use crate::pg::connect::Connection;
use crate::pg::error::{Kind, PgError};
use crate::pg::explain;
use crate::pg::guard::Writable;
use crate::pg::hypothetical::needs_trigrams;
use crate::pg::libpq_env::Settings;
use crate::sql::ident::quote_table;
use crate::sql::index_ddl::{Build, create, name};
use crate::sql::rewrite::without_limit;
use crate::stats::random::Random;

/// How long and how carefully to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// Time for the executions of one recommendation, seconds.
    pub budget_s: f64,
    pub lock_timeout_ms: u64,
    pub statement_timeout_ms: u64,
    pub seed: u64,
}

/// Rounds below which resampling them says little.
const FEWEST_ROUNDS: usize = 8;
/// Parameter sets in a round, at most: more rounds say more than longer ones.
const MOST_SETS_A_ROUND: usize = 15;
/// Fresh sessions and a fresh build for each block of rounds, so that one unlucky backend does not
/// decide the trial.
const BLOCKS: usize = 4;
/// Builds may take this share of the time of the executions.
const BUILD_SHARE: f64 = 0.5;
/// Statements replayed in one trial, at most.
const MOST_REPLAYED: usize = 4;
/// Executions that p95 needs, and one more.
const ENOUGH: usize = FEWEST_FOR_P95 + 1;
/// A budget that is a little short of them is stretched by this factor rather than wasted.
const STRETCH: f64 = 2.0;
/// Executions explained with what they touch, a statement.
const EXPLAINED: usize = 3;

/// Places of statements that failed, ascending, with the reason.
type Failed = Vec<(usize, String)>;

/// The sessions of one block. Dropping them rolls everything back.
struct Block {
    before: Prepared,
    after: Prepared,
    control: Prepared,
    build_ms: f64,
    size_bytes: Option<u64>,
}

/// Tries one `create-index`. `progress` is told the rounds done and to do.
///
/// # Errors
/// Only when the user interrupts or the server goes away. Everything else becomes `failed` of the
/// trial, so that the other recommendations are still tried.
pub fn try_index(
    settings: &Settings,
    consent: &Writable,
    recommendation: &Recommendation,
    index: &IndexPlan,
    plan: Plan<'_>,
    effort: Effort,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Trial, PgError> {
    let mut trial = Trial {
        recommendations: vec![recommendation.id.clone()],
        mode: "transaction",
        rounds: 0,
        builds: 0,
        noise_floor_pct: 0.0,
        build_ms: 0.0,
        size_bytes: None,
        queries: Vec::new(),
        left_out: plan.left_out,
        failed: None,
    };
    if plan.queries.is_empty() {
        trial.failed = Some("no statement of the workload can be replayed for it".to_owned());
        return Ok(trial);
    }
    match measure(settings, consent, index, plan.queries, effort, progress, &mut trial) {
        Err(error) if matches!(error.kind, Kind::Interrupted | Kind::Connection) => Err(error),
        Err(error) => {
            trial.failed = Some(error.to_string());
            Ok(trial)
        }
        Ok(()) => Ok(trial),
    }
}

fn measure(
    settings: &Settings,
    consent: &Writable,
    index: &IndexPlan,
    mut planned: Vec<Planned<'_>>,
    effort: Effort,
    progress: &mut dyn FnMut(usize, usize),
    trial: &mut Trial,
) -> Result<(), PgError> {
    let mut random = Random::new(effort.seed);
    let mut block = Block::open(settings, consent, index, effort)?;
    trial.build_ms = block.build_ms;
    trial.size_bytes = block.size_bytes;
    planned = block.pick(planned, &mut trial.left_out)?;
    let (mut seconds, failed) = block.warm_up(&planned)?;
    for (at, why) in failed.into_iter().rev() {
        seconds.remove(at);
        trial.left_out.push((planned.remove(at).query.fingerprint, why));
    }
    if planned.is_empty() {
        trial.failed = Some("every statement failed when it was first executed".to_owned());
        return Ok(());
    }
    let kept = affordable(&seconds, effort.budget_s);
    for left in planned.drain(kept..) {
        trial.left_out.push((left.query.fingerprint, LESS_TIME.to_owned()));
    }
    let per_set_s: f64 = seconds[..kept].iter().sum();
    let queries: Vec<Replayed> = planned.iter().map(|p| p.replayed.clone()).collect();
    let sets: Vec<usize> = queries.iter().map(|query| query.samples.len()).collect();
    let (rounds, per_round) = fit(effort, per_set_s);
    let blocks = blocks(rounds, effort, block.build_ms / 1e3);
    let mut outcomes = vec![Outcome::default(); queries.len()];
    let plans = block.explain_all(&queries)?;
    for number in 0..rounds {
        if number > 0 && number % rounds.div_ceil(blocks) == 0 {
            block.close()?;
            block = Block::open(settings, consent, index, effort)?;
            trial.builds += 1;
            block.warm_up(&planned)?;
        }
        let mut sessions = Sessions {
            before: &mut block.before,
            after: &mut block.after,
            control: &mut block.control,
        };
        let slots = round(number, &sets, per_round, &mut random);
        run_round(&mut sessions, &queries, &slots, &mut outcomes)?;
        progress(number + 1, rounds);
    }
    trial.rounds = rounds as u32;
    trial.builds += 1;
    for ((planned, outcome), (plan_before, plan_after)) in planned.iter().zip(outcomes).zip(plans) {
        let rows_identical = block.rows_identical(&planned.replayed, &outcome);
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
            parameters: planned.parameters.to_owned(),
        });
    }
    block.close()
}

impl Block {
    /// Opens three sessions on one snapshot, one of them with the index.
    fn open(
        settings: &Settings,
        _: &Writable,
        index: &IndexPlan,
        effort: Effort,
    ) -> Result<Block, PgError> {
        let after = connect(settings, effort)?;
        after.batch(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET LOCAL lock_timeout = {}",
            effort.lock_timeout_ms
        ))?;
        let snapshot: String = after.row("SELECT pg_export_snapshot()", &[])?.get(0);
        let reader = || -> Result<Prepared, PgError> {
            let connection = connect(settings, effort)?;
            connection.batch(&format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'"
            ))?;
            Ok(Prepared::new(connection))
        };
        let (before, control) = (reader()?, reader()?);
        let (build_ms, size_bytes) = build(&after, index, effort)?;
        Ok(Block { before, after: Prepared::new(after), control, build_ms, size_bytes })
    }

    /// Rolls back and says goodbye, so that the next block does not wait for this one's locks.
    fn close(self) -> Result<(), PgError> {
        self.after.connection.batch("ROLLBACK")
    }

    /// Executes every statement once in each arm. Returns the time that one parameter set of each
    /// takes in all arms, seconds, and the statements that failed with the reason.
    fn warm_up(&mut self, planned: &[Planned<'_>]) -> Result<(Vec<f64>, Failed), PgError> {
        let mut seconds = vec![0.0; planned.len()];
        let mut failed = Vec::new();
        for (at, planned) in planned.iter().enumerate() {
            let sample = &planned.replayed.samples[0];
            for session in [&mut self.before, &mut self.control, &mut self.after] {
                let answer = in_savepoint(session, |session| session.execute(sample))?;
                match answer {
                    Ok(answer) => seconds[at] += answer.latency_us / 1e6,
                    Err(why) => {
                        failed.push((at, why));
                        break;
                    }
                }
            }
        }
        Ok((seconds, failed))
    }

    /// Of all statements that read the table, those to replay: first the ones whose plan the index
    /// changes, then those with the longest time, so that what it slows down is seen as well.
    fn pick<'w>(
        &mut self,
        planned: Vec<Planned<'w>>,
        left_out: &mut Vec<(Fingerprint, String)>,
    ) -> Result<Vec<Planned<'w>>, PgError> {
        let (mut changed, mut same) = (Vec::new(), Vec::new());
        for candidate in planned {
            let samples = &candidate.replayed.samples;
            let mut differs = false;
            for sample in samples.iter().take(EXPLAINED) {
                let shape = |session: &mut Prepared| {
                    in_savepoint(session, |session| explain::estimated(&session.connection, sample))
                };
                // What cannot be planned fails when it is executed, and is left out there.
                if let (Ok(before), Ok(after)) = (shape(&mut self.before)?, shape(&mut self.after)?)
                {
                    differs |= before.shape != after.shape;
                }
            }
            if differs { changed.push(candidate) } else { same.push(candidate) }
        }
        changed.append(&mut same);
        for left in changed.drain(MOST_REPLAYED.min(changed.len())..) {
            left_out.push((left.query.fingerprint, LESS_TIME.to_owned()));
        }
        Ok(changed)
    }

    /// Plans and buffers of each statement without and with the index.
    fn explain_all(&self, queries: &[Replayed]) -> Result<Vec<(ServerPlan, ServerPlan)>, PgError> {
        queries
            .iter()
            .map(|query| {
                let before = explain_mean(&self.before.connection, query)?;
                Ok((before, explain_mean(&self.after.connection, query)?))
            })
            .collect()
    }

    /// Same rows with and without the index. Under a `LIMIT` whose order leaves ties, other rows may
    /// be right as well: then the statement without its limit has to agree.
    fn rows_identical(&mut self, query: &Replayed, outcome: &Outcome) -> Option<bool> {
        if outcome.unsteady {
            return None;
        }
        let Some(at) = outcome.differing.first() else { return Some(true) };
        let sample = &query.samples[*at];
        let Some(text) = without_limit(&sample.text) else { return Some(false) };
        let whole = Sample { text: text.into(), parameters: sample.parameters.clone() };
        let before = self.before.execute(&whole).ok()?;
        let after = self.after.execute(&whole).ok()?;
        Some((before.rows, before.digest) == (after.rows, after.digest))
    }
}

/// Does something that a statement of the workload may fail at: a failed statement aborts the
/// transaction, and with it the index, so it stands in a savepoint.
fn in_savepoint<T>(
    session: &mut Prepared,
    work: impl FnOnce(&mut Prepared) -> Result<T, PgError>,
) -> Result<Result<T, String>, PgError> {
    session.connection.batch("SAVEPOINT pgassay")?;
    match work(session) {
        Ok(done) => {
            session.connection.batch("RELEASE SAVEPOINT pgassay")?;
            Ok(Ok(done))
        }
        Err(error) if matches!(error.kind, Kind::Interrupted | Kind::Connection) => Err(error),
        Err(error) => {
            session.connection.batch("ROLLBACK TO SAVEPOINT pgassay")?;
            Ok(Err(error.to_string()))
        }
    }
}

/// How many of the statements, in their order, leave time for enough executions of each; at least
/// the first.
fn affordable(seconds: &[f64], budget_s: f64) -> usize {
    let mut total_s = 0.0;
    let fits = seconds.iter().take_while(|own| {
        total_s += **own;
        total_s * ENOUGH as f64 <= STRETCH * budget_s
    });
    fits.count().max(1)
}

/// Builds the index in the open transaction of `after` and makes that transaction read-only. Returns
/// the time it took, milliseconds, and the size, bytes.
fn build(
    after: &Connection,
    index: &IndexPlan,
    effort: Effort,
) -> Result<(f64, Option<u64>), PgError> {
    let index_name = name(index);
    let started = Instant::now();
    // A build takes as long as it takes; executions have their limit back afterwards.
    after.batch("SET LOCAL statement_timeout = 0")?;
    if needs_trigrams(index) {
        after.batch("CREATE EXTENSION IF NOT EXISTS pg_trgm")?;
    }
    after.batch(&create(index, &index_name, Build::Plain))?;
    let build_ms = started.elapsed().as_secs_f64() * 1e3;
    if index.keys.iter().any(|key| !key.is_column) {
        // An expression has no statistics until its index is analyzed.
        after.batch(&format!("ANALYZE {}", quote_table(&index.table)))?;
    }
    let row = after.row(include_str!("built.sql"), &[&index.table.schema, &index_name])?;
    if row.get::<_, bool>(1) {
        let holder =
            row.get::<_, Option<String>>(2).map(|who| format!(" in {who}")).unwrap_or_default();
        let cause =
            format!("rows of {} were changed while an older snapshot is open{holder}", index.table);
        let what = "cannot use the index in the transaction that built it";
        return Err(
            PgError::new(Kind::Statement, what, cause).with_help("end that session and try again")
        );
    }
    // From here on the session that holds the index may write no more than the others.
    after.batch(&format!(
        "SET LOCAL statement_timeout = {}; SET TRANSACTION READ ONLY",
        effort.statement_timeout_ms
    ))?;
    Ok((build_ms, u64::try_from(row.get::<_, i64>(0)).ok()))
}

/// The plan of the first executions of a statement, with the mean of what they touched.
fn explain_mean(connection: &Connection, query: &Replayed) -> Result<ServerPlan, PgError> {
    let samples = &query.samples[..query.samples.len().min(EXPLAINED)];
    let mut plans = Vec::new();
    for sample in samples {
        plans.push(explain::executed(connection, sample)?);
    }
    let count = plans.len().max(1) as u64;
    let mean = |value: fn(&ServerPlan) -> Option<u64>| {
        plans.iter().map(value).sum::<Option<u64>>().map(|sum| sum / count)
    };
    let (buffers, rows_scanned) = (mean(|plan| plan.buffers), mean(|plan| plan.rows_scanned));
    let first = plans.into_iter().next().unwrap_or_default();
    Ok(ServerPlan { buffers, rows_scanned, ..first })
}

fn connect(settings: &Settings, effort: Effort) -> Result<Connection, PgError> {
    let connection = Connection::open(settings)?;
    connection.read_only(effort.statement_timeout_ms, effort.lock_timeout_ms)?;
    // Plans for the values at hand, as for statements that are not prepared; otherwise the sixth
    // execution may switch to a generic plan in one arm and not in another.
    connection.batch("SET plan_cache_mode = force_custom_plan")?;
    if connection.version >= 140_000 {
        // If this process is killed, the server notices while it is still building.
        connection.batch("SET client_connection_check_interval = '1s'")?;
    }
    Ok(connection)
}

/// Rounds, and parameter sets in each, that fit the time.
fn fit(effort: Effort, per_set_s: f64) -> (usize, usize) {
    let sets = (effort.budget_s / per_set_s.max(1e-6)) as usize;
    let wanted = effort.rounds.max(FEWEST_ROUNDS);
    let rounds = wanted.min(sets.max(FEWEST_ROUNDS));
    let per_round = (sets / rounds).clamp(1, MOST_SETS_A_ROUND);
    if rounds * per_round < ENOUGH && STRETCH * sets as f64 >= ENOUGH as f64 {
        return (rounds, ENOUGH.div_ceil(rounds));
    }
    (rounds, per_round)
}

/// Blocks that the builds leave time for.
fn blocks(rounds: usize, effort: Effort, build_s: f64) -> usize {
    let affordable = (BUILD_SHARE * effort.budget_s / build_s.max(1e-3)) as usize;
    affordable.clamp(1, BLOCKS).min(rounds)
}
