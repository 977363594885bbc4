//! Collects executions into a workload, one entry for each distinct statement.

use std::borrow::Cow;
use std::sync::Arc;

use foldhash::HashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::captured_catalog::Captured;
use super::literal_map::{Known, LiteralMap};
use super::open_ends::ChunkEnds;
use super::roles::{Applications, Users, role_key};
use super::settings::{Assignment, assignments};
use super::skips::{LinePlace, Skips};
use super::slot_values::{Value, Values};
use super::statement::{CountedCalls, Statement, StatementClass, StatementLimits};
use super::timeline_sample::Sampled;
use crate::model::catalog::Catalog;
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::literal::Literal;
use crate::model::workload::timeline::{Execution, Group, SlotHash};
use crate::model::workload::{Coverage, ObservedPlan, Sample};
use crate::source::message::auto_explain::LoggedPlan;
use crate::source::message::database::{Database, Names};
use crate::source::message::parameters::{Parameter, is_truncated};
use crate::source::message::record::LogRecord;
use crate::source::message::{execute, parameters};
use crate::sql;
use crate::sql::normalize::literal_scan::{LiteralSpan, Skeleton};

/// Longest text kept for replay, bytes: longer ones are bulk loads, not requests.
const SAMPLE_BYTES: usize = 64 * 1024;

/// Bits of an event's order within one source.
const INPUT_BITS: u32 = 52;

/// Gathers executions and counters. Collectors merge: in any order, to the same result.
#[derive(Default)]
pub struct Collector {
    pub(super) statements: Vec<Statement>,
    pub(super) index: HashMap<(Fingerprint, Database), u32>,
    pub(crate) databases: Names,
    pub(crate) users: Users,
    pub(crate) applications: Applications,
    pub(super) known: Known,
    pub(super) timeline: Sampled,
    pub(super) window: Option<(i64, i64)>,
    pub(super) coverage: Coverage,
    source: Arc<str>,
    /// Number of the source, in the uppermost bits of the order of its events.
    input: u64,
    piece: u64,
    pub(super) stretches: Vec<ChunkEnds>,
    pub(super) catalog: Option<Captured>,
    pub(super) skips: Skips,
    read_before: u64,
    buffers: Buffers,
}

/// Reused from execution to execution.
#[derive(Default)]
struct Buffers {
    skeleton: Skeleton,
    parameters: Vec<Parameter>,
    slots: Vec<SlotHash>,
}

/// The key that distinguishes counters of the same text.
#[derive(Debug, Clone, Copy)]
pub struct CounterKey<'a> {
    /// The server's identifier, where the source has it.
    pub queryid: Option<i64>,
    pub database: Database,
    /// The role that executed it; empty where the source does not say.
    pub user: &'a [u8],
}

impl Collector {
    pub fn new() -> Self {
        Collector::default()
    }

    /// Place of an event of the present source among all.
    pub(crate) fn order_of(&self, place: u64) -> u64 {
        (self.input << INPUT_BITS) | place
    }

    /// Starts a source; `name` stands in coverage examples from here on.
    pub fn begin(&mut self, name: &str) {
        self.source = name.into();
        self.input += 1;
        self.read_before = self.coverage.statements;
    }

    /// An empty collector for another part of the present source.
    pub fn fork(&self) -> Collector {
        let source = Arc::clone(&self.source);
        Collector { source, input: self.input, ..Collector::default() }
    }

    /// Something of the present source was understood.
    pub fn has_read(&self) -> bool {
        self.coverage.statements > self.read_before
    }

    pub fn lines(&mut self, count: u64) {
        self.coverage.lines = self.coverage.lines.saturating_add(count);
    }

    /// The piece of the source that is read from here on.
    pub fn piece(&mut self, piece: u64) {
        self.piece = piece;
    }

    /// Notes a record of the present piece that was not read.
    pub fn skip_at(&mut self, reason: &'static str, count: u64, line: u64) {
        self.skips.add(reason, count, LinePlace { piece: self.piece, line });
    }

    /// Notes what was not read of the present source.
    pub fn skip(&mut self, reason: &str, count: u64, example: impl FnOnce() -> String) {
        let source = &self.source;
        self.coverage.skip(reason, count, || format!("{source}: {}", example()));
    }

    /// Ends a source that was read in pieces, of `lines` lines each.
    pub fn end(&mut self, lines: &[u64]) {
        self.coverage.lines += lines.iter().sum::<u64>();
        self.skips.finish(&self.source, lines, &mut self.coverage);
    }

    /// Takes one execution.
    pub fn event(&mut self, event: &LogRecord<'_>) {
        if event.parameters.starts_with(b"prepare: ")
            && let Some((text, parameters)) = execute::executed(event.text, event.parameters)
        {
            return self.event(&LogRecord { text: &text, parameters: &parameters, ..*event });
        }
        let text = event.text.trim_ascii();
        if text.is_empty() || text == b";" {
            return;
        }
        let mut buffers = std::mem::take(&mut self.buffers);
        // The same text is another statement in another database.
        let key = buffers.skeleton.scan(text) ^ event.database.key();
        let found = self.known.find(key, text, &buffers.skeleton.literals);
        match found {
            Some(at) => {
                // Taken out for the while, so that the rest of the collector can be written to.
                let plan = self.known.take(at);
                self.executed(event, text, &plan, &mut buffers);
                self.known.put_back(at, plan);
            }
            None => {
                if let Some(plan) = self.meet(key, event.database, text, &buffers.skeleton.literals)
                {
                    self.executed(event, text, &plan, &mut buffers);
                    self.known.keep(plan, text, &buffers.skeleton.literals);
                }
            }
        }
        self.buffers = buffers;
    }

    /// Normalizes a text that was not seen before in this form; `None` for one that holds nothing but
    /// a comment.
    fn meet(
        &mut self,
        key: u64,
        database: Database,
        text: &[u8],
        literals: &[LiteralSpan],
    ) -> Option<LiteralMap> {
        let lossy = String::from_utf8_lossy(text);
        let normalized = sql::normalize::normalizer::normalize(&lossy);
        if normalized.text.is_empty() {
            return None;
        }
        let statement = self.statement(database, &normalized.text, normalized.slots.len());
        Some(match &lossy {
            Cow::Borrowed(_) => LiteralMap::of(statement, key, &normalized, literals),
            Cow::Owned(repaired) => {
                // Replaced bytes shift what follows them, but not the order of literals.
                let mut skeleton = Skeleton::default();
                skeleton.scan(repaired.as_bytes());
                LiteralMap::of(statement, key, &normalized, &skeleton.literals)
            }
        })
    }

    fn executed(
        &mut self,
        event: &LogRecord<'_>,
        text: &[u8],
        plan: &LiteralMap,
        buffers: &mut Buffers,
    ) {
        let Buffers { skeleton, parameters, slots } = buffers;
        slots.clear();
        if plan.parameters > 0 {
            parameters::find(event.parameters, parameters);
        } else {
            parameters.clear();
        }
        let limits = StatementLimits::for_statements(self.statements.len());
        self.coverage.statements += 1;
        let statement = &mut self.statements[plan.statement as usize];
        statement.logged_calls += 1;
        statement.role_keys.note(event.role_key);
        if event.queryid.is_some() && statement.queryid != event.queryid {
            statement.note_queryid(event.queryid);
        }
        if let Some(duration_us) = event.duration_us {
            statement.durations.record(duration_us);
        }
        let values =
            Values { text, literals: &skeleton.literals, parameters, detail: event.parameters };
        let mut all = 0u64;
        for (slot, kept) in plan.slots.iter().zip(&mut statement.slots) {
            if slot.elements > 1 {
                kept.lists += 1;
                kept.elements += u64::from(slot.elements);
            }
            let value = values.at(slot);
            let hash = value.as_ref().map_or(0, Value::hash);
            if let Some(value) = &value {
                kept.add(hash, limits.values, || value.literal());
            }
            all = all.rotate_left(7) ^ hash;
            slots.push(match value {
                _ if slot.elements > 1 => SlotHash::list(values.list_hash(slot)),
                None => SlotHash::UNKNOWN,
                Some(value) => value.slot_hash(hash),
            });
        }
        let rank = rank(event, statement.fingerprint, all);
        // Where the server was told to leave the values out, there is nothing to replay.
        let is_whole = parameters.len() >= plan.parameters as usize;
        if is_whole && text.len() <= SAMPLE_BYTES && statement.wants_sample(rank, limits) {
            let place = event.at_us.map(|at_us| (at_us, event.session as u32));
            keep_sample(statement, (rank, place), text, &values, limits);
        }
        let may_assign = statement.may_assign;
        let group =
            trace(&skeleton.comments, text).unwrap_or_else(|| transaction(event.transaction));
        self.in_order(event, plan, group, slots);
        if may_assign {
            self.assign(event, group, &values);
        }
    }

    /// Notes the values that an execution gives to settings of the application.
    fn assign(&mut self, event: &LogRecord<'_>, group: Group, values: &Values<'_>) {
        let Some(at_us) = event.at_us.filter(|at_us| self.timeline.keeps(*at_us)) else { return };
        let parameter = |number: usize| {
            let parameter = values.parameters.get(number.checked_sub(1)?)?;
            Some(String::from_utf8_lossy(&parameter.bytes(values.detail)?).into_owned())
        };
        for assignment in assignments(&String::from_utf8_lossy(values.text), &parameter) {
            let at = self.statement(event.database, &assignment.key(), 1);
            let Assignment { value, .. } = assignment;
            let limits = StatementLimits::for_statements(self.statements.len());
            let hash = xxh3_64(value.as_bytes());
            let slot = SlotHash::of_text(&value);
            self.statements[at as usize].slots[0].add(hash, limits.values, || Literal::text(value));
            let execution = execution(event, at_us, at, group);
            self.timeline.push(Execution { duration_us: 0, ..execution }, &[slot]);
        }
    }

    /// Notes the execution in order of time.
    fn in_order(
        &mut self,
        event: &LogRecord<'_>,
        plan: &LiteralMap,
        group: Group,
        slots: &[SlotHash],
    ) {
        let Some(at_us) = event.at_us else { return };
        self.window = Some(match self.window {
            Some((first, last)) => (first.min(at_us), last.max(at_us)),
            None => (at_us, at_us),
        });
        let class = self.statements[plan.statement as usize].class;
        if class == StatementClass::Utility || event.is_continued || !self.timeline.wants(at_us) {
            return;
        }
        self.timeline.push(execution(event, at_us, plan.statement, group), slots);
        if self.timeline.is_full() {
            let statements = &self.statements;
            self.timeline.prune(|query| statements[query as usize].slots.len());
        }
    }

    /// Takes a plan that was logged. The execution itself is mostly logged, too.
    pub fn planned(
        &mut self,
        explained: &LoggedPlan,
        duration_us: u64,
        (database, role_key): (Database, u32),
    ) {
        let normalized = sql::normalize::normalizer::normalize(&explained.statement);
        if normalized.text.is_empty() {
            return;
        }
        let at = self.statement(database, &normalized.text, normalized.slots.len());
        let plan = ObservedPlan { duration_us, text: explained.plan.clone() };
        let statement = &mut self.statements[at as usize];
        statement.note_plan(plan);
        statement.role_keys.note(role_key);
    }

    /// Takes the counters of one statement.
    pub fn counted(&mut self, text: &str, of: CounterKey<'_>, counted: &CountedCalls) {
        let CounterKey { queryid, database, user } = of;
        if counted.calls == 0 {
            return;
        }
        self.coverage.statements = self.coverage.statements.saturating_add(counted.calls);
        let normalized = sql::normalize::normalizer::normalize(text);
        let at = self.statement(database, &normalized.text, normalized.slots.len());
        let statement = &mut self.statements[at as usize];
        statement.note_queryid(queryid);
        statement.count(counted);
        if !user.is_empty() {
            let role_key = role_key(&[], user);
            self.users.add(role_key, user);
            statement.role_keys.note(role_key);
        }
        // Utility statements keep their constants, since the server does not replace them; and an export
        // may have been made by something else than the server.
        let known: Option<Vec<Literal>> =
            normalized.slots.iter().map(|slot| slot.value(&[])).collect();
        let limits = StatementLimits::for_statements(self.statements.len());
        let statement = &mut self.statements[at as usize];
        for (literal, values) in known.iter().flatten().zip(&mut statement.slots) {
            let hash = literal.expose().map_or(0, |value| xxh3_64(value.as_bytes()));
            values.add(hash, limits.values, || literal.clone());
        }
        let rank = xxh3_64(text.as_bytes());
        let has_literals = known.is_some_and(|known| !known.is_empty());
        if has_literals && text.len() <= SAMPLE_BYTES && statement.wants_sample(rank, limits) {
            let sample = Sample { text: text.into(), parameters: Vec::new() };
            statement.keep_sample(rank, sample, limits);
        }
    }

    fn statement(&mut self, database: Database, normalized: &str, slots: usize) -> u32 {
        let fingerprint = sql::normalize::fingerprint::fingerprint(normalized);
        if let Some(at) = self.index.get(&(fingerprint, database)) {
            return *at;
        }
        let before = self.statements.len();
        let at = self.add(Statement::new(fingerprint, database, normalized, slots));
        self.make_room(before);
        at
    }

    /// Number of a statement, which is merged with what is known of it.
    pub(super) fn add(&mut self, statement: Statement) -> u32 {
        let next = self.statements.len() as u32;
        let at = *self.index.entry((statement.fingerprint, statement.database)).or_insert(next);
        if at == next {
            self.statements.push(statement);
        } else {
            let limits = StatementLimits::for_statements(self.statements.len());
            self.statements[at as usize].merge(statement, limits);
        }
        at
    }

    /// Keeps less of each statement once there are many. `before` is how many there were.
    pub(super) fn make_room(&mut self, before: usize) {
        let limits = StatementLimits::for_statements(self.statements.len());
        if limits != StatementLimits::for_statements(before) {
            self.statements.iter_mut().for_each(|statement| statement.shrink(limits));
        }
    }

    /// The catalog that came with a capture.
    pub fn catalog(&self) -> Option<&Catalog> {
        self.catalog.as_ref().map(|captured| &captured.catalog)
    }

    /// Puts a catalog beside the workload.
    pub fn set_catalog(&mut self, catalog: Catalog) {
        let until_us = self.window.map(|(_, last)| last);
        self.catalog = Some(Captured { until_us, catalog });
    }

    /// Executions gathered so far.
    pub fn executions(&self) -> u64 {
        let calls = self.statements.iter().map(|s| s.logged_calls.max(s.counted.calls));
        calls.fold(0, u64::saturating_add)
    }

    /// Distinct statements gathered so far.
    pub fn distinct(&self) -> usize {
        self.statements.len()
    }

    /// Lines read so far.
    pub fn lines_read(&self) -> u64 {
        self.coverage.lines
    }

    /// Keeps the loose ends of a log until it is known what comes before and after it.
    pub fn leave_open(&mut self, chunk: ChunkEnds) {
        self.stretches.push(chunk);
    }
}

fn execution(event: &LogRecord<'_>, at_us: i64, query: u32, group: Group) -> Execution {
    Execution {
        at_us,
        order: event.order,
        duration_us: u32::try_from(event.duration_us.unwrap_or(0)).unwrap_or(u32::MAX),
        query,
        role_key: event.role_key,
        session: event.session as u32,
        application: event.application,
        group,
        slots_start: 0,
    }
}

/// Returns the sampling rank of an execution; those with the lowest ranks are kept for replay. It depends on
/// nothing but the execution.
fn rank(event: &LogRecord<'_>, fingerprint: Fingerprint, values: u64) -> u64 {
    let at = event.at_us.unwrap_or(0) as u64;
    let mut hash = fingerprint.0;
    for part in [at, event.session, values] {
        hash = (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    hash
}

fn keep_sample(
    statement: &mut Statement,
    (rank, place): (u64, Option<(i64, u32)>),
    text: &[u8],
    values: &Values<'_>,
    limits: StatementLimits,
) {
    let parameters: Vec<Literal> =
        values.parameters.iter().map(|parameter| parameter.literal(values.detail)).collect();
    if parameters.iter().any(is_truncated) {
        return;
    }
    let text = String::from_utf8_lossy(text);
    let text = Arc::from(text.trim_end_matches(';').trim_end());
    place.into_iter().for_each(|place| statement.note_place(rank, place));
    statement.keep_sample(rank, Sample { text, parameters }, limits);
}

/// The application's trace that a comment names (sqlcommenter, W3C trace context): its executions
/// belong together, whatever sessions they ran in.
fn trace(comments: &[LiteralSpan], text: &[u8]) -> Option<Group> {
    const KEY: &[u8] = b"traceparent='";
    const ID: usize = 32;
    comments.iter().find_map(|span| {
        let comment = span.of(text);
        let at = memchr::memmem::find(comment, KEY)? + KEY.len();
        // version-trace-span-flags
        let id = comment.get(at + 3..at + 3 + ID)?;
        id.iter().all(u8::is_ascii_hexdigit).then(|| Group::trace(xxh3_64(id)))
    })
}

fn transaction(id: &[u8]) -> Group {
    // `3/0` is a session between transactions.
    if id.is_empty() || id.ends_with(b"/0") {
        Group::UNKNOWN
    } else {
        Group::transaction(xxh3_64(id))
    }
}
