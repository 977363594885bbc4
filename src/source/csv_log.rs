//! csvlog of PostgreSQL 9.0 to 18: 22 to 26 columns, the first 23 always the same.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Read};

use super::assemble::{Assembler, Message};
use super::collect::Collector;
use super::time::{self, looks_like_time};
use super::{SourceError, next_line};

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
    /// Fewest columns of any version.
    pub const FEWEST: usize = 22;
}

/// # Errors
/// When the input cannot be read.
pub fn read(reader: &mut impl BufRead, collector: &mut Collector) -> Result<(), SourceError> {
    let (torn, first) = skip_torn_start(reader)?;
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(Cursor::new(first).chain(reader));
    let mut assembler = Assembler::new(collector);
    if torn > 0 {
        assembler.collector().skip("torn record", 1, || "line 1".to_owned());
    }
    let mut record = csv::ByteRecord::new();
    let mut count = torn;
    let outcome = loop {
        match csv.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => match error.into_kind() {
                csv::ErrorKind::Io(error) => break Err(error.into()),
                _ => continue,
            },
        }
        count += 1;
        let line = torn + record.position().map_or(count, csv::Position::line);
        match message(&record) {
            Some(message) => assembler.message(&message, line),
            None => assembler.collector().skip("torn record", 1, || format!("line {line}")),
        }
    };
    assembler.collector().lines(count);
    assembler.finish();
    outcome
}

/// A rotated or cut file may begin inside a quoted field, which would turn all quotes round: starts
/// at the first line that begins with a time. Returns the lines left out and the first line kept.
fn skip_torn_start(reader: &mut impl BufRead) -> Result<(u64, Vec<u8>), SourceError> {
    let mut buffer = Vec::new();
    let mut skipped = 0;
    while next_line(reader, &mut buffer)? {
        let line = String::from_utf8_lossy(&buffer);
        if looks_like_time(line.trim_start_matches('\u{feff}')).is_some() {
            buffer.push(b'\n');
            return Ok((skipped, buffer));
        }
        skipped += 1;
    }
    Ok((skipped, Vec::new()))
}

/// The message of a record; `None` when it is no whole record.
fn message(record: &csv::ByteRecord) -> Option<Message<'_>> {
    if record.len() < column::FEWEST {
        return None;
    }
    let text = |at: usize| -> Cow<'_, str> {
        record.get(at).map_or(Cow::Borrowed(""), String::from_utf8_lossy)
    };
    let at_us = time::parse(&text(column::TIME))?;
    let session = text(column::SESSION);
    Some(Message {
        at_us: Some(at_us),
        session: if session.is_empty() { text(column::PID) } else { session },
        database: text(column::DATABASE),
        user: text(column::USER),
        application: text(column::APPLICATION),
        transaction: text(column::TRANSACTION),
        severity: text(column::SEVERITY),
        text: text(column::MESSAGE),
        detail: text(column::DETAIL),
        queryid: text(column::QUERYID).parse().ok(),
    })
}
