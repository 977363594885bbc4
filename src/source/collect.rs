//! Executions to a workload, one distinct statement at a time.

use std::collections::HashMap;
use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::parameters::is_truncated;
use crate::model::duration::Durations;
use crate::model::event::{Fingerprint, QueryEvent};
use crate::model::literal::Literal;
use crate::model::workload::{Coverage, Execution, Query, Sample, SlotValues, Timeline, Workload};
use crate::sql;

/// Executions kept for replay, a statement.
const SAMPLES: usize = 64;
/// Longest text kept for replay, bytes: longer ones are bulk loads, not requests.
const SAMPLE_BYTES: usize = 64 * 1024;
/// Executions kept in order, for the search for loops: about 100 MB.
const TIMELINE: usize = 1_000_000;

/// Gathers executions and counters of all sources of one run.
#[derive(Default)]
pub struct Collector {
    queries: Vec<Gathered>,
    index: HashMap<Fingerprint, usize>,
    timeline: Timeline,
    lanes: HashMap<(String, String), u32>,
    sessions: HashMap<String, SessionState>,
    window: Option<(i64, i64)>,
    coverage: Coverage,
    source: String,
    read_before: u64,
}

#[derive(Default)]
struct SessionState {
    number: u32,
    /// Number of the explicit transaction that is open, zero when none is.
    open: u64,
    opened: u64,
}

/// One distinct statement while it is gathered.
struct Gathered {
    fingerprint: Fingerprint,
    normalized: String,
    queryid: Option<i64>,
    durations: Durations,
    logged_calls: u64,
    counted: Counted,
    /// Bottom-k sample by hash: the same whatever the order of reading.
    samples: Vec<(u64, Sample)>,
    slots: Vec<SlotValues>,
    databases: Vec<String>,
    utility: bool,
}

/// What `pg_stat_statements` counted of a statement.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    pub calls: u64,
    pub total_us: u64,
    pub rows: u64,
    /// Shared blocks hit and read; `None` in exports without them.
    pub blocks: Option<u64>,
}

impl Collector {
    pub fn new() -> Self {
        Collector::default()
    }

    /// Starts a source; `name` stands in coverage examples from here on.
    pub fn begin(&mut self, name: &str) {
        self.source = name.to_owned();
        self.read_before = self.coverage.statements;
    }

    /// Something of the present source was understood.
    pub fn has_read(&self) -> bool {
        self.coverage.statements > self.read_before
    }

    pub fn lines(&mut self, count: u64) {
        self.coverage.lines += count;
    }

    pub fn skip(&mut self, reason: &str, count: u64, example: impl FnOnce() -> String) {
        let source = &self.source;
        self.coverage.skip(reason, count, || format!("{source}: {}", example()));
    }

    /// Takes one execution whose record began at `line`.
    pub fn event(&mut self, event: &QueryEvent<'_>, line: u64) {
        let text = event.text.trim();
        if text.is_empty() || text == ";" {
            return;
        }
        self.coverage.statements += 1;
        let normalized = sql::normalize::normalize(text);
        let fingerprint = sql::fingerprint::fingerprint(&normalized.text);
        let values: Vec<(Option<Literal>, usize)> = normalized
            .slots
            .iter()
            .map(|slot| (slot.value(&event.parameters), slot.elements))
            .collect();
        let at = self.query(fingerprint, &normalized.text, values.len());
        let query = &mut self.queries[at];
        query.logged_calls += 1;
        query.queryid = query.queryid.or(event.queryid);
        if let Some(duration_us) = event.duration_us {
            query.durations.record(duration_us);
        }
        if !event.database.is_empty() && !query.databases.iter().any(|d| *d == event.database) {
            query.databases.push(event.database.to_string());
        }
        for (slot, (value, elements)) in query.slots.iter_mut().zip(&values) {
            slot_seen(slot, value.as_ref(), *elements);
        }
        sample(query, event, line);
        let utility = query.utility;
        self.in_order(event, at, utility, &normalized.text, &values);
    }

    /// Takes the counters of one statement.
    pub fn counted(&mut self, text: &str, queryid: Option<i64>, counted: Counted) {
        if counted.calls == 0 {
            return;
        }
        self.coverage.statements += counted.calls;
        let normalized = sql::normalize::normalize(text);
        let fingerprint = sql::fingerprint::fingerprint(&normalized.text);
        let at = self.query(fingerprint, &normalized.text, normalized.slots.len());
        let query = &mut self.queries[at];
        query.queryid = query.queryid.or(queryid);
        query.counted.calls += counted.calls;
        query.counted.total_us += counted.total_us;
        query.counted.rows += counted.rows;
        if let Some(blocks) = counted.blocks {
            *query.counted.blocks.get_or_insert(0) += blocks;
        }
    }

    fn query(&mut self, fingerprint: Fingerprint, normalized: &str, slots: usize) -> usize {
        if let Some(at) = self.index.get(&fingerprint) {
            return *at;
        }
        let verb = normalized.split(' ').next().unwrap_or("");
        let utility = !matches!(
            verb,
            "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH" | "MERGE" | "VALUES"
        ) && !normalized.starts_with('(');
        self.queries.push(Gathered {
            fingerprint,
            normalized: normalized.to_owned(),
            queryid: None,
            durations: Durations::new(),
            logged_calls: 0,
            counted: Counted::default(),
            samples: Vec::new(),
            slots: vec![SlotValues::default(); slots],
            databases: Vec::new(),
            utility,
        });
        self.index.insert(fingerprint, self.queries.len() - 1);
        self.queries.len() - 1
    }

    /// Follows transactions and notes the execution in order.
    fn in_order(
        &mut self,
        event: &QueryEvent<'_>,
        at: usize,
        utility: bool,
        normalized: &str,
        values: &[(Option<Literal>, usize)],
    ) {
        let next = self.sessions.len() as u32;
        let session = self
            .sessions
            .entry(event.session.to_string())
            .or_insert_with(|| SessionState { number: next, ..SessionState::default() });
        match normalized.split(' ').next().unwrap_or("") {
            "BEGIN" | "start" => {
                session.opened += 1;
                session.open = session.opened;
            }
            "COMMIT" | "ROLLBACK" | "END" | "abort" if !normalized.starts_with("ROLLBACK TO") => {
                session.open = 0;
            }
            _ => {}
        }
        let (number, open) = (session.number, session.open);
        let Some(at_us) = event.at_us else { return };
        self.window = Some(match self.window {
            Some((first, last)) => (first.min(at_us), last.max(at_us)),
            None => (at_us, at_us),
        });
        if utility {
            return;
        }
        if self.timeline.executions.len() >= TIMELINE {
            self.timeline.dropped += 1;
            return;
        }
        let transaction = match (event.transaction.as_ref(), open) {
            ("", 0) => 0,
            ("", open) => hash(&[&number.to_le_bytes(), &open.to_le_bytes()]),
            (known, _) => xxh3_64(known.as_bytes()),
        };
        let lanes = self.lanes.len() as u32;
        let lane = *self
            .lanes
            .entry((event.database.to_string(), event.user.to_string()))
            .or_insert(lanes);
        let slots_start = self.timeline.slot_hashes.len() as u64;
        self.timeline.slot_hashes.extend(values.iter().map(|(value, elements)| match value {
            Some(value) if *elements == 1 => {
                value.expose().map_or(1, |v| xxh3_64(v.as_bytes()) | 2)
            }
            _ => 0,
        }));
        self.timeline.executions.push(Execution {
            at_us,
            duration_us: event.duration_us.unwrap_or(0),
            query: at as u32,
            lane,
            session: number,
            transaction,
            slots_start,
            slots_len: values.len().min(usize::from(u16::MAX)) as u16,
        });
    }

    /// The workload: queries by time, executions in order, every distinct statement parsed once.
    pub fn finish(mut self) -> Workload {
        let mut order: Vec<usize> = (0..self.queries.len()).collect();
        let ranked: Vec<Query> = self.queries.drain(..).map(Gathered::finish).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&ranked[*a], &ranked[*b]);
            (b.total_us, b.calls, a.fingerprint).cmp(&(a.total_us, a.calls, b.fingerprint))
        });
        let mut position = vec![0u32; order.len()];
        for (new, old) in order.iter().enumerate() {
            position[*old] = new as u32;
        }
        let mut slots: Vec<Option<Query>> = ranked.into_iter().map(Some).collect();
        let queries: Vec<Query> = order.iter().filter_map(|old| slots[*old].take()).collect();
        for execution in &mut self.timeline.executions {
            execution.query = position[execution.query as usize];
        }
        self.timeline.executions.sort_by_key(|execution| (execution.at_us, execution.slots_start));
        for query in &queries {
            match sql::resolve::shape(&query.normalized, None) {
                Ok(_) => self.coverage.understood += query.calls,
                Err(error) => {
                    let reason = match error {
                        sql::parse::ParseError::Syntax(_) => "statement not parsed".to_owned(),
                        other => other.to_string(),
                    };
                    self.coverage.skip(&reason, query.calls, || shorten(&query.normalized));
                }
            }
        }
        // Both a log and the counters may have seen an execution; it is counted once.
        self.coverage.statements = queries.iter().map(|query| query.calls).sum();
        let mut warnings = Vec::new();
        if self.timeline.dropped > 0 {
            warnings.push(format!(
                "only the first {TIMELINE} executions were searched for loops, {} were not",
                self.timeline.dropped
            ));
        }
        Workload {
            queries,
            timeline: self.timeline,
            window: self.window,
            coverage: self.coverage,
            warnings,
        }
    }
}

impl Gathered {
    /// Counters of the server cover more than a log, or the log covers what the counters lost: the
    /// source that saw more calls gives calls and time.
    fn finish(mut self) -> Query {
        for slot in &mut self.slots {
            slot.counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        }
        let from_counters = self.counted.calls > self.logged_calls;
        let (calls, total_us) = if from_counters {
            (self.counted.calls, self.counted.total_us)
        } else {
            (self.logged_calls, self.durations.total_us())
        };
        let counted = self.counted.calls > 0;
        let scale = |value: u64| {
            // Rows and blocks are only counted by the server; they are shown for our number of calls.
            (u128::from(value) * u128::from(calls) / u128::from(self.counted.calls.max(1))) as u64
        };
        Query {
            fingerprint: self.fingerprint,
            queryid: self.queryid,
            normalized: self.normalized,
            calls,
            total_us,
            durations: self.durations,
            rows: counted.then(|| scale(self.counted.rows)),
            blocks: self.counted.blocks.map(scale),
            samples: self.samples.into_iter().map(|(_, sample)| sample).collect(),
            slots: self.slots,
            databases: self.databases,
        }
    }
}

fn slot_seen(slot: &mut SlotValues, value: Option<&Literal>, elements: usize) {
    if elements > 1 {
        slot.lists += 1;
    }
    let Some(value) = value else { return };
    slot.seen += 1;
    match slot.counts.iter().position(|(known, _)| known == value) {
        Some(at) => slot.counts[at].1 += 1,
        None if slot.counts.len() < SlotValues::MOST => slot.counts.push((value.clone(), 1)),
        None => slot.overflow = true,
    }
}

fn sample(query: &mut Gathered, event: &QueryEvent<'_>, line: u64) {
    if query.utility || event.text.len() > SAMPLE_BYTES || event.parameters.iter().any(is_truncated)
    {
        return;
    }
    let at = event.at_us.unwrap_or(0).to_le_bytes();
    let rank = hash(&[event.text.as_bytes(), event.session.as_bytes(), &at, &line.to_le_bytes()]);
    if query.samples.len() == SAMPLES && query.samples.last().is_some_and(|(last, _)| *last <= rank)
    {
        return;
    }
    let text = event.text.trim().trim_end_matches(';');
    let shared = query.samples.iter().find(|(_, known)| &*known.text == text);
    let text: Arc<str> = shared.map_or_else(|| Arc::from(text), |(_, known)| known.text.clone());
    let place = query.samples.partition_point(|(known, _)| *known < rank);
    query.samples.insert(place, (rank, Sample { text, parameters: event.parameters.clone() }));
    query.samples.truncate(SAMPLES);
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.digest()
}

/// Enough of a normalized statement to recognise it.
fn shorten(normalized: &str) -> String {
    const MOST: usize = 120;
    match normalized.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &normalized[..end]),
        None => normalized.to_owned(),
    }
}
