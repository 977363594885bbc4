//! What a set of indexes is worth on a workload: planner cost, CPU of the backend, size, write cost.
//!
//! CPU is that of the backend as the kernel counts it (`/proc/PID/schedstat`), which a busy machine does
//! not change; so the server has to run on this machine. Indexes are created for real and dropped again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use pgassay::pg::connect::connection::Connection;
use serde_json::Value;

/// A statement of a workload.
pub struct Statement {
    pub name: String,
    pub calls: f64,
    pub sql: String,
}

/// Statements under lines such as `-- name: q01 calls=100 what it is`.
pub fn workload(path: &Path) -> Vec<Statement> {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("-- name: ")
        .skip(1)
        .map(|part| {
            let (head, sql) = part.split_once('\n').unwrap();
            let (name, rest) = head.split_once(" calls=").unwrap();
            let calls = rest.split_whitespace().next().unwrap().parse().unwrap();
            let sql = sql.trim().trim_end_matches(';').to_owned();
            Statement { name: name.to_owned(), calls, sql }
        })
        .collect()
}

/// Statements of a file, one a line.
pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| line.trim().trim_end_matches(';').to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .collect()
}

/// Executions of each write that are measured.
const WRITE_PASSES: usize = 5;

/// What one statement costs.
#[derive(Clone, Copy)]
pub struct Cost {
    pub planner: f64,
    pub cpu_ms: f64,
    pub wall_ms: f64,
}

/// What a set of indexes gives and takes.
pub struct Measured {
    pub created: usize,
    pub failed: Vec<String>,
    pub unused: Vec<String>,
    pub size_mb: f64,
    pub costs: BTreeMap<String, Cost>,
    pub write_cpu_ms: f64,
}

impl Measured {
    /// Planner cost of the statements as a part of that in `before`, weighted by calls or not.
    pub fn relative_cost(&self, before: &Measured, workload: &[Statement], weighted: bool) -> f64 {
        let sum = |measured: &Measured| -> f64 {
            let weight = |s: &Statement| if weighted { s.calls } else { 1.0 };
            workload.iter().map(|s| weight(s) * measured.costs[&s.name].planner).sum()
        };
        sum(self) / sum(before)
    }

    pub fn mean_cpu_ms(&self, workload: &[Statement]) -> f64 {
        let calls: f64 = workload.iter().map(|s| s.calls).sum();
        workload.iter().map(|s| s.calls * self.costs[&s.name].cpu_ms).sum::<f64>() / calls
    }

    /// CPU that 95 of 100 calls stay within.
    pub fn p95_cpu_ms(&self, workload: &[Statement]) -> f64 {
        let calls: f64 = workload.iter().map(|s| s.calls).sum();
        let mut each: Vec<(f64, f64)> =
            workload.iter().map(|s| (self.costs[&s.name].cpu_ms, s.calls)).collect();
        each.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut seen = 0.0;
        for (cpu_ms, of) in each {
            seen += of;
            if seen >= 0.95 * calls {
                return cpu_ms;
            }
        }
        f64::NAN
    }
}

/// Creates the indexes, measures, and drops them again.
pub fn measure(
    connection: &Connection,
    workload: &[Statement],
    indexes: &[String],
    writes: &[String],
    runs: usize,
) -> Measured {
    connection.batch("VACUUM (ANALYZE)").unwrap();
    let pid: i32 = connection.row("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut failed = Vec::new();
    let mut names = BTreeMap::new();
    for (number, sql) in indexes.iter().enumerate() {
        let name = format!("zz_{number:02}");
        match renamed(sql, &name) {
            None => connection.batch(sql).unwrap(),
            Some(renamed) => match connection.batch(&renamed) {
                Ok(()) => drop(names.insert(name, sql.clone())),
                Err(error) => failed.push(format!("{sql}: {error}")),
            },
        }
    }
    connection.batch("VACUUM (ANALYZE)").unwrap();
    let family = "SELECT r.relname::text, c.relname::text, pg_relation_size(c.oid) FROM pg_class r, \
                  LATERAL (SELECT r.oid UNION SELECT relid FROM pg_partition_tree(r.oid)) t(oid) \
                  JOIN pg_class c ON c.oid = t.oid WHERE r.relname ~ '^zz_[0-9]+$' AND NOT r.relispartition";
    let family: Vec<(String, String, i64)> = connection
        .query(family, &[])
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let mut costs = BTreeMap::new();
    let mut plans = String::new();
    for statement in workload {
        let (plan, planner) = planned(connection, &statement.sql);
        plans.push_str(&plan);
        let (cpu_ms, wall_ms) = executed(connection, pid, &statement.sql, runs);
        costs.insert(statement.name.clone(), Cost { planner, cpu_ms, wall_ms });
    }
    let used: Vec<&String> = family
        .iter()
        .filter(|(_, name, _)| plans.contains(&format!("\"{name}\"")))
        .map(|(root, _, _)| root)
        .collect();
    let unused =
        names.iter().filter(|(name, _)| !used.contains(name)).map(|(_, sql)| sql.clone()).collect();
    let write_cpu_ms = written(connection, pid, writes);
    for name in names.keys() {
        let drop = connection.row(
            "SELECT format('DROP INDEX %s', oid::regclass) FROM pg_class WHERE relname = $1",
            &[name],
        );
        connection.batch(drop.unwrap().get(0)).unwrap();
    }
    let size_mb =
        family.iter().map(|(_, _, bytes)| *bytes).sum::<i64>() as f64 / f64::from(1 << 20);
    Measured { created: names.len(), failed, unused, size_mb, costs, write_cpu_ms }
}

/// The statement with another name for its index; `None` for what creates no index.
fn renamed(sql: &str, name: &str) -> Option<String> {
    let (head, rest) = sql.split_once(" ON ")?;
    head.starts_with("CREATE").then_some(())?;
    head.contains("INDEX").then(|| {
        let unique = if head.contains("UNIQUE") { "UNIQUE " } else { "" };
        format!("CREATE {unique}INDEX {name} ON {rest}")
    })
}

fn planned(connection: &Connection, sql: &str) -> (String, f64) {
    let explained: Value =
        connection.row(&format!("EXPLAIN (FORMAT JSON) {sql}"), &[]).unwrap().get(0);
    (explained.to_string(), explained[0]["Plan"]["Total Cost"].as_f64().unwrap())
}

/// Medians of CPU and wall time over `runs` executions, the first aside.
fn executed(connection: &Connection, pid: i32, sql: &str, runs: usize) -> (f64, f64) {
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let (cpu_before, started) = (cpu_ms(pid), Instant::now());
        connection.batch(sql).unwrap();
        if run > 0 {
            cpu.push(cpu_ms(pid) - cpu_before);
            wall.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    (median(cpu), median(wall))
}

/// CPU of all writes together, each rolled back: of each its median, after one execution that is left out.
fn written(connection: &Connection, pid: i32, writes: &[String]) -> f64 {
    let execution = |sql: &String| {
        connection.batch("BEGIN").unwrap();
        let before = cpu_ms(pid);
        connection.batch(sql).unwrap();
        let spent = cpu_ms(pid) - before;
        connection.batch("ROLLBACK").unwrap();
        spent
    };
    let passes: Vec<Vec<f64>> =
        (0..=WRITE_PASSES).map(|_| writes.iter().map(execution).collect()).collect();
    let of = |write: usize| median(passes[1..].iter().map(|pass| pass[write]).collect());
    (0..writes.len()).map(of).sum()
}

fn cpu_ms(pid: i32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
