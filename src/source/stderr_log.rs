//! The server's plain log: a prefix, a severity, a message, and continuation lines.

use std::borrow::Cow;
use std::io::BufRead;

use super::assemble::{Assembler, Message};
use super::collect::Collector;
use super::prefix::{Prefix, severity_at};
use super::{Options, SourceError, next_line, time};

/// Longest record kept, bytes. Longer ones are cut: a statement of this size is no request.
const MAX_RECORD_BYTES: usize = 32 * 1024 * 1024;

/// A record while its lines come in.
#[derive(Default)]
struct Record {
    first: String,
    rest: String,
    line: u64,
}

/// # Errors
/// When the prefix is wrong or fits nothing, or the input cannot be read.
pub fn read(
    reader: &mut impl BufRead,
    head: &[u8],
    options: &Options,
    collector: &mut Collector,
) -> Result<(), SourceError> {
    let prefix = prefix(head, options)?;
    let mut assembler = Assembler::new(collector);
    let mut buffer = Vec::new();
    let mut record: Option<Record> = None;
    let (mut lines, mut orphans, mut first_orphan) = (0u64, 0u64, 0u64);
    let outcome = loop {
        match next_line(reader, &mut buffer) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
        lines += 1;
        let line = String::from_utf8_lossy(&buffer);
        if !line.starts_with('\t') && prefix.split(&line).is_some() {
            if let Some(done) = record.take() {
                hand_over(&done, &prefix, &mut assembler);
            }
            record = Some(Record { first: line.into_owned(), rest: String::new(), line: lines });
        } else if let Some(open) = &mut record {
            if open.rest.len() < MAX_RECORD_BYTES {
                open.rest.push('\n');
                open.rest.push_str(line.strip_prefix('\t').unwrap_or(&line));
            }
        } else {
            orphans += 1;
            first_orphan = if first_orphan == 0 { lines } else { first_orphan };
        }
    };
    if let Some(done) = record {
        hand_over(&done, &prefix, &mut assembler);
    }
    let collector = assembler.collector();
    collector.lines(lines);
    if orphans > 0 {
        collector
            .skip("line without the log_line_prefix", orphans, || format!("line {first_orphan}"));
    }
    assembler.finish();
    outcome
}

/// The prefix that was given, or the one that fits.
fn prefix(head: &[u8], options: &Options) -> Result<Prefix, SourceError> {
    let text = String::from_utf8_lossy(head);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('\t') && severity_at(line).is_some())
        .take(400)
        .collect();
    match &options.log_line_prefix {
        Some(source) => {
            let prefix = Prefix::compile(source).map_err(SourceError::BadPrefix)?;
            let fits = lines.iter().any(|line| prefix.split(line).is_some());
            if fits { Ok(prefix) } else { Err(SourceError::Prefix(source.clone())) }
        }
        None => Prefix::detect(&lines)
            .ok_or_else(|| SourceError::Prefix("of any known form".to_owned())),
    }
}

fn hand_over(record: &Record, prefix: &Prefix, assembler: &mut Assembler<'_>) {
    let Some((fields, severity, first)) = prefix.split(&record.first) else { return };
    let text = if record.rest.is_empty() {
        Cow::Borrowed(first)
    } else {
        Cow::Owned(format!("{first}{}", record.rest))
    };
    let session = if fields.session.is_empty() { fields.pid } else { fields.session };
    let message = Message {
        at_us: time::parse(fields.time),
        session: session.into(),
        database: fields.database.into(),
        user: fields.user.into(),
        application: fields.application.into(),
        transaction: fields.transaction.into(),
        severity: severity.into(),
        text,
        detail: Cow::Borrowed(""),
        queryid: fields.queryid.parse().ok(),
    };
    assembler.message(&message, record.line);
}
