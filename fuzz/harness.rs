//! What each fuzz target does with its bytes. `tests/corpus.rs` does the same with those that were
//! found.

use std::fmt::Write as _;

use pgassay::model::workload::Workload;
use pgassay::source::collect::collector::Collector;
use pgassay::source::format::framer::Options;
use pgassay::source::read;
use pgassay::sql::normalize::{fingerprint, literal_scan, normalizer};
use pgassay::sql::resolve::resolver;

/// A target and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[
    ("stderr_log", stderr_log),
    ("csv_log", csv_log),
    ("json_log", json_log),
    ("syslog", syslog),
    ("wrapped_log", wrapped_log),
    ("statements", statements),
    ("capture", capture),
    ("packed", packed),
    ("sql", sql),
];

/// A first record, so that the rest is read by the framer in question.
fn after(first: &str, rest: &[u8]) {
    let mut bytes = first.as_bytes().to_vec();
    bytes.extend_from_slice(rest);
    reads_alike(&bytes);
}

pub fn stderr_log(data: &[u8]) {
    let firsts = [
        "2026-01-01 10:00:00.000 UTC [7] app@shop LOG:  duration: 1.5 ms  statement: SELECT 1\n",
        "2026-01-01 10:00:00.000 UTC:10.0.0.1(5):app@shop:[7]:LOG:  duration: 1.5 ms  statement: SELECT 1\n",
        "LOG:  duration: 1.5 ms  statement: SELECT 1\n",
    ];
    let (first, rest) = choose(&firsts, data);
    after(first, rest);
}

pub fn csv_log(data: &[u8]) {
    let firsts = [
        "2026-01-01 10:00:00.000 UTC,\"app\",\"shop\",7,\"[local]\",6b.7,1,\"SELECT\",2026-01-01 10:00:00 UTC,3/4,0,LOG,00000,\"duration: 1.5 ms  statement: SELECT 1\",,,,,,,,,\"x\"\n",
        "2026-01-01 10:00:00.000 UTC,\"app\",\"shop\",7,\"[local]\",6b.7,1,\"SELECT\",2026-01-01 10:00:00 UTC,3/4,0,LOG,00000,\"duration: 1.5 ms  statement: SELECT 1\",,,,,,,,,\"x\",\"client backend\",,-5\n",
    ];
    let (first, rest) = choose(&firsts, data);
    after(first, rest);
}

pub fn json_log(data: &[u8]) {
    after(
        "{\"timestamp\":\"2026-01-01 10:00:00.000 UTC\",\"user\":\"app\",\"dbname\":\"shop\",\"pid\":7,\"session_id\":\"6b.7\",\"line_num\":1,\"error_severity\":\"LOG\",\"message\":\"duration: 1.5 ms  statement: SELECT 1\"}\n",
        data,
    );
}

pub fn syslog(data: &[u8]) {
    let firsts = [
        "Jan  1 10:00:00 db postgres[7]: [1-1] app@shop LOG:  duration: 1.5 ms  statement: SELECT 1\n",
        "<134>1 2026-01-01T10:00:00.000Z db postgres 7 - - [1-1] app@shop LOG:  duration: 1.5 ms  statement: SELECT 1\n",
    ];
    let (first, rest) = choose(&firsts, data);
    after(first, rest);
}

pub fn wrapped_log(data: &[u8]) {
    let firsts = [
        "{\"log\":\"2026-01-01 10:00:00.000 UTC [7] app@shop LOG:  duration: 1.5 ms  statement: SELECT 1\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-01T10:00:00Z\"}\n",
        "2026-01-01T10:00:00.000Z stderr F 2026-01-01 10:00:00.000 UTC [7] app@shop LOG:  duration: 1.5 ms  statement: SELECT 1\n",
        "{\"level\":\"info\",\"ts\":\"2026-01-01T10:00:00Z\",\"logger\":\"postgres\",\"msg\":\"record\",\"record\":{\"log_time\":\"2026-01-01 10:00:00.000 UTC\",\"process_id\":\"7\",\"error_severity\":\"LOG\",\"message\":\"duration: 1.5 ms  statement: SELECT 1\"}}\n",
        "[{\"textPayload\":\"2026-01-01 10:00:00.000 UTC [7]: [1-1] db=shop,user=app LOG:  duration: 1.5 ms  statement: SELECT 1\"},\n",
        "",
    ];
    let (first, rest) = choose(&firsts, data);
    after(first, rest);
}

pub fn statements(data: &[u8]) {
    let firsts = [
        "query,calls,total_exec_time,rows,queryid\n\"SELECT 1\",5,1.5,5,7\n",
        "[{\"query\":\"SELECT 1\",\"calls\":5},",
        "",
    ];
    let (first, rest) = choose(&firsts, data);
    after(first, rest);
}

/// The text inside of a capture, packed again so that it is read.
pub fn capture(data: &[u8]) {
    let text = [pgassay::source::capture::MAGIC, data].concat();
    reads(
        &zstd::encode_all(&text[..], 1).unwrap(),
        &Options { threads: Some(1), ..Options::default() },
    );
    // As it stands on disk, too.
    reads(data, &Options { threads: Some(1), ..Options::default() });
}

/// Whatever it is, packed in whatever way.
pub fn packed(data: &[u8]) {
    reads(data, &Options { threads: Some(1), ..Options::default() });
    let Some((how, data)) = data.split_first() else { return };
    let magic: &[u8] = match how % 4 {
        0 => &[0x1f, 0x8b],
        1 => &[0x28, 0xb5, 0x2f, 0xfd],
        2 => b"BZh",
        _ => &[0xfd, b'7', b'z', b'X', b'Z', 0],
    };
    reads(&[magic, data].concat(), &Options { threads: Some(1), ..Options::default() });
}

/// A statement: normalizing is settled after one step, forms of the text agree, nothing panics.
pub fn sql(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let once = normalizer::normalize(&text);
    let again = normalizer::normalize(&once.text);
    assert_eq!(again.text, once.text, "of {text:?}");
    assert_eq!(fingerprint::fingerprint(&once.text), fingerprint::fingerprint(&again.text));
    let _ = literal_scan::Skeleton::default().scan(data);
    let _ = resolver::shape(&once.text, None);
    let _ = pgassay::sql::dump::catalog::catalog(&text);
    let _ = pgassay::sql::normalize::redact::redact(&text);
}

/// The first byte picks a beginning.
fn choose<'f, 'd>(firsts: &[&'f str], data: &'d [u8]) -> (&'f str, &'d [u8]) {
    match data.split_first() {
        Some((which, rest)) => (firsts[usize::from(*which) % firsts.len()], rest),
        None => (firsts[0], data),
    }
}

/// In one block and in many small ones: the same, unless records are damaged. Where reading finds its
/// way back behind a damaged one depends on what is in sight.
fn reads_alike(bytes: &[u8]) {
    let options = |block_bytes| Options {
        threads: Some(1),
        block_bytes: Some(block_bytes),
        ..Options::default()
    };
    let whole = reads(bytes, &options(1 << 20));
    let parts = reads(bytes, &options(100));
    let is_damaged =
        |read: &Option<(String, bool)>| read.as_ref().is_some_and(|(_, damaged)| *damaged);
    if !is_damaged(&whole) && !is_damaged(&parts) {
        assert_eq!(whole, parts, "blocks matter");
    }
}

/// What was read, and whether something was not.
fn reads(bytes: &[u8], options: &Options) -> Option<(String, bool)> {
    let mut collector = Collector::new();
    read(bytes, "input", options, &mut collector).ok()?;
    let workload: Workload = collector.finish();
    let mut out = format!("{:?} {}\n", workload.window, workload.coverage.statements);
    for query in &workload.queries {
        let _ = writeln!(out, "{} {} {}", query.calls, query.total_us, query.normalized);
    }
    Some((out, !workload.coverage.skipped.is_empty()))
}
