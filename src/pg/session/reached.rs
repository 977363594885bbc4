//! Asks which rows a statement of the workload reaches.

use super::execute::lossy_text;
use super::guard::statement::Guard;
use crate::model::workload::literal::Literal;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;

/// Longest time for one answer, milliseconds.
const TIMEOUT_MS: u32 = 2_000;

/// Rows of a query made from a statement of the workload, all of them of text. It reads, and is rolled back.
///
/// # Errors
/// A sentence why it was not sent, or the server's error.
pub fn rows(
    connection: &Connection,
    caller: &Caller,
    guard: &mut Guard,
    sql: &str,
    parameters: &[Literal],
) -> Result<Vec<Vec<String>>, String> {
    guard.check(connection, caller, sql)?;
    let limits =
        format!("SET LOCAL transaction_read_only = on; SET LOCAL statement_timeout = {TIMEOUT_MS}");
    let found = connection.as_workload(caller, |workload| {
        workload.batch(&limits)?;
        let statement = workload.prepare(sql)?;
        let count = statement.params().len().min(parameters.len());
        workload.rows(&statement, &parameters[..count])
    });
    let found = found.map_err(|error| error.to_string())?;
    Ok(found.iter().map(|row| (0..row.len()).map(|at| lossy_text(row, at)).collect()).collect())
}
