//! Conditions on a function of a column, which an index on the column cannot serve.

use serde_json::json;

use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::model::index::AccessMethod;
use crate::model::workload::Query;
use crate::model::workload::literal::Literal;
use crate::model::workload::shape::{Key, Operator, Predicate, StatementKind};
use crate::rules::grouped::{FAST_MEAN_US, Grouped, is_worth_an_index};
use crate::rules::input::Input;
use crate::rules::observed::ScanOf;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "non-sargable-predicate",
    summary: "a condition on a function or cast of a column, a pattern that begins with a wildcard, or `value = ANY (column)`",
    needs: "a log or an export; a catalog to know the indexes and types; for patterns a log with parameters",
    page: include_str!("non_sargable_predicate.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let mut groups = Grouped::new(RULE.id);
    for found in input.scans() {
        if found.shape.kind == StatementKind::Insert && found.scan.target {
            continue;
        }
        let alternatives = found.scan.alternatives.iter().flatten();
        let scans = std::iter::once(found.scan).chain(alternatives);
        for predicate in scans.flat_map(|scan| &scan.filters) {
            let Some(why) = defeat(&found, predicate) else { continue };
            if !is_slow_enough(&found) || is_served(found.table, predicate) {
                continue;
            }
            let columns: Vec<String> =
                predicate.key.columns().into_iter().map(str::to_owned).collect();
            let level = if found.table.is_some() { Level::Warning } else { Level::Info };
            let name = &found.scan.table;
            groups.add(name, columns, level, found.query, || format!("{name}: {}", why.message));
            let has_index = found.table.zip(predicate.key.columns().first().copied());
            groups.evidence(json!({
                "kind": "predicate",
                "provenance": "observed",
                "expression": predicate.key.sql(),
                "index_on_column": has_index.map(|(table, column)| table.has_index_on(column)),
                "instead": why.instead,
            }));
        }
    }
    groups.finish(input.workload)
}

/// Why an index on the column does not help, and what would.
struct Unusable {
    message: String,
    instead: String,
}

fn defeat(found: &ScanOf<'_>, predicate: &Predicate) -> Option<Unusable> {
    match (&predicate.key, predicate.operator) {
        (key, Operator::Like | Operator::ILike) if begins_with_wildcard(found.query, predicate) => {
            Some(Unusable {
                message: format!(
                    "{} is compared with a pattern that begins with a wildcard, which no btree serves",
                    key.sql()
                ),
                instead: "a trigram index (gin_trgm_ops), or full-text search".to_owned(),
            })
        }
        (key, Operator::Element) => Some(Unusable {
            message: format!("value = ANY ({0}) cannot use an index on {0}", key.sql()),
            instead: format!("{} @> ARRAY[value], and a GIN index", key.sql()),
        }),
        (
            Key::Expression { sql, columns },
            Operator::Equal | Operator::In | Operator::Range | Operator::Like,
        ) if !is_document_path(sql) => Some(Unusable {
            message: format!("a condition on {sql} cannot use an index on {}", columns.join(", ")),
            instead: instead(sql, columns),
        }),
        _ => None,
    }
}

/// Most of the values that were seen begin with `%` or `_`.
fn begins_with_wildcard(query: &Query, predicate: &Predicate) -> bool {
    // Of `$1 || $2` the first part decides.
    let Some(values) =
        predicate.slots.first().and_then(|slot| query.slots.get(usize::from(*slot) - 1))
    else {
        return false;
    };
    let kept = values.kept();
    let is_wildcard = |value: &Literal| value.expose().is_some_and(|v| v.starts_with(['%', '_']));
    let with: u64 = kept.iter().filter(|kept| is_wildcard(&kept.value)).map(|k| k.count).sum();
    let all: u64 = kept.iter().map(|kept| kept.count).sum();
    with > 0 && 2 * with >= all
}

/// Calls that stand for what people look up: letters of either case, words, sums of a value.
const CURED_BY_AN_INDEX: [&str; 6] =
    ["lower(", "upper(", "trim(", "btrim(", "md5(", "to_tsvector("];

/// An index on the expression is the natural cure, rather than another condition.
pub fn is_cured_by_an_index(sql: &str) -> bool {
    let lower = sql.to_lowercase();
    is_document_path(sql) || CURED_BY_AN_INDEX.iter().any(|call| lower.starts_with(call))
}

/// `attrs ->> 'brand'` is how one asks a document; there is no column to compare instead.
fn is_document_path(sql: &str) -> bool {
    ["->", "#>"].iter().any(|operator| sql.contains(operator))
}

fn instead(sql: &str, columns: &[String]) -> String {
    let lower = sql.to_lowercase();
    let column = columns.first().map_or("the column", String::as_str);
    let is_day = lower.ends_with(":: date")
        || lower.ends_with("::date")
        || ["date(", "date_trunc(", "extract(", "date_part("].iter().any(|f| lower.starts_with(f));
    if is_day {
        format!("a range of the column itself: {column} >= start AND {column} < end")
    } else if lower.starts_with("coalesce(") {
        format!("{column} = value OR {column} IS NULL, or a column that is NOT NULL")
    } else if lower.contains("::") || lower.starts_with("cast(") {
        format!("cast the value to the type of {column}, not {column} to the type of the value")
    } else {
        format!("an index on the expression: ({sql})")
    }
}

fn is_slow_enough(found: &ScanOf<'_>) -> bool {
    match found.table {
        Some(table) => is_worth_an_index(found.query, table),
        None => found.query.mean_us().is_none_or(|mean| mean >= FAST_MEAN_US),
    }
}

fn is_served(table: Option<&Table>, predicate: &Predicate) -> bool {
    let Some(table) = table else { return false };
    table.indexes.iter().any(|index| {
        index.serves(table, predicate)
            // A btree of pattern operators serves no pattern that begins with a wildcard.
            && !(index.def.method == AccessMethod::Btree
                && matches!(predicate.operator, Operator::Like | Operator::ILike))
    })
}
