//! Every format, from logs that real servers wrote: what the server executed is what is counted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use pgassay::model::workload::Workload;
use pgassay::source::collect::collector::Collector;
use pgassay::source::format::detect::Format;
use pgassay::source::format::framer::Options;
use pgassay::source::read;
use serde_json::{Value, json};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/server")
}

fn unpacked(name: &str) -> Vec<u8> {
    let path = directory().join(format!("{name}.gz"));
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut bytes = Vec::new();
    MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

fn reading(bytes: &[u8], options: &Options) -> (Workload, Format) {
    let mut collector = Collector::new();
    let format = read(bytes, "log", options, &mut collector)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&bytes[..200])));
    (collector.finish(), format)
}

fn statements(bytes: &[u8]) -> u64 {
    reading(bytes, &Options::default()).0.coverage.statements
}

struct Truth {
    succeeded: u64,
    failed: u64,
    prefix: Option<String>,
}

fn truth() -> BTreeMap<String, Truth> {
    let text = std::fs::read_to_string(directory().join("truth.json")).unwrap();
    let all: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let truth = |value: &Value| Truth {
        succeeded: value["succeeded"].as_u64().unwrap(),
        failed: value["failed"].as_u64().unwrap(),
        prefix: value["prefix"].as_str().map(str::to_owned),
    };
    all.iter().map(|(name, value)| (name.clone(), truth(value))).collect()
}

fn is_log(name: &str) -> bool {
    !name.contains("pg_stat_statements")
}

/// What a log of this scenario can show of what was executed.
enum Shows {
    /// Each statement that succeeded, once.
    Succeeded,
    /// Those that failed, too: the text is written before the statement runs.
    Failed,
    /// A part: samples, thresholds, lines that others cut in two.
    Part,
}

fn shows(name: &str) -> Shows {
    let has = |part: &str| name.contains(part);
    if has("sample") || has("duration_on_threshold") || has("interleaved/pipe") {
        Shows::Part
    } else if has("journalctl_json.json") {
        // Without --all, journalctl leaves long messages out.
        Shows::Part
    } else if has("log_statement_all") || has("log_duration_split") || has("plus_min0") {
        Shows::Failed
    } else {
        Shows::Succeeded
    }
}

#[test]
fn every_log_counts_what_the_server_executed() {
    let truth = truth();
    let mut wrong = Vec::new();
    for (name, truth) in truth.iter().filter(|(name, _)| is_log(name)) {
        let found = statements(&unpacked(name));
        let right = match shows(name) {
            Shows::Succeeded => found == truth.succeeded,
            // A syntax error is found before the text is written.
            Shows::Failed => (truth.succeeded..=truth.succeeded + truth.failed).contains(&found),
            Shows::Part => found > 0 && found <= truth.succeeded + truth.failed,
        };
        if !right {
            wrong.push(format!("{name}: {found} of {} + {}", truth.succeeded, truth.failed));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(truth.len() > 150);
}

#[test]
fn the_formats_of_one_server_agree() {
    let truth = truth();
    for name in truth.keys().filter(|name| name.ends_with("/stderr.log")) {
        let of = |workload: &Workload| -> BTreeMap<String, (u64, u64)> {
            let queries = workload.queries.iter();
            queries.map(|q| (q.normalized.clone(), (q.calls, q.total_us))).collect()
        };
        let stderr = of(&reading(&unpacked(name), &Options::default()).0);
        for other in ["csvlog.csv", "jsonlog.json"] {
            let other = name.replace("stderr.log", other);
            let comparable = truth.contains_key(&other)
                && !name.contains("interleaved")
                // Terse records have no detail, and differ in nothing else.
                && !name.contains("terse");
            if comparable {
                let found = of(&reading(&unpacked(&other), &Options::default()).0);
                let differ: Vec<_> =
                    stderr.iter().filter(|(text, sums)| found.get(*text) != Some(sums)).collect();
                assert_eq!(differ, [], "{name} and {other}");
            }
        }
    }
}

#[test]
fn a_prefix_that_is_given_reads_the_same_as_one_that_is_found() {
    for (name, truth) in truth() {
        let Some(prefix) = truth.prefix.filter(|_| name.ends_with("stderr.log")) else { continue };
        let options = Options { log_line_prefix: Some(prefix.clone()), ..Options::default() };
        let given = reading(&unpacked(&name), &options).0;
        assert_eq!(given.coverage.statements, truth.succeeded, "{name}: {prefix:?}");
        assert_eq!(given.coverage.skipped, [], "{name}: {prefix:?}");
    }
}

#[test]
fn parameters_are_those_that_the_client_sent() {
    for version in ["v13", "v18"] {
        let wire = String::from_utf8(unpacked(&format!("{version}/base/wire.jsonl"))).unwrap();
        // Statement to the lists of parameters it was executed with.
        let mut sent: BTreeMap<String, Vec<Vec<Value>>> = BTreeMap::new();
        for line in wire.lines() {
            let message: Value = serde_json::from_str(line).unwrap();
            if let (Some(sql), Some(params)) =
                (message["sql"].as_str(), message["params"].as_array())
            {
                sent.entry(sql.trim().to_owned()).or_default().push(params.clone());
            }
        }
        let mut compared = 0;
        for ending in ["stderr.log", "csvlog.csv", "jsonlog.json"] {
            let name = format!("{version}/base/{ending}");
            if !directory().join(format!("{name}.gz")).exists() {
                continue;
            }
            for query in reading(&unpacked(&name), &Options::default()).0.queries {
                for sample in query.samples.iter().filter(|sample| !sample.parameters.is_empty()) {
                    let Some(lists) = sent.get(&*sample.text) else { continue };
                    // Binary values are not comparable.
                    let plain: Vec<_> =
                        lists.iter().filter(|l| l.iter().all(|v| !v.is_object())).collect();
                    if plain.len() < lists.len() {
                        continue;
                    }
                    let values: Vec<Value> =
                        sample.parameters.iter().map(|value| json!(value.expose())).collect();
                    assert!(plain.contains(&&values), "{name}: {} {values:?}", sample.text);
                    compared += 1;
                }
            }
        }
        assert!(compared >= 30, "{version}: only {compared} lists of parameters were compared");
    }
}

#[test]
fn the_hour_that_comes_twice_does_not_turn_time_round() {
    for name in truth().keys().filter(|name| name.contains("/dst/") && is_log(name)) {
        let (workload, _) = reading(&unpacked(name), &Options::default());
        let (first, last) = workload.window.unwrap();
        assert!((0..3_600_000_000).contains(&(last - first)), "{name}: {first} to {last}");
    }
}

#[test]
fn exports_of_every_version_say_the_same_in_every_form() {
    for version in 12..=18 {
        let of = |ending: &str| {
            let name = format!("v{version}/base/pg_stat_statements.{ending}");
            let (workload, _) = reading(&unpacked(&name), &Options::default());
            let queries = workload.queries.iter();
            queries
                .map(|q| (q.normalized.clone(), (q.calls, q.rows, q.blocks, q.total_us > 0)))
                .collect::<BTreeMap<_, _>>()
        };
        let csv = of("csv");
        assert!(csv.len() > 50, "{version}");
        assert_eq!(csv, of("json"), "{version}");
        assert_eq!(csv, of("ndjson"), "{version}");
        assert!(csv.values().any(|(.., has_time)| *has_time), "{version} has times");
    }
}

/// Lines of a real log, wrapped as a provider wraps them.
fn wrapped(wrap: impl Fn(&str) -> String) -> Vec<u8> {
    let log = String::from_utf8(unpacked("v18/prefix/p01/stderr.log")).unwrap();
    log.lines().map(|line| wrap(line) + "\n").collect::<String>().into_bytes()
}

/// Records of a real jsonlog, in other words.
fn records(wrap: impl Fn(&Value) -> Value) -> Vec<Value> {
    let log = String::from_utf8(unpacked("v18/base/jsonlog.json")).unwrap();
    log.lines().map(|line| wrap(&serde_json::from_str(line).unwrap())).collect()
}

fn lines(values: &[Value]) -> Vec<u8> {
    values.iter().map(|value| format!("{value}\n")).collect::<String>().into_bytes()
}

#[test]
fn what_container_runtimes_put_around_lines_is_taken_off() {
    let plain = statements(&unpacked("v18/prefix/p01/stderr.log"));
    let time = "2026-11-22T18:15:51.505123456Z";
    let docker = wrapped(|line| {
        json!({"log": format!("{line}\n"), "stream": "stderr", "time": time}).to_string()
    });
    assert_eq!(statements(&docker), plain);
    let cri = wrapped(|line| format!("{time} stderr F {line}"));
    assert_eq!(statements(&cri), plain);
}

#[test]
fn records_of_clouds_are_read() {
    let plain = reading(&unpacked("v18/base/jsonlog.json"), &Options::default()).0;
    let plain = (plain.coverage.statements, plain.queries.len());
    let get = |record: &Value, name: &str| record.get(name).cloned().unwrap_or(Value::Null);
    // CloudNativePG, as its documentation of logging shows it.
    let cnpg = records(|r| {
        json!({"level": "info", "ts": 1.0, "logger": "postgres", "msg": "record", "logging_pod": "db-1", "record": {
            "log_time": get(r, "timestamp"), "user_name": get(r, "user"), "database_name": get(r, "dbname"),
            "process_id": get(r, "pid").to_string(), "session_id": get(r, "session_id"),
            "virtual_transaction_id": get(r, "vxid"), "error_severity": get(r, "error_severity"),
            "message": get(r, "message"), "detail": get(r, "detail"),
            "application_name": get(r, "application_name"), "query_id": get(r, "query_id")}})
    });
    // Supabase's log explorer: parsed metadata in lists.
    let supabase = records(|r| {
        json!({"event_message": get(r, "message"), "id": "x", "timestamp": 1_795_371_351_505_000i64, "metadata": [{"host": "db", "parsed": [{
            "timestamp": get(r, "timestamp"), "user_name": get(r, "user"), "database_name": get(r, "dbname"),
            "process_id": get(r, "pid"), "session_id": get(r, "session_id"),
            "error_severity": get(r, "error_severity"), "detail": get(r, "detail")}]}]})
    });
    // Azure's diagnostic settings: a list of records in one object.
    let azure = records(|r| {
        json!({"time": "2026-11-22T18:15:51Z", "category": "PostgreSQLLogs", "properties": {
            "timestamp": get(r, "timestamp"), "processId": get(r, "pid"), "errorLevel": get(r, "error_severity"),
            "sqlerrcode": "00000", "message": get(r, "message"), "detail": get(r, "detail")}})
    });
    for (name, bytes) in [
        ("CloudNativePG", lines(&cnpg)),
        ("Supabase, a list", serde_json::to_vec_pretty(&supabase).unwrap()),
        ("Azure, lines", lines(&azure)),
        ("Azure, records", lines(&[json!({"records": azure})])),
        (
            "a container's jsonlog",
            lines(&records(|r| json!({"log": format!("{r}\n"), "stream": "stderr"}))),
        ),
    ] {
        let (workload, format) = reading(&bytes, &Options::default());
        assert_eq!(format, Format::WrappedJson, "{name}");
        assert_eq!((workload.coverage.statements, workload.queries.len()), plain, "{name}");
    }
}

#[test]
fn text_of_clouds_is_read() {
    // Cloud SQL: one entry a message, whose prefix is `%t [%p]: [%l-1] db=%d,user=%u `.
    let log = String::from_utf8(unpacked("v18/base/jsonlog.json")).unwrap();
    let mut entries = Vec::new();
    for (number, line) in log.lines().enumerate() {
        let r: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| r[name].as_str().unwrap_or("").to_owned();
        let prefix = format!(
            "{} [{}]: [{number}-1] db={},user={} ",
            text("timestamp"),
            r["pid"],
            text("dbname"),
            text("user")
        );
        let at = "2026-11-22T18:15:51.505123Z";
        let entry = |severity: &str, message: &str| json!({"insertId": "x", "logName": "p", "textPayload": format!("{prefix}{severity}:  {message}"), "timestamp": at});
        entries.push(entry(&text("error_severity"), &text("message")));
        if let Some(detail) = r["detail"].as_str() {
            entries.push(entry("DETAIL", detail));
        }
    }
    let plain = reading(&unpacked("v18/base/jsonlog.json"), &Options::default()).0;
    let (workload, _) = reading(&serde_json::to_vec_pretty(&entries).unwrap(), &Options::default());
    assert_eq!(workload.coverage.statements, plain.coverage.statements);
    // AlloyDB puts a place in the source before the message.
    let alloy: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let text = entry["textPayload"].as_str().unwrap();
            json!({"textPayload": text.replacen("LOG:  ", "LOG:  [postgres.c:1372]  ", 1)})
        })
        .collect();
    let (workload, _) = reading(&lines(&alloy), &Options::default());
    assert_eq!(workload.coverage.statements, plain.coverage.statements);
}

#[test]
fn a_log_drain_is_read() {
    // Heroku: a logplex header, and a prefix of names and values in quotes.
    let plain = statements(&unpacked("v18/base/jsonlog.json"));
    let log = String::from_utf8(unpacked("v18/base/jsonlog.json")).unwrap();
    let mut drain = String::new();
    for (number, line) in log.lines().enumerate() {
        let r: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| r[name].as_str().unwrap_or("").to_owned();
        let prefix = format!(
            "sql_error_code = 00000 time_ms = \"{}\" pid=\"{}\" session_id=\"{}\" database=\"{}\" user=\"{}\" application_name=\"x\"",
            text("timestamp"),
            r["pid"],
            text("session_id"),
            text("dbname"),
            text("user")
        );
        let mut record = vec![format!("{prefix} {}:  {}", text("error_severity"), text("message"))];
        record.extend(r["detail"].as_str().map(|detail| format!("{prefix} DETAIL:  {detail}")));
        for (part, line) in record.join("\n").lines().enumerate() {
            let line = if part > 0 && !line.starts_with("sql_error_code") {
                format!("\t{line}")
            } else {
                line.to_owned()
            };
            drain += &format!(
                "2026-11-22T18:15:51.505123+00:00 app[postgres.12]: [DATABASE] [{number}-{}]  {line}\n",
                part + 1
            );
        }
    }
    let (workload, format) = reading(drain.as_bytes(), &Options::default());
    assert_eq!(format, Format::Syslog);
    assert_eq!(workload.coverage.statements, plain);
}
