//! Statements against a database in use: locks are waited for only so long, and what a failure leaves
//! behind is taken away.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::steps::{Action, Step};
use crate::model::name::TableName;
use crate::model::recommendation::IndexPlan;
use crate::pg::catalog;
use crate::pg::connect::Connection;
use crate::pg::error::{Kind, PgError};
use crate::pg::guard::Writable;
use crate::sql::ident::quote_table;
use crate::sql::index_ddl::does;

/// How patiently.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long a lock is waited for the first time, milliseconds. Each further attempt waits twice as
    /// long.
    pub lock_timeout_ms: u64,
    pub attempts: u32,
}

/// Times that the wait for a lock is doubled, at most.
const MOST_DOUBLINGS: u32 = 6;
/// Between two attempts, so that whoever holds the lock comes to an end.
const PAUSE: Duration = Duration::from_secs(1);
/// One apply at a time in a database: the two halves of the lock's key spell it.
const LOCK: &str = "hashtext('pgassay'), hashtext('apply')";
/// A lock was not to be had in time; a deadlock was broken at our cost. Both go away.
const PASSING: [&str; 2] = ["55P03", "40P01"];

/// What became of a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Done {
        took_ms: f64,
        /// Of the index it made.
        size_bytes: Option<u64>,
    },
    /// An index that does the same is there, under this name.
    AlreadyThere(String),
    /// There is no index of this name to drop.
    AlreadyGone,
}

/// What happens on the way.
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    Begin(&'e Step),
    /// An index that an earlier attempt left behind, not valid, was dropped.
    Cleaned(&'e str),
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
    for step in steps {
        let has_failed = reports.iter().any(|(known, outcome)| {
            outcome.is_err() && known.recommendation == step.recommendation
        });
        if has_failed {
            continue;
        }
        tell(Event::Begin(step));
        let outcome = Execution { connection, patience, tell }.step(step);
        let fatal = match &outcome {
            Err(error) if matches!(error.kind, Kind::Interrupted | Kind::Connection) => {
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

/// Takes the lock that no two of us hold. The session's end gives it back.
fn alone(connection: &Connection) -> Result<(), PgError> {
    let taken: bool = connection.row(&format!("SELECT pg_try_advisory_lock({LOCK})"), &[])?.get(0);
    if taken {
        return Ok(());
    }
    let holder = format!(
        "SELECT min(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
         AND (classid::int8, objid::int8) = (SELECT ((a::int8 + 4294967296) % 4294967296), \
         ((b::int8 + 4294967296) % 4294967296) FROM (SELECT {LOCK}) l(a, b))"
    );
    let pid: Option<i32> = connection.row(&holder, &[])?.get(0);
    let who = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
    Err(PgError::new(
        Kind::Consent,
        "will not apply",
        format!("another apply is at work in this database{who}"),
    )
    .with_help("wait for its end and apply again: what it has done is not done twice"))
}

/// An index by its name.
struct Found {
    is_valid: bool,
    table: TableName,
    built_by: Option<i32>,
    size_bytes: Option<u64>,
}

struct Execution<'e> {
    connection: &'e Connection,
    patience: Patience,
    tell: &'e mut dyn FnMut(Event<'_>),
}

impl Execution<'_> {
    fn step(&mut self, step: &Step) -> Result<Outcome, PgError> {
        match &step.action {
            Action::Create { table, name, plan } => {
                self.create(&step.sql, table, name, plan.as_ref())
            }
            Action::Drop { schema, name } => {
                if self.find(schema, name)?.is_none() {
                    return Ok(Outcome::AlreadyGone);
                }
                self.patiently(&step.sql, |_| Ok(()))
            }
            Action::Other => self.patiently(&step.sql, |_| Ok(())),
        }
    }

    fn create(
        &mut self,
        sql: &str,
        table: &TableName,
        name: &str,
        plan: Option<&IndexPlan>,
    ) -> Result<Outcome, PgError> {
        if let Some(known) = self.same(table, name, plan)? {
            return Ok(Outcome::AlreadyThere(known));
        }
        self.clean(table, name)?;
        let schema = &table.schema;
        let outcome = self.patiently(sql, |own| own.clean(table, name))?;
        let Some(made) = self.find(schema, name)? else {
            let cause = "the statement succeeded, and the index is not there";
            return Err(PgError::new(Kind::Statement, format!("cannot create {name}"), cause));
        };
        if !made.is_valid {
            self.clean(table, name)?;
            let cause = "the server built it and left it not valid; it was dropped again";
            return Err(PgError::new(Kind::Statement, format!("cannot create {name}"), cause)
                .with_help("look for the reason in the server's log, and apply again"));
        }
        match outcome {
            Outcome::Done { took_ms, .. } => {
                Ok(Outcome::Done { took_ms, size_bytes: made.size_bytes })
            }
            other => Ok(other),
        }
    }

    /// Executes a statement as often as locks make it necessary; `clean` takes away what a failed
    /// attempt left.
    fn patiently(
        &mut self,
        sql: &str,
        clean: impl Fn(&mut Self) -> Result<(), PgError>,
    ) -> Result<Outcome, PgError> {
        let Patience { lock_timeout_ms, attempts } = self.patience;
        let mut attempt = 1;
        loop {
            let wait_ms = lock_timeout_ms << (attempt - 1).min(MOST_DOUBLINGS);
            self.connection.batch(&format!("SET lock_timeout = {wait_ms}"))?;
            let started = Instant::now();
            let Err(error) = self.connection.batch(sql) else {
                let took_ms = started.elapsed().as_secs_f64() * 1e3;
                return Ok(Outcome::Done { took_ms, size_bytes: None });
            };
            if error.kind == Kind::Connection {
                return Err(error);
            }
            clean(self)?;
            let passes = error.sqlstate.as_deref().is_some_and(|state| PASSING.contains(&state));
            if !passes || attempt >= attempts {
                return Err(error);
            }
            (self.tell)(Event::Again { attempt, of: attempts, why: &error });
            sleep(PAUSE);
            attempt += 1;
        }
    }

    /// Drops an index of this name that is not valid: what a build that was cut short leaves behind.
    /// Goes on when the user has asked to stop, for it is the cleaning up.
    fn clean(&mut self, table: &TableName, name: &str) -> Result<(), PgError> {
        let Some(found) = self.find(&table.schema, name)? else { return Ok(()) };
        let what = format!("cannot create {name}");
        if let Some(pid) = found.built_by {
            let cause = format!("another session is building it (pid {pid})");
            return Err(PgError::new(Kind::Statement, what, cause)
                .with_help("wait for its end, and apply again"));
        }
        if found.is_valid || found.table != *table {
            let cause = format!("another index of {} has this name", found.table);
            return Err(PgError::new(Kind::Statement, what, cause)
                .with_help("rename that one, or drop it if nobody needs it"));
        }
        let index = quote_table(&TableName::new(&table.schema, name));
        self.connection.clean_up("SET lock_timeout = '60s'")?;
        self.connection.clean_up(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"))?;
        (self.tell)(Event::Cleaned(name));
        Ok(())
    }

    /// An index that does what this one would: under its name or under another.
    fn same(
        &self,
        table: &TableName,
        name: &str,
        plan: Option<&IndexPlan>,
    ) -> Result<Option<String>, PgError> {
        let Some(plan) = plan else {
            let found = self.find(&table.schema, name)?;
            let is_there = found.is_some_and(|found| found.is_valid && found.table == *table);
            return Ok(is_there.then(|| name.to_owned()));
        };
        let catalog = catalog::load(self.connection)?;
        let known = catalog
            .table(table)
            .and_then(|table| table.indexes.iter().find(|index| index.valid && does(index, plan)));
        Ok(known.map(|index| index.name.clone()))
    }

    fn find(&self, schema: &str, name: &str) -> Result<Option<Found>, PgError> {
        let sql = include_str!("../pg/queries/index_state.sql");
        let rows = self.connection.query_cleaning_up(sql, &[&schema, &name])?;
        Ok(rows.first().map(|row| Found {
            is_valid: row.get(0),
            table: TableName::new(row.get::<_, String>(1), row.get::<_, String>(2)),
            built_by: row.get(3),
            size_bytes: u64::try_from(row.get::<_, i64>(4)).ok(),
        }))
    }
}
