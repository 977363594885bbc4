//! Plans of statements, with their parameters or without.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::plan_json;
use crate::model::plan::Plan;
use crate::model::workload::Sample;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::{Connection, InWorkload};
use crate::pg::error::PgError;
use crate::pg::session::execute::lossy_text;

/// The plan for one execution as it was, parameters included.
///
/// # Errors
/// The server's error.
pub fn estimated(
    connection: &Connection,
    caller: &Caller,
    sample: &Sample,
) -> Result<Plan, PgError> {
    explain(connection, caller, "EXPLAIN (FORMAT JSON)", sample)
}

/// The plan with what it touched. Executes the statement: only for statements that passed the guard.
///
/// # Errors
/// The server's error.
pub fn executed(
    connection: &Connection,
    caller: &Caller,
    sample: &Sample,
) -> Result<Plan, PgError> {
    explain(connection, caller, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON)", sample)
}

/// The cost of one write in the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Write {
    /// Time of the execution, checks of foreign keys included and planning not, microseconds.
    pub execution_us: f64,
    /// Write-ahead log, changes of indexes included, bytes; `None` before PostgreSQL 13.
    pub wal_bytes: Option<u64>,
    /// Blocks that it touched, those of indexes included.
    pub blocks: u64,
}

/// Executes a write and says what it took. Only inside something that is rolled back.
///
/// # Errors
/// The server's error.
pub fn write(connection: &Connection, caller: &Caller, sample: &Sample) -> Result<Write, PgError> {
    let wal = if connection.version >= 130_000 { "WAL, " } else { "" };
    let verb =
        format!("EXPLAIN (ANALYZE, BUFFERS, {wal}COSTS OFF, TIMING OFF, SUMMARY ON, FORMAT JSON)");
    let answer = answer(connection, caller, &verb, sample)?;
    let execution_ms = answer[0]["Execution Time"].as_f64().unwrap_or(0.0);
    let wal_bytes = answer[0]["Plan"]["WAL Bytes"].as_u64();
    let blocks = plan_json::read(&answer).buffers.unwrap_or(0);
    Ok(Write { execution_us: execution_ms * 1e3, wal_bytes, blocks })
}

fn explain(
    connection: &Connection,
    caller: &Caller,
    verb: &str,
    sample: &Sample,
) -> Result<Plan, PgError> {
    Ok(plan_json::read(&answer(connection, caller, verb, sample)?))
}

fn answer(
    connection: &Connection,
    caller: &Caller,
    verb: &str,
    sample: &Sample,
) -> Result<Value, PgError> {
    let sql = format!("{verb} {}", sample.text);
    let row = connection.as_workload(caller, |workload| workload.row(&sql, &sample.parameters))?;
    // Names of indexes that do not exist may be cut in the middle of a character.
    Ok(serde_json::from_str(&lossy_text(&row, 0)).unwrap_or(Value::Null))
}

/// How many parameters a text has; the server takes it only if it is one statement.
///
/// # Errors
/// The server's error, most often that it cannot tell the type of a parameter.
pub fn parameters(connection: &Connection, caller: &Caller, text: &str) -> Result<usize, PgError> {
    match connection.as_workload(caller, |workload| workload.prepare(text)) {
        Ok(prepared) => Ok(prepared.params().len()),
        // A plan for no parameters in particular needs no types, where the server can be asked for one.
        Err(error) if plans_generically(connection) && is_untyped(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

fn plans_generically(connection: &Connection) -> bool {
    connection.version >= 160_000
}

/// `indeterminate_datatype`.
fn is_untyped(error: &PgError) -> bool {
    error.sqlstate.as_deref() == Some("42P18")
}

/// The plan for no parameters in particular: what a server would choose without looking at values.
/// `text` is one statement with so many `parameters`.
///
/// # Errors
/// The server's error.
pub fn generic(
    connection: &Connection,
    caller: &Caller,
    text: &str,
    parameters: usize,
) -> Result<Plan, PgError> {
    connection.as_workload(caller, |workload| generic_in(workload, text, parameters))
}

fn generic_in(workload: &InWorkload<'_>, text: &str, parameters: usize) -> Result<Plan, PgError> {
    if plans_generically(workload.connection()) {
        let rows = workload.simple(&format!("EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}"))?;
        return Ok(plan_json::read(&json(&rows)));
    }
    let explained = executed_with_nulls(workload, text, parameters, "")?;
    // No partition holds what is NULL: what the server would leave out when it begins is kept in.
    if is_pruned(&explained[0]["Plan"]) {
        let unpruned = "SET enable_partition_pruning = off; ";
        return Ok(plan_json::read(&executed_with_nulls(workload, text, parameters, unpruned)?));
    }
    Ok(plan_json::read(&explained))
}

/// Before 16: the plan of a prepared statement under `force_generic_plan`, executed with NULL for everything.
fn executed_with_nulls(
    workload: &InWorkload<'_>,
    text: &str,
    parameters: usize,
    settings: &str,
) -> Result<Value, PgError> {
    // All of it in one exchange. What failed inside a transaction keeps its name, so each has one of its own.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!("pgassay_generic_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
    let rows = workload.simple(&format!(
        "SET plan_cache_mode = force_generic_plan; {settings}PREPARE {name} AS {text}\n; \
         EXPLAIN (FORMAT JSON) EXECUTE {name}{arguments}; \
         DEALLOCATE {name}; RESET plan_cache_mode; RESET enable_partition_pruning"
    ));
    if rows.is_err() {
        let _ = workload.batch(&format!("DEALLOCATE {name}"));
    }
    Ok(json(&rows?))
}

/// Partitions were left out when the plan was about to be executed.
fn is_pruned(node: &Value) -> bool {
    node["Subplans Removed"].as_u64().is_some_and(|removed| removed > 0)
        || node["Plans"].as_array().into_iter().flatten().any(is_pruned)
}

fn json(rows: &[String]) -> Value {
    serde_json::from_str(&rows.join("\n")).unwrap_or(Value::Null)
}
