//! Executes rounds against three sessions, real or scripted.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Statement;

use super::schedule::{ArmName, Slot};
use crate::model::trial::Arm;
use crate::model::workload::Sample;
use crate::pg::connect::Connection;
use crate::pg::error::PgError;
use crate::pg::session::Answer;

/// Something that executes statements: a server, or a script with known latencies.
pub trait Session {
    /// Executes a sample once.
    ///
    /// # Errors
    /// The server's error.
    fn execute(&mut self, sample: &Sample) -> Result<Answer, PgError>;
}

/// A connection with its prepared statements.
pub struct Prepared {
    pub connection: Connection,
    statements: HashMap<Arc<str>, Statement>,
}

impl Prepared {
    pub fn new(connection: Connection) -> Self {
        Prepared { connection, statements: HashMap::new() }
    }
}

impl Session for Prepared {
    /// Preparing is not part of the latency.
    fn execute(&mut self, sample: &Sample) -> Result<Answer, PgError> {
        if !self.statements.contains_key(&sample.text) {
            let statement = self.connection.prepare(&sample.text)?;
            self.statements.insert(sample.text.clone(), statement);
        }
        self.connection.measure(&self.statements[&sample.text], &sample.parameters)
    }
}

/// One statement to replay, with its parameter sets.
#[derive(Debug, Clone)]
pub struct Replayed {
    pub samples: Vec<Sample>,
}

/// What the arms of one statement gave.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub before: Arm,
    pub after: Arm,
    pub control: Arm,
    /// Parameter sets whose rows differed between before and after.
    pub differing: Vec<usize>,
    /// Rows differed between before and control: the statement is not repeatable.
    pub unsteady: bool,
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

/// Runs one round and adds its latencies to `outcomes`, one for each statement.
///
/// # Errors
/// The first error of a session: a statement that failed has no latency to compare.
pub fn run_round(
    sessions: &mut Sessions<'_>,
    queries: &[Replayed],
    slots: &[Slot],
    outcomes: &mut [Outcome],
) -> Result<(), PgError> {
    let mut latencies: HashMap<(usize, ArmNumber), Vec<f64>> = HashMap::new();
    // The three executions of one parameter set stand next to each other.
    for three in slots.chunks(3) {
        let mut answers = [None; 3];
        for slot in three {
            let sample = &queries[slot.query].samples[slot.parameters];
            let answer = sessions.of(slot.arm).execute(sample)?;
            latencies.entry((slot.query, number(slot.arm))).or_default().push(answer.latency_us);
            answers[number(slot.arm)] = Some((answer.rows, answer.digest));
        }
        let outcome = &mut outcomes[three[0].query];
        let [before, after, control] = answers;
        if before != control {
            outcome.unsteady = true;
        } else if before != after && !outcome.differing.contains(&three[0].parameters) {
            outcome.differing.push(three[0].parameters);
        }
    }
    for (query, outcome) in outcomes.iter_mut().enumerate() {
        for (arm, at) in
            [(&mut outcome.before, 0), (&mut outcome.after, 1), (&mut outcome.control, 2)]
        {
            if let Some(round) = latencies.remove(&(query, at)) {
                arm.rounds.push(round);
            }
        }
    }
    Ok(())
}

type ArmNumber = usize;

fn number(arm: ArmName) -> ArmNumber {
    match arm {
        ArmName::Before => 0,
        ArmName::After => 1,
        ArmName::Control => 2,
    }
}
