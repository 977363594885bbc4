//! Estimates the keys of a GIN index that does not exist, from some rows of its table.

use std::collections::BTreeMap;

use tokio_postgres::Row;

use super::distinct::{Counting, asked, haas_stokes, sample};
use crate::model::catalog::Table;
use crate::model::index::{IndexDef, IndexKey};
use crate::model::whatif::KeyGroups;
use crate::sql::expression::types::TypeClass;
use crate::sql::lex::identifier::{quote, quote_table};

/// Rows that are taken apart, about: at thirty keys a row, less than a second. Where they are so large that
/// there is no time for as many, fewer have to do.
const MOST_ROWS: [f64; 3] = [10_000.0, 1_000.0, 100.0];
/// Time for that, milliseconds: several times what it takes, as fewer rows tell much less of the rare keys.
const TIMEOUT_MS: u32 = 5_000;
/// Bytes of text that are taken apart, about: a trigram each, half a million of them a second.
const MOST_TEXT_BYTES: f64 = 400_000.0;
/// Rows of the sample that hold a key up to which it is rare: only of those are there any that no row of the
/// sample holds.
const RARE: f64 = 10.0;

/// The number of a column before a key, with what aligns the key behind it, bytes.
const COLUMN_NUMBER_BYTES: f64 = 4.0;

/// Keys of one class that equally many rows of the sample hold.
struct Seen {
    /// Rows of the sample that hold each of them.
    rows: f64,
    count: f64,
    key_bytes: f64,
    /// Pages with such a key, each counted for each key in it.
    pages: f64,
}

/// Keys that the index would have.
pub fn keys(counting: Counting<'_>, table: &Table, index: &IndexDef) -> Option<Vec<KeyGroups>> {
    let mut all = Vec::new();
    for key in &index.keys {
        let mut of_column = keys_of(counting, table, index, key)?;
        // Which column a key belongs to stands before it.
        let number_bytes = if index.keys.len() > 1 { COLUMN_NUMBER_BYTES } else { 0.0 };
        of_column.iter_mut().for_each(|keys| keys.key_bytes += number_bytes);
        all.append(&mut of_column);
    }
    Some(all)
}

/// Keys of one column or expression of the index.
fn keys_of(
    counting: Counting<'_>,
    table: &Table,
    index: &IndexDef,
    key: &IndexKey,
) -> Option<Vec<KeyGroups>> {
    let rows = table.rows.filter(|rows| *rows > 0.0)?;
    let taken_apart = taken_apart(key, kind(counting, table, key)?)?;
    let fewer = match key.operator_class.as_deref() {
        Some("gin_trgm_ops") => rows_of_text(table, key),
        _ => f64::INFINITY,
    };
    MOST_ROWS.iter().map(|most| most.min(fewer.max(MOST_ROWS[1]))).find_map(|most| {
        let sample = sample(table, most)?;
        let found = asked(counting, &query(table, index, key, &taken_apart, &sample), TIMEOUT_MS)?;
        let mut classes: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
        for row in &found {
            classes.entry(row.get(0)).or_default().push(seen(row));
        }
        Some(
            classes
                .values()
                .flat_map(|class| extrapolated(class, (rows / most).max(1.0)))
                .collect(),
        )
    })
}

/// Rows of which the text is [`MOST_TEXT_BYTES`] long.
fn rows_of_text(table: &Table, key: &IndexKey) -> f64 {
    let width = table.column(&key.expression).and_then(|column| column.width_bytes);
    width.map_or(f64::INFINITY, |width| MOST_TEXT_BYTES / f64::from(width.max(1)))
}

/// Asks for the keys in this part of the rows.
fn query(
    table: &Table,
    index: &IndexDef,
    key: &IndexKey,
    taken_apart: &str,
    sample: &str,
) -> String {
    let expression = if key.is_column { quote(&key.expression) } else { key.expression.clone() };
    include_str!("queries/gin_keys/keys.sql")
        .replace("{keys}", taken_apart)
        .replace("{rows}", &format!("{}{sample}", quote_table(&table.name)))
        .replace("{condition}", index.predicate.as_deref().unwrap_or("true"))
        // Last: it may hold any text.
        .replace("{expression}", &expression)
}

fn seen(row: &Row) -> Seen {
    Seen { rows: row.get(1), count: row.get(2), key_bytes: row.get(3), pages: row.get(4) }
}

/// The kind of value that the index is on.
fn kind(counting: Counting<'_>, table: &Table, key: &IndexKey) -> Option<TypeClass> {
    if key.is_column {
        return Some(TypeClass::of(&table.column(&key.expression)?.type_name));
    }
    let (expression, name) = (&key.expression, quote_table(&table.name));
    let sql =
        format!("SELECT pg_catalog.pg_typeof((SELECT ({expression}) FROM {name} LIMIT 0))::text");
    Some(TypeClass::of(asked(counting, &sql, TIMEOUT_MS)?.first()?.get(0)))
}

/// The query that takes values of this kind apart as the operator class does.
fn taken_apart(key: &IndexKey, kind: TypeClass) -> Option<String> {
    let elements = include_str!("queries/gin_keys/elements.sql");
    let document = include_str!("queries/gin_keys/document.sql");
    Some(match (key.operator_class.as_deref(), kind) {
        (Some("gin_trgm_ops"), TypeClass::Text) => {
            include_str!("queries/gin_keys/trigrams.sql").to_owned()
        }
        (Some("jsonb_path_ops"), TypeClass::Document) => {
            format!("{document}{}", include_str!("queries/gin_keys/paths.sql"))
        }
        (None, TypeClass::Document) => {
            format!("{document}{}", include_str!("queries/gin_keys/values.sql"))
        }
        (None, TypeClass::Array) => elements.replace("{elements}", "i.v"),
        // Keys and values, each with a letter before it that tells which.
        (None, TypeClass::Pairs) => elements.replace(
            "{elements}",
            "(SELECT pg_catalog.array_agg('K' || e.key) || pg_catalog.array_agg('V' || e.value) FROM each(i.v) e)",
        ),
        (None, TypeClass::Words) => elements.replace("{elements}", "pg_catalog.tsvector_to_array(i.v)"),
        _ => return None,
    })
}

/// The keys of all rows, of which those of a class were seen in one of `scale` rows.
fn extrapolated(class: &[Seen], scale: f64) -> Vec<KeyGroups> {
    let rare = || class.iter().filter(|seen| seen.rows <= RARE);
    let pairs: f64 = rare().map(|seen| seen.rows * seen.count).sum();
    let different: f64 = rare().map(|seen| seen.count).sum();
    let once: f64 = rare().filter(|seen| seen.rows == 1.0).map(|seen| seen.count).sum();
    let all = if pairs > 0.0 { haas_stokes(pairs * scale, pairs, different, once) } else { 0.0 };
    let unseen = (all - different).max(0.0);
    let of = |seen: &Seen| match seen.rows == 1.0 {
        // In one row of the sample each; and as many rows of the table as there are for them together.
        true => {
            let count = seen.count + unseen;
            KeyGroups {
                count,
                rows: (seen.count * scale / count).max(1.0),
                key_bytes: seen.key_bytes,
                same_page: None,
            }
        }
        false => KeyGroups {
            count: seen.count,
            rows: seen.rows * scale,
            key_bytes: seen.key_bytes,
            same_page: Some(1.0 - seen.pages / (seen.rows * seen.count)),
        },
    };
    class.iter().map(of).collect()
}
