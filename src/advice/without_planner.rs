//! Indexes without a planner to ask: one for each finding that asks for it, none of them part of
//! another.

use super::candidates::foreign_key::{foreign_keys, names};
use super::candidates::generate::{is_there, simplest};
use super::candidates::inverted::inverted_together;
use super::candidates::key_length::Longest;
use super::candidates::partial;
use super::candidates::scan_needs::ScanContext;
use super::document_members::members;
use super::explain::drop_index::drops;
use super::explain::recommendation::{add_cautions, add_reason, create_index};
use super::input::Input;
use crate::index::ddl::name;
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::model::index::{AccessMethod, IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::model::recommendation::Recommendation;
use crate::model::workload::Query;
use crate::model::workload::shape::Scan;

/// A candidate with the findings behind it and the time of the statements it would serve.
struct WantedIndex {
    def: IndexDef,
    /// Its first keys, as many as are compared with one value: they find the same rows in any order.
    pinned: usize,
    because: Vec<String>,
    total_us: u64,
}

/// Indexes that findings ask for, by the time of the statements they serve, longest first; each with the
/// findings behind it.
pub fn wanted(input: &Input<'_>) -> Vec<(IndexDef, Vec<String>)> {
    match members(input) {
        Some(apart) => wanted_by_each(&apart.input(input)),
        None => wanted_by_each(input),
    }
}

fn wanted_by_each(input: &Input<'_>) -> Vec<(IndexDef, Vec<String>)> {
    let mut found: Vec<WantedIndex> = Vec::new();
    for (query, shape) in input.workload.understood() {
        for (number, scan) in shape.with_alternatives().into_iter().enumerate() {
            let spelled = partial::same_scan(query, number);
            from_scan(input, query, scan, &spelled, &mut found);
        }
        for def in inverted_together(query, shape, input.catalog) {
            if let Some(because) = about(input, query, &def.table) {
                let because = because.into_iter().map(|finding| finding.id.clone()).collect();
                found.push(WantedIndex { def, pinned: 0, because, total_us: query.total_us });
            }
        }
    }
    found.extend(foreign_keys(input).into_iter().map(|(def, because)| WantedIndex {
        pinned: def.keys.len(),
        def,
        because,
        total_us: 0,
    }));
    let mut merged = merge(found);
    merged.retain(|candidate| {
        input.catalog.table(&candidate.def.table).is_none_or(|table| {
            !is_there(table, &candidate.def) && !is_read_backwards(table, candidate)
        })
    });
    merged
        .sort_by(|a, b| b.total_us.cmp(&a.total_us).then_with(|| name(&a.def).cmp(&name(&b.def))));
    merged.into_iter().map(|candidate| (candidate.def, candidate.because)).collect()
}

fn from_scan(
    input: &Input<'_>,
    query: &Query,
    scan: &Scan,
    spelled: &[&Scan],
    found: &mut Vec<WantedIndex>,
) {
    // What inherits from a table has most of the rows, and an index of the table holds none of those.
    let table = input.catalog.table(&scan.table);
    let Some(table) = table.filter(|table| table.is_indexable() && !table.inherited) else {
        return;
    };
    let Some(about) = about(input, query, &scan.table) else { return };
    let join_column = about
        .iter()
        .find(|finding| finding.rule == "unindexed-join")
        .and_then(|finding| finding.subject.columns.first())
        .filter(|column| scan.is_joined_by(column));
    let asked = ScanContext { query, table, scan, functions: &input.catalog.functions, spelled };
    for def in simplest(asked, join_column.map(String::as_str)) {
        let is_pinned = |key: &&IndexKey| {
            scan.is_joined_by(&key.expression)
                || scan.fixed().any(|fixed| fixed.sql() == key.expression)
        };
        let pinned = def.keys.iter().take_while(is_pinned).count();
        found.push(WantedIndex {
            def,
            pinned,
            because: about.iter().map(|finding| finding.id.clone()).collect(),
            total_us: query.total_us,
        });
    }
}

/// Findings about a statement that an index on the table would answer; `None` where there are none.
fn about<'f>(input: &Input<'f>, query: &Query, table: &TableName) -> Option<Vec<&'f Finding>> {
    let fingerprint = query.fingerprint.to_string();
    let about: Vec<&Finding> = input
        .findings
        .iter()
        .filter(|finding| {
            finding.rule.starts_with("unindexed-")
                && finding.level >= Level::Warning
                && finding.subject.table.as_ref() == Some(table)
                && names(finding, &fingerprint)
        })
        .collect();
    (!about.is_empty()).then_some(about)
}

/// Folds equal candidates together, and btree candidates into those that begin with their keys.
fn merge(found: Vec<WantedIndex>) -> Vec<WantedIndex> {
    let mut kept: Vec<WantedIndex> = Vec::new();
    // Longest first, so that whatever could take a candidate in is there already.
    let mut ordered = found;
    ordered.sort_by_key(|candidate| std::cmp::Reverse(candidate.def.keys.len()));
    for candidate in ordered {
        let home = kept.iter_mut().find(|known| {
            known.def.table == candidate.def.table
                && known.def.method == candidate.def.method
                && known.def.predicate == candidate.def.predicate
                && match known.def.method == AccessMethod::Gin {
                    true => holds_all(&known.def.keys, &candidate.def.keys),
                    false => serves(&known.def.keys, &candidate.def.keys, candidate.pinned),
                }
        });
        match home {
            Some(known) => {
                for id in candidate.because {
                    if !known.because.contains(&id) {
                        known.because.push(id);
                    }
                }
                known.total_us += candidate.total_us;
            }
            None => kept.push(candidate),
        }
    }
    kept
}

/// An index of the table gives the same, read from its other end.
fn is_read_backwards(table: &Table, candidate: &WantedIndex) -> bool {
    let def = &candidate.def;
    let is_plain =
        def.method == AccessMethod::Btree && def.predicate.is_none() && def.include.is_empty();
    is_plain
        && table.indexes.iter().any(|index| {
            index.valid
                && index.def.method == AccessMethod::Btree
                && index.def.predicate.is_none()
                && serves(&index.def.keys, &def.keys, candidate.pinned)
        })
}

/// Every key of an inverted index does the same as its first.
fn holds_all(wide: &[IndexKey], narrow: &[IndexKey]) -> bool {
    narrow.iter().all(|key| wide.contains(key))
}

/// An index on `long` does what one on `short` would: it begins with the keys that are pinned by equalities, in any
/// order, and goes on with the others, in the same directions or, from some key to the end, in all the opposite ones:
/// then it is read backwards.
fn serves(long: &[IndexKey], short: &[IndexKey], pinned: usize) -> bool {
    let same_key = |a: &IndexKey, b: &IndexKey| {
        a.expression == b.expression && a.operator_class == b.operator_class
    };
    if long.len() < short.len() {
        return false;
    }
    let (first, rest) = short.split_at(pinned);
    let (begin, end) = long.split_at(pinned);
    let is_pinned = first.iter().all(|key| begin.iter().any(|own| same_key(own, key)));
    let turned = end.iter().zip(rest).position(|(a, b)| a != b).unwrap_or(rest.len());
    is_pinned
        && end.iter().zip(rest).all(|(a, b)| same_key(a, b))
        && end[turned..]
            .iter()
            .zip(&rest[turned..])
            .all(|(a, b)| a.descending != b.descending && a.nulls_first != b.nulls_first)
}

/// Recommendations where no planner could be asked; `why` says why.
pub fn without_planner(input: &Input<'_>, why: &str) -> Vec<Recommendation> {
    let mut taken = Vec::new();
    // There are no sizes to hold against a budget.
    let most = input.limits.max_indexes.unwrap_or(usize::MAX);
    let mut recommendations: Vec<Recommendation> = wanted(input)
        .into_iter()
        .take(most)
        .map(|(def, because)| {
            let mut recommendation = create_index(input, def, because, &mut taken);
            add_reason(&mut recommendation, &format!("no estimate: {why}"));
            recommendation
        })
        .collect();
    add_cautions(input, &mut recommendations, &Longest::new());
    recommendations.extend(drops(input, &recommendations));
    recommendations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(list: &[(&str, bool)]) -> Vec<IndexKey> {
        list.iter()
            .map(|(name, descending)| IndexKey {
                descending: *descending,
                nulls_first: *descending,
                ..IndexKey::column(*name)
            })
            .collect()
    }

    #[test]
    fn an_index_is_read_in_both_directions() {
        let down = keys(&[("status", false), ("created_at", true)]);
        assert!(serves(&down, &keys(&[("status", false), ("created_at", false)]), 1));
        assert!(serves(&down, &keys(&[("status", false)]), 1));
        assert!(!serves(&keys(&[("status", false)]), &down, 1));
        // What follows is no matter to who asks for less.
        let longer = keys(&[("status", false), ("created_at", true), ("id", true)]);
        assert!(serves(&longer, &keys(&[("status", false), ("created_at", false)]), 1));
        // Turned only in the middle, no direction of reading gives the order.
        let mixed = keys(&[("a", false), ("b", true), ("c", false)]);
        assert!(!serves(&mixed, &keys(&[("a", false), ("b", false), ("c", false)]), 1));
        assert!(serves(&mixed, &keys(&[("a", false), ("b", false), ("c", true)]), 1));
    }

    #[test]
    fn what_is_compared_with_one_value_stands_in_any_order() {
        let long = keys(&[("kind", false), ("tenant", false), ("rating", true)]);
        let short = keys(&[("tenant", false), ("kind", false)]);
        assert!(serves(&long, &short, 2));
        // Where one of them is a range or an order, what comes first matters.
        assert!(!serves(&long, &short, 1));
        assert!(!serves(&long, &keys(&[("tenant", false), ("rating", true)]), 2));
    }
}
