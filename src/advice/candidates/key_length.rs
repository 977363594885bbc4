//! Whether the values of a column stay short enough for an index.
//!
//! A row of a btree is at most a third of a page, 2,704 bytes. A longer value fails to be written once the index is
//! there, which nobody who wrote it before expects, and the index cannot be built where one is there already.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::candidate::{Candidate, Candidates};
use crate::model::catalog::{Catalog, Column, Table, UserFunction};
use crate::model::index::{AccessMethod, IndexDef, IndexKey, mentions};
use crate::model::name::TableName;
use crate::model::whatif::Statistics;
use crate::sql::expression::immutability::indexable;
use crate::sql::expression::types::TypeClass;
use crate::sql::lex::identifier::quote;

/// Values of a type without a limit count as short while none is known to be longer than this, bytes: a tenth of
/// what a row of a btree may have.
const SHORT_BYTES: u32 = 256;
/// Characters of a type with a limit, at most; each has up to four bytes.
const SHORT_CHARACTERS: u32 = 255;
/// Mean of the values of a key, bytes, beyond which single ones are likely not to fit.
const LONG_KEY_BYTES: u32 = 900;
/// The greatest length of unlimited values together in a row of a btree, bytes: 2,704 but for the header of the
/// row and some other columns.
const ROW_BYTES: u32 = 2_600;
/// A longest value from which on the next one may well be too long, bytes.
const NEARLY_TOO_LONG_BYTES: u32 = ROW_BYTES / 2;

/// Tables that were too large to be looked at, at most, or that may not be read.
const MOST_UNREADABLE_TABLES: usize = 3;
/// Rows that a value may have in a hash index: a page holds four hundred.
const MOST_IN_A_BUCKET: f64 = 400.0;

/// By table, and by the SQL of a column or an expression on it, what its longest value has, bytes.
pub type Longest = HashMap<(TableName, String), u32>;

/// An index may carry the column beside its keys: by its type it is short, or it holds words and names, as far as
/// statistics tell.
pub fn stays_short(column: &Column) -> bool {
    let storage = column.storage.as_ref();
    if storage.is_some_and(|storage| storage.length_bytes.is_some()) {
        return true;
    }
    match TypeClass::of(&column.type_name) {
        TypeClass::Text => match limit(&column.type_name) {
            Some(characters) => characters <= SHORT_CHARACTERS,
            // What has few values are words for a state or a kind; anything else may be of any length tomorrow.
            None => seen_short(column) && has_few_values(column),
        },
        TypeClass::Integer
        | TypeClass::Bigint
        | TypeClass::Decimal
        | TypeClass::Boolean
        | TypeClass::Uuid => true,
        TypeClass::Date | TypeClass::Timestamp | TypeClass::TimestampTz | TypeClass::Network => {
            true
        }
        _ => false,
    }
}

/// Number of values up to which text without a limit is a choice of words.
const FEW_VALUES: f64 = 100.0;

fn has_few_values(column: &Column) -> bool {
    // Below zero it is a part of the rows.
    column.distinct.is_some_and(|distinct| (0.0..=FEW_VALUES).contains(&distinct))
}

/// Tells whether the longest values that the columns' types allow fit into a row of a btree: a character has up
/// to four bytes.
pub fn fit_together<'c>(columns: impl Iterator<Item = &'c Column>) -> bool {
    let of_text = columns.filter(|column| TypeClass::of(&column.type_name) == TypeClass::Text);
    let bytes =
        of_text.filter_map(|column| limit(&column.type_name)).map(|most| most.saturating_mul(4));
    bytes.fold(0_u32, u32::saturating_add) <= ROW_BYTES
}

/// The longest value of each column and expression without a limit that btrees are to hold, as far as there is time
/// to look at all rows: one is enough to make a build fail.
pub fn longest(found: &[Candidate], catalog: &Catalog, statistics: &mut dyn Statistics) -> Longest {
    let mut asked: BTreeMap<(u64, &TableName), Vec<String>> = BTreeMap::new();
    for def in found.iter().map(|candidate| &candidate.def) {
        let Some(table) = catalog.table(&def.table) else { continue };
        let of_table = asked.entry((table.size_bytes.unwrap_or(0), &table.name)).or_default();
        for sql in unlimited(def, table, &catalog.functions) {
            if !of_table.contains(&sql) {
                of_table.push(sql);
            }
        }
    }
    let mut longest = Longest::new();
    let mut silent = 0;
    for ((_, name), all) in asked.into_iter().filter(|(_, all)| !all.is_empty()) {
        let Some(bytes) = catalog.table(name).and_then(|table| statistics.longest(table, &all))
        else {
            silent += 1;
            // The larger ones take longer still.
            if silent > MOST_UNREADABLE_TABLES {
                break;
            }
            continue;
        };
        let of_each = all.into_iter().zip(bytes);
        longest.extend(of_each.map(|(sql, bytes)| ((name.clone(), sql), bytes)));
    }
    longest
}

/// The candidates whose rows fit into a btree; for others, what finds one value whatever its length. Comes with the
/// statements that asked for those others.
pub fn within_a_row(
    found: Candidates,
    longest: &Longest,
    catalog: &Catalog,
) -> (Candidates, HashSet<usize>) {
    let Candidates { mut all, conditions, equal } = found;
    let mut too_long = HashSet::new();
    let mut hashed: Vec<Candidate> = Vec::new();
    all.retain(|candidate| {
        let def = &candidate.def;
        let Some(table) = catalog.table(&def.table) else { return true };
        // Where most of it is long, a btree takes much space, and the next value may be too long.
        let is_mostly_long = |sql: &String| {
            let mut columns = table.columns.iter().filter(|column| quote(&column.name) == *sql);
            columns.any(|column| column.width_bytes.is_some_and(|bytes| bytes > LONG_KEY_BYTES))
        };
        let bytes_of = |sql: &String| {
            let known = known(longest, def, sql).unwrap_or(0);
            if is_mostly_long(sql) { u32::MAX } else { known }
        };
        let unlimited = unlimited(def, table, &catalog.functions);
        let bytes: u32 = unlimited.iter().map(bytes_of).fold(0, u32::saturating_add);
        if bytes <= ROW_BYTES {
            return true;
        }
        too_long.extend(&candidate.queries);
        let is_long = |key: &&IndexKey| bytes_of(&sql_of(key)) > ROW_BYTES;
        for key in def.keys.iter().filter(is_long) {
            let is_asked = equal.contains(&(def.table.clone(), key.expression.clone()));
            if is_asked && !repeats(table, key) {
                add_hash(&mut hashed, candidate, key);
            }
        }
        false
    });
    all.extend(hashed);
    (Candidates { all, conditions, equal }, too_long)
}

/// Some value is that of many rows. They share a bucket of a hash index, and each that is written is put behind all
/// others.
fn repeats(table: &Table, key: &IndexKey) -> bool {
    let (Some(column), Some(rows)) = (table.column(&key.expression), table.rows) else {
        return false;
    };
    let mean = rows / column.distinct_count(rows).unwrap_or(rows).max(1.0);
    let most = column.frequencies.iter().fold(0.0_f64, |most, own| most.max(f64::from(*own)));
    mean.max(most * rows) > MOST_IN_A_BUCKET
}

/// Adds the hash index on a key for the statements of a candidate.
fn add_hash(hashed: &mut Vec<Candidate>, candidate: &Candidate, key: &IndexKey) {
    let key = IndexKey { is_column: key.is_column, ..IndexKey::column(&key.expression) };
    let def = IndexDef::on(&candidate.def.table, AccessMethod::Hash, vec![key]);
    let known = hashed.iter().position(|known| known.def == def);
    let at = known.unwrap_or_else(|| {
        hashed.push(Candidate::new(def));
        hashed.len() - 1
    });
    for query in &candidate.queries {
        hashed[at].ask(*query, candidate.whole.contains(query));
    }
}

/// Returns the length of the longest value of a column or an expression, bytes.
fn known(longest: &Longest, def: &IndexDef, sql: &str) -> Option<u32> {
    longest.get(&(def.table.clone(), sql.to_owned())).copied()
}

/// Returns a caution where the longest value is close to the limit of a btree row.
pub fn caution(
    def: &IndexDef,
    longest: &Longest,
    table: &Table,
    functions: &[UserFunction],
) -> Option<String> {
    let all = unlimited(def, table, functions);
    let all: Vec<u32> = all.iter().filter_map(|sql| known(longest, def, sql)).collect();
    let longest = all.iter().fold(0_u32, |sum, bytes| sum.saturating_add(*bytes));
    (longest > NEARLY_TOO_LONG_BYTES).then(|| {
        format!(
            "its longest row has about {longest} bytes; one of more than 2,704 cannot be written once it is there"
        )
    })
}

/// The longest that a btree holds of what has no limit, bytes, where none of it is close to what a row may have.
/// Columns that a btree of the table holds already, or that have few values, are not counted.
pub fn short_so_far(
    def: &IndexDef,
    longest: &Longest,
    table: &Table,
    functions: &[UserFunction],
) -> Option<u32> {
    let is_held = |column: &Column| {
        let mut btrees =
            table.indexes.iter().filter(|index| index.def.method == AccessMethod::Btree);
        btrees.any(|index| index.def.holds(&column.name))
    };
    let is_new = |sql: &String| {
        let mut columns = table.columns.iter();
        columns
            .find(|column| quote(&column.name) == *sql)
            .is_none_or(|column| !has_few_values(column) && !is_held(column))
    };
    let all = unlimited(def, table, functions).into_iter().filter(is_new);
    let all: Vec<u32> = all.filter_map(|sql| known(longest, def, &sql)).collect();
    let is_near = all.iter().sum::<u32>() > NEARLY_TOO_LONG_BYTES;
    all.into_iter().max().filter(|_| !is_near)
}

/// A btree on values without a limit of which nothing is known.
pub fn is_unknown(
    def: &IndexDef,
    longest: &Longest,
    table: &Table,
    functions: &[UserFunction],
) -> bool {
    let all = unlimited(def, table, functions);
    all.iter().any(|sql| known(longest, def, sql).is_none())
}

/// The columns and expressions of a btree whose values have no limit, as SQL.
fn unlimited(def: &IndexDef, table: &Table, functions: &[UserFunction]) -> Vec<String> {
    if def.method != AccessMethod::Btree {
        return Vec::new();
    }
    let is_long_column = |name: &str| table.column(name).is_some_and(has_no_limit);
    let keys = def.keys.iter().filter(|key| match key.is_column {
        true => is_long_column(&key.expression),
        false => indexable(&key.expression, table, functions, &|_| None).is_some_and(|found| {
            found.kind == TypeClass::Text && has_long_part(&key.expression, table)
        }),
    });
    let carried = def.include.iter().filter(|name| is_long_column(name));
    keys.map(sql_of).chain(carried.map(|name| quote(name))).collect()
}

/// The expression is made of something that has no limit itself.
fn has_long_part(expression: &str, table: &Table) -> bool {
    let mut parts = table.columns.iter().filter(|column| mentions(expression, &column.name));
    parts.any(|column| {
        has_no_limit(column) || TypeClass::of(&column.type_name) == TypeClass::Document
    })
}

fn has_no_limit(column: &Column) -> bool {
    match TypeClass::of(&column.type_name) {
        TypeClass::Text => {
            limit(&column.type_name).is_none_or(|characters| 4 * characters > ROW_BYTES)
        }
        TypeClass::Array => true,
        _ => column.type_name == "bytea",
    }
}

fn sql_of(key: &IndexKey) -> String {
    if key.is_column { quote(&key.expression) } else { key.expression.clone() }
}

/// Tells whether the sampled values of the column are short. Samples leave out what has more than a kilobyte, and
/// the mean does not.
fn seen_short(column: &Column) -> bool {
    let seen = column.storage.as_ref().and_then(|storage| {
        let (mean_bytes, _) = storage.varying_bytes?;
        Some((mean_bytes, storage.longest_bytes?))
    });
    seen.is_some_and(|(mean_bytes, longest_bytes)| {
        let is_whole =
            column.width_bytes.is_none_or(|bytes| bytes as f32 <= 1.5 * mean_bytes + 4.0);
        is_whole && longest_bytes <= SHORT_BYTES
    })
}

/// Characters that the type allows: those of `character varying(40)`.
fn limit(type_name: &str) -> Option<u32> {
    let name = type_name.to_lowercase();
    let (name, rest) = name.split_once('(').unwrap_or((&name, ""));
    match (name.trim(), rest.split(')').next()?.trim().parse().ok()) {
        ("character" | "char", None) => Some(1),
        (_, limit) => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::Storage;
    use crate::sql::dump::catalog;

    #[test]
    fn what_has_no_limit_is_short_only_where_that_was_seen() {
        let (mut catalog, _) = catalog::catalog(
            "CREATE TABLE t (a text, b varchar(40), c varchar(4000), d jsonb, e text[], f tsvector, g uuid,
                             h char, i numeric(10, 2), j timestamptz, k varchar, l bytea)",
        );
        let is_short = |catalog: &crate::model::catalog::Catalog| -> String {
            let columns = catalog.tables[0].columns.iter();
            columns.filter(|column| stays_short(column)).map(|c| c.name.as_str()).collect()
        };
        assert_eq!(is_short(&catalog), "bghij");
        let storage = Storage {
            length_bytes: None,
            varying_bytes: Some((20.0, 5.0)),
            longest_bytes: Some(60),
            alignment_bytes: 4,
            deduplicates: true,
            bytewise: true,
            leakproof: true,
        };
        for (longest_bytes, width_bytes, columns) in
            [(60, 20, "abghijk"), (300, 20, "bghij"), (60, 90, "bghij")]
        {
            for column in &mut catalog.tables[0].columns {
                let storage = Some(Storage { longest_bytes: Some(longest_bytes), ..storage });
                (column.storage, column.width_bytes) = (storage, Some(width_bytes));
                column.distinct = Some(20.0);
            }
            assert_eq!(is_short(&catalog), columns, "{longest_bytes} {width_bytes}");
        }
        // Text of many values may be of any length tomorrow.
        for column in &mut catalog.tables[0].columns {
            let storage = column.storage.map(|s| Storage { longest_bytes: Some(60), ..s });
            (column.storage, column.width_bytes) = (storage, Some(20));
            column.distinct = Some(-0.7);
        }
        assert_eq!(is_short(&catalog), "bghij");
    }

    #[test]
    fn what_is_short_by_itself_has_to_fit_with_the_others() {
        let (catalog, _) = catalog::catalog(
            "CREATE TABLE t (a varchar(255), b varchar(255), c varchar(255), d int, e text)",
        );
        let columns = &catalog.tables[0].columns;
        assert!(fit_together(columns[..2].iter().chain(&columns[3..])));
        assert!(!fit_together(columns.iter()));
    }

    #[test]
    fn what_no_row_of_a_btree_holds_is_searched_by_hash_unless_many_rows_have_it() {
        let (mut catalog, _) =
            catalog::catalog("CREATE TABLE t (url text, a int, body text, code varchar(20))");
        let table = catalog.tables[0].name.clone();
        let keys = |names: &[&str]| names.iter().map(|name| IndexKey::column(*name)).collect();
        let of = |names: &[&str]| Candidate {
            def: IndexDef::on(&table, AccessMethod::Btree, keys(names)),
            queries: vec![names.len()],
            whole: vec![names.len()],
        };
        let bytes = [("url", 2_700), ("body", 1_400)];
        let longest: Longest =
            bytes.map(|(name, bytes)| ((table.clone(), name.to_owned()), bytes)).into();
        let mut within = |distinct: f64, names: &[&[&str]]| -> Vec<String> {
            catalog.tables[0].rows = Some(1e6);
            catalog.tables[0].columns[0].distinct = Some(distinct);
            let all = names.iter().map(|names| of(names)).collect();
            let equal = [(table.clone(), "url".to_owned())].into();
            let found = Candidates { all, conditions: Default::default(), equal };
            let left = within_a_row(found, &longest, &catalog).0.all.into_iter();
            left.map(|c| {
                let keys: Vec<String> = c.def.keys.into_iter().map(|k| k.expression).collect();
                format!("{} {} {:?}", c.def.method, keys.join(" "), c.queries)
            })
            .collect()
        };
        let names: &[&[&str]] = &[&["url"], &["a", "url"], &["body"], &["code", "a", "body"]];
        assert_eq!(
            within(9e5, names),
            ["btree body [1]", "btree code a body [3]", "hash url [1, 2]"]
        );
        assert_eq!(within(1e3, &[&["url"]]), [""; 0]);
        // Neither of them alone, but both together.
        assert_eq!(within(9e5, &[&["body", "a"], &["body", "url"]])[0], "btree body a [2]");
    }
}
