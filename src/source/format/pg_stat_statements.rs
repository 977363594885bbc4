//! Exports of `pg_stat_statements`, versions 12 to 18: columns by name, never by position.

use serde_json::{Map, Value};

use crate::source::collect::collector::{Collector, CounterKey};
use crate::source::collect::statement::CountedCalls;
use crate::source::error::SourceError;
use crate::source::message::database::numbered;

/// # Errors
/// When the input cannot be read.
pub fn read_csv(bytes: &[u8], collector: &mut Collector) -> Result<(), SourceError> {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    let delimiter = *[b',', b';', b'\t', b'|']
        .iter()
        .max_by_key(|delimiter| first.iter().filter(|byte| byte == delimiter).count())
        .unwrap_or(&b',');
    let mut csv = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(bytes);
    let headers: Vec<String> = match csv.byte_headers() {
        Ok(headers) => headers
            .iter()
            .map(|name| {
                let name = String::from_utf8_lossy(name);
                name.trim().trim_start_matches('\u{feff}').trim_matches('"').to_lowercase()
            })
            .collect(),
        Err(error) => return Err(SourceError::Io(error.into())),
    };
    let column = |name: &str| headers.iter().position(|known| known == name);
    let mut record = csv::ByteRecord::new();
    let mut lines = 1;
    while let Ok(true) = csv.read_byte_record(&mut record) {
        lines += 1;
        let row = |name: &str| -> Option<String> {
            let value = record.get(column(name)?)?;
            (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
        };
        take(&row, lines, collector);
    }
    collector.lines(lines);
    Ok(())
}

/// An array of objects, or one object a line.
pub fn read_json(bytes: &[u8], collector: &mut Collector) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mut lines = 0;
    let mut object = |value: Value, collector: &mut Collector| {
        lines += 1;
        let Value::Object(map) = value else {
            collector.skip("element that is no object", 1, || format!("element {lines}"));
            return;
        };
        take(&|name| text_of(&map, name), lines, collector);
    };
    if text.starts_with('[') {
        match serde_json::from_str::<Vec<Value>>(text) {
            Ok(values) => values.into_iter().for_each(|value| object(value, collector)),
            Err(error) => {
                collector.skip("JSON that breaks off", 1, || format!("line {}", error.line()))
            }
        }
    } else {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let value = serde_json::from_str(line).unwrap_or(Value::Null);
            object(value, collector);
        }
    }
    collector.lines(lines);
}

fn text_of(map: &Map<String, Value>, name: &str) -> Option<String> {
    match map.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// One row, by the names of its columns.
fn take(row: &dyn Fn(&str) -> Option<String>, line: u64, collector: &mut Collector) {
    let number = |name: &str| row(name).and_then(|text| text.parse::<f64>().ok());
    let (Some(query), Some(calls)) = (row("query"), number("calls")) else {
        collector.skip("row without query or calls", 1, || format!("line {line}"));
        return;
    };
    if query == "<insufficient privilege>" {
        collector.skip("statement hidden for lack of pg_read_all_stats", calls as u64, || {
            format!("line {line}")
        });
        return;
    }
    // Up to 12 there is one time; from 13 on planning is apart, and is part of what a caller waits.
    let total_ms = number("total_exec_time").or(number("total_time")).unwrap_or(0.0)
        + number("total_plan_time").unwrap_or(0.0);
    let blocks = match (number("shared_blks_hit"), number("shared_blks_read")) {
        (None, None) => None,
        (hit, read) => Some((hit.unwrap_or(0.0) + read.unwrap_or(0.0)) as u64),
    };
    let counted = CountedCalls {
        calls: calls as u64,
        total_us: (total_ms * 1_000.0) as u64,
        rows: number("rows").unwrap_or(0.0) as u64,
        blocks,
    };
    // Exports that were joined with pg_database have the name.
    let named = ["datname", "database", "database_name", "dbname"].into_iter().find_map(row);
    let name = named.or_else(|| row("dbid").map(|dbid| numbered(&dbid))).unwrap_or_default();
    let database = collector.databases.add(name.as_bytes());
    let queryid = row("queryid").and_then(|id| id.parse().ok());
    let user = ["rolname", "usename", "username", "user"].into_iter().find_map(row);
    let user = user.unwrap_or_default();
    let of = CounterKey { queryid, database, user: user.as_bytes() };
    collector.counted(&query, of, &counted);
}
