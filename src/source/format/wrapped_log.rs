//! Logs wrapped by syslog, journald, container runtimes, clouds or log drains.
//!
//! Pieces of several messages come mixed, and a message may go on after those of others, so such a
//! log is read by one thread that remembers what is under way.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::csv_log::number;
use super::framer::{Cut, Framer, Options, Scratch};
use super::json_record::{RecordFields, objects, records};
use super::lines::{Lines, last_line};
use super::syslog::without_number;
use super::{json_record, syslog};
use crate::source::assembler::Assembler;
use crate::source::error::SourceError;
use crate::source::message::record::{Message, Severity};
use crate::source::prefix::log_line_prefix::Prefix;
use crate::source::prefix::severity::severity_in;
use crate::source::prefix::timestamp::looks_like_time;

/// Messages under way at the same time; beyond that the oldest is taken for complete.
const MOST_OPEN: usize = 4_096;
/// Lines looked at to find the prefix.
const LOOKED_AT: usize = 400;

/// The wrapping of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    Syslog,
    Json,
}

/// A log and its prefix, with what is under way.
pub struct WrappedLog {
    wrapping: Wrapping,
    prefix: Prefix,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// By who writes them.
    messages: BTreeMap<Vec<u8>, Text>,
    /// Who wrote last: a line that says nothing of that goes on his message.
    last: Vec<u8>,
    begun: u64,
    found: RecordFields,
}

/// A message as far as it has come.
struct Text {
    bytes: Vec<u8>,
    /// Time and process of the wrapping.
    time: Vec<u8>,
    source: Vec<u8>,
    line: u64,
    number: u64,
}

impl WrappedLog {
    /// # Errors
    /// When no prefix fits what is inside.
    pub fn new(
        wrapping: Wrapping,
        head: &[u8],
        options: &Options,
    ) -> Result<WrappedLog, SourceError> {
        let mut payloads: Vec<String> = Vec::new();
        for_each_payload(wrapping, head, &mut RecordFields::default(), &mut |payload| {
            if let Payload::Text { text, .. } = payload
                && payloads.len() < LOOKED_AT
                && severity_in(text).is_some()
            {
                payloads.push(String::from_utf8_lossy(text).into_owned());
            }
        });
        let first: Vec<&str> =
            payloads.iter().map(|text| text.lines().next().unwrap_or("")).collect();
        let prefix = match &options.log_line_prefix {
            Some(source) => Prefix::compile(source).map_err(SourceError::BadPrefix)?,
            None => match Prefix::detect(&first) {
                Some(prefix) => prefix,
                // Records in parts of their own have no prefix.
                None => Prefix::compile("").map_err(SourceError::BadPrefix)?,
            },
        };
        Ok(WrappedLog { wrapping, prefix, open: Mutex::default() })
    }

    /// A line inside of the wrapping: it begins a message, or goes on one.
    fn text(
        &self,
        open: &mut Open,
        piece: &Piece<'_>,
        assembler: &mut Assembler<'_>,
        scratch: &mut Scratch,
    ) {
        for (at, text) in piece.text.split(|byte| *byte == b'\n').enumerate() {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let begins = !text.starts_with(b"\t") && self.prefix.split(text).is_some();
            if begins {
                if let Some(done) = open.messages.remove(piece.source) {
                    self.hand_over(&done, assembler, scratch);
                }
                if open.messages.len() >= MOST_OPEN {
                    self.close_oldest(open, assembler, scratch);
                }
                open.begun += 1;
                let message = Text {
                    bytes: text.to_vec(),
                    time: piece.time.to_vec(),
                    source: piece.source.to_vec(),
                    line: piece.line,
                    number: open.begun,
                };
                open.messages.insert(piece.source.to_vec(), message);
            } else if let Some(message) = open.messages.get_mut(piece.source) {
                // A numbered piece that does not begin with the tab of a new line goes on the line.
                let is_new_line = at > 0 || !piece.goes_on || text.starts_with(b"\t");
                if is_new_line {
                    message.bytes.push(b'\n');
                }
                message.bytes.extend_from_slice(text.strip_prefix(b"\t").unwrap_or(text));
            } else {
                assembler.collector().skip_at("line without the log_line_prefix", 1, piece.line);
            }
        }
        open.last = piece.source.to_vec();
    }

    fn close_oldest(&self, open: &mut Open, assembler: &mut Assembler<'_>, scratch: &mut Scratch) {
        let oldest = open.messages.iter().min_by_key(|(_, message)| message.number);
        let Some(key) = oldest.map(|(key, _)| key.clone()) else { return };
        if let Some(done) = open.messages.remove(&key) {
            self.hand_over(&done, assembler, scratch);
        }
    }

    fn hand_over(&self, text: &Text, assembler: &mut Assembler<'_>, scratch: &mut Scratch) {
        let first = text.bytes.split(|byte| *byte == b'\n').next().unwrap_or(b"");
        let Some((fields, word, message)) = self.prefix.split(first) else { return };
        let start = first.len() - message.len();
        let session = match (fields.session, fields.pid) {
            (b"", b"") => &text.source,
            (b"", pid) => pid,
            (session, _) => session,
        };
        let time = if fields.time.is_empty() { &text.time } else { fields.time };
        assembler.message(&Message {
            at_us: scratch.clock.read(time),
            session,
            database: fields.database,
            user: fields.user,
            application: fields.application,
            transaction: fields.transaction,
            severity: Severity::of(word),
            text: without_source(&text.bytes[start..]),
            detail: b"",
            queryid: number(fields.queryid),
            is_whole: false,
            line: text.line,
        });
    }
}

/// AlloyDB puts the place in the server's source before the message: `[postgres.c:1372]  duration…`.
fn without_source(text: &[u8]) -> &[u8] {
    let Some(inner) = text.strip_prefix(b"[") else { return text };
    let Some(close) = memchr::memchr(b']', &inner[..inner.len().min(80)]) else { return text };
    let place = &inner[..close];
    let colon = memchr::memrchr(b':', place);
    let is_place = colon.is_some_and(|at| {
        at > 0 && at + 1 < place.len() && place[at + 1..].iter().all(u8::is_ascii_digit)
    });
    if is_place { inner[close + 1..].trim_ascii_start() } else { text }
}

/// A line of the wrapping, without it.
struct Piece<'a> {
    time: &'a [u8],
    source: &'a [u8],
    text: &'a [u8],
    goes_on: bool,
    line: u64,
}

enum Payload<'a> {
    Text {
        text: &'a [u8],
        time: &'a [u8],
        source: Option<&'a [u8]>,
        goes_on: bool,
        line: u64,
    },
    /// A record whose parts stand apart.
    Record {
        found: &'a RecordFields,
        line: u64,
    },
    Strange {
        line: u64,
    },
}

/// Takes the wrapping off a block; returns its lines.
fn for_each_payload(
    wrapping: Wrapping,
    block: &[u8],
    found: &mut RecordFields,
    take: &mut dyn FnMut(Payload<'_>),
) -> u64 {
    match wrapping {
        Wrapping::Syslog => {
            let mut buffer = Vec::new();
            let mut line = 0;
            for raw in Lines::of(block) {
                match syslog::unwrap(raw) {
                    Some(outer) => {
                        syslog::unescape(outer.payload, &mut buffer);
                        let (text, goes_on) = without_number(&buffer);
                        let source = Some(outer.source);
                        take(Payload::Text { text, time: outer.time, source, goes_on, line });
                    }
                    None => take(Payload::Text {
                        text: raw,
                        time: b"",
                        source: None,
                        goes_on: false,
                        line,
                    }),
                }
                line += 1;
            }
            line
        }
        Wrapping::Json => {
            let mut line = 0;
            let mut counted = 0;
            for object in objects(block) {
                let start = object.as_ptr() as usize - block.as_ptr() as usize;
                line += memchr::memchr_iter(b'\n', &block[counted..start]).count() as u64;
                counted = start;
                for record in records(object) {
                    json(record, line, found, take);
                }
            }
            line + memchr::memchr_iter(b'\n', &block[counted..]).count() as u64
        }
    }
}

fn json(object: &[u8], line: u64, found: &mut RecordFields, take: &mut dyn FnMut(Payload<'_>)) {
    if !found.read(object) {
        return take(Payload::Strange { line });
    }
    let text = found.get(json_record::TEXT);
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.first() == Some(&b'{') {
        // A jsonlog inside of a container's log.
        let inner = text.to_vec();
        return json(&inner, line, found, take);
    }
    // Some providers give the parts, and the line with its prefix all the same.
    let has_prefix = looks_like_time(text).is_some() && severity_in(text).is_some();
    if !found.get(json_record::SEVERITY).is_empty() && !has_prefix {
        return take(Payload::Record { found, line });
    }
    let (text, goes_on) = without_number(text);
    let pid = found.get(json_record::PID);
    let time = found.get(json_record::TIME);
    take(Payload::Text { text, time, source: Some(pid), goes_on, line });
}

impl Cut for WrappedLog {
    fn cut(&self, block: &[u8]) -> Option<usize> {
        match self.wrapping {
            Wrapping::Syslog => last_line(block),
            // Objects may be printed over many lines.
            Wrapping::Json => {
                let last = objects(block).last()?;
                let end = last.as_ptr() as usize - block.as_ptr() as usize + last.len();
                Some(end)
            }
        }
    }
}

impl Framer for WrappedLog {
    fn is_sequential(&self) -> bool {
        true
    }

    fn block(&self, block: &[u8], assembler: &mut Assembler<'_>, scratch: &mut Scratch) -> u64 {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut found = std::mem::take(&mut open.found);
        let lines =
            for_each_payload(self.wrapping, block, &mut found, &mut |payload| match payload {
                Payload::Text { text, time, source, goes_on, line } => {
                    let last = open.last.clone();
                    let source = source.unwrap_or(&last);
                    let piece = Piece { time, source, text, goes_on, line };
                    self.text(&mut open, &piece, assembler, scratch);
                }
                Payload::Record { found, line } => record(found, line, assembler, scratch),
                Payload::Strange { line } => {
                    assembler.collector().skip_at("object that breaks off", 1, line);
                }
            });
        open.found = found;
        lines
    }

    fn finish(&self, assembler: &mut Assembler<'_>, scratch: &mut Scratch) {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut rest: Vec<Text> = std::mem::take(&mut open.messages).into_values().collect();
        rest.sort_by_key(|message| message.number);
        rest.iter().for_each(|message| self.hand_over(message, assembler, scratch));
    }
}

/// A record whose parts stand apart.
fn record(found: &RecordFields, line: u64, assembler: &mut Assembler<'_>, scratch: &mut Scratch) {
    let get = |name: usize| found.get(name);
    let session = get(json_record::SESSION);
    assembler.message(&Message {
        at_us: time(get(json_record::TIME), scratch),
        session: if session.is_empty() { get(json_record::PID) } else { session },
        database: get(json_record::DATABASE),
        user: get(json_record::USER),
        application: get(json_record::APPLICATION),
        transaction: get(json_record::TRANSACTION),
        severity: Severity::of(get(json_record::SEVERITY)),
        text: without_source(get(json_record::TEXT)),
        detail: get(json_record::DETAIL),
        queryid: number(get(json_record::QUERYID)),
        is_whole: true,
        line,
    });
}

/// A time, or an epoch in micro- or milliseconds.
fn time(text: &[u8], scratch: &mut Scratch) -> Option<i64> {
    match number(text) {
        Some(us) if us > 100_000_000_000_000 => Some(us),
        Some(ms) if ms > 100_000_000_000 => ms.checked_mul(1_000),
        _ => scratch.clock.read(text),
    }
}
