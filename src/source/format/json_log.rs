//! jsonlog of PostgreSQL 15 and later: one object a line, absent keys where there is nothing.

use super::csv_log::number;
use super::framer::{Cut, Framer, Scratch};
use super::json_fields::{Value, members};
use super::lines::{Lines, last_line};
use crate::source::assembler::Assembler;
use crate::source::message::record::{Message, Severity};

pub struct JsonLog;

impl Cut for JsonLog {
    fn cut(&self, block: &[u8]) -> Option<usize> {
        last_line(block)
    }
}

impl Framer for JsonLog {
    fn block(&self, block: &[u8], assembler: &mut Assembler<'_>, scratch: &mut Scratch) -> u64 {
        let mut lines = 0;
        for line in Lines::of(block) {
            let text = line.trim_ascii();
            if !text.is_empty() && !record(text, lines, assembler, scratch) {
                assembler.collector().skip_at("line that is no jsonlog record", 1, lines);
            }
            lines += 1;
        }
        lines
    }
}

/// Members of a record, as they stand in the line.
#[derive(Default)]
struct Members<'a> {
    time: &'a [u8],
    user: Option<Value<'a>>,
    database: Option<Value<'a>>,
    application: Option<Value<'a>>,
    pid: &'a [u8],
    session: &'a [u8],
    transaction: &'a [u8],
    severity: &'a [u8],
    message: Option<Value<'a>>,
    detail: Option<Value<'a>>,
    queryid: &'a [u8],
}

/// `false` when the line is no record of a jsonlog.
pub fn record(
    text: &[u8],
    line: u64,
    assembler: &mut Assembler<'_>,
    scratch: &mut Scratch,
) -> bool {
    let mut found = Members::default();
    let whole = members(text, &mut |key, value| match key {
        b"timestamp" => found.time = value.raw(),
        b"user" => found.user = Some(value),
        b"dbname" => found.database = Some(value),
        b"pid" => found.pid = value.raw(),
        b"session_id" => found.session = value.raw(),
        b"vxid" => found.transaction = value.raw(),
        b"error_severity" => found.severity = value.raw(),
        b"message" => found.message = Some(value),
        b"detail" => found.detail = Some(value),
        b"application_name" => found.application = Some(value),
        b"query_id" => found.queryid = value.raw(),
        _ => {}
    });
    if !whole || found.severity.is_empty() {
        return false;
    }
    let severity = Severity::of(found.severity);
    if severity == Severity::Other {
        return true;
    }
    let Scratch { clock, text, detail, names, .. } = scratch;
    let [user, database, application] = names;
    assembler.message(&Message {
        at_us: clock.read(found.time),
        session: if found.session.is_empty() { found.pid } else { found.session },
        database: found.database.map_or(b"", |value| value.text(database)),
        user: found.user.map_or(b"", |value| value.text(user)),
        application: found.application.map_or(b"", |value| value.text(application)),
        transaction: found.transaction,
        severity,
        text: found.message.map_or(b"", |value| value.text(text)),
        detail: found.detail.map_or(b"", |value| value.text(detail)),
        queryid: number(found.queryid),
        is_whole: true,
        line,
    });
    true
}
