//! The indexes that pgassay recommends beside those of nine published advisors, in one run.
//!
//! `cargo bench --bench index_advice` loads a marketplace (3.4 M rows, primary keys only) into a
//! PostgreSQL of its own, has `pgassay analyze` advise on a log of its 34 statements at several budgets,
//! and measures every set of indexes the same way. `-- tpch` does the same with TPC-H at scale factor
//! 0.3; the directory with the `.tbl` files of `tpchgen-cli` is named by `PGASSAY_TPCH_DIR`.
//! `-- marketplace trial` also measures what a trial leaves of the advice, which takes its time.
//! `PGASSAY_BENCH_RUNS` sets how often each statement is executed; `PGASSAY_BENCH_SETS` names a directory
//! for the recommended sets and their run files.

#[path = "advised.rs"]
mod advised;
#[path = "measure.rs"]
mod measure;

use std::path::{Path, PathBuf};
use std::process::Command;

use advised::{Advised, advised, cluster, export};
use measure::{Measured, Statement, lines, measure, workload};
use pgassay::pg::config::settings::Settings;
use pgassay::pg::connect::connection::Connection;

/// One workload with its database.
struct Field {
    name: &'static str,
    data: PathBuf,
    workload: Vec<Statement>,
    writes: Vec<String>,
    /// Left out of the costs, as in the literature: any index on one column decides them.
    excluded: &'static [&'static str],
    budgets: &'static [&'static str],
}

fn field(name: &str) -> Field {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/data").join(name);
    match name {
        "tpch" => Field {
            name: "tpch",
            workload: workload(&data.join("workload.sql")),
            writes: lines(&data.join("writes.sql")),
            excluded: &["q02", "q17", "q20"],
            budgets: &["100MB", "200MB"],
            data,
        },
        _ => Field {
            name: "marketplace",
            workload: workload(&data.join("queries.sql")),
            writes: lines(&data.join("writes.sql")),
            excluded: &[],
            budgets: &["50MB", "100MB", "150MB", "200MB", "300MB"],
            data,
        },
    }
}

fn main() {
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let field = field(asked.first().map_or("marketplace", String::as_str));
    let runs = std::env::var("PGASSAY_BENCH_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let cluster = cluster();
    let settings = cluster.settings("postgres");
    let connection = Connection::open(&settings).unwrap();
    load(&field, &connection, &settings);
    connection.batch("CREATE EXTENSION hypopg; CREATE EXTENSION pg_trgm").unwrap();
    connection.batch("SET statement_timeout = '60s'").unwrap();
    let (judged, aside): (Vec<Statement>, Vec<Statement>) =
        field.workload.into_iter().partition(|s| !field.excluded.contains(&s.name.as_str()));
    let before = measure(&connection, &judged, &[], &field.writes, runs);
    let log = std::env::temp_dir().join(format!("pgassay-bench-{}.csv", std::process::id()));
    println!(
        "{:<22} {:>7} {:>6} {:>7} {:>9} {:>9} {:>9} {:>8} {:>9} {:>8} {:>6} {:>6}",
        field.name,
        "indexes",
        "unused",
        "MB",
        "cost",
        "weighted",
        "mean CPU",
        "p95 CPU",
        "write CPU",
        "advice s",
        "plans",
        "failed"
    );
    let row = |name: &str, indexes: &[String], advice: Option<&Advised>| {
        let after = if indexes.is_empty() {
            None
        } else {
            Some(measure(&connection, &judged, indexes, &field.writes, runs))
        };
        print_row(name, after.as_ref().unwrap_or(&before), &before, &judged, advice);
    };
    row("none", &[], None);
    let flags: Vec<Vec<&str>> = std::iter::once(vec![])
        .chain(field.budgets.iter().map(|budget| vec!["--budget", *budget]))
        .collect();
    // Where some are left out of the costs, the advice is asked with and without them in the log.
    let logs: &[(&str, &[Statement])] = &[("", &[]), (", all", &aside)];
    for (name, more) in &logs[..1 + usize::from(!aside.is_empty())] {
        write_export(&log, &judged, more, &before);
        for flags in &flags {
            let command = [&["analyze"][..], flags].concat();
            let name = format!("pgassay {}{name}", flags.last().unwrap_or(&""));
            let advice = advised(&settings, &log, name.trim(), &command, "proposed");
            row(name.trim(), &advice.indexes, Some(&advice));
        }
    }
    if asked.iter().any(|argument| argument == "trial") {
        let command = ["trial", "--confirm", &settings.database];
        let advice = advised(&settings, &log, "pgassay trial", &command, "accepted");
        row("pgassay trial", &advice.indexes, Some(&advice));
    }
    let mut peers: Vec<PathBuf> = std::fs::read_dir(field.data.join("peer_indexes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    peers.sort();
    for peer in peers {
        row(&peer.file_stem().unwrap().to_string_lossy(), &lines(&peer), None);
    }
    let _ = std::fs::remove_file(log);
}

fn load(field: &Field, connection: &Connection, settings: &Settings) {
    for statement in
        std::fs::read_to_string(field.data.join("schema.sql")).unwrap().split_inclusive(";\n")
    {
        connection.batch(statement).unwrap();
    }
    if field.name == "tpch" {
        let directory =
            std::env::var("PGASSAY_TPCH_DIR").expect("PGASSAY_TPCH_DIR names no directory");
        let tables =
            ["region", "nation", "part", "supplier", "partsupp", "customer", "orders", "lineitem"];
        for table in tables {
            let loaded = Command::new("sh")
                .arg("-c")
                .arg(format!(
                    "sed 's/|$//' {directory}/{table}.tbl | psql -qX -h {} -p {} -U {} -d {} \
                     -c \"COPY {table} FROM STDIN WITH (DELIMITER '|')\"",
                    settings.host, settings.port, settings.user, settings.database
                ))
                .status()
                .unwrap();
            assert!(loaded.success(), "{table} was not loaded");
        }
    }
}

/// The workload as an export of counters, with the times that were measured without any index.
fn write_export(path: &Path, judged: &[Statement], aside: &[Statement], before: &Measured) {
    let counted = |statement: &Statement| {
        let wall_ms = before.costs.get(&statement.name).map_or(1_000.0, |cost| cost.wall_ms);
        (statement.sql.clone(), statement.calls, statement.calls * wall_ms)
    };
    export(path, judged.iter().chain(aside).map(counted));
}

fn print_row(
    name: &str,
    after: &Measured,
    before: &Measured,
    workload: &[Statement],
    advice: Option<&Advised>,
) {
    println!(
        "{name:<22} {:>7} {:>6} {:>7.1} {:>9.4} {:>9.4} {:>9.2} {:>8.2} {:>9.0} {:>8} {:>6} {:>6}",
        after.created,
        after.unused.len(),
        after.size_mb,
        after.relative_cost(before, workload, false),
        after.relative_cost(before, workload, true),
        after.mean_cpu_ms(workload),
        after.p95_cpu_ms(workload),
        after.write_cpu_ms,
        advice.map_or("–".to_owned(), |advice| format!("{:.1}", advice.seconds)),
        advice.map_or("–".to_owned(), |advice| advice.plans.to_string()),
        after.failed.len(),
    );
    for sql in &after.failed {
        println!("    failed: {sql}");
    }
}
