//! GIN and GiST candidates: parts of text, words, elements, ranges that overlap, nearest neighbours.

use super::partial;
use super::scan_needs::{ScanContext, expression_key, values};
use crate::model::catalog::Catalog;
use crate::model::index::{AccessMethod, IndexDef, IndexKey};
use crate::model::workload::Query;
use crate::model::workload::shape::{Key, Operator, Predicate, Shape};
use crate::sql::expression::types::TypeClass;
use crate::sql::resolve::operator::is_distance;

/// Candidates for searches that a btree cannot serve: text by a part of it, words, elements of arrays and
/// documents, ranges that overlap; and the few rows that are nearest to something.
pub fn all_inverted(asked: ScanContext<'_>) -> Vec<IndexDef> {
    let of_filters = (0..asked.scan.filters.len()).filter_map(|number| of_filter(asked, number));
    of_filters.chain(nearest(asked)).collect()
}

/// The index that gives the rows in the order of their distance from a constant, where the first few are all that
/// is asked for: `ORDER BY place <-> $1 LIMIT 10`. Source: "Ordering operators" of GiST in the manual.
fn nearest(asked: ScanContext<'_>) -> Option<IndexDef> {
    let [by] = &asked.scan.sort[..] else { return None };
    let Key::Expression { sql, columns } = &by.key else { return None };
    let ([name], true, false) = (&columns[..], asked.scan.limited, by.descending) else {
        return None;
    };
    let column = asked.table.column(name)?;
    let operator_class = match TypeClass::of(&column.type_name) {
        TypeClass::Geometry => None,
        TypeClass::Text if has_trigrams(&column.type_name) => Some("gist_trgm_ops".to_owned()),
        _ => return None,
    };
    is_distance(sql, name).then(|| {
        let key = IndexKey { operator_class, ..IndexKey::column(name) };
        IndexDef::on(&asked.table.name, AccessMethod::Gist, vec![key])
    })
}

/// The index gives the order of the scan, and finds nothing that its conditions ask for.
pub fn is_nearest(asked: ScanContext<'_>, def: &IndexDef) -> bool {
    nearest(asked).as_ref() == Some(def) && served(asked, def).is_empty()
}

/// The index that finds what one filter asks for.
fn of_filter(asked: ScanContext<'_>, number: usize) -> Option<IndexDef> {
    let filter = &asked.scan.filters[number];
    if !asked.is_open(filter) {
        return None;
    }
    let (key, kind, is_jsonb) = match &filter.key {
        Key::Column(name) => {
            let column = asked.table.column(name)?;
            let kind = match TypeClass::of(&column.type_name) {
                TypeClass::Text if !has_trigrams(&column.type_name) => TypeClass::Other,
                kind => kind,
            };
            (IndexKey::column(name), kind, column.type_name == "jsonb")
        }
        Key::Expression { sql, .. } => {
            let found = asked.expression(sql, |scan| Some(&scan.filters.get(number)?.key))?;
            let of_jsonb = filter.key.columns().first().and_then(|name| asked.table.column(name));
            let is_jsonb = of_jsonb.is_some_and(|column| column.type_name == "jsonb");
            let kind = found.kind;
            (expression_key(found), kind, is_jsonb)
        }
    };
    let (method, class) = inverted(asked.query, filter, kind, is_jsonb)?;
    let operator_class = class.map(str::to_owned);
    Some(IndexDef::on(&asked.table.name, method, vec![IndexKey { operator_class, ..key }]))
}

/// The key of an inverted index finds what the other would: that of whole documents what that of paths does.
pub fn does_as_well(wide: &IndexKey, key: &IndexKey) -> bool {
    let of_paths = key.operator_class.as_deref() == Some("jsonb_path_ops");
    let of_all = IndexKey { operator_class: None, ..key.clone() };
    wide == key || (of_paths && *wide == of_all)
}

/// Numbers of the filters that an index serves.
pub fn served(asked: ScanContext<'_>, def: &IndexDef) -> Vec<usize> {
    let is_served = |number: &usize| {
        of_filter(asked, *number).is_some_and(|own| {
            own.method == def.method
                && own.keys.iter().all(|key| def.keys.iter().any(|of| does_as_well(of, key)))
        })
    };
    (0..asked.scan.filters.len()).filter(is_served).collect()
}

/// For alternatives that GIN serves every one of, one index on all that they ask for: the look for each of them
/// is into the same index.
pub fn inverted_together(query: &Query, shape: &Shape, catalog: &Catalog) -> Vec<IndexDef> {
    let mut number = shape.scans.len();
    let mut plans = Vec::new();
    for alternatives in shape.scans.iter().flat_map(|scan| &scan.alternatives) {
        let first = number;
        number += alternatives.len();
        let Some(table) = alternatives.first().and_then(|scan| catalog.table(&scan.table)) else {
            continue;
        };
        let of_each = alternatives.iter().enumerate().map(|(at, scan)| {
            let spelled = partial::same_scan(query, first + at);
            let all = all_inverted(ScanContext {
                query,
                table,
                scan,
                functions: &catalog.functions,
                spelled: &spelled,
            });
            all.into_iter().find(|def| def.method == AccessMethod::Gin)
        });
        let Some(of_each) = of_each.collect::<Option<Vec<IndexDef>>>() else { continue };
        let mut keys: Vec<IndexKey> = of_each.into_iter().flat_map(|def| def.keys).collect();
        keys.sort_by(|a, b| {
            (&a.expression, &a.operator_class).cmp(&(&b.expression, &b.operator_class))
        });
        keys.dedup();
        if keys.len() > 1 {
            plans.push(IndexDef::on(&table.name, AccessMethod::Gin, keys));
        }
    }
    plans
}

/// The trigram operator classes take `text` and what is the same bytes.
fn has_trigrams(type_name: &str) -> bool {
    ["text", "character varying", "varchar"].iter().any(|name| type_name.starts_with(name))
}

/// The method that serves the filter, with the operator class where it is not the default one.
fn inverted(
    query: &Query,
    filter: &Predicate,
    kind: TypeClass,
    is_jsonb: bool,
) -> Option<(AccessMethod, Option<&'static str>)> {
    let by_part = || values(query, filter).iter().any(|value| value.starts_with(['%', '_']));
    match (filter.operator, kind) {
        (Operator::Like | Operator::ILike, TypeClass::Text) if is_too_short(query, filter) => None,
        (Operator::ILike | Operator::Similar, TypeClass::Text) => {
            Some((AccessMethod::Gin, Some("gin_trgm_ops")))
        }
        (Operator::Like, TypeClass::Text) if by_part() => {
            Some((AccessMethod::Gin, Some("gin_trgm_ops")))
        }
        // Smaller and quicker, and knows nothing but containment and paths.
        (Operator::Contains, TypeClass::Document) if is_jsonb && is_path(filter) => {
            Some((AccessMethod::Gin, Some("jsonb_path_ops")))
        }
        (Operator::Contains, TypeClass::Document) if is_jsonb => Some((AccessMethod::Gin, None)),
        (Operator::Contains, TypeClass::Words | TypeClass::Array | TypeClass::Pairs) => {
            Some((AccessMethod::Gin, None))
        }
        // What is part of a constant no operator class for documents and pairs finds.
        (Operator::Contained, TypeClass::Array) => Some((AccessMethod::Gin, None)),
        (
            Operator::Contains | Operator::Contained | Operator::Within,
            TypeClass::Range | TypeClass::Geometry,
        ) => Some((AccessMethod::Gist, None)),
        // `~` asks whether a path fits a pattern of its labels.
        (Operator::Contains | Operator::Contained | Operator::ILike, TypeClass::Path) => {
            Some((AccessMethod::Gist, None))
        }
        (Operator::Contains, TypeClass::Network) => Some((AccessMethod::Gist, Some("inet_ops"))),
        _ => None,
    }
}

/// Every pattern that was seen holds no trigram: the whole of a trigram index would have to be read.
fn is_too_short(query: &Query, filter: &Predicate) -> bool {
    let seen = values(query, filter);
    let is_one = filter.slots.len() == 1 && !filter.sql.contains('~');
    is_one && !seen.is_empty() && !seen.iter().any(|pattern| has_trigram(pattern))
}

/// A word of the pattern is long enough. Where it certainly begins it counts two letters more, and one where it
/// certainly ends (`generate_wildcard_trgm` of pg_trgm).
fn has_trigram(pattern: &str) -> bool {
    let mut letters = pattern.chars();
    // Length of the present word with what comes before it; none has begun after a wildcard.
    let (mut length, mut is_word) = (2, false);
    while let Some(letter) = letters.next() {
        let (letter, is_wildcard) = match letter {
            '%' | '_' => (letter, true),
            '\\' => (letters.next().unwrap_or(letter), false),
            letter => (letter, false),
        };
        if !is_wildcard && letter.is_alphanumeric() {
            (length, is_word) = (length + 1, true);
            if length >= 3 {
                return true;
            }
            continue;
        }
        if is_word && !is_wildcard && length + 1 >= 3 {
            return true;
        }
        (length, is_word) = (if is_wildcard { 0 } else { 2 }, false);
    }
    is_word && length + 1 >= 3
}

/// `@>` either way round, `@?` and `@@`, which the path operator class knows; `?` and its kin it does not.
fn is_path(filter: &Predicate) -> bool {
    ["@>", "<@", "@?", "@@"].iter().any(|operator| filter.sql.contains(operator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_a_trigram_where_pg_trgm_finds_one() {
        // As `show_trgm` and the plans of a server have it.
        for (pattern, has) in [
            ("%ab%", false),
            ("%abc%", true),
            ("a%", true),
            ("%ab", true),
            ("%a", false),
            ("%a-b%", true),
            ("%_b_%", false),
            ("%ab_cd%", false),
            ("", false),
            ("%", false),
            ("%\\%%", false),
            ("%a\\%%", false),
            ("%ab\\%%", true),
            ("%日本語%", true),
        ] {
            assert_eq!(has_trigram(pattern), has, "{pattern}");
        }
    }
}
