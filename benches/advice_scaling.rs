//! How long advice takes as the workload grows.
//!
//! `cargo bench --bench advice_scaling` has `pgassay analyze` advise on 250 to 2,000 different statements
//! over 200 tables in a PostgreSQL of its own, and builds what was advised, each index by itself.
//! `-- DIRECTORY` does so with a workload of your own: `schema.sql`, the rows of each table as
//! `TABLE.csv` (fields separated by `|`, nothing for null), and the statements as `*.sql` beside it.

#[path = "advised.rs"]
mod advised;

use std::fmt::Write as _;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};
use std::process::Command;

use advised::{advised, cluster, export};
use pgassay::pg::config::settings::Settings;
use pgassay::pg::connect::connection::Connection;
use pgassay::stats::random::Random;

const TABLES: usize = 200;
const STATEMENTS: [usize; 4] = [250, 500, 1_000, 2_000];
const ROWS: usize = 5_000;
const COLUMNS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

fn main() {
    let own = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let cluster = cluster();
    let settings = cluster.settings("postgres");
    let connection = Connection::open(&settings).unwrap();
    connection.batch("CREATE EXTENSION hypopg; CREATE EXTENSION pg_trgm").unwrap();
    let log = std::env::temp_dir().join(format!("pgassay-bench-{}.csv", std::process::id()));
    println!(
        "{:>10} {:>9} {:>7} {:>8} {:>7} {:>10}",
        "statements", "seconds", "plans", "indexes", "failed", "duplicates"
    );
    match own {
        Some(directory) => {
            let directory = PathBuf::from(directory);
            load(&directory, &connection, &settings);
            let statements: Vec<String> = files(&directory, "sql")
                .into_iter()
                .filter(|path| !path.ends_with("schema.sql"))
                .map(|path| read_to_string(path).unwrap().trim().trim_end_matches(';').to_owned())
                .collect();
            row(&statements, &connection, &settings, &log);
        }
        None => {
            create(&connection);
            for count in STATEMENTS {
                row(&random_statements(count), &connection, &settings, &log);
            }
        }
    }
    let _ = std::fs::remove_file(log);
}

/// Files with this ending, by name.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let all = read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|own| own == ending)).collect();
    files.sort();
    files
}

fn load(directory: &Path, connection: &Connection, settings: &Settings) {
    connection.batch(&read_to_string(directory.join("schema.sql")).unwrap()).unwrap();
    for path in files(directory, "csv") {
        let table = path.file_stem().unwrap().to_string_lossy();
        let copy =
            format!("\\copy {table} from '{}' with (format csv, delimiter '|')", path.display());
        let loaded = Command::new("psql")
            .args(["-qX", "-h", &settings.host, "-p", &settings.port.to_string()])
            .args(["-U", &settings.user, "-d", &settings.database, "-c", &copy])
            .status()
            .unwrap();
        assert!(loaded.success(), "{table} was not loaded");
    }
    connection.batch("VACUUM (ANALYZE)").unwrap();
}

fn create(connection: &Connection) {
    let columns: Vec<String> = COLUMNS.iter().map(|column| format!("{column} int")).collect();
    for table in 0..TABLES {
        let sql = format!(
            "CREATE TABLE t{table} (id bigint PRIMARY KEY, {}, s text, at timestamptz, parent bigint);
             INSERT INTO t{table} SELECT i, i % 3, i % 10, i % 100, i % 1000, i % 5000, \
             (random() * 10)::int, (random() * 1000)::int, i, 'v' || (i % 7), \
             now() - i * interval '1 min', i % 2000 FROM generate_series(1, {ROWS}) i",
            columns.join(", ")
        );
        connection.batch(&sql).unwrap();
    }
    connection.batch("VACUUM (ANALYZE)").unwrap();
}

/// Statements of five forms over random tables and columns, the same ones in every run.
fn random_statements(count: usize) -> Vec<String> {
    let mut random = Random::new(3);
    (0..count)
        .map(|_| {
            let (t, u) = (random.below(TABLES), random.below(TABLES));
            let mut left = COLUMNS.to_vec();
            let [a, b, c, d] = std::array::from_fn(|_| left.remove(random.below(left.len())));
            match random.below(5) {
                0 => format!(
                    "SELECT id, {a} FROM t{t} WHERE {b} = $1 AND {c} > $2 ORDER BY at DESC LIMIT 20"
                ),
                1 => format!("SELECT count(*) FROM t{t} WHERE {a} = $1 AND {b} = $2 AND {d} < $3"),
                2 => format!(
                    "SELECT x.id, y.s FROM t{t} x JOIN t{u} y ON y.parent = x.id WHERE x.{a} = $1 ORDER BY y.{b}"
                ),
                3 => format!(
                    "SELECT {a}, sum({b}) FROM t{t} WHERE s = 'v3' AND {c} = $1 GROUP BY {a}"
                ),
                _ => format!("UPDATE t{t} SET {a} = $1 WHERE {b} = $2 AND {c} = $3"),
            }
        })
        .collect()
}

fn row(statements: &[String], connection: &Connection, settings: &Settings, log: &Path) {
    export(log, statements.iter().map(|sql| (sql.clone(), 100.0, 10_000.0)));
    let name = format!("scaling {}", statements.len());
    let advice = advised(settings, log, &name, &["analyze"], "proposed");
    let mut said = String::new();
    for sql in &advice.indexes {
        let built = connection.batch(&format!("BEGIN; {}", sql.replace(" CONCURRENTLY", "")));
        if let Err(error) = built {
            writeln!(said, "    failed: {sql}: {error}").unwrap();
        }
        connection.batch("ROLLBACK").unwrap();
    }
    let mut different: Vec<&str> =
        advice.indexes.iter().filter_map(|sql| sql.split_once(" ON ").map(|(_, on)| on)).collect();
    different.sort_unstable();
    different.dedup();
    println!(
        "{:>10} {:>9.1} {:>7} {:>8} {:>7} {:>10}",
        statements.len(),
        advice.seconds,
        advice.plans,
        advice.indexes.len(),
        said.lines().count(),
        advice.indexes.len() - different.len(),
    );
    print!("{said}");
}
