//! `pgassay` at work on a PostgreSQL of its own.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use pgassay::pg::cluster::{Throwaway, find_server};
use pgassay::pg::config::settings::Settings;

/// The server that the peers were measured on had these.
const SETTINGS: &str = "shared_buffers = '2GB'\nrandom_page_cost = 1.1\njit = off\n\
                        max_parallel_workers_per_gather = 0\nmaintenance_work_mem = '256MB'\n\
                        max_wal_size = '4GB'\n";

/// A server with these settings.
pub fn cluster() -> Throwaway {
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = find_server(None, &path).expect("PostgreSQL is not installed");
    Throwaway::start_with(&programs, &std::env::temp_dir(), &|_| SETTINGS.to_owned()).unwrap()
}

/// Writes statements as an export of counters: text, calls, and milliseconds of all of them.
pub fn export(path: &Path, statements: impl Iterator<Item = (String, f64, f64)>) {
    let mut csv = csv::Writer::from_path(path).unwrap();
    csv.write_record(["queryid", "query", "calls", "total_exec_time", "rows"]).unwrap();
    for (number, (sql, calls, total_ms)) in statements.enumerate() {
        let (number, calls, total_ms) =
            (number.to_string(), calls.to_string(), total_ms.to_string());
        csv.write_record([&number, &sql, &calls, &total_ms, "0"]).unwrap();
    }
    csv.flush().unwrap();
}

/// Indexes with what finding them took.
pub struct Advised {
    pub indexes: Vec<String>,
    pub seconds: f64,
    /// Plans that were asked of the planner.
    pub plans: u64,
}

/// What a command of pgassay advises: the indexes in this state, kept under this name if wanted.
pub fn advised(
    settings: &Settings,
    log: &Path,
    name: &str,
    command: &[&str],
    state: &str,
) -> Advised {
    let started = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_pgassay"))
        .args(command)
        .args(["--format", "json"])
        .args(["-h", &settings.host, "-p", &settings.port.to_string(), "-U", &settings.user])
        .args(["-d", &settings.database])
        .arg(log)
        .output()
        .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprint!("{said}");
        return Advised { indexes: Vec::new(), seconds, plans: 0 };
    }
    let asked = said.lines().find_map(|line| line.strip_prefix("asked HypoPG for "));
    let digits = asked.map(|rest| rest.chars().filter(char::is_ascii_digit).collect::<String>());
    let plans = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let indexes: Vec<String> = run["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["kind"] == "create-index" && r["state"] == state)
        .flat_map(|r| r["sql"].as_array().unwrap())
        .map(|sql| sql.as_str().unwrap().to_owned())
        .collect();
    keep(name, &indexes, &output.stdout);
    Advised { indexes, seconds, plans }
}

/// Keeps a set for a look at it later, with the run file, which has the reasons, where
/// `PGASSAY_BENCH_SETS` names a directory.
fn keep(name: &str, indexes: &[String], run: &[u8]) {
    let Ok(directory) = std::env::var("PGASSAY_BENCH_SETS") else { return };
    let path = Path::new(&directory).join(name.replace(", ", "_").replace(' ', "_"));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(path.with_extension("sql"), indexes.join(";\n") + ";\n").unwrap();
    std::fs::write(path.with_extension("json"), run).unwrap();
}
