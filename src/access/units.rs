//! Units of work: transactions and traces, with the settings that hold in them.

use std::collections::{BTreeMap, HashMap};

use crate::model::workload::Workload;
use crate::model::workload::timeline::{Execution, Group, SlotHash};

/// A transaction, a trace, or a statement by itself.
#[derive(Debug, Default)]
pub struct Unit {
    /// Hash of the application's name; 0 where the source does not say.
    pub application: u32,
    pub role_key: u32,
    /// It begins and ends where the source says so, and not with one statement.
    pub is_bounded: bool,
    /// Settings with the values that hold, by their index in the workload.
    pub settings: BTreeMap<u32, SlotHash>,
    /// Indexes into the executions of the timeline: statements that read or write tables of the
    /// catalog, and set nothing.
    pub executions: Vec<usize>,
}

/// One event of a session.
enum Event<'w> {
    Statement(usize, &'w Execution),
    Assignment(&'w Execution),
}

impl Event<'_> {
    fn execution(&self) -> &Execution {
        match self {
            Event::Statement(_, execution) | Event::Assignment(execution) => execution,
        }
    }
}

/// The kinds of statements that cut a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Begins,
    Ends,
    /// It gives a value to a setting.
    Sets,
    Nothing,
}

/// What belongs to one unit while it is read.
#[derive(Default)]
struct Open {
    unit: Unit,
    assigned: BTreeMap<u32, SlotHash>,
    began: bool,
}

/// The units of a workload, by the time of their first event.
pub fn units(workload: &Workload) -> Vec<Unit> {
    let cuts: Vec<Cut> = workload.queries.iter().map(|query| cut(&query.normalized)).collect();
    let mut sessions: BTreeMap<u32, Vec<Event<'_>>> = BTreeMap::new();
    let mut traces: BTreeMap<u32, Vec<Event<'_>>> = BTreeMap::new();
    let statements = workload.timeline.executions.iter().enumerate();
    let statements = statements.map(|(at, execution)| Event::Statement(at, execution));
    let assignments = workload.timeline.assignments.iter().map(Event::Assignment);
    for event in assignments.chain(statements) {
        let execution = event.execution();
        match execution.group.is_trace() {
            true => traces.entry(execution.group.0).or_default().push(event),
            false => sessions.entry(execution.session).or_default().push(event),
        }
    }
    let mut found: Vec<(i64, Unit)> = Vec::new();
    for mut events in traces.into_values() {
        in_time(&mut events);
        let first = events[0].execution().at_us;
        let mut open = Open::default();
        events.iter().for_each(|event| add(&mut open, event, workload, &cuts));
        open.unit.is_bounded = true;
        open.unit.settings = open.assigned;
        found.push((first, open.unit));
    }
    for mut events in sessions.into_values() {
        in_time(&mut events);
        found.extend(of_session(&events, workload, &cuts));
    }
    found.retain(|(_, unit)| !unit.executions.is_empty());
    found.sort_by_key(|(at_us, _)| *at_us);
    found.into_iter().map(|(_, unit)| unit).collect()
}

/// Assignments of a statement come before it.
fn in_time(events: &mut [Event<'_>]) {
    events.sort_by_key(|event| {
        let execution = event.execution();
        (execution.at_us, execution.order, matches!(event, Event::Statement(..)))
    });
}

fn of_session(events: &[Event<'_>], workload: &Workload, cuts: &[Cut]) -> Vec<(i64, Unit)> {
    // Events with the same transaction belong together; without one, those between BEGIN and COMMIT do.
    let mut opened: Vec<(i64, Open)> = Vec::new();
    let mut by_group: HashMap<Group, usize> = HashMap::new();
    let mut current: Option<usize> = None;
    for event in events {
        let execution = event.execution();
        let cut = match event {
            Event::Statement(_, execution) => cuts[execution.query as usize],
            Event::Assignment(_) => Cut::Sets,
        };
        let known =
            by_group.get(&execution.group).copied().filter(|_| execution.group != Group::UNKNOWN);
        // An assignment stands before the statement that makes it, which may be the first of its transaction.
        let place = match (known, current) {
            (Some(place), _) => place,
            (None, Some(place)) if execution.group == Group::UNKNOWN => place,
            _ => {
                opened.push((execution.at_us, Open::default()));
                opened.len() - 1
            }
        };
        if execution.group != Group::UNKNOWN {
            by_group.insert(execution.group, place);
        }
        let open = &mut opened[place].1;
        open.began |= cut == Cut::Begins;
        add(open, event, workload, cuts);
        current = match cut {
            Cut::Begins => Some(place),
            Cut::Ends => None,
            // What sets and what it sets are one statement.
            Cut::Sets if matches!(event, Event::Assignment(_)) && current.is_none() => Some(place),
            Cut::Sets | Cut::Nothing if open.began => current,
            _ => None,
        };
    }
    let mut in_force: BTreeMap<u32, SlotHash> = BTreeMap::new();
    for (_, open) in &mut opened {
        if open.unit.executions.is_empty() && !open.began {
            // Set outside of a transaction: it holds until it is set again.
            in_force.extend(std::mem::take(&mut open.assigned));
            continue;
        }
        open.unit.settings = in_force.clone();
        open.unit.settings.extend(std::mem::take(&mut open.assigned));
        open.unit.is_bounded = open.began || open.unit.executions.len() > 1;
    }
    opened.into_iter().map(|(at_us, open)| (at_us, open.unit)).collect()
}

fn add(open: &mut Open, event: &Event<'_>, workload: &Workload, cuts: &[Cut]) {
    let execution = event.execution();
    open.unit.application = execution.application;
    open.unit.role_key = execution.role_key;
    match event {
        Event::Assignment(execution) => {
            let value = workload.timeline.slots(execution, 1).first();
            value.iter().for_each(|value| _ = open.assigned.insert(execution.query, **value));
        }
        Event::Statement(at, execution) => {
            let is_of_rows = cuts[execution.query as usize] == Cut::Nothing;
            let shape = workload.queries[execution.query as usize].shape.as_ref();
            if is_of_rows && shape.is_some_and(|shape| shape.scans.iter().any(|scan| scan.known)) {
                open.unit.executions.push(*at);
            }
        }
    }
}

fn cut(normalized: &str) -> Cut {
    let first = normalized.split([' ', ';']).next().unwrap_or_default().to_uppercase();
    match first.as_str() {
        "BEGIN" | "START" => Cut::Begins,
        "COMMIT" | "END" | "ABORT" => Cut::Ends,
        "ROLLBACK" if !normalized.to_uppercase().starts_with("ROLLBACK TO") => Cut::Ends,
        _ if normalized.contains("set_config(") => Cut::Sets,
        _ => Cut::Nothing,
    }
}
