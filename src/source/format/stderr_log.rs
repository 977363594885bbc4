//! The server's plain log: a prefix, a severity, a message, and continuation lines.

use std::ops::Range;

use super::csv_log::number;
use super::framer::{Cut, Framer, Options, Scratch};
use crate::source::assembler::Assembler;
use crate::source::error::SourceError;
use crate::source::message::record::{Message, Severity};
use crate::source::prefix::log_line_prefix::Prefix;
use crate::source::prefix::severity::{Fields, severity, severity_at};
use crate::source::prefix::timestamp::looks_like_time;

/// A stderr log with its prefix.
pub struct StderrLog {
    prefix: Prefix,
}

/// The first line of a record.
struct Start<'a> {
    fields: Fields<'a>,
    severity: Severity,
    message: &'a [u8],
}

/// A whole record.
struct Record<'a> {
    start: Start<'a>,
    /// Its other lines, with the line feed before the first.
    rest: &'a [u8],
    line: u64,
}

impl StderrLog {
    /// With the prefix that was given, or the one that fits the beginning of the log.
    ///
    /// # Errors
    /// When the prefix is wrong, or none fits.
    pub fn new(head: &[u8], options: &Options) -> Result<StderrLog, SourceError> {
        let text = String::from_utf8_lossy(head);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('\t') && severity_at(line).is_some())
            .take(400)
            .collect();
        let prefix = match &options.log_line_prefix {
            Some(source) => {
                let prefix = Prefix::compile(source).map_err(SourceError::BadPrefix)?;
                let fits = lines.iter().any(|line| prefix.split(line.as_bytes()).is_some());
                if fits { Ok(prefix) } else { Err(SourceError::Prefix(source.clone())) }
            }
            None => Prefix::detect(&lines)
                .ok_or_else(|| SourceError::Prefix("of any known form".to_owned())),
        }?;
        Ok(StderrLog { prefix })
    }

    fn start<'a>(&self, line: &'a [u8]) -> Option<Start<'a>> {
        // Continuation lines begin with a tab, so that they cannot be taken for records.
        if line.first() == Some(&b'\t') {
            return None;
        }
        let (fields, word, message) = self.prefix.split(line)?;
        Some(Start { fields, severity: Severity::of(word), message })
    }

    /// As [`StderrLog::start`]; a line whose prefix is that of the record before, but for the time,
    /// need not be taken apart.
    fn start_after<'a>(
        &self,
        line: &'a [u8],
        before: &mut Option<Before<'a>>,
    ) -> Option<Start<'a>> {
        if let Some(start) = before.as_ref().and_then(|before| before.again(line)) {
            return Some(start);
        }
        let start = self.start(line)?;
        *before =
            if self.prefix.may_go_on(&start.fields) { None } else { Before::of(line, &start) };
        Some(start)
    }
}

/// The prefix of the last record.
struct Before<'b> {
    prefix: &'b [u8],
    /// The range of the time in the line.
    time: Range<usize>,
    fields: Fields<'b>,
}

impl<'b> Before<'b> {
    fn of(line: &'b [u8], start: &Start<'b>) -> Option<Before<'b>> {
        let fields = start.fields;
        if fields.time.is_empty() {
            return None;
        }
        let at = fields.time.as_ptr() as usize - line.as_ptr() as usize;
        let time = at..at + fields.time.len();
        // Without the severity, whose length varies.
        let severity = line.len() - start.message.len();
        let word = line[..severity].iter().rev().skip(3).take_while(|b| b.is_ascii_alphanumeric());
        let prefix = &line[..severity - 3 - word.count()];
        (time.end <= prefix.len()).then_some(Before { prefix, time, fields })
    }

    fn again<'a>(&self, line: &'a [u8]) -> Option<Start<'a>>
    where
        'b: 'a,
    {
        let Range { start, end } = self.time.clone();
        let same = line.get(..start)? == &self.prefix[..start]
            && line.get(end..self.prefix.len())? == &self.prefix[end..];
        let time = line.get(start..end).filter(|_| same)?;
        // The zone and the length of the fraction are those of before.
        let whole = looks_like_time(time)?;
        if time[whole..] != self.fields.time[whole..] {
            return None;
        }
        let (word, message) = severity(&line[self.prefix.len()..])?;
        Some(Start {
            fields: Fields { time, ..self.fields },
            severity: Severity::of(word),
            message,
        })
    }
}

impl Cut for StderrLog {
    /// Before the last whole line that begins a record: of a line that is cut itself, another part
    /// may look like the prefix.
    fn cut(&self, block: &[u8]) -> Option<usize> {
        let mut end = memchr::memrchr(b'\n', block)?;
        while let Some(at) = memchr::memrchr(b'\n', &block[..end]) {
            if self.start(&block[at + 1..end]).is_some() {
                return Some(at + 1);
            }
            end = at;
        }
        None
    }
}

/// End of the line that begins at `at`.
fn line_end(block: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &block[at..]).map_or(block.len(), |end| at + end)
}

/// Goes over a block line by line.
struct Reader<'b> {
    block: &'b [u8],
    log: &'b StderrLog,
    /// The range of the current line.
    at: usize,
    end: usize,
    line: u64,
    /// The record that begins with the present line.
    next: Option<Start<'b>>,
    before: Option<Before<'b>>,
    orphans: u64,
}

impl<'b> Reader<'b> {
    fn new(block: &'b [u8], log: &'b StderrLog) -> Self {
        let mut reader =
            Reader { block, log, at: 0, end: 0, line: 0, next: None, before: None, orphans: 0 };
        reader.look();
        while reader.next.is_none() && reader.at < block.len() {
            reader.orphans += 1;
            reader.step();
        }
        reader
    }

    fn look(&mut self) {
        self.end = line_end(self.block, self.at);
        let line = &self.block[self.at..self.end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.next = self.log.start_after(line, &mut self.before);
    }

    /// Goes to the next line.
    fn step(&mut self) {
        self.at = (self.end + 1).min(self.block.len());
        self.line += 1;
        self.look();
    }

    fn record(&mut self) -> Option<Record<'b>> {
        let start = self.next.take()?;
        let line = self.line;
        let first_end = self.end;
        self.step();
        while self.next.is_none() && self.at < self.block.len() {
            self.step();
        }
        // Up to the line feed before the next record.
        let end = if self.at < self.block.len() { self.at - 1 } else { self.block.len() };
        let rest = self.block.get(first_end..end).unwrap_or(b"");
        Some(Record { start, rest: rest.trim_ascii_end(), line })
    }
}

impl Framer for StderrLog {
    fn block(&self, block: &[u8], assembler: &mut Assembler<'_>, scratch: &mut Scratch) -> u64 {
        let mut reader = Reader::new(block, self);
        if reader.orphans > 0 {
            assembler.collector().skip_at("line without the log_line_prefix", reader.orphans, 0);
        }
        let mut ahead = reader.record();
        while let Some(record) = ahead {
            ahead = reader.record();
            if record.start.severity == Severity::Other {
                continue;
            }
            // The detail is a record of its own, and nearly always the next.
            let own_detail = ahead.take_if(|next| {
                next.start.severity == Severity::Detail
                    && record.start.severity == Severity::Log
                    && session(&next.start.fields) == session(&record.start.fields)
            });
            let is_whole = ahead
                .as_ref()
                .is_some_and(|next| session(&next.start.fields) == session(&record.start.fields));
            hand_over(&record, own_detail.as_ref(), is_whole, assembler, scratch);
            if own_detail.is_some() {
                ahead = reader.record();
            }
        }
        reader.line
    }
}

fn session<'a>(fields: &Fields<'a>) -> &'a [u8] {
    if fields.session.is_empty() { fields.pid } else { fields.session }
}

fn hand_over(
    record: &Record<'_>,
    detail: Option<&Record<'_>>,
    is_whole: bool,
    assembler: &mut Assembler<'_>,
    scratch: &mut Scratch,
) {
    let fields = &record.start.fields;
    let Scratch { clock, text, detail: buffer, .. } = scratch;
    assembler.message(&Message {
        at_us: clock.read(fields.time),
        session: session(fields),
        database: fields.database,
        user: fields.user,
        application: fields.application,
        transaction: fields.transaction,
        severity: record.start.severity,
        text: whole(record, text),
        detail: detail.map_or(b"", |detail| whole(detail, buffer)),
        queryid: number(fields.queryid),
        is_whole,
        line: record.line,
    });
}

/// The message over all its lines, without the tabs that mark continuation lines.
fn whole<'a>(record: &Record<'a>, buffer: &'a mut Vec<u8>) -> &'a [u8] {
    if record.rest.is_empty() {
        return record.start.message;
    }
    buffer.clear();
    buffer.extend_from_slice(record.start.message);
    let mut rest = record.rest;
    while let Some(line) = rest.strip_prefix(b"\n") {
        let end = memchr::memchr(b'\n', line).unwrap_or(line.len());
        let text = &line[..end];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        buffer.push(b'\n');
        buffer.extend_from_slice(text.strip_prefix(b"\t").unwrap_or(text));
        rest = &line[end..];
    }
    buffer
}
