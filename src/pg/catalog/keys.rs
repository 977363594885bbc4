//! Which values are keys of a table.

use super::distinct::{Counting, asked};
use crate::model::name::TableName;
use crate::model::workload::literal::Literal;
use crate::sql::lex::identifier::{quote, quote_literal, quote_table};

/// The question takes this long at most, milliseconds.
const TIMEOUT_MS: u32 = 2_000;
/// Types of keys; values of others are not asked for.
const TYPES: &[&str] =
    &["uuid", "integer", "bigint", "smallint", "text", "character varying", "numeric"];

/// How many of the values are keys of the table; `None` where they are of another type, or the answer takes too long.
pub fn present(
    counting: Counting<'_>,
    table: &TableName,
    (column, type_name): (&str, &str),
    values: &[Literal],
) -> Option<usize> {
    let type_name = TYPES.iter().find(|own| type_name.starts_with(*own))?;
    if values.is_empty() {
        return Some(0);
    }
    let values: Vec<String> = values.iter().map(quote_literal).collect();
    let sql = format!(
        "SELECT pg_catalog.count(*) FROM {} WHERE {} = ANY (ARRAY[{}]::{type_name}[])",
        quote_table(table),
        quote(column),
        values.join(", ")
    );
    let rows = asked(counting, &sql, TIMEOUT_MS)?;
    usize::try_from(rows.first()?.get::<_, i64>(0)).ok()
}

/// Keys of the table in their text form, at most `most`.
pub fn all(
    counting: Counting<'_>,
    table: &TableName,
    column: &str,
    most: usize,
) -> Option<Vec<Literal>> {
    let (name, column) = (quote_table(table), quote(column));
    let sql = format!("SELECT k.{column}::text FROM {name} k LIMIT {most}");
    let rows = asked(counting, &sql, TIMEOUT_MS)?;
    Some(rows.iter().filter_map(|row| row.get::<_, Option<String>>(0)).map(Literal::text).collect())
}
