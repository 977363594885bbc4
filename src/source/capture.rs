//! Capture files: a workload in one file that merges with others.
//!
//! A capture of two halves of a log, merged, is the capture of the whole, to the bit. For that
//! everything in it depends on what was executed and not on the order of reading: statements by
//! fingerprint, executions by time, samples by rank. What an execution still lacks at the end of one
//! half, or at the beginning of the other, is kept as it is until the halves meet.

use std::io::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::collect::captured_catalog::Captured;
use super::collect::collector::Collector;
use super::collect::merge::Parts;
use super::collect::open_ends::ChunkEnds;
use super::collect::statement::{CountedCalls, Statement};
use super::message::database::Database;
use crate::model::workload::duration::Durations;
use crate::model::workload::literal::Literal;
use crate::model::workload::timeline::{Execution, Group, SlotHash};
use crate::model::workload::values::{Kept, Values};
use crate::model::workload::{ObservedPlan, Sample};

/// Raised when what is in a capture changes its meaning. The first did not tell databases apart.
const VERSION: u32 = 2;
/// How a capture begins once it is unpacked.
pub const MAGIC: &[u8] = b"{\"pgassay_capture\":";
/// Level of compression: it is written once and read a few times.
const LEVEL: i32 = 3;

#[derive(Serialize, Deserialize)]
struct File {
    pgassay_capture: u32,
    /// First and last record, microseconds since the epoch.
    span: Option<(i64, i64)>,
    lines: u64,
    statements_seen: u64,
    window: Option<(i64, i64)>,
    /// Names of databases.
    #[serde(default)]
    databases: Vec<String>,
    /// Role keys with the names of their users.
    #[serde(default)]
    users: Vec<(u32, String)>,
    /// Reason and count.
    skipped: Vec<(String, u64)>,
    statements: Vec<StoredStatement>,
    /// Executions by time: see [`StoredExecution`].
    executions: Vec<StoredExecution>,
    executions_seen: u64,
    /// For each of the executions the hash of the application's name, and the names.
    #[serde(default)]
    execution_applications: Vec<u32>,
    #[serde(default)]
    applications: Vec<String>,
    /// Executions of windows from this hash on are left out.
    windows_below: u64,
    stretches: Vec<ChunkEnds>,
    catalog: Option<Captured>,
}

#[derive(Serialize, Deserialize)]
struct StoredStatement {
    normalized: String,
    #[serde(default)]
    database: Database,
    queryid: Option<i64>,
    calls: u64,
    /// Microseconds with their counts, and the exact total.
    durations: Vec<(u64, u64)>,
    total_us: u128,
    counted: CountedCalls,
    /// Rank, text, parameters; `null` is NULL.
    samples: Vec<(u64, String, Vec<Option<String>>)>,
    /// Rank, time and session.
    #[serde(default)]
    places: Vec<(u64, i64, u32)>,
    slots: Vec<StoredValues>,
    planned: Vec<(u64, u64)>,
    planned_us: u128,
    plan: Option<(u64, String)>,
    #[serde(default, rename = "lanes")]
    role_keys: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct StoredValues {
    seen: u64,
    lists: u64,
    elements: u64,
    /// Hash, count, value.
    kept: Vec<(u64, u64, Option<String>)>,
}

/// Time, duration, statement, role key, session, group, and the values at its literal positions.
type StoredExecution = (i64, u32, u32, u32, u32, u32, Vec<u32>);

fn text(literal: &Literal) -> Option<String> {
    literal.expose().map(str::to_owned)
}

fn literal(text: Option<String>) -> Literal {
    text.map_or(Literal::NULL, Literal::text)
}

fn store(statement: &Statement) -> StoredStatement {
    let (durations, total_us) = statement.durations.counts();
    let (planned, planned_us) = statement.planned.counts();
    let values = |values: &Values| StoredValues {
        seen: values.seen,
        lists: values.lists,
        elements: values.elements,
        kept: values.kept().iter().map(|k| (k.hash, k.count, text(&k.value))).collect(),
    };
    let sample = |(rank, sample): &(u64, Sample)| {
        (*rank, sample.text.to_string(), sample.parameters.iter().map(text).collect())
    };
    StoredStatement {
        normalized: statement.normalized.clone(),
        database: statement.database,
        queryid: statement.queryid,
        calls: statement.logged_calls,
        durations,
        total_us,
        counted: statement.counted,
        samples: statement.samples.iter().map(sample).collect(),
        places: statement.places.clone(),
        slots: statement.slots.iter().map(values).collect(),
        planned,
        planned_us,
        plan: statement.plan.as_ref().map(|plan| (plan.duration_us, plan.text.clone())),
        role_keys: statement.role_keys.each().to_vec(),
    }
}

fn restore(stored: StoredStatement) -> Statement {
    // Worked out again and not stored, so that both always agree.
    let fingerprint = crate::sql::normalize::fingerprint::fingerprint(&stored.normalized);
    let values = |values: StoredValues| {
        let kept = |(hash, count, value)| Kept { hash, count, value: literal(value) };
        let kept = values.kept.into_iter().map(kept).collect();
        Values::from_parts(values.seen, values.lists, values.elements, kept)
    };
    let sample = |(rank, text, parameters): (u64, String, Vec<Option<String>>)| {
        let parameters = parameters.into_iter().map(literal).collect();
        (rank, Sample { text: Arc::from(text), parameters })
    };
    let mut statement = Statement::new(fingerprint, stored.database, &stored.normalized, 0);
    statement.queryid = stored.queryid;
    statement.logged_calls = stored.calls;
    statement.durations = Durations::from_counts(&stored.durations, stored.total_us);
    statement.counted = stored.counted;
    statement.samples = stored.samples.into_iter().map(sample).collect();
    statement.places = stored.places;
    statement.slots = stored.slots.into_iter().map(values).collect();
    statement.planned = Durations::from_counts(&stored.planned, stored.planned_us);
    statement.plan = stored.plan.map(|(duration_us, text)| ObservedPlan { duration_us, text });
    stored.role_keys.into_iter().for_each(|role_key| statement.role_keys.note(role_key));
    statement
}

/// Bits of an order between one execution of a capture and the next, for those that are loose.
const GAP_BITS: u32 = 10;

/// Numbers loose executions by their place among the others.
fn place_loose(stretches: &mut [ChunkEnds], executions: &[Execution]) {
    let mut loose: Vec<(Option<i64>, &mut u64)> =
        stretches.iter_mut().flat_map(ChunkEnds::loose_orders).collect();
    loose.sort_by_key(|(at_us, order)| (*at_us, **order));
    let mut last = (usize::MAX, 0);
    for (at_us, order) in loose {
        let key = (at_us.unwrap_or(i64::MIN), *order);
        let place = executions.partition_point(|e| (e.at_us, e.order) < key);
        let rank = if last.0 == place { last.1 + 1 } else { 1 };
        last = (place, rank);
        *order = ((place as u64) << GAP_BITS) + rank;
    }
}

/// The capture of what a collector gathered.
///
/// # Errors
/// When memory for the packing cannot be had.
pub fn write(collector: &mut Collector) -> std::io::Result<Vec<u8>> {
    let mut parts = collector.parts();
    place_loose(&mut parts.stretches, &parts.executions);
    let mut order: Vec<usize> = (0..parts.statements.len()).collect();
    order.sort_by_key(|at| (parts.statements[*at].fingerprint, parts.statements[*at].database));
    let mut position = vec![0u32; order.len()];
    for (new, old) in order.iter().enumerate() {
        position[*old] = new as u32;
    }
    let slots = |execution: &Execution| {
        let start = execution.slots_start as usize;
        let end = start + parts.statements[execution.query as usize].slots.len();
        parts.slots.get(start..end).unwrap_or(&[]).iter().map(|slot| slot.0).collect()
    };
    let file = File {
        pgassay_capture: VERSION,
        span: span(&parts),
        lines: parts.coverage.lines,
        statements_seen: parts.coverage.statements,
        window: parts.window,
        databases: parts.databases.into_iter().map(str::to_owned).collect(),
        users: parts
            .users
            .into_iter()
            .map(|(role_key, name)| (role_key, name.to_owned()))
            .collect(),
        skipped: {
            let skipped = parts.coverage.skipped.iter();
            let mut skipped: Vec<_> = skipped.map(|s| (s.reason.clone(), s.count)).collect();
            skipped.sort();
            skipped
        },
        statements: order.iter().map(|at| store(&parts.statements[*at])).collect(),
        executions: parts
            .executions
            .iter()
            .map(|e| {
                let query = position[e.query as usize];
                (e.at_us, e.duration_us, query, e.role_key, e.session, e.group.0, slots(e))
            })
            .collect(),
        executions_seen: parts.executions_seen,
        execution_applications: parts.executions.iter().map(|e| e.application).collect(),
        applications: parts.applications.into_iter().map(str::to_owned).collect(),
        windows_below: parts.windows_below,
        stretches: parts.stretches,
        catalog: parts.catalog.cloned(),
    };
    let mut packed = zstd::Encoder::new(Vec::new(), LEVEL)?;
    serde_json::to_writer(&mut packed, &file)?;
    packed.flush()?;
    packed.finish()
}

fn span(parts: &Parts<'_>) -> Option<(i64, i64)> {
    let stretches = parts.stretches.iter().filter_map(ChunkEnds::order);
    stretches.chain(parts.window).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// First and last record of a capture, from its first bytes.
pub fn begins(head: &[u8]) -> Option<(i64, i64)> {
    const KEY: &[u8] = b"\"span\":[";
    let at = memchr::memmem::find(head, KEY)? + KEY.len();
    let list = &head[at..at + memchr::memchr(b']', &head[at..])?];
    let mut numbers = list
        .split(|byte| *byte == b',')
        .map(|number| std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()));
    Some((numbers.next()??, numbers.next()??))
}

/// Adds a capture to what was gathered.
///
/// # Errors
/// A sentence when it is none, or of another version.
pub fn read(bytes: &[u8], collector: &mut Collector) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Version {
        pgassay_capture: u32,
    }
    let version: Version = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if !(1..=VERSION).contains(&version.pgassay_capture) {
        return Err(format!(
            "it has version {}, and this program reads up to {VERSION}",
            version.pgassay_capture
        ));
    }
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let count = file.statements.len();
    if file.executions.iter().any(|execution| execution.2 as usize >= count) {
        return Err("it names a statement that it does not have".to_owned());
    }
    let mut other = collector.fork();
    file.databases.iter().for_each(|name| _ = other.databases.add(name.as_bytes()));
    file.applications.iter().for_each(|name| _ = other.applications.add(name.as_bytes()));
    file.users.iter().for_each(|(role_key, name)| other.users.add(*role_key, name.as_bytes()));
    // Of executions of one time, those at the end of a part come before those of the next part,
    // which may have been read already.
    let window = file.span;
    let input = other.order_of(0);
    let ordered = |at_us: i64, place: u64| {
        let is_last = window.is_some_and(|(first, last)| at_us == last && first < last);
        if is_last { place } else { input | place }
    };
    for statement in file.statements {
        other.adopt(restore(statement));
    }
    for (order, stored) in file.executions.into_iter().enumerate() {
        let (at_us, duration_us, query, role_key, session, group, slots) = stored;
        let execution = Execution {
            at_us,
            order: ordered(at_us, (order as u64 + 1) << GAP_BITS),
            duration_us,
            query,
            role_key,
            session,
            application: file.execution_applications.get(order).copied().unwrap_or(0),
            group: Group(group),
            slots_start: 0,
        };
        let slots: Vec<SlotHash> = slots.into_iter().map(SlotHash).collect();
        other.adopt_execution(execution, &slots);
    }
    let mut stretches = file.stretches;
    for (at_us, order) in stretches.iter_mut().flat_map(ChunkEnds::loose_orders) {
        *order = ordered(at_us.unwrap_or(i64::MIN), *order);
    }
    other.adopt_rest(
        file.window,
        (file.executions_seen, file.windows_below),
        (file.lines, file.statements_seen, file.skipped),
        stretches,
        file.catalog,
    );
    collector.merge(other);
    Ok(())
}
