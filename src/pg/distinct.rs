//! How many values a column or an expression has, where the statistics say too few or nothing.

use super::connect::Connection;
use crate::model::catalog::Table;
use crate::model::whatif::Distinct;
use crate::sql::ident::quote_table;

/// Rows that are read for one column, at most: smaller tables are read whole, and the count is exact.
const MOST_ROWS: f64 = 1e6;
/// A column that takes longer keeps what the statistics say, milliseconds.
const TIMEOUT_MS: u32 = 2_000;

/// Distinct values of `key`, a column or an expression as SQL, among all rows of its table. Of a large table a sample of its blocks is
/// read, and the estimator is that of `ANALYZE` (Haas and Stokes, *IBM Research Report RJ 10025*, 1998)
/// on thirty times as many rows.
pub fn distinct(connection: &Connection, table: &Table, key: &str) -> Option<Distinct> {
    let rows = table.rows.filter(|rows| *rows > 0.0)?;
    let sample = match rows > MOST_ROWS {
        true => format!(" TABLESAMPLE SYSTEM ({}) REPEATABLE (1)", 100.0 * MOST_ROWS / rows),
        false => String::new(),
    };
    let name = quote_table(&table.name);
    let sql = format!(
        "SELECT coalesce(sum(g.n), 0)::float8, count(*)::float8, (count(*) FILTER (WHERE g.n = 1))::float8 \
           FROM (SELECT count(*) AS n FROM {name}{sample} WHERE ({key}) IS NOT NULL GROUP BY ({key})) g"
    );
    connection
        .batch(&format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {TIMEOUT_MS}"))
        .ok()?;
    let row = connection.row(&sql, &[]);
    let _ = connection.clean_up("ROLLBACK");
    let row = row.ok()?;
    let (seen, different, once): (f64, f64, f64) = (row.get(0), row.get(1), row.get(2));
    if seen <= 0.0 {
        return None;
    }
    Some(match sample.is_empty() {
        true => Distinct { values: different, once: Some(once) },
        false => {
            let values = seen * different / (seen - once + once * seen / rows.max(seen));
            Distinct { values, once: None }
        }
    })
}
