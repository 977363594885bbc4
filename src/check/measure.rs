//! Measures statements for a baseline: plans and buffers first, then the shortest time of several
//! executions, each in a fresh session.

use std::thread::sleep;
use std::time::Duration;

use super::baseline::Measured;
use crate::model::workload::Sample;
use crate::pg::config::settings::Settings;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::planner::explain;
use crate::stats::random::Random;
use crate::trial::run::replay::Prepared;

/// Passes with sessions of their own. Six passes against floors of another night raised a false alarm
/// in 0.055 % of the statements of a busy machine, three passes in 3 %.
pub const PASSES: usize = 6;

/// Statements that read no table of the user. Their times tell a slow machine from a slow statement:
/// arithmetic, hashing with a sort, and pages of the catalog.
const MACHINE: [&str; 3] = [
    "SELECT sum(n * n) FROM generate_series(1, 20000) AS n",
    "SELECT count(DISTINCT md5(n::text)) FROM generate_series(1, 4000) AS n",
    "SELECT count(*) FROM pg_catalog.pg_proc WHERE proname LIKE '%a%'",
];

/// Parameter sets of one statement, and what they cost or why they cannot be measured.
pub type MeasuredStatement = Result<Vec<Measured>, String>;

/// One statement with its parameter sets.
#[derive(Debug, Clone)]
pub struct CheckedStatement {
    pub caller: Caller,
    pub samples: Vec<Sample>,
    /// Why it is not executed.
    pub refused: Option<String>,
}

/// Limits of the sessions that measure.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub statement_timeout_ms: u64,
    pub lock_timeout_ms: u64,
}

/// The measurements of one check, and the speed of the machine meanwhile.
pub struct Measurements {
    pub outcomes: Vec<MeasuredStatement>,
    /// Shortest time of each of the statements that read no table of the user, microseconds.
    pub machine_us: Vec<f64>,
}

/// Measures every statement. `progress` is told the passes done and to do.
///
/// # Errors
/// When the user interrupts or the server goes away. A statement that fails is an outcome.
pub fn measure(
    settings: &Settings,
    statements: &[CheckedStatement],
    limits: Timeouts,
    random: &mut Random,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Measurements, PgError> {
    let mut outcomes = plans(settings, statements, limits)?;
    let mut machine_us = vec![f64::INFINITY; MACHINE.len()];
    progress(1, PASSES + 1);
    for pass in 0..PASSES {
        let mut session = timed_session(settings, limits)?;
        time_machine(&mut session, &mut machine_us)?;
        let mut order: Vec<(usize, usize)> = statements
            .iter()
            .enumerate()
            .filter(|(query, _)| outcomes[*query].is_ok())
            .flat_map(|(query, own)| (0..own.samples.len()).map(move |set| (query, set)))
            .collect();
        random.shuffle(&mut order);
        for (query, set) in order {
            let CheckedStatement { caller, samples, .. } = &statements[query];
            match session.execute(caller, &samples[set]) {
                Ok(answer) => {
                    if let Some(Ok(measured)) = outcomes.get_mut(query) {
                        let floor = &mut measured[set].floor_us;
                        *floor = floor.min(answer.latency_us);
                    }
                }
                Err(error) if ends_the_run(&error) => return Err(error),
                Err(error) => outcomes[query] = Err(reason(&error)),
            }
        }
        progress(pass + 2, PASSES + 1);
    }
    Ok(Measurements { outcomes, machine_us })
}

/// Times the statements that tell how fast the machine is, twice each: a pass over the user's
/// statements has many chances to find a quiet moment, and these shall not have fewer.
fn time_machine(session: &mut Prepared, floors_us: &mut [f64]) -> Result<(), PgError> {
    for (text, floor_us) in MACHINE.iter().zip(floors_us) {
        let sample = Sample { text: (*text).into(), parameters: Vec::new() };
        for _ in 0..2 {
            *floor_us = floor_us.min(session.execute(&Caller::own(), &sample)?.latency_us);
        }
    }
    Ok(())
}

/// Passes of a second look, at least and at most.
const SECOND_LOOK: std::ops::RangeInclusive<usize> = 6..=60;
/// Pause between the passes of a second look: it has to outlast what disturbed the first.
const PAUSE: Duration = Duration::from_millis(250);

/// The measurements of the second look so far.
pub struct SecondLook {
    /// For each statement, its parameter sets with their shortest times.
    pub measured: Vec<Vec<Measured>>,
    /// As in [`Measurements`].
    pub machine_us: Vec<f64>,
}

/// Looks again at statements that only time has flagged, in fresh sessions and with pauses.
///
/// A shortest time can only fall: each further pass gives a statement another chance to find a quiet
/// moment, and one that has really become slower finds none. Ends early when `is_cleared` says of
/// what was seen so far that no statement is slower any more.
///
/// # Errors
/// As [`measure`].
pub fn look_again(
    settings: &Settings,
    statements: &[CheckedStatement],
    first: &[&[Measured]],
    limits: Timeouts,
    is_cleared: &dyn Fn(&SecondLook) -> bool,
) -> Result<SecondLook, PgError> {
    let unmeasured = |measured: &Measured| Measured { floor_us: f64::INFINITY, ..measured.clone() };
    let mut look = SecondLook {
        measured: first.iter().map(|list| list.iter().map(unmeasured).collect()).collect(),
        machine_us: vec![f64::INFINITY; MACHINE.len()],
    };
    for pass in 1..=*SECOND_LOOK.end() {
        sleep(PAUSE);
        let mut session = timed_session(settings, limits)?;
        time_machine(&mut session, &mut look.machine_us)?;
        for (statement, measured) in statements.iter().zip(&mut look.measured) {
            for (sample, measured) in statement.samples.iter().zip(measured) {
                match session.execute(&statement.caller, sample) {
                    Ok(answer) => measured.floor_us = measured.floor_us.min(answer.latency_us),
                    Err(error) if ends_the_run(&error) => return Err(error),
                    // It worked a moment ago; the floors that are there stand.
                    Err(_) => {}
                }
            }
        }
        if SECOND_LOOK.contains(&pass) && is_cleared(&look) {
            break;
        }
    }
    Ok(look)
}

/// Why a statement fails; which one it is stands beside it.
fn reason(error: &PgError) -> String {
    match &error.sqlstate {
        Some(state) => format!("{} (SQLSTATE {state})", error.cause),
        None => error.cause.clone(),
    }
}

fn ends_the_run(error: &PgError) -> bool {
    matches!(error.kind, PgErrorKind::Interrupted | PgErrorKind::Connection)
}

/// A session whose times are compared. It has no parallel workers: how many a statement gets, and how
/// fast they are, says how busy the machine is and not what the statement costs.
fn timed_session(settings: &Settings, limits: Timeouts) -> Result<Prepared, PgError> {
    let connection = open(settings, limits)?;
    connection.batch("SET max_parallel_workers_per_gather = 0")?;
    Ok(Prepared::new(connection))
}

fn open(settings: &Settings, limits: Timeouts) -> Result<Connection, PgError> {
    let connection = Connection::open(settings)?;
    connection.read_only(limits.statement_timeout_ms, limits.lock_timeout_ms)?;
    connection.batch("SET plan_cache_mode = force_custom_plan")?;
    Ok(connection)
}

/// Plans, buffers and rows: the same every time on the same data, so one look is enough. The second
/// of two executions counts; the first sets hint bits.
fn plans(
    settings: &Settings,
    statements: &[CheckedStatement],
    limits: Timeouts,
) -> Result<Vec<MeasuredStatement>, PgError> {
    let connection = open(settings, limits)?;
    let mut outcomes = Vec::with_capacity(statements.len());
    for CheckedStatement { caller, samples, refused } in statements {
        let mut measured = Vec::with_capacity(samples.len());
        let mut failed = refused.clone();
        for sample in samples.iter().take_while(|_| refused.is_none()) {
            let once = || explain::executed(&connection, caller, sample);
            match once().and_then(|_| once()) {
                Ok(plan) => measured.push(Measured {
                    plan: format!("{:016x}", plan.shape),
                    plan_text: plan.text,
                    buffers: plan.buffers.unwrap_or(0),
                    rows_scanned: plan.rows_scanned.unwrap_or(0),
                    rows: plan.rows.unwrap_or(0),
                    floor_us: f64::INFINITY,
                }),
                Err(error) if ends_the_run(&error) => return Err(error),
                Err(error) => {
                    failed = Some(reason(&error));
                    break;
                }
            }
        }
        outcomes.push(failed.map_or(Ok(measured), Err));
    }
    Ok(outcomes)
}
