//! Measures what new indexes cost the statements that write.
//!
//! `INSERT`, `UPDATE` and `DELETE` are replayed without the indexes and with them, each in a savepoint of
//! a transaction that is rolled back in the end. What a rollback does not take back is small and known:
//! sequences go on, and dead rows stay until the next vacuum.

use std::time::Instant;

use crate::model::name::TableName;
use crate::model::trial::{Arm, OwnWriteCost, WriteQuery, WriteTrial};
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::literal::Literal;
use crate::model::workload::shape::{Scan, StatementKind};
use crate::model::workload::{Query, Sample};
use crate::pg::connect::caller::Caller;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::planner::explain::{self, Write};
use crate::pg::session::write_counters::{WriteCounters, sequences, unique_keys, written};
use crate::sql::lex::identifier::{quote, quote_table};
use crate::sql::normalize::normalizer::normalize;
use crate::stats::bootstrap::{Change, quantile_change};
use crate::stats::random::Random;
use crate::trial::config::{Effort, NewlyBuilt, TrialInput};
use crate::trial::plan::parameters;
use crate::trial::plan::schedule::{ARMS, ArmName};
use crate::trial::run::replay::Prepared;
use crate::trial::run::sessions::{build_all, connect, in_savepoint};

/// Parameter sets of a statement, at most.
const MOST_SETS: usize = 10;
/// Executions of a statement in a round, at most.
const MOST_A_ROUND: usize = 50;
/// Rounds of the whole. For each block of them the indexes are built anew, and the order of the arms is
/// drawn.
const ROUNDS: usize = 16;
/// Rounds in which each index alone is written as well, where there are several.
const OWN_ROUNDS: usize = 8;
/// Blocks, at least: the machine and the tables change with time, and each arm has to see all of it.
const FEWEST_BLOCKS: usize = 4;
/// Builds may take this share of the time of the executions before blocks are made longer.
const BUILD_SHARE: f64 = 0.5;

/// An execution, and what makes room for it where its row is there already.
#[derive(Clone)]
struct WriteExecution {
    sample: Sample,
    delete_first: Option<Sample>,
}

/// The measurements of one arm of a statement.
#[derive(Default)]
struct Side {
    arm: Arm,
    wal_bytes: Vec<u64>,
    blocks: Vec<u64>,
    written: WriteCounters,
}

impl Side {
    /// Write-ahead log of one execution, bytes: the median, so that full images of pages that a
    /// checkpoint asks for do not count.
    fn wal_bytes(&self) -> Option<u64> {
        median(&self.wal_bytes)
    }
}

fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// One statement with the executions that the server takes.
struct Replayable<'w> {
    query: &'w Query,
    caller: Caller,
    kind: StatementKind,
    target: &'w Scan,
    executions: Vec<WriteExecution>,
    /// In the order of [`ARMS`].
    sides: [Side; 3],
}

type SkippedWrites = Vec<(Fingerprint, String)>;

/// Replays the writes of the tables of `changes` without and with them. `progress` is told the blocks
/// done and to do.
///
/// # Errors
/// When the user interrupts or the server goes away. Everything else becomes `failed` of the trial.
pub fn try_writes(
    case: &TrialInput<'_>,
    changes: &[NewlyBuilt<'_>],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<WriteTrial, PgError> {
    match measure(case, changes, progress) {
        Err(error) if matches!(error.kind, PgErrorKind::Interrupted | PgErrorKind::Connection) => {
            Err(error)
        }
        Err(error) => {
            let mut trial = summary(&[], 0, SkippedWrites::new(), case.target.effort.seed);
            trial.failed = Some(error.to_string());
            Ok(trial)
        }
        measured => measured,
    }
}

fn measure(
    case: &TrialInput<'_>,
    changes: &[NewlyBuilt<'_>],
    progress: &mut dyn FnMut(usize, usize),
) -> Result<WriteTrial, PgError> {
    let effort = case.target.effort;
    let path = case.target.callers.path();
    let mut random = Random::new(effort.seed);
    let mut left_out = SkippedWrites::new();
    let planned = plan(case, changes, &mut random, &mut left_out)?;
    let tables: Vec<&TableName> = planned.iter().map(|own| &own.target.table).collect();
    let sequences_before = sequences(case.connection, &tables)?;
    let mut session = Prepared::new(connect(case.target.settings, effort)?);
    session.connection.batch(&begin(effort))?;
    let (mut replayables, seconds) = keep_replayable(&mut session, planned, &mut left_out)?;
    session.connection.batch("ROLLBACK")?;
    let whole_s = seconds * (ARMS.len() * ROUNDS) as f64;
    let per_round = ((effort.budget_s / whole_s.max(1e-9)) as usize).clamp(1, MOST_A_ROUND);
    let mut blocks = FEWEST_BLOCKS;
    let mut done = 0;
    let mut own = sides_of_each(changes, &replayables);
    while done < ROUNDS && !replayables.is_empty() {
        let rounds = done..(done + ROUNDS / blocks).min(ROUNDS);
        let mut arms = ARMS;
        random.shuffle(&mut arms);
        for arm in arms {
            session.connection.batch(&begin(effort))?;
            if arm == ArmName::After {
                let (indexes, _) = build_all(&mut session, path, changes)?;
                let build_s = indexes.iter().map(|index| index.build_ms / 1e3).sum::<f64>();
                let affordable = (BUILD_SHARE * effort.budget_s / build_s.max(1e-3)) as usize;
                blocks = affordable.clamp(FEWEST_BLOCKS, ROUNDS);
                limit(&session, effort.statement_timeout_ms)?;
            }
            for replayable in &mut replayables {
                let mut side = std::mem::take(&mut replayable.sides[arm as usize]);
                replayable.run(&mut session, &mut side, rounds.clone(), per_round)?;
                replayable.sides[arm as usize] = side;
            }
            // Each arm has a transaction of its own: rows that it leaves dead make room in their pages
            // once it is over, as those of committed transactions do.
            session.connection.batch("ROLLBACK")?;
        }
        for (change, sides) in own.iter_mut().filter(|_| rounds.start < OWN_ROUNDS) {
            session.connection.batch(&begin(effort))?;
            build_all(&mut session, path, std::slice::from_ref(*change))?;
            limit(&session, effort.statement_timeout_ms)?;
            for (at, side) in sides {
                replayables[*at].run(&mut session, side, rounds.clone(), per_round)?;
            }
            session.connection.batch("ROLLBACK")?;
        }
        done = rounds.end;
        progress(done, ROUNDS);
    }
    let mut trial = summary(&replayables, done, left_out, effort.seed);
    let after = sequences(case.connection, &tables)?;
    let advanced = |(name, value): (String, i64)| {
        let by = value - sequences_before.get(&name).copied().unwrap_or(0);
        (by > 0).then_some((name, by))
    };
    trial.sequences = after.into_iter().filter_map(advanced).collect();
    let own_sides = own.iter().flat_map(|(_, sides)| sides.iter().map(|(_, side)| side));
    let sides = replayables.iter().flat_map(|own| &own.sides).chain(own_sides);
    // A row that was deleted and rolled back is alive.
    let dead: i64 = sides.map(|side| side.written.inserted + side.written.updated).sum();
    trial.dead_rows = u64::try_from(dead).unwrap_or(0);
    trial.own = own.iter().filter_map(|own| own_cost(own, &replayables, effort.seed)).collect();
    Ok(trial)
}

/// An index that is built alone, and what it gave of each statement that writes its table, by the statement's place.
type Own<'c, 'r> = (&'c NewlyBuilt<'r>, Vec<(usize, Side)>);

/// For several indexes, measures each alone with the writes of its table.
fn sides_of_each<'c, 'r>(
    changes: &'c [NewlyBuilt<'r>],
    replayables: &[Replayable<'_>],
) -> Vec<Own<'c, 'r>> {
    if changes.len() < 2 {
        return Vec::new();
    }
    let of_table = |change: &NewlyBuilt<'_>| -> Vec<(usize, Side)> {
        let places = 0..replayables.len();
        let writes = places.filter(|at| replayables[*at].target.table == change.index.def.table);
        writes.map(|at| (at, Side::default())).collect()
    };
    let sides = changes.iter().map(|change| (change, of_table(change)));
    sides.filter(|(_, sides)| !sides.is_empty()).collect()
}

/// Time of the statements as the workload has them, in each of the first rounds, microseconds.
fn totals<'s>(
    sides: impl Iterator<Item = (&'s Side, u64)> + Clone,
    rounds: usize,
) -> Vec<Vec<f64>> {
    let of = |round: usize| -> f64 {
        let own = |(side, calls): (&Side, u64)| {
            let latencies = &side.arm.rounds[round];
            latencies.iter().sum::<f64>() / latencies.len().max(1) as f64 * calls as f64
        };
        sides.clone().map(own).sum()
    };
    (0..rounds).map(|round| vec![of(round)]).collect()
}

/// Returns the cost of an index that was built alone to the writes of its table.
fn own_cost(
    (change, sides): &Own<'_, '_>,
    replayables: &[Replayable<'_>],
    seed: u64,
) -> Option<OwnWriteCost> {
    let calls = |at: usize| replayables[at].query.calls;
    let before_of = |at: usize| replayables[at].side(ArmName::Before);
    let after = sides.iter().map(|(at, side)| (side, calls(*at)));
    let before = sides.iter().map(|(at, _)| (before_of(*at), calls(*at)));
    let rounds = sides.iter().map(|(_, side)| side.arm.rounds.len()).min()?;
    let before_totals = totals(before.clone(), rounds);
    let differ = quantile_change(&before_totals, &totals(after.clone(), rounds), 0.5, seed)?;
    let all_calls: u64 = sides.iter().map(|(at, _)| calls(*at)).sum();
    let wal = |sides: &mut dyn Iterator<Item = (&Side, u64)>| -> Option<u64> {
        let bytes: Option<u64> = sides.map(|(side, calls)| Some(side.wal_bytes()? * calls)).sum();
        Some(bytes? / all_calls.max(1))
    };
    Some(OwnWriteCost {
        recommendation: change.recommendation.to_owned(),
        change_pct: differ.change_pct,
        interval_pct: (differ.low_pct, differ.high_pct),
        wal_before_bytes: wal(&mut before.clone()),
        wal_after_bytes: wal(&mut after.clone()),
    })
}

/// The beginning of a transaction that may write, and that nobody commits.
fn begin(effort: Effort) -> String {
    // What is checked at the commit is checked with each statement: nothing here is committed.
    format!(
        "BEGIN READ WRITE; SET LOCAL lock_timeout = {}; SET CONSTRAINTS ALL IMMEDIATE",
        effort.lock_timeout_ms
    )
}

fn limit(session: &Prepared, statement_timeout_ms: u64) -> Result<(), PgError> {
    session.connection.batch(&format!("SET LOCAL statement_timeout = {statement_timeout_ms}"))
}

/// The statements that write the tables and may be replayed, with their parameters.
fn plan<'w>(
    case: &TrialInput<'w>,
    changes: &[NewlyBuilt<'_>],
    random: &mut Random,
    left_out: &mut SkippedWrites,
) -> Result<Vec<Replayable<'w>>, PgError> {
    let mut guard = case.guard.borrow_mut();
    let mut planned = Vec::new();
    for (query, shape) in case.workload.understood() {
        let is_target = |scan: &&Scan| {
            scan.target && changes.iter().any(|change| change.index.def.table == scan.table)
        };
        let Some(target) = shape.scans.iter().find(is_target) else { continue };
        let caller = case.target.callers.of(query);
        let mut allowed =
            |sql: &str| guard.check_write(case.connection, &caller, sql, &target.table);
        let samples = allowed(&query.normalized)
            .and_then(|()| parameters::samples(case.connection, query, shape, MOST_SETS, random))
            .and_then(|(samples, source)| {
                samples.iter().try_for_each(|sample| allowed(&sample.text))?;
                Ok((samples, source))
            });
        match samples {
            Err(why) => left_out.push((query.fingerprint, why)),
            Ok((samples, _)) => {
                let keys = match shape.kind {
                    StatementKind::Insert => unique_keys(case.connection, &target.table)?,
                    _ => Vec::new(),
                };
                let executions = samples
                    .into_iter()
                    .map(|sample| WriteExecution {
                        delete_first: delete_first(&sample, target, &keys),
                        sample,
                    })
                    .collect();
                let sides = Default::default();
                let kind = shape.kind;
                planned.push(Replayable { query, caller, kind, target, executions, sides });
            }
        }
    }
    Ok(planned)
}

/// The statement that deletes the rows with the unique values that an `INSERT` is going to add: in the
/// database that the traffic was recorded on, they are there.
fn delete_first(sample: &Sample, target: &Scan, keys: &[Vec<String>]) -> Option<Sample> {
    let normalized = normalize(&sample.text);
    let value = |column: &String| -> Option<Literal> {
        let (_, slot) = target.assigned.iter().find(|(known, _)| known == column)?;
        normalized.slots.get(usize::from(*slot) - 1)?.value(&sample.parameters)
    };
    let mut parameters = Vec::new();
    let mut conditions = Vec::new();
    for key in keys {
        let Some(values) = key.iter().map(value).collect::<Option<Vec<Literal>>>() else {
            continue;
        };
        let equal = key.iter().zip(values).map(|(column, value)| {
            parameters.push(value);
            format!("{} = ${}", quote(column), parameters.len())
        });
        conditions.push(format!("({})", equal.collect::<Vec<_>>().join(" AND ")));
    }
    let table = quote_table(&target.table);
    let text = format!("DELETE FROM {table} WHERE {}", conditions.join(" OR "));
    (!conditions.is_empty()).then(|| Sample { text: text.into(), parameters })
}

/// Keeps of each statement the executions that the server takes and that write a row. Returns the
/// statements, and the time that one execution of each takes with all around it, seconds.
fn keep_replayable<'w>(
    session: &mut Prepared,
    planned: Vec<Replayable<'w>>,
    left_out: &mut SkippedWrites,
) -> Result<(Vec<Replayable<'w>>, f64), PgError> {
    let (mut kept, mut seconds) = (Vec::new(), 0.0);
    for mut replayable in planned {
        let started = Instant::now();
        let mut attempts = 0.0;
        let mut why = "writes no row here".to_owned();
        for execution in std::mem::take(&mut replayable.executions) {
            let mut plain = WriteExecution { delete_first: None, ..execution.clone() };
            attempts += 1.0;
            let mut outcome = replayable.attempt(session, &plain)?;
            if outcome.is_err() && execution.delete_first.is_some() {
                plain.delete_first = execution.delete_first;
                outcome = replayable.attempt(session, &plain)?;
            }
            match outcome {
                Ok(rows) if rows > 0 => replayable.executions.push(plain),
                Ok(_) => {}
                Err(error) => why = error,
            }
        }
        if replayable.executions.is_empty() {
            left_out.push((replayable.query.fingerprint, why));
            continue;
        }
        seconds += started.elapsed().as_secs_f64() / attempts;
        kept.push(replayable);
    }
    Ok((kept, seconds))
}

/// Executes once and takes it back.
fn once(
    session: &mut Prepared,
    caller: &Caller,
    execution: &WriteExecution,
) -> Result<Write, PgError> {
    session.connection.control("SAVEPOINT pgassay_write")?;
    if let Some(delete_first) = &execution.delete_first {
        session.execute(caller, delete_first)?;
    }
    let write = explain::write(&session.connection, caller, &execution.sample)?;
    session.connection.control("ROLLBACK TO SAVEPOINT pgassay_write")?;
    Ok(write)
}

impl Replayable<'_> {
    /// Executes once, and takes it back. Returns the rows written, or why the server refused.
    fn attempt(
        &self,
        session: &mut Prepared,
        execution: &WriteExecution,
    ) -> Result<Result<i64, String>, PgError> {
        let before = written(&session.connection, &self.target.table)?;
        let outcome = in_savepoint(session, |session| once(session, &self.caller, execution))?;
        let rows = written(&session.connection, &self.target.table)?.since(before);
        let rows = match self.kind {
            StatementKind::Insert => rows.inserted.max(rows.updated),
            StatementKind::Update => rows.updated,
            _ => rows.deleted,
        };
        Ok(outcome.map(|_| rows))
    }

    /// The rounds of one block in one arm.
    fn run(
        &self,
        session: &mut Prepared,
        side: &mut Side,
        rounds: std::ops::Range<usize>,
        per_round: usize,
    ) -> Result<(), PgError> {
        let count = self.executions.len();
        // Whatever is new to the session since indexes came or went is looked up now.
        once(session, &self.caller, &self.executions[0])?;
        let before = written(&session.connection, &self.target.table)?;
        for round in rounds {
            let mut latencies = Vec::new();
            for n in round * per_round..(round + 1) * per_round {
                let write = once(session, &self.caller, &self.executions[n % count])?;
                latencies.push(write.execution_us);
                side.wal_bytes.extend(write.wal_bytes);
                side.blocks.push(write.blocks);
            }
            side.arm.rounds.push(latencies);
        }
        let rows = written(&session.connection, &self.target.table)?.since(before);
        side.written = side.written.plus(rows);
        Ok(())
    }

    fn side(&self, arm: ArmName) -> &Side {
        &self.sides[arm as usize]
    }
}

fn summary(
    replayables: &[Replayable<'_>],
    rounds: usize,
    left_out: SkippedWrites,
    seed: u64,
) -> WriteTrial {
    let total =
        |arm: ArmName| totals(replayables.iter().map(|r| (r.side(arm), r.query.calls)), rounds);
    let before = total(ArmName::Before);
    let change = |arm: ArmName| quantile_change(&before, &total(arm), 0.5, seed);
    let (after, control) = (change(ArmName::After), change(ArmName::Control));
    let interval = |change: Change| (change.low_pct, change.high_pct);
    WriteTrial {
        rounds: rounds as u32,
        queries: replayables
            .iter()
            .filter_map(|replayable| write_query(replayable, seed))
            .collect(),
        change_pct: after.map(|change| change.change_pct),
        interval_pct: after.map(interval),
        control_interval_pct: control.map(interval),
        own: Vec::new(),
        left_out,
        failed: None,
        sequences: Vec::new(),
        dead_rows: 0,
    }
}

fn write_query(replayable: &Replayable<'_>, seed: u64) -> Option<WriteQuery> {
    let (before, after) = (replayable.side(ArmName::Before), replayable.side(ArmName::After));
    let change = quantile_change(&before.arm.rounds, &after.arm.rounds, 0.5, seed)?;
    Some(WriteQuery {
        fingerprint: replayable.query.fingerprint,
        before: before.arm.clone(),
        after: after.arm.clone(),
        change_pct: change.change_pct,
        interval_pct: (change.low_pct, change.high_pct),
        wal_before_bytes: before.wal_bytes(),
        wal_after_bytes: after.wal_bytes(),
        blocks_before: median(&before.blocks).unwrap_or(0),
        blocks_after: median(&after.blocks).unwrap_or(0),
        hot_before: before.written.hot_ratio(),
        hot_after: after.written.hot_ratio(),
    })
}
