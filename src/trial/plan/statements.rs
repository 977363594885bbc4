//! Selects the statements that a trial replays.

use std::cell::RefCell;
use std::collections::HashMap;

use super::parameters;
use crate::model::name::TableName;
use crate::model::trial::Unreplayed;
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::shape::{Scan, Shape, StatementKind};
use crate::model::workload::{Query, Sample, Workload};
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::session::callers::Callers;
use crate::pg::session::guard::statement::Guard;
use crate::stats::random::Random;

/// Statements looked at for each table of a trial, at most: those with the longest time among those that
/// scan it. Which of them are replayed is decided once the index is there.
const MOST_QUERIES: usize = 60;
/// Parameter sets of a statement, at most.
const MOST_SETS: usize = 40;

/// The statements that a trial will replay.
pub struct ReplayPlan<'w> {
    pub queries: Vec<PlannedStatement<'w>>,
    pub left_out: Vec<(Fingerprint, Unreplayed)>,
}

pub struct PlannedStatement<'w> {
    pub query: &'w Query,
    pub replayed: ReplayedStatement,
    pub parameters: String,
}

/// The server's answers about statements and the parameters found for them, kept for all trials of a run, so that
/// each is asked for once.
#[derive(Default)]
pub struct StatementPlanner {
    prepared: HashMap<Fingerprint, Result<(Vec<Sample>, String), String>>,
}

impl StatementPlanner {
    fn prepare(
        &mut self,
        connection: &Connection,
        caller: &Caller,
        guard: &RefCell<Guard>,
        (query, shape): (&Query, &Shape),
        random: &mut Random,
    ) -> Result<(Vec<Sample>, String), String> {
        if let Some(known) = self.prepared.get(&query.fingerprint) {
            return known.clone();
        }
        let statement = (query, shape);
        let guard = &mut guard.borrow_mut();
        let found = parameters::readable(connection, caller, guard, statement, MOST_SETS, random);
        self.prepared.insert(query.fingerprint, found.clone());
        found
    }
}

/// Lists the statements that read any of the tables, longest time first.
pub fn plan<'w>(
    connection: &Connection,
    (callers, guard): (&Callers, &RefCell<Guard>),
    planner: &mut StatementPlanner,
    workload: &'w Workload,
    tables: &[&TableName],
    random: &mut Random,
) -> ReplayPlan<'w> {
    let mut plan = ReplayPlan { queries: Vec::new(), left_out: Vec::new() };
    // The workload is in the order of time already.
    for (query, shape) in workload.understood() {
        // The rows that an INSERT adds are not looked for.
        let reads = |scan: &Scan| {
            tables.contains(&&scan.table) && !(scan.target && shape.kind == StatementKind::Insert)
        };
        if !shape.scans.iter().any(reads) {
            continue;
        }
        if plan.queries.len() >= MOST_QUERIES * tables.len() {
            plan.left_out.push((query.fingerprint, Unreplayed::LessTime));
            continue;
        }
        let caller = callers.of(query);
        let prepared = planner.prepare(connection, &caller, guard, (query, shape), random);
        match prepared {
            Ok((samples, parameters)) => {
                plan.queries.push(PlannedStatement {
                    query,
                    replayed: ReplayedStatement { caller, samples, limit_ms: None },
                    parameters,
                });
            }
            Err(why) => plan.left_out.push((query.fingerprint, Unreplayed::Unable(why))),
        }
    }
    plan
}

/// One statement to replay, with its parameter sets.
#[derive(Debug, Clone)]
pub struct ReplayedStatement {
    pub caller: Caller,
    pub samples: Vec<Sample>,
    /// Time limit of one execution, milliseconds, where it is not that of the session.
    pub limit_ms: Option<u64>,
}
