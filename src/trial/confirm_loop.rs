//! Runs an earlier query again and searches its rows for the keys of a loop.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use crate::model::workload::timeline::SlotHash;
use crate::model::workload::{Query, Sample};
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::session::guard::statement::Guard;
use crate::sql::normalize::normalizer::normalize;

/// Rows of the earlier query that are looked at; a loop over more is rare.
const MOST_ROWS: usize = 10_000;

/// One loop: the literal positions of the earlier query when it ran, and the keys of what followed.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    pub parent_slots: &'a [SlotHash],
    pub keys: HashSet<SlotHash>,
}

/// How many keys the rows of the earlier query held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// Loops whose earlier query was run again.
    pub loops: usize,
    pub keys: usize,
    pub given: usize,
}

impl Confirmation {
    /// Nine of ten keys are there; rows come and go.
    pub fn is_sure(&self) -> bool {
        self.keys > 0 && self.given * 10 >= self.keys * 9
    }

    /// Not one is.
    pub fn is_refuted(&self) -> bool {
        self.keys > 0 && self.given == 0
    }
}

/// Runs the earlier query of up to `most` of these loops again, with the values it had.
///
/// The connection has to be read-only and to have a time limit.
///
/// # Errors
/// In words, when the earlier query may not be run, none of its values were kept, or it fails.
pub fn confirm(
    connection: &Connection,
    caller: &Caller,
    guard: &mut Guard,
    parent: &Query,
    claims: &[Claim<'_>],
    most: usize,
) -> Result<Confirmation, String> {
    guard.check(connection, caller, &parent.normalized)?;
    let known: Vec<(Vec<SlotHash>, &Sample)> =
        parent.samples.iter().map(|sample| (slots(sample), sample)).collect();
    let mut confirmation = Confirmation::default();
    let mut failure = None;
    for claim in claims {
        let same = known.iter().find(|(slots, _)| is_same(slots, claim.parent_slots));
        let Some((_, sample)) = same else { continue };
        // What is sent is looked at as it is, and not what it was taken for.
        guard.check(connection, caller, &sample.text)?;
        match connection.as_workload(caller, |workload| workload.rows_as_text(sample, MOST_ROWS)) {
            Ok(rows) => {
                let given: HashSet<SlotHash> =
                    rows.iter().flatten().flatten().map(|value| hash(value)).collect();
                confirmation.loops += 1;
                confirmation.keys += claim.keys.len();
                confirmation.given += claim.keys.intersection(&given).count();
            }
            Err(error) => failure = Some(error.to_string()),
        }
        if confirmation.loops == most {
            break;
        }
    }
    match (confirmation.loops, failure) {
        (0, Some(why)) => Err(why),
        (0, None) => Err("the values of the earlier query were not kept".to_owned()),
        _ => Ok(confirmation),
    }
}

/// The literal positions of an execution, as the timeline has them.
fn slots(sample: &Sample) -> Vec<SlotHash> {
    normalize(&sample.text)
        .slots
        .iter()
        .map(|slot| match slot.value(&sample.parameters) {
            None => SlotHash::UNKNOWN,
            Some(value) => value.expose().map_or(SlotHash::NULL, hash),
        })
        .collect()
}

/// Lists are kept by their first element, so they cannot be told apart here.
fn is_same(sample: &[SlotHash], execution: &[SlotHash]) -> bool {
    sample.len() == execution.len()
        && sample.iter().zip(execution).all(|(ours, theirs)| ours == theirs || theirs.is_list())
}

fn hash(value: &str) -> SlotHash {
    SlotHash::scalar(xxh3_64(value.as_bytes()))
}
