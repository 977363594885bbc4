//! Statements against a database in use: locks are waited for only so long, and what a failure leaves
//! behind is taken away.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::steps::{Action, Step};
use crate::index::ddl::is_concurrent;
use crate::index::partitioned::is_for_parent_only;
use crate::model::index::IndexDef;
use crate::model::name::TableName;
use crate::pg::catalog::load;
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::session::guard::consent::Writable;
use crate::sql::lex::identifier::quote_table;

/// How patiently.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a lock is waited for the first time, milliseconds. Each further attempt waits twice as
    /// long. Concurrent builds and drops wait [`CONCURRENT_WAIT_FACTOR`] times as long for the transactions that were
    /// open before them.
    pub lock_timeout_ms: u64,
    pub attempts: u32,
}

/// Times that the wait for a lock is doubled, at most.
const MOST_DOUBLINGS: u32 = 6;
/// Between two attempts, so that whoever holds the lock comes to an end.
const PAUSE: Duration = Duration::from_secs(1);
/// A concurrent build waits for transactions that are open already, in nobody's way and with its work
/// nearly done; the server counts that as a wait for a lock.
pub const CONCURRENT_WAIT_FACTOR: u64 = 60;
/// One apply at a time in a database: the two halves of the lock's key spell it.
const LOCK: &str = "hashtext('pgassay'), hashtext('apply')";
/// A lock was not to be had in time; a deadlock was broken at our cost. Both go away.
const RETRYABLE_SQLSTATES: [&str; 2] = ["55P03", "40P01"];

/// The outcome of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Done {
        took_ms: f64,
        /// The size of the index that it created.
        size_bytes: Option<u64>,
    },
    /// An index that does the same is there, under this name.
    AlreadyThere(String),
    /// There is no index of this name to drop.
    AlreadyGone,
}

/// Progress of the execution.
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    Begin(&'e Step),
    /// The relations of a partitioned table, one after the other.
    Partition {
        done: usize,
        of: usize,
    },
    /// An index that was left behind, not valid, was dropped.
    Cleaned {
        name: &'e str,
        /// By this very attempt, and not by an earlier one.
        is_own: bool,
    },
    /// A lock was not to be had.
    Again {
        attempt: u32,
        of: u32,
        why: &'e PgError,
    },
}

/// A statement with what became of it.
pub type Report = (Step, Result<Outcome, PgError>);

/// Executes the statements one after the other. A statement that fails takes the rest of its own
/// recommendation with it, and no other.
///
/// # Errors
/// When another apply is at work, the server goes away, or the user interrupts; what was done until
/// then is in `reports`.
pub fn execute(
    connection: &Connection,
    _: &Writable,
    steps: &[Step],
    patience: Patience,
    tell: &mut dyn FnMut(Event<'_>),
    reports: &mut Vec<Report>,
) -> Result<(), PgError> {
    connection.batch("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
    alone(connection)?;
    let wait_ms = patience.lock_timeout_ms;
    let ended = Execution { connection, patience, wait_ms, tell }.each(steps, reports);
    // The session's end gives it back as well, but only once the server has seen it.
    let _ = connection.clean_up(&format!("SELECT pg_advisory_unlock({LOCK})"));
    ended
}

/// Takes the lock that no two of us hold. One that was killed a moment ago may hold it still.
fn alone(connection: &Connection) -> Result<(), PgError> {
    let take = format!("SELECT pg_try_advisory_lock({LOCK})");
    let started = Instant::now();
    loop {
        if connection.row(&take, &[])?.get(0) {
            return Ok(());
        }
        if started.elapsed() > 2 * PAUSE {
            break;
        }
        sleep(PAUSE / 10);
    }
    let holder = format!(
        "SELECT min(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND (classid::int8, objid::int8) = (SELECT ((a::int8 + 4294967296) % 4294967296), \
         ((b::int8 + 4294967296) % 4294967296) FROM (SELECT {LOCK}) l(a, b))"
    );
    let pid: Option<i32> = connection.row(&holder, &[])?.get(0);
    let who = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
    Err(PgError::new(
        PgErrorKind::Consent,
        "will not apply",
        format!("another apply is at work in this database{who}"),
    )
    .with_help("wait for its end and apply again: what it has done is not done twice"))
}

/// Done in so many milliseconds, and nothing was made that has a size.
fn done(took_ms: f64) -> Outcome {
    Outcome::Done { took_ms, size_bytes: None }
}

/// An index by its name.
pub(super) struct ExistingIndex {
    pub(super) is_valid: bool,
    pub(super) table: TableName,
    built_by: Option<i32>,
    pub(super) size_bytes: Option<u64>,
}

pub(super) struct Execution<'e> {
    pub(super) connection: &'e Connection,
    patience: Patience,
    /// How long a lock is waited for at present, milliseconds.
    wait_ms: u64,
    pub(super) tell: &'e mut dyn FnMut(Event<'_>),
}

impl Execution<'_> {
    fn each(&mut self, steps: &[Step], reports: &mut Vec<Report>) -> Result<(), PgError> {
        for step in steps {
            let has_failed = reports.iter().any(|(known, outcome)| {
                outcome.is_err() && known.recommendation == step.recommendation
            });
            if has_failed {
                continue;
            }
            (self.tell)(Event::Begin(step));
            let outcome = self.step(step);
            let fatal = match &outcome {
                Err(error)
                    if matches!(error.kind, PgErrorKind::Interrupted | PgErrorKind::Connection) =>
                {
                    Some(error.clone())
                }
                _ => None,
            };
            reports.push((step.clone(), outcome));
            if let Some(error) = fatal {
                return Err(error);
            }
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, PgError> {
        if let Some((table, def)) = &step.requires
            && self.patiently(|own| own.same(table, "", Some(def)))?.is_none()
        {
            let cause = "the index that takes its place is not there";
            return Err(PgError::new(
                PgErrorKind::Statement,
                format!("will not {}", step.summary()),
                cause,
            )
            .with_help("apply that one first"));
        }
        match &step.action {
            Action::Create { table, name, def, comes_back } => {
                let wanted = def.as_ref().filter(|_| !comes_back);
                if let Some(known) = self.patiently(|own| own.same(table, name, wanted))? {
                    return Ok(Outcome::AlreadyThere(known));
                }
                match def {
                    // What comes back is told part by part.
                    Some(def) if !comes_back && self.is_partitioned(table)? => {
                        self.create_on_partitions(table, name, def)
                    }
                    _ if is_for_parent_only(&step.sql) => {
                        self.patiently(|own| own.create_parent(&step.sql, table, name))
                    }
                    _ => self.patiently(|own| own.create(&step.sql, table, name)),
                }
            }
            Action::Drop { schema, name, made } => {
                self.patiently(|own| own.drop(&step.sql, schema, name, made.as_ref()))
            }
            Action::Other => self.patiently(|own| own.run(&step.sql)).map(done),
        }
    }

    fn create(&mut self, sql: &str, table: &TableName, name: &str) -> Result<Outcome, PgError> {
        let took_ms = self.build(sql, table, name)?;
        let Some(made) = self.find(&table.schema, name)? else {
            let cause = "the statement succeeded, and the index is not there";
            return Err(PgError::new(
                PgErrorKind::Statement,
                format!("cannot create {name}"),
                cause,
            ));
        };
        if !made.is_valid {
            self.clean(table, name, true)?;
            let cause = "the server built it and left it not valid; it was dropped again";
            return Err(PgError::new(
                PgErrorKind::Statement,
                format!("cannot create {name}"),
                cause,
            )
            .with_help("look for the reason in the server's log, and apply again"));
        }
        Ok(Outcome::Done { took_ms, size_bytes: made.size_bytes })
    }

    /// Builds an index where there is none, and takes away what a failed build leaves. Returns its time,
    /// milliseconds.
    pub(super) fn build(
        &mut self,
        sql: &str,
        table: &TableName,
        name: &str,
    ) -> Result<f64, PgError> {
        self.clean(table, name, false)?;
        self.probe(table)?;
        let error = match self.run_among_others(sql) {
            Err(error) if error.kind != PgErrorKind::Connection => error,
            other => return other,
        };
        Err(match self.clean(table, name, true) {
            Ok(()) => error,
            Err(_) => error.with_help(format!(
                "{name} may be left behind, not valid; apply again, or drop it by hand"
            )),
        })
    }

    fn drop(
        &mut self,
        sql: &str,
        schema: &str,
        name: &str,
        made: Option<&(TableName, IndexDef)>,
    ) -> Result<Outcome, PgError> {
        let Some(found) = self.find(schema, name)? else { return Ok(Outcome::AlreadyGone) };
        if let Some((table, def)) = made {
            if found.is_valid {
                self.is_ours(table, name, def)?;
            }
            if self.is_partitioned(table)? {
                self.drop_unattached(table, name)?;
            }
        }
        self.run_among_others(sql).map(done)
    }

    /// Whether the lock that a concurrent build takes is to be had at present: whoever holds a stronger
    /// one is waited for only so long.
    fn probe(&self, table: &TableName) -> Result<(), PgError> {
        let table = quote_table(table);
        let sql =
            format!("BEGIN; LOCK TABLE ONLY {table} IN SHARE UPDATE EXCLUSIVE MODE; ROLLBACK");
        let Err(error) = self.connection.batch(&sql) else { return Ok(()) };
        // Of no use where the connection is gone, and then of no need.
        let _ = self.connection.clean_up("ROLLBACK");
        match error.sqlstate.as_deref() {
            // A materialized view takes no such lock by name.
            Some("42809") => Ok(()),
            _ => Err(error),
        }
    }

    /// Executes a statement; one that is concurrent waits longer for the transactions of others.
    fn run_among_others(&self, sql: &str) -> Result<f64, PgError> {
        if !is_concurrent(sql) {
            return self.run(sql);
        }
        self.among_others(|| self.run(sql)).map_err(|error| match error.sqlstate.as_deref() {
            Some("55P03") => error.with_help(
                "a transaction that was open before has not ended: SELECT pid, state, xact_start \
                 FROM pg_stat_activity ORDER BY xact_start shows the oldest first",
            ),
            _ => error,
        })
    }

    /// Does what waits for the transactions of others, and gives it the time.
    fn among_others<T>(&self, work: impl FnOnce() -> Result<T, PgError>) -> Result<T, PgError> {
        let set = |wait_ms: u64| self.connection.clean_up(&format!("SET lock_timeout = {wait_ms}"));
        set(self.wait_ms.saturating_mul(CONCURRENT_WAIT_FACTOR))?;
        let outcome = work();
        set(self.wait_ms)?;
        outcome
    }

    /// Executes a statement, once. Returns its time, milliseconds.
    pub(super) fn run(&self, sql: &str) -> Result<f64, PgError> {
        let started = Instant::now();
        self.connection.batch(sql)?;
        Ok(started.elapsed().as_secs_f64() * 1e3)
    }

    /// Does a piece of work as often as locks make it necessary, and waits longer each time.
    pub(super) fn patiently<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, PgError>,
    ) -> Result<T, PgError> {
        let Patience { lock_timeout_ms, attempts } = self.patience;
        let mut attempt = 1;
        loop {
            self.wait_ms = lock_timeout_ms << (attempt - 1).min(MOST_DOUBLINGS);
            self.connection.batch(&format!("SET lock_timeout = {}", self.wait_ms))?;
            let error = match work(self) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let passes =
                error.sqlstate.as_deref().is_some_and(|state| RETRYABLE_SQLSTATES.contains(&state));
            if !passes || attempt >= attempts {
                return Err(error);
            }
            (self.tell)(Event::Again { attempt, of: attempts, why: &error });
            sleep(PAUSE);
            attempt += 1;
        }
    }

    /// The index of this name is the one that was proposed.
    fn is_ours(&self, table: &TableName, name: &str, def: &IndexDef) -> Result<(), PgError> {
        let indexes = load::indexes(self.connection, &self.connection.caller(), table)?;
        if indexes.iter().any(|index| index.name == name && index.def.covers(def)) {
            return Ok(());
        }
        let cause = "the index of this name is another than the one that was proposed";
        Err(PgError::new(PgErrorKind::Statement, format!("cannot drop {name}"), cause)
            .with_help("drop it by hand if nobody needs it"))
    }

    /// Drops an index of this name that is not valid: what a build that was cut short leaves behind, our
    /// own or an earlier one. Goes on when the user has asked to stop, for it is the cleaning up.
    pub(super) fn clean(
        &mut self,
        table: &TableName,
        name: &str,
        is_own: bool,
    ) -> Result<(), PgError> {
        let Some(found) = self.find(&table.schema, name)? else { return Ok(()) };
        let what = format!("cannot create {name}");
        if let Some(pid) = found.built_by {
            let cause = format!("another session is building it (pid {pid})");
            return Err(PgError::new(PgErrorKind::Statement, what, cause)
                .with_help("wait for its end, and apply again"));
        }
        if found.is_valid || found.table != *table {
            let cause = format!("another index of {} has this name", found.table);
            return Err(PgError::new(PgErrorKind::Statement, what, cause)
                .with_help("rename that one, or drop it if nobody needs it"));
        }
        let index = quote_table(&TableName::new(&table.schema, name));
        let drop = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
        self.among_others(|| self.connection.clean_up(&drop))?;
        (self.tell)(Event::Cleaned { name, is_own });
        Ok(())
    }

    /// An index that does what this one would: under its name or under another.
    fn same(
        &self,
        table: &TableName,
        name: &str,
        def: Option<&IndexDef>,
    ) -> Result<Option<String>, PgError> {
        let Some(def) = def else {
            let found = self.find(&table.schema, name)?;
            let is_there = found.is_some_and(|found| found.is_valid && found.table == *table);
            return Ok(is_there.then(|| name.to_owned()));
        };
        let indexes = load::indexes(self.connection, &self.connection.caller(), table)?;
        let known = indexes.into_iter().find(|index| index.valid && index.def.covers(def));
        Ok(known.map(|index| index.name))
    }

    pub(super) fn find(&self, schema: &str, name: &str) -> Result<Option<ExistingIndex>, PgError> {
        let sql = include_str!("queries/index_state.sql");
        let rows = self.connection.query_cleaning_up(sql, &[&schema, &name])?;
        Ok(rows.first().map(|row| ExistingIndex {
            is_valid: row.get(0),
            table: TableName::new(row.get::<_, String>(1), row.get::<_, String>(2)),
            built_by: row.get(3),
            size_bytes: u64::try_from(row.get::<_, i64>(4)).ok(),
        }))
    }
}
