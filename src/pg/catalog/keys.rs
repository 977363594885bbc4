//! Questions about the keys of a table, as SQL. The guard decides whether they are sent.

use crate::model::name::TableName;
use crate::model::workload::literal::Literal;
use crate::sql::lex::identifier::{quote, quote_literal, quote_table};

/// Types of keys; values of others are not asked for.
const TYPES: &[&str] =
    &["uuid", "integer", "bigint", "smallint", "text", "character varying", "numeric"];

/// Counts the values that are keys of the table; `None` where the key is of another type.
pub fn present(
    table: &TableName,
    (column, type_name): (&str, &str),
    values: &[Literal],
) -> Option<String> {
    let type_name = TYPES.iter().find(|own| type_name.starts_with(*own))?;
    let values: Vec<String> = values.iter().map(quote_literal).collect();
    Some(format!(
        "SELECT pg_catalog.count(*)::text FROM {} WHERE {} = ANY (ARRAY[{}]::{type_name}[])",
        quote_table(table),
        quote(column),
        values.join(", ")
    ))
}

/// Keys of the table in their text form, at most `most`.
pub fn all(table: &TableName, column: &str, most: usize) -> String {
    format!("SELECT k.{}::text FROM {} k LIMIT {most}", quote(column), quote_table(table))
}
