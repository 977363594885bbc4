//! Which statements a trial of one recommendation replays.

use crate::model::event::Fingerprint;
use crate::model::recommendation::Recommendation;
use crate::model::shape::{Scan, Shape, StatementKind};
use crate::model::workload::{Query, Workload};
use crate::pg::connect::Connection;
use crate::pg::guard::Guard;
use crate::stats::random::Random;

use super::parameters;
use super::replay::Replayed;

/// Statements of one trial, at most: those with the longest time among those that scan the table.
const MOST_QUERIES: usize = 4;
/// Parameter sets of a statement, at most.
const MOST_SETS: usize = 40;

/// Why a statement was left out that could have been replayed.
pub const LESS_TIME: &str = "less time than the statements replayed";

/// What a trial will replay.
pub struct Plan<'w> {
    pub queries: Vec<Planned<'w>>,
    pub left_out: Vec<(Fingerprint, String)>,
}

pub struct Planned<'w> {
    pub query: &'w Query,
    pub replayed: Replayed,
    pub parameters: &'static str,
}

/// Picks the statements that scan the recommendation's table, the findings' own first.
pub fn plan<'w>(
    connection: &Connection,
    guard: &mut Guard,
    workload: &'w Workload,
    shapes: &[Option<Shape>],
    recommendation: &Recommendation,
    random: &mut Random,
) -> Plan<'w> {
    let mut plan = Plan { queries: Vec::new(), left_out: Vec::new() };
    let Some(table) = &recommendation.table else { return plan };
    // The workload is in the order of time already.
    for (query, shape) in workload.queries.iter().zip(shapes) {
        let Some(shape) = shape else { continue };
        // The rows that an INSERT adds are not looked for.
        let reads = |scan: &Scan| {
            scan.table == *table && !(scan.target && shape.kind == StatementKind::Insert)
        };
        if !shape.scans.iter().any(reads) {
            continue;
        }
        if plan.queries.len() == MOST_QUERIES {
            plan.left_out.push((query.fingerprint, LESS_TIME.to_owned()));
            continue;
        }
        let prepared = guard
            .check(connection, &query.normalized)
            .and_then(|()| parameters::samples(connection, query, shape, MOST_SETS, random));
        match prepared {
            Ok((samples, parameters)) => {
                plan.queries.push(Planned { query, replayed: Replayed { samples }, parameters });
            }
            Err(why) => plan.left_out.push((query.fingerprint, why)),
        }
    }
    plan
}
