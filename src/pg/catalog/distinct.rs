//! How many values a column has, where the statistics are likely to say too few; what an expression is like,
//! and which values of several columns come together, of which there are none.

use tokio_postgres::Row;

use super::load::{DEDUPLICATES, alignment_bytes};
use crate::model::catalog::{Column, Storage, Table};
use crate::model::whatif::{Distinct, RowGroups};
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::sql::lex::identifier::{quote, quote_table};

/// Rows that are read for one column, at most: smaller tables are read whole, and the count is exact.
const MOST_ROWS: f64 = 1e6;
/// Tables with more rows are not grouped: that would not end in time.
const MOST_GROUPED_ROWS: f64 = 1e7;
/// Values of a column that stand for all of them in the sizes of groups.
const ENOUGH_VALUES: f64 = 50_000.0;
/// A column that takes longer keeps what the statistics say, milliseconds.
const TIMEOUT_MS: u32 = 2_000;

/// Distinct values of the column among all rows of its table. Of a large table a sample of its blocks is
/// read, and the estimator is that of `ANALYZE` (Haas and Stokes, *IBM Research Report RJ 10025*, 1998)
/// on thirty times as many rows.
pub fn distinct(counting: Counting<'_>, table: &Table, column: &str) -> Option<Distinct> {
    let (name, column) = (quote_table(&table.name), quote(column));
    let sql = format!(
        "SELECT coalesce(pg_catalog.sum(g.n), 0)::float8, pg_catalog.count(*)::float8, \
                (pg_catalog.count(*) FILTER (WHERE g.n = 1))::float8 \
           FROM (SELECT pg_catalog.count(*) AS n FROM {name}{} WHERE {column} IS NOT NULL GROUP BY {column}) g",
        sample(table, MOST_ROWS)?
    );
    let rows = asked(counting, &sql, TIMEOUT_MS)?;
    let row = rows.first()?;
    estimated(table, row.get(0), row.get(1), row.get(2))
}

/// Statistics of an expression as if it were a column, from the same rows.
pub fn measured(counting: Counting<'_>, table: &Table, expression: &str) -> Option<Column> {
    let (name, sample) = (quote_table(&table.name), sample(table, MOST_ROWS)?);
    let sql = include_str!("queries/expression.sql")
        .replace("{deduplicates}", DEDUPLICATES)
        .replace("{rows}", &format!("{name}{sample}"))
        // Last: a path in it may be spelled `'{rows}'`.
        .replace("{expression}", expression);
    let rows = asked(counting, &sql, TIMEOUT_MS)?;
    let row = rows.first()?;
    let distinct = estimated(table, row.get(0), row.get(1), row.get(2))?;
    let (mean, deviation): (f64, f64) = (row.get(4), row.get(5));
    Some(Column {
        name: expression.to_owned(),
        type_name: row.get(6),
        not_null: false,
        distinct: Some(distinct.values),
        once: distinct.once,
        null_fraction: row.get(3),
        width_bytes: Some(mean as u32),
        frequencies: Vec::new(),
        correlation: None,
        storage: Some(Storage {
            // No function of an expression is known to be.
            leakproof: false,
            length_bytes: u16::try_from(row.get::<_, i16>(7)).ok(),
            varying_bytes: Some((mean as f32, deviation as f32)),
            longest_bytes: None,
            alignment_bytes: alignment_bytes(row.get(8)),
            deduplicates: row.get(9),
            // Patterns are not asked of it.
            bytewise: false,
        }),
    })
}

/// Returns the greatest length of some expressions over all rows of the table, bytes.
pub fn longest(counting: Counting<'_>, table: &Table, expressions: &[String]) -> Option<Vec<u32>> {
    let each = expressions
        .iter()
        .map(|sql| format!("pg_catalog.max(pg_catalog.octet_length(({sql})::text))"));
    let each = each.collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {each} FROM {}", quote_table(&table.name));
    let rows = asked(counting, &sql, TIMEOUT_MS)?;
    let row = rows.first()?;
    let bytes = (0..expressions.len()).map(|at| row.get::<_, Option<i32>>(at).unwrap_or(0));
    Some(bytes.map(|bytes| u32::try_from(bytes).unwrap_or(0)).collect())
}

/// Rows that meet `condition` and agree in all of `columns`, by the size of such a group. Of a first column
/// with many values some are looked at, with all of their rows: whatever the rows of a group have to do with
/// each other, it is whole.
pub fn groups(
    counting: Counting<'_>,
    table: &Table,
    columns: &[&str],
    condition: Option<&str>,
) -> Option<Vec<RowGroups>> {
    let rows = table.rows.filter(|rows| (1.0..MOST_GROUPED_ROWS).contains(rows))?;
    let values = table.column(columns.first()?)?.distinct_count(rows).unwrap_or(rows);
    let one_of = (values / ENOUGH_VALUES).floor().max(1.0);
    let is_looked_at = match one_of > 1.0 {
        true => format!(
            "pg_catalog.mod(pg_catalog.hashtext({}::text), {one_of}) = 0",
            quote(columns[0])
        ),
        false => "true".to_owned(),
    };
    let list = |each: &dyn Fn(usize, &str) -> String| {
        let each = columns.iter().enumerate().map(|(at, column)| each(at, column));
        each.collect::<Vec<_>>().join(", ")
    };
    let sql = include_str!("queries/groups.sql")
        .replace("{values}", &list(&|at, _| format!("CASE WHEN r.looked_at THEN r.k{at} END")))
        .replace("{columns}", &list(&|at, column| format!("{} AS k{at}", quote(column))))
        .replace("{looked_at}", &is_looked_at)
        .replace("{table}", &quote_table(&table.name))
        // Last: it may hold any text.
        .replace("{condition}", condition.unwrap_or("true"));
    let found = asked(counting, &sql, TIMEOUT_MS)?;
    let (seen, aside): (Vec<&Row>, Vec<&Row>) =
        found.iter().partition(|row| row.get::<_, Option<bool>>(0) == Some(true));
    let seen = seen.iter().map(|row| RowGroups { rows: row.get(1), count: row.get(2) });
    let seen: Vec<RowGroups> = seen.collect();
    let rows: f64 = seen.iter().map(|groups| groups.count * groups.rows).sum();
    let aside: f64 = aside.iter().map(|row| row.get::<_, f64>(1)).sum();
    if rows == 0.0 && aside > 0.0 {
        return None;
    }
    // Those that were left aside are like those that were looked at.
    let factor = (rows + aside) / rows.max(1.0);
    let all = seen.into_iter().map(|groups| RowGroups { count: groups.count * factor, ..groups });
    Some(all.collect())
}

/// The part of the table that is read, about `most` rows; `None` where it has none.
pub(super) fn sample(table: &Table, most: f64) -> Option<String> {
    let rows = table.rows.filter(|rows| *rows > 0.0)?;
    Some(match rows > most {
        true => format!(" TABLESAMPLE SYSTEM ({}) REPEATABLE (1)", 100.0 * most / rows),
        false => String::new(),
    })
}

/// A connection, and who counts on it: expressions and conditions are written as the workload writes them.
#[derive(Clone, Copy)]
pub struct Counting<'c> {
    pub connection: &'c Connection,
    pub caller: &'c Caller,
}

/// The answer of a query, if it comes in time. What is ours in it has to be qualified.
pub(super) fn asked(counting: Counting<'_>, sql: &str, timeout_ms: u32) -> Option<Vec<Row>> {
    let limits =
        format!("SET LOCAL transaction_read_only = on; SET LOCAL statement_timeout = {timeout_ms}");
    let rows = counting.connection.as_workload(counting.caller, |workload| {
        workload.batch(&limits)?;
        workload.own_rows(sql, &[])
    });
    rows.ok()
}

/// Distinct values of all rows, of which `seen` had a value, `different` ones, `once` of them a single time.
fn estimated(table: &Table, seen: f64, different: f64, once: f64) -> Option<Distinct> {
    let rows = table.rows?;
    if seen <= 0.0 {
        return None;
    }
    Some(match rows > MOST_ROWS {
        false => Distinct { values: different, once: Some(once) },
        true => {
            let values = haas_stokes(rows.max(seen), seen, different, once);
            Distinct { values, once: None }
        }
    })
}

/// Distinct values among `all`, of which `seen` were looked at: `different` ones, `once` of them a single time.
pub(super) fn haas_stokes(all: f64, seen: f64, different: f64, once: f64) -> f64 {
    seen * different / (seen - once + once * seen / all)
}
