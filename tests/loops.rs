//! Loops in labelled logs of real applications: how many are found, and how many found are none.
//!
//! `PGASSAY_LOOPS_DIR=… cargo test --test loops -- --ignored --nocapture` scores another directory with a
//! `labels.json` of the same form.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use pgassay::model::finding::Finding;
use pgassay::rules::{self, Input};
use pgassay::source::collect::Collector;
use pgassay::source::{Options, read, understand::understand};
use pgassay::sql;
use serde_json::Value;

const RULES: [&str; 3] = ["n-plus-one", "write-loop", "duplicate-query"];

/// What was found in one log.
struct Seen {
    findings: Vec<(String, String, String)>,
}

fn analyze(path: &Path, schema: Option<&Path>) -> Seen {
    let mut collector = Collector::new();
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read(file, "case", &Options::default(), &mut collector).unwrap();
    let mut workload = collector.finish();
    let catalog = schema.map(|schema| {
        let text = std::fs::read_to_string(schema).unwrap();
        sql::ddl::catalog(&text).0
    });
    let shapes = understand(&mut workload, catalog.as_ref());
    let found = rules::find_all(&Input::new(&workload, catalog.as_ref(), &shapes));
    let text = |fingerprint: Option<pgassay::model::fingerprint::Fingerprint>| {
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
        let seen = analyze(path, with_schema.then_some(schema.as_path()));
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

#[test]
#[ignore = "scores the directory that PGASSAY_LOOPS_DIR names"]
fn a_directory_of_ones_own() {
    let directory = PathBuf::from(std::env::var_os("PGASSAY_LOOPS_DIR").unwrap());
    for (format, with_schema) in [("log", false), ("csv", true)] {
        print(format, &score(&directory, format, with_schema));
    }
}
