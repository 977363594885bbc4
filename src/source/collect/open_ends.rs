//! Session state across block boundaries: executions whose parameters or time are in other records.
//!
//! A log is read in pieces, several at a time, so a piece may begin in the middle of an execution.
//! What depends on what came before is kept loose, and settled when the pieces are joined in order.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

use serde::{Deserialize, Serialize};

use crate::source::message::database::Database;
use crate::source::message::record::LogRecord;

/// An execution that has to wait, with what it borrowed copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingExecution {
    at_us: Option<i64>,
    session: u64,
    #[serde(rename = "lane")]
    role_key: u32,
    #[serde(default)]
    database: Database,
    #[serde(default)]
    application: u32,
    transaction: Box<[u8]>,
    text: Box<[u8]>,
    parameters: Box<[u8]>,
    duration_us: Option<u64>,
    queryid: Option<i64>,
    is_extended: bool,
    is_continued: bool,
    /// Neither parameters nor time can follow.
    is_complete: bool,
    /// Parse and bind, where the time of the execution itself is still to come.
    begun_us: u64,
    order: u64,
}

/// A message that has to wait until it is known what came before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum LooseEnd {
    Executed(Box<PendingExecution>),
    Prepared(u64),
    Took { duration_us: u64, at_us: Option<i64> },
    Detail(Box<[u8]>),
    Failed,
}

/// The executions that a session has not finished.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// An execution whose parameters or time may still follow.
    pending: Option<Box<PendingExecution>>,
    /// Parse and bind of the execution to come.
    prepared_us: u64,
}

/// The state of a session from some place in the log on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Session {
    /// Messages whose meaning depends on messages of the previous chunk.
    head: Vec<LooseEnd>,
    /// `None` as long as the previous chunk still matters.
    state: Option<State>,
}

/// When a chunk was written, microseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ChunkSpan {
    /// First and last record.
    first_us: i64,
    last_us: i64,
    /// Earliest start of what its records tell of.
    start_us: i64,
}

impl ChunkSpan {
    fn and(self, other: ChunkSpan) -> ChunkSpan {
        ChunkSpan {
            first_us: self.first_us.min(other.first_us),
            last_us: self.last_us.max(other.last_us),
            start_us: self.start_us.min(other.start_us),
        }
    }
}

/// The loose ends of a chunk of a log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ChunkEnds {
    span: Option<ChunkSpan>,
    /// Parse and bind, or times, stood apart from their executions.
    pub(crate) has_parts: bool,
    /// Sessions whose past no longer matters and that have nothing under way.
    pub(crate) settled: BTreeSet<u64>,
    open: BTreeMap<u64, Session>,
}

/// Time between records of one log that follow at once, microseconds.
const NEXT_US: i64 = 5_000;

impl ChunkEnds {
    pub(crate) fn note(&mut self, at_us: Option<i64>, duration_us: u64) {
        let Some(at_us) = at_us else { return };
        let start_us = at_us - i64::try_from(duration_us).unwrap_or(0);
        let span = ChunkSpan { first_us: at_us, last_us: at_us, start_us };
        self.span = Some(self.span.map_or(span, |known| known.and(span)));
    }

    /// Time of the first and of the last record: chunks are ordered by it.
    pub fn order(&self) -> Option<(i64, i64)> {
        self.span.map(|span| (span.first_us, span.last_us))
    }

    /// Tells whether `next` directly follows this chunk, as far as can be told: it begins at once, or it completes
    /// what this one has under way. Otherwise another chunk may lie between the two.
    pub fn is_next(&self, next: &ChunkEnds) -> bool {
        let at_once = match (self.span, next.span) {
            (Some(ours), Some(theirs)) => theirs.start_us <= ours.last_us + NEXT_US,
            _ => true,
        };
        // Without parse and bind in the log, an execution lacks nothing.
        let is_whole = !self.has_parts && !next.has_parts;
        at_once || is_whole || self.fits(next)
    }

    fn fits(&self, next: &ChunkEnds) -> bool {
        let nothing = State::default();
        let ends = self.open.iter().all(|(id, session)| {
            let is_neutral = session.state.as_ref().is_none_or(|state| *state == nothing);
            is_neutral || next.open.get(id).is_some_and(|after| !after.head.is_empty())
        });
        let begins =
            next.open.iter().filter(|(_, after)| !after.head.is_empty()).all(|(id, after)| {
                let before = match self.open.get(id) {
                    Some(Session { state: Some(state), .. }) => state,
                    // What came before is not settled itself, or the session is new.
                    Some(Session { state: None, .. }) => return true,
                    None => &nothing,
                };
                match after.head.first() {
                    Some(LooseEnd::Executed(_)) => before.prepared_us > 0,
                    Some(LooseEnd::Took { .. } | LooseEnd::Detail(_)) => before.pending.is_some(),
                    _ => true,
                }
            });
        ends && begins
    }

    /// Counts a complete execution at once if nothing that came before can change it.
    pub(crate) fn passes(
        &mut self,
        session: u64,
        is_extended: bool,
        count: &mut impl FnMut(&LogRecord<'_>),
        event: &LogRecord<'_>,
    ) -> bool {
        if self.settled.contains(&session) {
            count(event);
            return true;
        }
        match self.open.get_mut(&session) {
            // A statement of the simple protocol has no parse or bind that could have come before.
            None if !is_extended => {}
            None => return false,
            Some(Session { state: Some(state), head }) => {
                flush(state.pending.take(), count);
                let prepared_us = if is_extended { state.prepared_us } else { 0 };
                state.prepared_us = 0;
                let settles = head.is_empty();
                let duration_us = event.duration_us.map(|own| own.saturating_add(prepared_us));
                count(&LogRecord { duration_us, ..*event });
                if settles {
                    self.open.remove(&session);
                    self.settled.insert(session);
                }
                return true;
            }
            Some(open) if !is_extended => {
                open.state = Some(State::default());
                count(event);
                return true;
            }
            Some(_) => return false,
        }
        count(event);
        self.settled.insert(session);
        true
    }

    /// Takes one message, or keeps it loose.
    pub(crate) fn take(
        &mut self,
        session: u64,
        item: LooseEnd,
        count: &mut impl FnMut(&LogRecord<'_>),
    ) {
        if self.settled.contains(&session) {
            // Nothing is under way that these could belong to.
            if matches!(item, LooseEnd::Detail(_) | LooseEnd::Failed) {
                return;
            }
            self.settled.remove(&session);
            self.open.insert(session, Session::settled());
        }
        let open = self.open.entry(session).or_default();
        if open.state.is_none() && open.settles(&item) {
            open.state = Some(State { pending: None, prepared_us: open.begun_us() });
        }
        match &mut open.state {
            Some(state) => state.take(item, count),
            None => open.head.push(item),
        }
    }

    /// Joins the stretch that follows in the log.
    pub fn join(&mut self, next: ChunkEnds, count: &mut impl FnMut(&LogRecord<'_>)) {
        self.span = match (self.span, next.span) {
            (Some(ours), Some(theirs)) => Some(ours.and(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.has_parts |= next.has_parts;
        for session in next.settled {
            if let Some(before) = self.open.remove(&session) {
                self.settle(session, before, count);
            } else {
                self.settled.insert(session);
            }
        }
        for (session, after) in next.open {
            for item in after.head {
                self.take(session, item, count);
            }
            let Some(later) = after.state else { continue };
            self.settled.remove(&session);
            let open = self.open.entry(session).or_default();
            flush(open.state.take().and_then(|state| state.pending), count);
            open.state = Some(later);
        }
    }

    /// The past of the session no longer matters and nothing of it is under way.
    fn settle(&mut self, session: u64, before: Session, count: &mut impl FnMut(&LogRecord<'_>)) {
        if let Some(state) = before.state {
            flush(state.pending, count);
        }
        if before.head.is_empty() {
            self.settled.insert(session);
        } else {
            self.open.insert(session, Session { head: before.head, state: Some(State::default()) });
        }
    }

    /// Time and place of the executions that are still loose.
    pub fn loose_orders(&mut self) -> impl Iterator<Item = (Option<i64>, &mut u64)> {
        self.open.values_mut().flat_map(Session::waiting).map(|w| (w.at_us, &mut w.order))
    }

    /// Forgets the sessions of other databases, and counts their executions that are still loose.
    pub fn keep_databases(&mut self, is_kept: impl Fn(Database) -> bool) -> u64 {
        let mut gone = 0;
        self.open.retain(|_, session| {
            // A session never changes its database.
            let of: Vec<Database> = session.waiting().map(|waiting| waiting.database).collect();
            let stays = of.iter().all(|database| is_kept(*database));
            gone += if stays { 0 } else { of.len() as u64 };
            stays
        });
        gone
    }

    /// Sessions with nothing under way need not be remembered one by one.
    pub fn tidy(&mut self) {
        let done: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, session)| **session == Session::settled())
            .map(|(id, _)| *id)
            .collect();
        for id in done {
            self.open.remove(&id);
            self.settled.insert(id);
        }
    }

    /// Counts what is still loose: nothing came before, and nothing more will come.
    pub fn close(self, count: &mut impl FnMut(&LogRecord<'_>)) {
        for session in self.open.into_values() {
            let mut first = State::default();
            session.head.into_iter().for_each(|item| first.take(item, count));
            flush(first.pending, count);
            flush(session.state.and_then(|state| state.pending), count);
        }
    }
}

impl Session {
    fn waiting(&mut self) -> impl Iterator<Item = &mut PendingExecution> {
        let head = self.head.iter_mut().filter_map(|item| match item {
            LooseEnd::Executed(waiting) => Some(waiting.as_mut()),
            _ => None,
        });
        head.chain(self.state.iter_mut().filter_map(|state| state.pending.as_deref_mut()))
    }

    /// Nothing is under way, and the past does not matter.
    fn settled() -> Session {
        Session { head: Vec::new(), state: Some(State::default()) }
    }

    /// Takes out of the head what belongs to an execution after those in it, microseconds.
    fn begun_us(&mut self) -> u64 {
        let Some(last) = self.head.iter().rposition(|item| matches!(item, LooseEnd::Executed(_)))
        else {
            return 0;
        };
        let lacks_time = |item: &LooseEnd| matches!(item, LooseEnd::Executed(waiting) if waiting.duration_us.is_none());
        let mut lacks_time = lacks_time(&self.head[last]);
        let mut begun_us = 0;
        for item in self.head.split_off(last + 1) {
            match item {
                LooseEnd::Took { .. } if lacks_time => {
                    lacks_time = false;
                    self.head.push(item);
                }
                LooseEnd::Prepared(duration_us) | LooseEnd::Took { duration_us, .. } => {
                    begun_us = u64::saturating_add(begun_us, duration_us);
                }
                item => self.head.push(item),
            }
        }
        begun_us
    }

    /// From this message on the past no longer matters.
    fn settles(&self, item: &LooseEnd) -> bool {
        match item {
            LooseEnd::Failed => true,
            // Parse and bind before belong to the execution that is already loose.
            LooseEnd::Executed(waiting) => {
                !waiting.is_extended
                    || self.head.iter().any(|item| matches!(item, LooseEnd::Executed(_)))
            }
            _ => false,
        }
    }
}

impl State {
    fn take(&mut self, item: LooseEnd, count: &mut impl FnMut(&LogRecord<'_>)) {
        match item {
            LooseEnd::Executed(mut waiting) => {
                flush(self.pending.take(), count);
                let prepared_us = take(&mut self.prepared_us);
                match &mut waiting.duration_us {
                    Some(own) if waiting.is_extended => {
                        *own = own.saturating_add(prepared_us);
                    }
                    Some(_) => {}
                    // Its time is still to come, and these are part of it.
                    None if waiting.is_extended => waiting.begun_us = prepared_us,
                    // The simple protocol has no parse or bind.
                    None => {}
                }
                if waiting.is_complete {
                    flush(Some(waiting), count);
                } else {
                    self.pending = Some(waiting);
                }
            }
            LooseEnd::Prepared(duration_us) => {
                self.prepared_us = self.prepared_us.saturating_add(duration_us)
            }
            LooseEnd::Took { duration_us, at_us } => match self.pending.take() {
                Some(mut pending) if pending.duration_us.is_none() => {
                    pending.duration_us = Some(duration_us.saturating_add(pending.begun_us));
                    pending.at_us = at_us.or(pending.at_us);
                    flush(Some(pending), count);
                }
                pending => {
                    flush(pending, count);
                    self.prepared_us = self.prepared_us.saturating_add(duration_us);
                }
            },
            LooseEnd::Detail(text) => {
                if let Some(pending) = &mut self.pending
                    && pending.parameters.is_empty()
                {
                    pending.parameters = text;
                    // With its time and its parameters it is whole, as if they had come in one piece.
                    if pending.duration_us.is_some() {
                        flush(self.pending.take(), count);
                    }
                }
            }
            // What was announced without a time has failed; it was executed all the same.
            LooseEnd::Failed => {
                flush(self.pending.take(), count);
                self.prepared_us = 0;
            }
        }
    }
}

impl PendingExecution {
    pub(crate) fn of(
        event: &LogRecord<'_>,
        is_extended: bool,
        is_complete: bool,
    ) -> PendingExecution {
        PendingExecution {
            at_us: event.at_us,
            session: event.session,
            role_key: event.role_key,
            database: event.database,
            application: event.application,
            transaction: event.transaction.into(),
            text: event.text.into(),
            parameters: event.parameters.into(),
            duration_us: event.duration_us,
            queryid: event.queryid,
            is_extended,
            is_continued: event.is_continued,
            is_complete,
            begun_us: 0,
            order: event.order,
        }
    }
}

fn flush(waiting: Option<Box<PendingExecution>>, count: &mut impl FnMut(&LogRecord<'_>)) {
    if let Some(waiting) = waiting {
        count(&LogRecord {
            at_us: waiting.at_us,
            session: waiting.session,
            role_key: waiting.role_key,
            database: waiting.database,
            application: waiting.application,
            transaction: &waiting.transaction,
            text: &waiting.text,
            parameters: &waiting.parameters,
            duration_us: waiting.duration_us,
            queryid: waiting.queryid,
            is_continued: waiting.is_continued,
            order: waiting.order,
        });
    }
}
