//! The timeline cut into what belongs together: the statements of one session, or of one trace of
//! the application, without a longer pause.

use std::collections::HashMap;

use crate::model::workload::shape::StatementKind;
use crate::model::workload::timeline::{Execution, Group};
use crate::rules::observed::Observed;

/// A pause of this length ends an episode, microseconds. Applications take milliseconds between the
/// statements of one request.
pub const PAUSE_US: i64 = 1_000_000;
/// Longest episode, executions; a busy session without any pause is cut here.
const LONGEST: usize = 20_000;

/// Statements that belong together, as places in the timeline, ascending.
#[derive(Debug)]
pub struct Episode {
    pub places: Vec<u32>,
}

/// The explicit transaction of each execution: zero outside of one. By `BEGIN` and `COMMIT`, where
/// the log has them.
#[derive(Debug, Default)]
pub struct Transactions(Vec<u32>);

/// Cuts the timeline.
pub fn cut(input: Observed<'_>) -> (Vec<Episode>, Transactions) {
    let timeline = &input.workload.timeline.executions;
    let roles: Vec<Control> =
        input.workload.queries.iter().map(|query| Control::of(&query.normalized)).collect();
    let mut transactions = Transactions(vec![0; timeline.len()]);
    let mut open_transactions: HashMap<u32, u32> = HashMap::new();
    let mut begun = 0;
    let mut open: HashMap<(bool, u32), (Episode, i64)> = HashMap::new();
    let mut done = Vec::new();
    for (place, execution) in timeline.iter().enumerate() {
        match roles[execution.query as usize] {
            Control::Begin => {
                begun += 1;
                open_transactions.insert(execution.session, begun);
                continue;
            }
            Control::End => {
                open_transactions.remove(&execution.session);
                continue;
            }
            Control::None => {}
        }
        transactions.0[place] = open_transactions.get(&execution.session).copied().unwrap_or(0);
        let (episode, last_us) = open
            .entry(key(execution))
            .or_insert_with(|| (Episode { places: Vec::new() }, execution.at_us));
        let started_us = execution.at_us - i64::from(execution.duration_us);
        if started_us - *last_us > PAUSE_US || episode.places.len() >= LONGEST {
            done.push(Episode { places: std::mem::take(&mut episode.places) });
        }
        *last_us = execution.at_us;
        episode.places.push(place as u32);
    }
    done.extend(open.into_values().map(|(episode, _)| episode));
    // A map has no order of its own.
    done.sort_by_key(|episode| episode.places.first().copied());
    (done, transactions)
}

fn key(execution: &Execution) -> (bool, u32) {
    if execution.group.is_trace() { (true, execution.group.0) } else { (false, execution.session) }
}

impl Transactions {
    /// Whether two executions of one episode can belong to one unit of work: no transaction ended
    /// between them. What began outside of a transaction may go on inside of one.
    pub fn are_together(&self, input: Observed<'_>, earlier: u32, later: u32) -> bool {
        let timeline = &input.workload.timeline.executions;
        let (a, b) = (&timeline[earlier as usize], &timeline[later as usize]);
        if a.group != Group::UNKNOWN && a.group == b.group {
            return true;
        }
        let (first, second) = (self.0[earlier as usize], self.0[later as usize]);
        first == second || first == 0
    }

    /// Number of the explicit transaction an execution ran in; zero for none.
    pub fn of(&self, place: u32) -> u32 {
        self.0[place as usize]
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Control {
    Begin,
    End,
    None,
}

impl Control {
    fn of(normalized: &str) -> Control {
        match normalized.split(' ').next().unwrap_or("") {
            "BEGIN" | "start" => Control::Begin,
            "COMMIT" | "END" | "abort" | "ROLLBACK" => Control::End,
            _ => Control::None,
        }
    }
}

/// A statement that writes rows.
pub fn writes(kind: StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Insert
            | StatementKind::Update
            | StatementKind::Delete
            | StatementKind::Merge
    )
}
