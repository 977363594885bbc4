//! Joins the messages of a server log to executions: each once, with its text, time and parameters.
//!
//! The extended protocol logs one execution as up to three messages (parse, bind, execute), and
//! `log_statement` with `log_duration` logs text and time apart. Both are joined here, by session.

use xxhash_rust::xxh3::xxh3_64;

use super::collect::collector::Collector;
use super::collect::open_ends::{ChunkEnds, LooseEnd, PendingExecution};
use super::collect::roles;
use super::message::auto_explain;
use super::message::database::Database;
use super::message::execute::is_execute;
use super::message::log_text::{LogText, LoggedExecution, log_text};
use super::message::record::{LogRecord, Message, Severity};

/// Joins the messages of one piece of a log to events and hands them to a collector.
pub struct Assembler<'c> {
    collector: &'c mut Collector,
    chunk: ChunkEnds,
    /// Number of the piece, in the upper bits of the order of its events.
    piece: u64,
    events: u64,
    /// Hash and role key of the session of the last message.
    last: Option<(Box<[u8]>, u64)>,
    last_role: RoleKeyCache,
}

/// The role key of the last message: most messages come in runs.
#[derive(Default)]
struct RoleKeyCache {
    database: Vec<u8>,
    user: Vec<u8>,
    application: Vec<u8>,
    hash: u32,
    application_key: u32,
    of: Database,
}

/// Bits of an event's order that count within one piece.
const PIECE_BITS: u32 = 28;

impl<'c> Assembler<'c> {
    pub fn new(collector: &'c mut Collector, piece: u64) -> Self {
        Assembler {
            collector,
            chunk: ChunkEnds::default(),
            piece,
            events: 0,
            last: None,
            last_role: RoleKeyCache::default(),
        }
    }

    pub fn collector(&mut self) -> &mut Collector {
        self.collector
    }

    /// Executions that the piece leaves open.
    pub fn finish(self) -> ChunkEnds {
        self.chunk
    }

    pub fn message(&mut self, message: &Message<'_>) {
        // Our own sessions are no part of anybody's workload.
        if message.application.starts_with(b"pgassay/") {
            return;
        }
        match message.severity {
            Severity::Log => self.log(message),
            Severity::Detail => {
                self.chunk.note(message.at_us, 0);
                let session = self.session(message.session);
                self.take(session, LooseEnd::Detail(message.text.into()));
            }
            Severity::Error => {
                self.chunk.note(message.at_us, 0);
                let session = self.session(message.session);
                if !self.chunk.settled.contains(&session) {
                    self.take(session, LooseEnd::Failed);
                }
            }
            Severity::Other => {}
        }
    }

    fn log(&mut self, message: &Message<'_>) {
        let log_text = log_text(without_sqlstate(message.text));
        self.chunk.note(message.at_us, log_text.duration_us());
        self.chunk.has_parts |= matches!(log_text, LogText::Prepared { .. } | LogText::Took { .. });
        match log_text {
            LogText::LoggedExecution(executed) => self.executed(message, &executed),
            LogText::Prepared { duration_us } => {
                let session = self.session(message.session);
                self.take(session, LooseEnd::Prepared(duration_us));
            }
            LogText::Took { duration_us } => {
                let session = self.session(message.session);
                let took = LooseEnd::Took { duration_us, at_us: message.at_us };
                self.take(session, took);
            }
            LogText::Plan { duration_us, text } => match auto_explain::read(text) {
                Some(explained) => {
                    let RoleKeyCache { of, hash, .. } = *self.role_key(message);
                    self.collector.planned(&explained, duration_us, (of, hash));
                }
                None => self.collector.skip_at(
                    "auto_explain plan in a format other than text and json",
                    1,
                    message.line,
                ),
            },
            LogText::Audit => self.collector.skip_at("pgaudit record", 1, message.line),
            LogText::Other => {}
        }
    }

    fn executed(&mut self, message: &Message<'_>, executed: &LoggedExecution<'_>) {
        let session = self.session(message.session);
        let RoleKeyCache { hash: role_key, of: database, application_key: application, .. } =
            *self.role_key(message);
        let event = LogRecord {
            at_us: message.at_us,
            session,
            role_key,
            database,
            application,
            transaction: message.transaction,
            text: executed.text,
            parameters: message.detail,
            duration_us: executed.duration_us,
            // Zero is the server's "not computed".
            queryid: message.queryid.filter(|id| *id != 0),
            is_continued: executed.is_continued,
            order: self.collector.order_of((self.piece << PIECE_BITS) | self.events),
        };
        self.events += 1;
        // Nearly every execution is whole, and is counted without being copied.
        let has_detail = executed.is_extended || is_execute(executed.text);
        let complete = executed.duration_us.is_some()
            && (message.is_whole || !message.detail.is_empty() || !has_detail);
        let collector = &mut *self.collector;
        let mut count = |event: &LogRecord<'_>| collector.event(event);
        if complete && self.chunk.passes(session, executed.is_extended, &mut count, &event) {
            return;
        }
        let waiting = PendingExecution::of(&event, executed.is_extended, complete);
        self.take(session, LooseEnd::Executed(Box::new(waiting)));
    }

    fn take(&mut self, session: u64, item: LooseEnd) {
        let Assembler { chunk, collector, .. } = self;
        chunk.take(session, item, &mut |event| collector.event(event));
    }

    fn session(&mut self, name: &[u8]) -> u64 {
        match &self.last {
            Some((known, hash)) if **known == *name => *hash,
            _ => {
                let hash = xxh3_64(name);
                self.last = Some((name.into(), hash));
                hash
            }
        }
    }

    fn role_key(&mut self, message: &Message<'_>) -> &RoleKeyCache {
        let role_key = &mut self.last_role;
        if role_key.application != message.application {
            role_key.application = message.application.to_vec();
            role_key.application_key = self.collector.applications.add(message.application);
        }
        if role_key.database != message.database || role_key.user != message.user {
            role_key.database = message.database.to_vec();
            role_key.user = message.user.to_vec();
            role_key.hash = roles::role_key(&role_key.database, &role_key.user);
            role_key.of = self.collector.databases.add(message.database);
            self.collector.users.add(role_key.hash, message.user);
        }
        role_key
    }
}

/// The text without the SQLSTATE that `log_error_verbosity = verbose` puts before it.
fn without_sqlstate(text: &[u8]) -> &[u8] {
    match text {
        [_, _, _, _, _, b':', b' ', rest @ ..]
            if text[..5].iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) =>
        {
            rest
        }
        _ => text,
    }
}
