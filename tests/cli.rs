//! The program as a user meets it, without any database.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn pgassay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgassay"));
    for name in [
        "DATABASE_URL",
        "PGHOST",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGPASSWORD",
        "PGSERVICE",
        "PGASSAY_CONFIG",
    ] {
        command.env_remove(name);
    }
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn run(args: &[&str]) -> Output {
    pgassay().args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn file(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn bad_input_gets_three_parts_and_a_code_and_never_panics() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"no log at all\n").unwrap();
    let gzip = gzip.finish().unwrap();
    let cases: Vec<(Vec<String>, i32, &str)> = vec![
        (vec!["analyze".into(), "/nonexistent.log".into()], 3, "No such file"),
        (vec!["analyze".into(), at.to_str().unwrap().into()], 3, "directory"),
        (vec!["analyze".into(), file(at, "empty.log", b"")], 3, "empty"),
        (vec!["analyze".into(), file(at, "text.log", b"hello\nworld\n")], 3, "no known format"),
        (
            vec!["analyze".into(), file(at, "binary.log", &[0, 159, 146, 150, 255])],
            3,
            "no known format",
        ),
        (vec!["analyze".into(), file(at, "cut.log.gz", &gzip[..gzip.len() / 2])], 3, "cannot read"),
        (vec!["analyze".into(), file(at, "cut2.log.gz", &gzip[..4])], 3, "cannot read"),
        (
            vec!["analyze".into(), file(at, "x.log.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0])],
            3,
            "cannot read",
        ),
        (
            vec![
                "analyze".into(),
                file(
                    at,
                    "idle.log",
                    b"2026-01-01 10:00:00.000 UTC [1] LOG:  checkpoint starting: time\n",
                ),
            ],
            3,
            "nothing in the input was understood",
        ),
        (
            vec![
                "analyze".into(),
                "--log-line-prefix".into(),
                "%m %z ".into(),
                file(at, "p.log", b"2026-01-01 10:00:00.000 UTC [1] LOG:  x\n"),
            ],
            2,
            "%z is no escape",
        ),
        (
            vec![
                "analyze".into(),
                "--log-line-prefix".into(),
                "%d|%u|".into(),
                file(at, "q.log", b"2026-01-01 10:00:00.000 UTC [1] LOG:  x\n"),
            ],
            3,
            "no line matches",
        ),
        (vec!["analyze".into()], 2, "nothing to read"),
        (vec!["report".into(), "/nonexistent.json".into()], 3, "No such file"),
        (vec!["report".into(), file(at, "no.json", b"{}")], 3, "no run file"),
        (vec!["explain".into(), "nothing".into()], 2, "no such rule"),
        (
            vec!["analyze".into(), "sample_logs/shop.csv".into(), "-o".into(), "x.pdf".into()],
            2,
            "names no format",
        ),
        (
            vec![
                "analyze".into(),
                "sample_logs/shop.csv".into(),
                "--schema".into(),
                file(at, "none.sql", b"SELECT 1;"),
            ],
            3,
            "creates no table",
        ),
        (
            vec!["analyze".into(), "-d".into(), "postgres://u:hunter2@h/d?bad=1".into()],
            2,
            "no connection parameter",
        ),
    ];
    for (args, expected, words) in cases {
        let output = pgassay().args(&args).output().unwrap();
        let text = stderr(&output);
        assert_eq!(code(&output), expected, "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: {text}");
        for part in ["error: ", "cause: ", "help:  "] {
            assert!(
                text.lines().any(|line| line.starts_with(part)),
                "{args:?} lacks {part}: {text}"
            );
        }
        assert!(!text.contains("panicked") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_partly_readable_file_is_used_and_the_rest_reported() {
    let directory = tempfile::tempdir().unwrap();
    let log = "torn line that begins nowhere\n\
               2026-01-01 10:00:00.000 UTC [1] a@b LOG:  duration: 1.000 ms  statement: SELECT id FROM t WHERE a = 1\n\
               2026-01-01 10:00:00.000 UTC [1] a@b LOG:  duration: 1.000 ms  statement: SELECT FROM WHERE ((\n";
    let output =
        run(&["analyze", "--format", "json", &file(directory.path(), "a.log", log.as_bytes())]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let coverage = &run["coverage"];
    assert_eq!(
        (coverage["statements"].as_u64(), coverage["understood"].as_u64()),
        (Some(2), Some(1))
    );
    let reasons: Vec<&str> = coverage["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["reason"].as_str().unwrap())
        .collect();
    assert!(
        reasons.contains(&"line without the log_line_prefix")
            && reasons.contains(&"statement not parsed"),
        "{reasons:?}"
    );
    // What cannot be parsed still counts.
    assert_eq!(run["queries"].as_array().unwrap().len(), 2);
}

#[test]
fn standard_input_is_a_source_and_a_reader_that_leaves_is_no_error() {
    let sample = std::fs::read("sample_logs/shop.csv").unwrap();
    let mut child = pgassay()
        .args(["analyze", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&sample));
    // Closed before anything is written to it.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
}

#[test]
fn fail_on_a_level_is_a_gate() {
    let sample = "sample_logs/shop.stderr.log";
    let schema = "sample_logs/schema.sql";
    for (level, expected) in [("error", 1), ("warning", 1), ("info", 1)] {
        assert_eq!(
            code(&run(&["analyze", "-q", sample, "--schema", schema, "--fail-on", level])),
            expected,
            "{level}"
        );
    }
    assert_eq!(code(&run(&["analyze", "-q", sample, "--fail-on", "error"])), 0);
    assert_eq!(code(&run(&["analyze", "-q", sample, "--schema", schema])), 0);
}

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    for args in [
        &["analyse"][..],
        &["trial", "--rounds", "many"],
        &["check"],
        &["analyze", "--format", "pdf", "x"],
    ] {
        assert_eq!(code(&run(args)), 2, "{args:?}");
    }
    for args in [&["--help"][..], &["-?"], &["analyze", "--help"], &["trial", "-?"], &["--version"]]
    {
        assert_eq!(code(&run(args)), 0, "{args:?}");
    }
}

/// Compares a file with what the program makes of it; `UPDATE=1` writes the file instead. A change of
/// flags or pages is a change of these files in the same commit.
fn is_generated(path: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == text,
        "{} is out of date: UPDATE=1 cargo test writes it again",
        path.display()
    );
}

#[test]
fn the_command_line_page_is_what_help_says() {
    let mut page = String::from(
        "# Command line\n\nGenerated from the flags; `UPDATE=1 cargo test` writes it again.\n",
    );
    let general = stdout(&run(&["--help"]));
    let commands = general.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 5, "{general}");
    for command in std::iter::once("").chain(commands) {
        let args: Vec<&str> =
            if command.is_empty() { vec!["--help"] } else { vec![command, "--help"] };
        let title =
            if command.is_empty() { "pgassay".to_owned() } else { format!("pgassay {command}") };
        // The width of help follows the terminal; without one it is the widest.
        page.push_str(&format!(
            "\n## {title}\n\n```text\n{}\n```\n",
            stdout(&run(&args)).trim_end()
        ));
    }
    is_generated("docs/cli.md", &page);
}

#[test]
fn the_rules_page_holds_every_page_of_the_rules() {
    let mut page = String::from(
        "# Rules\n\nGenerated from the rules' own pages; `UPDATE=1 cargo test` writes it again.\n",
    );
    for rule in pgassay::rules::RULES {
        page.push('\n');
        page.push_str(&rule.page.replace("\n## ", "\n### ").replacen("# ", "## ", 1));
    }
    is_generated("docs/rules.md", &page);
}

#[test]
fn the_schema_of_the_run_file_is_written_down() {
    is_generated("docs/run.schema.json", &stdout(&run(&["generate", "schema"])));
}

#[test]
fn every_sample_validates_against_the_schema_with_the_contracts_keys() {
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string("docs/run.schema.json").unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for sample in ["shop.stderr.log", "shop.csv", "shop.json", "pg_stat_statements.csv"] {
        let output = run(&["analyze", "-q", &format!("sample_logs/{sample}"), "--format", "json"]);
        assert_eq!(code(&output), 0, "{sample}: {}", stderr(&output));
        let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&run).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{sample}: {errors:?}");
        for key in [
            "schema_version",
            "tool",
            "command",
            "target",
            "coverage",
            "queries",
            "findings",
            "recommendations",
            "trials",
            "checks",
            "warnings",
        ] {
            assert!(run.get(key).is_some(), "{sample}: {key}");
        }
        for key in [
            "fingerprint",
            "queryid",
            "normalized",
            "calls",
            "total_us",
            "mean_us",
            "p50_us",
            "p95_us",
            "p99_us",
            "max_us",
            "rows",
            "tables",
            "parsed",
            "provenance",
        ] {
            assert!(run["queries"][0].get(key).is_some(), "{sample}: queries.{key}");
        }
        assert!(
            !run["findings"].as_array().unwrap().is_empty(),
            "{sample} gives findings with no database"
        );
        let counters = sample.starts_with("pg_stat");
        assert_eq!(
            run["queries"][0]["p95_us"].is_null(),
            counters,
            "{sample}: percentiles only from durations"
        );
    }
}

#[test]
fn the_three_logs_of_one_server_say_the_same() {
    let figures = |sample: &str| {
        let output = run(&["analyze", "-q", &format!("sample_logs/{sample}"), "--format", "json"]);
        let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut queries: Vec<(String, u64, Option<u64>, Option<u64>)> = run["queries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|q| {
                (
                    q["fingerprint"].to_string(),
                    q["calls"].as_u64().unwrap(),
                    q["total_us"].as_u64(),
                    q["p95_us"].as_u64(),
                )
            })
            .collect();
        queries.sort();
        queries
    };
    let stderr_log = figures("shop.stderr.log");
    assert!(stderr_log.len() > 8);
    assert_eq!(stderr_log, figures("shop.csv"));
    assert_eq!(stderr_log, figures("shop.json"));
}

#[test]
fn planted_secrets_reach_no_output() {
    const SECRETS: [&str; 4] =
        ["hunter2secret", "alice@private.example", "4111111111111111", "tok_live_9f8e7d"];
    let directory = tempfile::tempdir().unwrap();
    let mut log = String::new();
    for n in 0..12 {
        log.push_str(&format!(
            "2026-01-01 10:00:00.{n:03} UTC [1] a@b LOG:  duration: 40.000 ms  statement: SELECT id FROM users WHERE email = '{}' AND card = {} -- {}\n\
             2026-01-01 10:00:00.{n:03} UTC [1] a@b LOG:  duration: 30.000 ms  execute <unnamed>: SELECT id FROM users WHERE token = $1\n\
             2026-01-01 10:00:00.{n:03} UTC [1] a@b DETAIL:  parameters: $1 = '{}'\n\
             2026-01-01 10:00:00.{n:03} UTC [1] a@b LOG:  duration: 30.000 ms  statement: SELECT broken FROM (( '{}'\n\
             2026-01-01 10:00:00.{n:03} UTC [1] a@b ERROR:  invalid input syntax for type bigint: \"{}\"\n",
            SECRETS[1], SECRETS[2], SECRETS[0], SECRETS[3], SECRETS[0], SECRETS[0],
        ));
    }
    let log = file(directory.path(), "a.log", log.as_bytes());
    for format in pgassay::report::FORMATS {
        let output = run(&["analyze", "--format", format.name, &log]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let text = format!("{}{}", stdout(&output), stderr(&output));
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {}", format.name);
        }
    }
}

#[test]
fn the_readme_shows_a_trial_as_the_program_prints_it() {
    let output = run(&["report", "tests/data/run.json"]);
    let text = stdout(&output);
    let trials: Vec<&str> =
        text.split("\n\n").filter(|part| part.starts_with("trial of all ")).collect();
    assert_eq!(trials.len(), 1, "{text}");
    let block =
        format!("```text\n$ pgassay trial shop.log -d shop\n…\n{}\n```\n", trials.join("\n\n"));
    let readme = std::fs::read_to_string("README.md").unwrap();
    let start = readme.find("<!-- transcript").unwrap();
    let start = start + readme[start..].find('\n').unwrap() + 1;
    let end = readme.find("<!-- end of transcript -->").unwrap();
    is_generated("README.md", &format!("{}{block}{}", &readme[..start], &readme[end..]));
}

#[test]
fn a_file_that_cannot_be_written_is_refused_before_anything_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere/run.json");
    let output = run(&["analyze", "/no/such.log", "-o", nowhere.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.starts_with("error: cannot write "), "{said}");
    // Trying leaves neither an empty file nor an emptied one.
    let (fresh, old) = (directory.path().join("fresh.md"), directory.path().join("old.md"));
    std::fs::write(&old, "as it was").unwrap();
    let args =
        ["analyze", "/no/such.log", "-o", fresh.to_str().unwrap(), "-o", old.to_str().unwrap()];
    assert_ne!(run(&args).status.code(), Some(0));
    assert!(!fresh.exists());
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "as it was");
}

/// A limit on the size of files fails as a full disk does: in the middle of writing.
#[test]
fn a_full_disk_leaves_the_file_that_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let old = directory.path().join("run.json");
    std::fs::write(&old, "as it was").unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f 1; exec {} analyze --quiet sample_logs/shop.csv -o {}",
        env!("CARGO_BIN_EXE_pgassay"),
        old.display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(code(&output), 2, "{}", stderr(&output));
    assert!(stderr(&output).starts_with("error: cannot write "), "{}", stderr(&output));
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "as it was");
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}
