//! Loops in labelled logs of real applications: how many are found, and how many found are none.
//!
//! `PGASSAY_LOOPS_DIR=… cargo test --test loops -- --ignored --nocapture` scores another directory with a
//! `labels.json` of the same form.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use pgassay::model::finding::Finding;
use pgassay::rules;
use pgassay::rules::input::Input;
use pgassay::source::collect::collector::Collector;
use pgassay::source::collect::resolve_all::resolve_all;
use pgassay::source::format::framer::Options;
use pgassay::source::read;
use pgassay::sql;
use serde_json::Value;

const RULES: [&str; 3] = ["n-plus-one", "write-loop", "duplicate-query"];

/// What was found in one log.
struct Seen {
    findings: Vec<(String, String, String)>,
}

fn analyze(path: &Path, schema: Option<&Path>) -> Seen {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    analyze_log(file, schema)
}

fn analyze_log(log: impl std::io::Read + Send, schema: Option<&Path>) -> Seen {
    let mut collector = Collector::new();
    read(log, "case", &Options::default(), &mut collector).unwrap();
    let mut workload = collector.finish();
    let catalog = schema.map(|schema| {
        let text = std::fs::read_to_string(schema).unwrap();
        sql::dump::catalog::catalog(&text).0
    });
    resolve_all(&mut workload, catalog.as_ref());
    let found = rules::find_all(&Input::new(&workload, catalog.as_ref()));
    let text = |fingerprint: Option<pgassay::model::workload::fingerprint::Fingerprint>| {
        let query = workload.queries.iter().find(|query| Some(query.fingerprint) == fingerprint);
        query.map(|query| query.normalized.clone()).unwrap_or_default()
    };
    let findings = found
        .iter()
        .filter(|finding| RULES.contains(&finding.rule))
        .map(|finding: &Finding| {
            let subject = &finding.subject;
            (finding.rule.to_owned(), text(subject.query), text(subject.parent_query))
        })
        .collect();
    Seen { findings }
}

/// What a label calls a rule.
fn rule_of(label: &str) -> &str {
    match label {
        "n+1" => "n-plus-one",
        "duplicate" => "duplicate-query",
        other => other,
    }
}

#[derive(Default)]
struct Score {
    hits: usize,
    misses: Vec<String>,
    false_alarms: Vec<String>,
    clean: usize,
}

impl Score {
    fn precision(&self) -> f64 {
        self.hits as f64 / (self.hits + self.false_alarms.len()).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses.len()).max(1) as f64
    }
}

/// Scores every case of a directory in one format, rule by rule.
fn score(directory: &Path, format: &str, with_schema: bool) -> BTreeMap<&'static str, Score> {
    score_by(directory, format, with_schema, &|path, schema, _| analyze(path, schema))
}

/// What looks at one case: its log, its schema, its name.
type Look<'l> = &'l dyn Fn(&Path, Option<&Path>, &str) -> Seen;

fn score_by(
    directory: &Path,
    format: &str,
    with_schema: bool,
    look: Look<'_>,
) -> BTreeMap<&'static str, Score> {
    let labels: Value =
        serde_json::from_str(&std::fs::read_to_string(directory.join("labels.json")).unwrap())
            .unwrap();
    let mut scores: BTreeMap<&'static str, Score> = BTreeMap::new();
    for case in labels["cases"].as_array().unwrap() {
        let label = case["label"].as_str().unwrap();
        let id = case["id"].as_str().unwrap();
        if label == "borderline" {
            continue;
        }
        let file = case["files"][format].as_str().unwrap();
        let candidates = [
            directory.join(format!("{file}.gz")),
            directory.join("cases").join(file),
            directory.join("cases").join(format!("{file}.gz")),
        ];
        let path: &PathBuf = candidates.iter().find(|path| path.exists()).unwrap();
        let schema = match case["schema"].as_str() {
            Some(name) => directory.join("schemas").join(format!("{name}.sql")),
            None => directory.join("schema.sql"),
        };
        let seen = look(path, with_schema.then_some(schema.as_path()), id);
        for rule in RULES {
            let score = scores.entry(rule).or_default();
            let found: Vec<_> = seen.findings.iter().filter(|(r, ..)| r == rule).collect();
            // An object mapper may reload each row that it writes: a loop of reads inside of one of writes.
            let groups = case["groups"].as_array();
            let reads_too = groups.is_some_and(|g| g.iter().any(|g| g["kind"] == "read"));
            if label == "write-loop" && rule == "n-plus-one" && reads_too {
                continue;
            }
            match (rule_of(label) == rule, found.is_empty()) {
                (true, false) => score.hits += 1,
                (true, true) => score.misses.push(id.to_owned()),
                (false, true) => score.clean += 1,
                (false, false) => {
                    let what = found.iter().map(|(_, child, _)| child.as_str());
                    let what: Vec<&str> = what.collect();
                    score.false_alarms.push(format!("{id}: {}", what.join(" | ")));
                }
            }
        }
    }
    scores
}

fn print(name: &str, scores: &BTreeMap<&'static str, Score>) {
    for (rule, score) in scores {
        println!(
            "{name:<24} {rule:<16} found {:>3}, missed {:>3}, false {:>3}, clean {:>3}; precision {:.3}, recall {:.3}",
            score.hits,
            score.misses.len(),
            score.false_alarms.len(),
            score.clean,
            score.precision(),
            score.recall()
        );
        score.misses.iter().for_each(|id| println!("    missed {id}"));
        score.false_alarms.iter().for_each(|alarm| println!("    false  {alarm}"));
    }
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Fails unless each rule finds nearly all of its loops and next to nothing else.
fn holds(scores: &BTreeMap<&'static str, Score>, precision: f64, recall: f64) {
    for (rule, score) in scores {
        if score.hits + score.misses.len() + score.false_alarms.len() > 0 {
            assert!(score.precision() >= precision, "{rule}: precision {}", score.precision());
            assert!(score.recall() >= recall, "{rule}: recall {}", score.recall());
        }
    }
}

#[test]
fn loops_are_found_in_logs_alone_and_nothing_else_is() {
    for format in ["log", "csv", "json"] {
        let scores = score(&data("nplus1"), format, false);
        print(&format!("{format}, alone"), &scores);
        holds(&scores, 0.95, 0.95);
    }
}

#[test]
fn with_a_schema_all_are_found() {
    let scores = score(&data("nplus1"), "csv", true);
    print("csv, schema", &scores);
    holds(&scores, 1.0, 1.0);
}

/// 24 ways to reach a database: object mappers and drivers of six languages, poolers, pgbench, psql.
#[test]
fn loops_of_many_object_mappers_are_found() {
    for with_schema in [false, true] {
        let scores = score(&data("orm"), "csv", with_schema);
        print(if with_schema { "many, schema" } else { "many, alone" }, &scores);
        for (rule, score) in &scores {
            // Which repetitions are one question too many is a matter of taste; loops are not.
            let precision = if *rule == "duplicate-query" { 0.85 } else { 0.95 };
            assert!(score.precision() >= precision, "{rule}: precision {}", score.precision());
            assert!(score.recall() >= 0.9, "{rule}: recall {}", score.recall());
        }
    }
}

/// Traffic of others around a case: executions that a real server logged, in an order and at times
/// drawn at random, so that whatever follows one another does so by chance.
mod traffic {
    use std::path::Path;

    use flate2::read::GzDecoder;
    use pgassay::stats::random::Random;

    /// Sessions beside the case.
    const SESSIONS: usize = 50;
    /// Executions a second of all of them together.
    const RATE: u64 = 800;
    /// Before the first and after the last record of the case.
    const MARGIN_MS: i64 = 2_000;

    /// Records of a csvlog, gzip or not.
    pub fn records(path: &Path) -> Vec<csv::StringRecord> {
        let file = std::fs::File::open(path).unwrap();
        let is_packed = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn std::io::Read> =
            if is_packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
        reader.records().map(Result::unwrap).collect()
    }

    fn time_ms(record: &csv::StringRecord) -> i64 {
        let text = record[0].trim_end_matches(" UTC").replace(' ', "T") + "Z";
        text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
    }

    fn is_execution(record: &csv::StringRecord) -> bool {
        record[13].starts_with("duration: ")
            && ["SELECT", "INSERT", "UPDATE"].iter().any(|verb| record[13].contains(verb))
    }

    /// The case among others, as a csvlog.
    pub fn mixed(case: &[csv::StringRecord], others: &[csv::StringRecord], seed: u64) -> Vec<u8> {
        let others: Vec<_> = others.iter().filter(|record| is_execution(record)).collect();
        let mut random = Random::new(seed);
        let login = case.iter().find(|record| !record[1].is_empty()).unwrap();
        let times = case.iter().map(time_ms);
        let from_ms = times.clone().min().unwrap() - MARGIN_MS;
        let until_ms = times.max().unwrap() + MARGIN_MS;
        let count = (until_ms - from_ms) as u64 * RATE / 1_000;
        let mut all: Vec<(i64, csv::StringRecord)> =
            case.iter().map(|record| (time_ms(record), record.clone())).collect();
        for line in 0..count {
            let at_ms = from_ms + random.below((until_ms - from_ms) as usize) as i64;
            let session = 900_000 + random.below(SESSIONS) as u64;
            let other = others[random.below(others.len())];
            let at = jiff::Timestamp::from_millisecond(at_ms).unwrap();
            let time = at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string();
            let mut fields: Vec<String> = other.iter().map(str::to_owned).collect();
            fields[0] = time;
            fields[1] = login[1].to_owned();
            fields[2] = login[2].to_owned();
            fields[3] = session.to_string();
            fields[5] = format!("6b000000.{session:x}");
            fields[6] = line.to_string();
            // Each in a transaction of its own.
            fields[9] = format!("{}/{line}", session - 899_000);
            all.push((at_ms, fields.into()));
        }
        all.sort_by_key(|(at_ms, _)| *at_ms);
        let mut writer =
            csv::WriterBuilder::new().has_headers(false).flexible(true).from_writer(Vec::new());
        all.iter().for_each(|(_, record)| writer.write_record(record).unwrap());
        writer.into_inner().unwrap()
    }
}

/// 50 other sessions at the same time: once those of another application on the same database, once
/// lookups of the same tables.
#[test]
fn loops_are_found_among_the_traffic_of_others() {
    let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_logs/shop.csv");
    let same = ["n05_sa_requests", "n06_sa_autocommit_tight", "n10_dj_select_related"]
        .map(|name| data("nplus1").join(format!("{name}.csv.gz")));
    let kinds = [
        ("another application", traffic::records(&shop)),
        ("the same tables", same.iter().flat_map(|path| traffic::records(path)).collect()),
    ];
    for (kind, others) in &kinds {
        let look = |path: &Path, schema: Option<&Path>, id: &str| {
            let seed =
                id.bytes().fold(7, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
            let log = traffic::mixed(&traffic::records(path), others, seed);
            if let Some(directory) = std::env::var_os("PGASSAY_MIXED_DIR") {
                std::fs::write(Path::new(&directory).join(format!("{id}.csv")), &log).unwrap();
            }
            analyze_log(std::io::Cursor::new(log), schema)
        };
        for set in ["nplus1", "orm"] {
            let scores = score_by(&data(set), "csv", false, &look);
            print(&format!("{kind}, {set}"), &scores);
            let loops = &scores["n-plus-one"];
            assert!(loops.precision() >= 0.95 && loops.recall() >= 0.9, "{kind}, {set}");
        }
    }
}

#[test]
#[ignore = "scores the directory that PGASSAY_LOOPS_DIR names"]
fn a_directory_of_ones_own() {
    let directory = PathBuf::from(std::env::var_os("PGASSAY_LOOPS_DIR").unwrap());
    for (format, with_schema) in [("log", false), ("csv", true)] {
        print(format, &score(&directory, format, with_schema));
    }
}

/// What is advised instead of these updates of a ledger in one transaction.
fn instead(updates: &[String]) -> String {
    let mut log = String::new();
    let (begin, commit) = (["BEGIN".to_owned()], ["COMMIT".to_owned()]);
    for (at, statement) in begin.iter().chain(updates).chain(&commit).enumerate() {
        log.push_str(&format!(
            "2026-01-01 10:00:00.{at:03} UTC [7] app@shop LOG:  duration: 0.100 ms  statement: {statement}\n"
        ));
    }
    let mut collector = Collector::new();
    read(log.as_bytes(), "case", &Options::default(), &mut collector).unwrap();
    let mut workload = collector.finish();
    let schema = "CREATE TABLE ledger (id bigint PRIMARY KEY, balance numeric, note text)";
    let catalog = sql::dump::catalog::catalog(schema).0;
    resolve_all(&mut workload, Some(&catalog));
    let found = rules::find_all(&Input::new(&workload, Some(&catalog)));
    let loops = found.into_iter().find(|finding| finding.rule == "write-loop");
    loops.and_then(|finding| finding.advice).unwrap()
}

#[test]
fn no_row_is_given_the_amount_of_another() {
    let added = |each: &dyn Fn(usize) -> (usize, usize)| {
        let all = (1..9).map(|at| {
            let (amount, id) = each(at);
            format!("UPDATE ledger SET balance = balance + {amount} WHERE id = {id}")
        });
        instead(&all.collect::<Vec<_>>())
    };
    assert_eq!(
        added(&|at| (5, at)),
        "UPDATE ledger SET balance = balance + $1 WHERE id = ANY($2)",
        "all rows have the same added"
    );
    let each_its_own = added(&|at| (at, at));
    assert!(each_its_own.contains("SET balance = balance + new.v1 FROM"), "{each_its_own}");
    let again = added(&|at| (5, at % 4));
    assert!(again.contains("GROUP BY key"), "{again}");
}
