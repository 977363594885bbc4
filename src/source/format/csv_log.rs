//! csvlog of PostgreSQL 9.0 to 18: 22 to 26 columns, the first 23 always the same.

use super::framer::{Cut, Framer, Scratch};
use crate::source::assembler::Assembler;
use crate::source::message::record::{Message, Severity};
use crate::source::prefix::timestamp::looks_like_time;

/// Columns by position, as in the manual's "Using CSV-Format Log Output".
mod column {
    pub const TIME: usize = 0;
    pub const USER: usize = 1;
    pub const DATABASE: usize = 2;
    pub const PID: usize = 3;
    pub const SESSION: usize = 5;
    pub const TRANSACTION: usize = 9;
    pub const SEVERITY: usize = 11;
    pub const MESSAGE: usize = 13;
    pub const DETAIL: usize = 14;
    pub const APPLICATION: usize = 22;
    pub const QUERYID: usize = 25;
    /// Fewest and most columns of any version.
    pub const FEWEST: usize = 22;
    pub const MOST: usize = 26;
}

/// A field, without its quotes.
#[derive(Debug, Clone, Copy, Default)]
struct Field {
    start: usize,
    end: usize,
    /// Quotes inside are doubled.
    doubled: bool,
}

impl Field {
    fn raw<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        block.get(self.start..self.end).unwrap_or(b"")
    }

    /// The text, copied into `buffer` where quotes have to be undone.
    fn text<'a>(&self, block: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let mut rest = self.raw(block);
        if !self.doubled {
            return rest;
        }
        buffer.clear();
        while let Some(quote) = memchr::memchr(b'"', rest) {
            buffer.extend_from_slice(&rest[..=quote]);
            rest = rest.get(quote + 2..).unwrap_or(b"");
        }
        buffer.extend_from_slice(rest);
        buffer
    }
}

struct Record {
    fields: [Field; column::MOST],
    count: usize,
    /// One past the line feed.
    end: usize,
}

pub struct CsvLog;

impl Cut for CsvLog {
    /// At the last line feed outside of quotes. What follows has to look like a record, too: a torn
    /// record turns inside and outside round.
    fn cut(&self, block: &[u8]) -> Option<usize> {
        let quotes = memchr::memchr_iter(b'"', block).count();
        let is_start = |at: usize| at == block.len() || begins(&block[at..]);
        let mut behind: usize = 0;
        let mut fallback = None;
        let mut end = block.len();
        while let Some(at) = memchr::memrchr2(b'"', b'\n', &block[..end]) {
            end = at;
            if block[at] == b'"' {
                behind += 1;
            } else if is_start(at + 1) && at + 1 < block.len() {
                if (quotes - behind).is_multiple_of(2) {
                    return Some(at + 1);
                }
                fallback = fallback.or(Some(at + 1));
                // Far from any cut by the rule: the quotes are not to be trusted.
                if block.len() - at > block.len() / 2 {
                    return fallback;
                }
            }
        }
        fallback
    }
}

impl Framer for CsvLog {
    fn block(&self, block: &[u8], assembler: &mut Assembler<'_>, scratch: &mut Scratch) -> u64 {
        let mut at = if block.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut counted = 0;
        let mut lines = 0;
        while at < block.len() {
            lines += memchr::memchr_iter(b'\n', &block[counted..at]).count() as u64;
            counted = at;
            let found = begins(&block[at..]).then(|| record(block, at)).flatten();
            match found.filter(|record| record.count >= column::FEWEST) {
                Some(record) => {
                    hand_over(block, &record, lines, assembler, scratch);
                    at = record.end;
                }
                None => {
                    // A rotated or cut file begins or ends inside of a record.
                    at = next_start(block, at);
                    assembler.collector().skip_at("torn record", 1, lines);
                }
            }
        }
        let last = memchr::memchr_iter(b'\n', &block[counted..]).count() as u64;
        lines + last + u64::from(!block.ends_with(b"\n") && !block.is_empty())
    }
}

/// A record begins here: a time, a zone, and a comma.
fn begins(text: &[u8]) -> bool {
    const LONGEST_ZONE: usize = 12;
    let Some(end) = looks_like_time(text) else { return false };
    text[end..].iter().take(LONGEST_ZONE).any(|byte| *byte == b',')
}

fn next_start(block: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(end) = memchr::memchr(b'\n', &block[at..]) {
        at += end + 1;
        if begins(&block[at..]) {
            return at;
        }
    }
    block.len()
}

/// The record at `at`; `None` when its quotes do not fit.
fn record(block: &[u8], at: usize) -> Option<Record> {
    let mut record = Record { fields: [Field::default(); column::MOST], count: 0, end: at };
    let mut at = at;
    loop {
        let (field, after) = field(block, at)?;
        if let Some(place) = record.fields.get_mut(record.count) {
            *place = field;
        }
        record.count += 1;
        match block.get(after) {
            Some(b',') => at = after + 1,
            Some(b'\r') if block.get(after + 1) == Some(&b'\n') => {
                record.end = after + 2;
                return Some(record);
            }
            Some(b'\n') => {
                record.end = after + 1;
                return Some(record);
            }
            None => {
                record.end = after;
                return Some(record);
            }
            Some(_) => return None,
        }
    }
}

/// The field at `at`, and where it ends.
fn field(block: &[u8], at: usize) -> Option<(Field, usize)> {
    if block.get(at) != Some(&b'"') {
        let rest = block.get(at..).unwrap_or(b"");
        // Fields without quotes are short.
        let length =
            rest.iter().position(|byte| matches!(byte, b',' | b'\n' | b'\r')).unwrap_or(rest.len());
        return Some((Field { start: at, end: at + length, doubled: false }, at + length));
    }
    let start = at + 1;
    let mut end = start;
    let mut doubled = false;
    loop {
        end += memchr::memchr(b'"', block.get(end..)?)?;
        if block.get(end + 1) != Some(&b'"') {
            return Some((Field { start, end, doubled }, end + 1));
        }
        doubled = true;
        end += 2;
    }
}

fn hand_over(
    block: &[u8],
    record: &Record,
    line: u64,
    assembler: &mut Assembler<'_>,
    scratch: &mut Scratch,
) {
    let field = |at: usize| record.fields[at];
    let severity = Severity::of(field(column::SEVERITY).raw(block));
    if severity == Severity::Other {
        return;
    }
    let session = field(column::SESSION).raw(block);
    let has_queryid = record.count > column::QUERYID;
    let queryid = has_queryid.then(|| number(field(column::QUERYID).raw(block))).flatten();
    let Scratch { clock, text, detail, .. } = scratch;
    assembler.message(&Message {
        at_us: clock.read(field(column::TIME).raw(block)),
        session: if session.is_empty() { field(column::PID).raw(block) } else { session },
        database: field(column::DATABASE).raw(block),
        user: field(column::USER).raw(block),
        application: field(column::APPLICATION).raw(block),
        transaction: field(column::TRANSACTION).raw(block),
        severity,
        text: field(column::MESSAGE).text(block, text),
        detail: field(column::DETAIL).text(block, detail),
        queryid,
        is_whole: true,
        line,
    });
}

/// A number of the server; `None` where there is none.
pub fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
