//! Executes rounds against three sessions, real or scripted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_postgres::Statement;

use crate::model::trial::Arm;
use crate::model::workload::Sample;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::session::execute::Answer;
use crate::trial::plan::schedule::{ARMS, ArmName, ScheduledExecution};
use crate::trial::plan::statements::ReplayedStatement;

/// The outcome of one execution.
#[derive(Debug, Clone)]
pub enum Executed {
    Done(Answer),
    /// Stopped at its time limit, after so many microseconds: it takes at least as long.
    Stopped(f64),
    /// The server refused it, for this reason.
    Failed(String),
}

/// Something that executes statements: a server, or a script with known latencies.
pub trait Session {
    /// Executes a sample once as `caller`; `limit_ms` is its time limit where it has one of its own.
    ///
    /// # Errors
    /// When nothing more can be executed: the server went away, or the user interrupts.
    fn replay(
        &mut self,
        caller: &Caller,
        sample: &Sample,
        limit_ms: Option<u64>,
    ) -> Result<Executed, PgError>;
}

/// The savepoint to which a session rolls back when a statement failed, or had a time limit of its own.
pub(crate) const REPLAY_SAVEPOINT: &str = "pgassay_replay";

/// A connection with its prepared statements.
pub struct Prepared {
    pub connection: Connection,
    statements: HashMap<Arc<str>, Statement>,
}

impl Prepared {
    pub fn new(connection: Connection) -> Self {
        Prepared { connection, statements: HashMap::new() }
    }

    /// Goes back to where the replay began, after a failure.
    ///
    /// # Errors
    /// The server's error.
    pub(crate) fn go_back(&self) -> Result<(), PgError> {
        self.connection.control(&format!("ROLLBACK TO SAVEPOINT {REPLAY_SAVEPOINT}"))
    }

    /// Executes a sample once as `caller`, in the open transaction or in one that is rolled back. Preparing is not part
    /// of the latency.
    ///
    /// # Errors
    /// The server's error.
    pub fn execute(&mut self, caller: &Caller, sample: &Sample) -> Result<Answer, PgError> {
        let Prepared { connection, statements } = self;
        connection.as_workload(caller, |workload| {
            if !statements.contains_key(&sample.text) {
                statements.insert(sample.text.clone(), workload.prepare(&sample.text)?);
            }
            workload.measure(&statements[&sample.text], &sample.parameters)
        })
    }
}

impl Session for Prepared {
    fn replay(
        &mut self,
        caller: &Caller,
        sample: &Sample,
        limit_ms: Option<u64>,
    ) -> Result<Executed, PgError> {
        if let Some(limit_ms) = limit_ms {
            self.connection.control(&format!("SET LOCAL statement_timeout = {limit_ms}"))?;
        }
        let started = Instant::now();
        let executed = match self.execute(caller, sample) {
            Ok(answer) if limit_ms.is_none() => return Ok(Executed::Done(answer)),
            Ok(answer) => Executed::Done(answer),
            Err(error) if error.kind != PgErrorKind::Statement => return Err(error),
            Err(error) if error.is_timeout() => {
                Executed::Stopped(started.elapsed().as_secs_f64() * 1e6)
            }
            Err(error) => Executed::Failed(error.to_string()),
        };
        // Takes back the limit, and the failure of the transaction.
        self.go_back()?;
        Ok(executed)
    }
}

/// The measurements of the arms of one statement.
#[derive(Debug, Clone, Default)]
pub struct ReplayedArms {
    pub before: Arm,
    pub after: Arm,
    pub control: Arm,
    /// For each round, the block of sessions that it ran in.
    pub blocks: Vec<usize>,
    /// Parameter sets whose rows differed between before and after.
    pub differing: Vec<usize>,
    /// Rows differed between before and control: the statement is not repeatable.
    pub unsteady: bool,
    /// Executions whose rows could be compared.
    pub compared: usize,
    /// Why it could not be executed to the end.
    pub failed: Option<String>,
}

/// The three sessions of a trial.
pub struct Sessions<'s> {
    pub before: &'s mut dyn Session,
    pub after: &'s mut dyn Session,
    pub control: &'s mut dyn Session,
}

impl Sessions<'_> {
    fn of(&mut self, arm: ArmName) -> &mut dyn Session {
        match arm {
            ArmName::Before => self.before,
            ArmName::After => self.after,
            ArmName::Control => self.control,
        }
    }
}

/// Runs one round in the sessions of a `block` and adds its latencies to `outcomes`, one for each statement. A
/// statement that fails is not executed again, and the others go on.
///
/// # Errors
/// When nothing more can be executed.
pub fn run_round(
    (sessions, block): (&mut Sessions<'_>, usize),
    queries: &[ReplayedStatement],
    slots: &[ScheduledExecution],
    outcomes: &mut [ReplayedArms],
) -> Result<(), PgError> {
    let mut latencies: HashMap<(usize, ArmNumber), Vec<f64>> = HashMap::new();
    // The executions of one parameter set stand next to each other, each arm once.
    for together in slots.chunk_by(|a, b| a.turn == b.turn) {
        let ScheduledExecution { query, parameters, .. } = together[0];
        let ReplayedStatement { caller, samples, limit_ms } = &queries[query];
        let outcome = &mut outcomes[query];
        if outcome.failed.is_some() {
            continue;
        }
        let mut answers = [None; 3];
        for slot in together {
            let at = number(slot.arm);
            let session = sessions.of(slot.arm);
            let latency_us = match session.replay(caller, &samples[parameters], *limit_ms)? {
                Executed::Done(answer) => {
                    answers[at] = Some((answer.rows, answer.digest));
                    answer.latency_us
                }
                Executed::Stopped(latency_us) => {
                    outcome.arm(slot.arm).timed_out += 1;
                    latency_us
                }
                Executed::Failed(why) => {
                    outcome.failed = Some(why);
                    break;
                }
            };
            latencies.entry((query, at)).or_default().push(latency_us);
        }
        outcome.compare_rows(answers, parameters);
    }
    for (query, outcome) in outcomes.iter_mut().enumerate() {
        if latencies.contains_key(&(query, number(ArmName::Before))) {
            outcome.blocks.push(block);
        }
        for arm in ARMS {
            if let Some(round) = latencies.remove(&(query, number(arm))) {
                outcome.arm(arm).rounds.push(round);
            }
        }
    }
    Ok(())
}

impl ReplayedArms {
    fn arm(&mut self, arm: ArmName) -> &mut Arm {
        match arm {
            ArmName::Before => &mut self.before,
            ArmName::After => &mut self.after,
            ArmName::Control => &mut self.control,
        }
    }

    /// Notes whether the rows of one parameter set were the same, as far as they came.
    fn compare_rows(&mut self, answers: [Option<(u64, u64)>; 3], parameters: usize) {
        let [Some(before), Some(after), Some(control)] = answers else { return };
        self.compared += 1;
        if before != control {
            self.unsteady = true;
        } else if before != after && !self.differing.contains(&parameters) {
            self.differing.push(parameters);
        }
    }
}

type ArmNumber = usize;

fn number(arm: ArmName) -> ArmNumber {
    match arm {
        ArmName::Before => 0,
        ArmName::After => 1,
        ArmName::Control => 2,
    }
}
