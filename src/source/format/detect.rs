//! Detects the format of an input from its first bytes.

use super::json_record::{RecordFields, objects, records};
use super::lines::Lines;
use super::{json_record, syslog};
use crate::source::prefix::severity::{severity_at, severity_in};
use crate::source::prefix::timestamp::looks_like_time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Stderr,
    Csv,
    Json,
    Syslog,
    WrappedJson,
    StatementsCsv,
    StatementsJson,
    Capture,
}

impl Format {
    pub fn word(self) -> &'static str {
        match self {
            Format::Stderr => "stderr log",
            Format::Csv => "csvlog",
            Format::Json => "jsonlog",
            Format::Syslog => "syslog",
            Format::WrappedJson => "records inside of JSON",
            Format::StatementsCsv => "pg_stat_statements (CSV)",
            Format::StatementsJson => "pg_stat_statements (JSON)",
            Format::Capture => "capture",
        }
    }
}

/// The format, `None` when nothing fits.
pub fn detect(head: &[u8]) -> Option<Format> {
    if head.starts_with(crate::source::capture::MAGIC) {
        return Some(Format::Capture);
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = String::from_utf8_lossy(head);
    let first = text.trim_start().lines().next().unwrap_or("");
    if first.starts_with('[') && text.contains("\"calls\"") {
        return Some(Format::StatementsJson);
    }
    if let Some(format) = text.lines().find_map(json_line) {
        return Some(format);
    }
    let header = first.to_lowercase();
    let has = |name: &str| {
        header.split([',', ';', '\t', '|']).any(|c| c.trim().trim_matches('"') == name)
    };
    if has("query") && has("calls") {
        return Some(Format::StatementsCsv);
    }
    if text.lines().any(is_csv_record) {
        return Some(Format::Csv);
    }
    if is_wrapped_json(head) {
        return Some(Format::WrappedJson);
    }
    if is_syslog(head) {
        return Some(Format::Syslog);
    }
    text.lines().any(|line| severity_at(line).is_some()).then_some(Format::Stderr)
}

fn json_line(line: &str) -> Option<Format> {
    let line = line.trim_start();
    if !line.starts_with('{') {
        return None;
    }
    let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).ok()?;
    if value.contains_key("query") && value.contains_key("calls") {
        return Some(Format::StatementsJson);
    }
    (value.contains_key("message") && value.contains_key("error_severity")).then_some(Format::Json)
}

/// Some object holds a record of the server, in parts or as text.
fn is_wrapped_json(head: &[u8]) -> bool {
    let starts = head.trim_ascii_start().first();
    if !matches!(starts, Some(b'{' | b'[')) {
        return false;
    }
    let mut found = RecordFields::default();
    // A list of records in one object may be larger than what is looked at.
    let inside = memchr::memchr(b'{', head).map_or(head, |at| &head[at + 1..]);
    let whole = objects(head).take(200).flat_map(records);
    whole.chain(objects(inside).take(200)).any(|record| {
        let whole = found.read(record);
        let text = found.get(json_record::TEXT);
        let inner =
            text.starts_with(b"{") && memchr::memmem::find(text, b"error_severity").is_some();
        whole
            && (!found.get(json_record::SEVERITY).is_empty()
                || inner
                || severity_in(text).is_some())
    })
}

/// Most lines with a severity have a wrapping around it.
fn is_syslog(head: &[u8]) -> bool {
    let lines = || Lines::of(head).filter(|line| severity_in(line).is_some()).take(50);
    let wrapped = lines().filter(|line| syslog::unwrap(line).is_some()).count();
    wrapped > 0 && wrapped * 2 > lines().count()
}

/// Begins with a time and a comma, and has a server's number of columns before the message.
fn is_csv_record(line: &str) -> bool {
    let Some(rest) = looks_like_time(line.as_bytes()).map(|end| &line[end..]) else { return false };
    let zone = rest.find(',').unwrap_or(usize::MAX);
    zone <= 8 && rest[zone..].matches(',').count() >= 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_from_their_first_lines() {
        let cases: [(&str, Option<Format>); 7] = [
            (
                "2026-11-22 18:15:51.505 UTC [17525] app@np1 LOG:  duration: 1 ms  statement: SELECT 1\n",
                Some(Format::Stderr),
            ),
            (
                "2026-11-22 18:15:51.505 UTC,\"app\",\"np1\",17525,\"127.0.0.1:1\",6b.4,1,\"\",2026-11-22 18:15:51 UTC,,0,LOG,00000,\"x\"\n",
                Some(Format::Csv),
            ),
            (
                "{\"timestamp\":\"2026-11-22 18:15:51.505 UTC\",\"error_severity\":\"LOG\",\"message\":\"x\"}\n",
                Some(Format::Json),
            ),
            ("userid,dbid,queryid,query,calls,total_exec_time\n", Some(Format::StatementsCsv)),
            ("[{\"query\":\"SELECT 1\",\"calls\":1}]", Some(Format::StatementsJson)),
            ("hello\nworld\n", None),
            ("{\"a\":1}\n", None),
        ];
        for (text, format) in cases {
            assert_eq!(detect(text.as_bytes()), format, "{text}");
        }
    }
}
