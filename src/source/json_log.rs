//! jsonlog of PostgreSQL 15 and later: one object a line, absent keys where there is nothing.

use std::borrow::Cow;
use std::io::BufRead;

use serde::Deserialize;

use super::assemble::{Assembler, Message};
use super::collect::Collector;
use super::{SourceError, next_line, time};

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    user: Cow<'a, str>,
    #[serde(borrow, default)]
    dbname: Cow<'a, str>,
    #[serde(default)]
    pid: i64,
    #[serde(borrow, default)]
    session_id: Cow<'a, str>,
    #[serde(borrow, default)]
    vxid: Cow<'a, str>,
    #[serde(borrow, default)]
    error_severity: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    #[serde(borrow, default)]
    detail: Cow<'a, str>,
    #[serde(borrow, default)]
    application_name: Cow<'a, str>,
    query_id: Option<i64>,
}

/// # Errors
/// When the input cannot be read.
pub fn read(reader: &mut impl BufRead, collector: &mut Collector) -> Result<(), SourceError> {
    let mut assembler = Assembler::new(collector);
    let mut buffer = Vec::new();
    let mut lines = 0;
    let outcome = loop {
        match next_line(reader, &mut buffer) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
        lines += 1;
        let text = String::from_utf8_lossy(&buffer);
        if text.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Line<'_>>(&text) {
            Ok(line) if !line.error_severity.is_empty() => assembler.message(&message(line), lines),
            _ => assembler
                .collector()
                .skip("line that is no jsonlog record", 1, || format!("line {lines}")),
        }
    };
    assembler.collector().lines(lines);
    assembler.finish();
    outcome
}

fn message(line: Line<'_>) -> Message<'_> {
    let session =
        if line.session_id.is_empty() { Cow::Owned(line.pid.to_string()) } else { line.session_id };
    Message {
        at_us: time::parse(&line.timestamp),
        session,
        database: line.dbname,
        user: line.user,
        application: line.application_name,
        transaction: line.vxid,
        severity: line.error_severity,
        text: line.message,
        detail: line.detail,
        queryid: line.query_id,
    }
}
