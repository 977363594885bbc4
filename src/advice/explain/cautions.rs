//! Cautions of a recommendation: what an index may cost although every read becomes faster.

use crate::access::pushdown::{compared_by_policies, compares_leakproof, has_barrier, is_guarded};
use crate::advice::candidates::key_length::{self, Longest};
use crate::advice::input::Input;
use crate::index::partitioned::attached_parts;
use crate::model::catalog::Table;
use crate::model::index::{IndexDef, IndexKey};
use crate::model::recommendation::Recommendation;
use crate::model::workload::shape::StatementKind;
use crate::sql::expression::fallible::failure;

/// Indexes that are named where the same is said of several.
const MOST_NAMED: usize = 4;

/// Cautions about an index before it is built, a sentence each.
pub fn cautions(input: &Input<'_>, def: &IndexDef, longest: &Longest) -> Vec<String> {
    let Some(table) = input.catalog.table(&def.table) else { return Vec::new() };
    let functions = &input.catalog.functions;
    let expressions = def.keys.iter().filter(|key| !key.is_column).map(|key| &key.expression);
    let mut why_it_fails = expressions
        .chain(&def.predicate)
        .filter_map(|sql| Some((sql, failure(sql, table, functions)?)));
    let fails = why_it_fails.next().map(|(sql, why)| {
        format!("a row for which `{sql}` fails ({why}) cannot be written once it is there")
    });
    let is_long = key_length::caution(def, longest, table, functions);
    let kept = behind_policies(def, table);
    let said =
        fails.into_iter().chain(is_long).chain(lost_hot_updates(input, def, table)).chain(kept);
    said.chain(takes_in(def, table)).collect()
}

/// Partitions that have such an index already: the server makes it part of the new one, and it goes with that.
fn takes_in(def: &IndexDef, table: &Table) -> Option<String> {
    let own: Vec<&str> = attached_parts(table, def).iter().map(|part| &*part.index.name).collect();
    (!own.is_empty()).then(|| {
        format!(
            "partitions have it already: {} becomes part of it, and the undo creates that again after the drop",
            named(&own)
        )
    })
}

/// Conditions of policies are evaluated before conditions that are not `LEAKPROOF`, so most indexes on expressions,
/// full-text and trigram indexes cannot be used by roles that policies hold for.
fn behind_policies(def: &IndexDef, table: &Table) -> Option<String> {
    let is_plain = |key: &IndexKey| {
        let column = table.column(&key.expression);
        key.operator_class.is_none()
            && !def.method.is_inverted()
            && column.is_some_and(compares_leakproof)
    };
    (has_barrier(table) && !def.keys.iter().all(is_plain)).then(|| {
        format!(
            "{} has policies: a role that they hold for can use it only if its functions and operators are LEAKPROOF, \
             and a trial as another role does not show that",
            table.name.name
        )
    })
}

/// Returns the cautions that concern all recommendations, one sentence each.
pub fn to_know(
    input: &Input<'_>,
    recommendations: &[Recommendation],
    longest: &Longest,
) -> Vec<String> {
    let mut said = lengths_to_know(input, recommendations, longest);
    said.extend(policies_without_index(input));
    said.extend(policies_to_know(input, recommendations));
    said
}

/// Returns one caution for all tables with policies that get an index: neither the planner that was asked nor a
/// trial has the conditions of the policies, unless it is one of their roles that connects.
fn policies_to_know(input: &Input<'_>, recommendations: &[Recommendation]) -> Option<String> {
    let mut tables: Vec<&str> = Vec::new();
    for index in recommendations.iter().filter_map(|r| r.index.as_ref()) {
        let table = input.catalog.table(&index.def.table).filter(|table| has_barrier(table));
        if let Some(table) = table.filter(|table| !tables.contains(&&*table.name.name)) {
            tables.push(&table.name.name);
        }
    }
    (!tables.is_empty()).then(|| {
        format!(
            "row-level policies apply to {}, and indexes there are advised and tried without them: compare \
             EXPLAIN (ANALYZE, BUFFERS) before and after as a role that they apply to",
            named(&tables)
        )
    })
}

/// Columns that policies compare for those who ask, and that no index of the table begins with: no statement shows them.
fn policies_without_index(input: &Input<'_>) -> Vec<String> {
    let of_table = |table: &Table| {
        let is_asked = input.workload.understood().any(|(query, shape)| {
            shape.scans.iter().any(|scan| scan.table == table.name) && is_guarded(query, table)
        });
        let columns = compared_by_policies(table);
        let leads = |column: &String| {
            let mut first = table.indexes.iter().filter_map(|index| index.def.keys.first());
            first.any(|key| key.expression == *column)
        };
        let is_told =
            is_asked && !table.is_small() && !columns.is_empty() && !columns.iter().any(leads);
        is_told.then(|| {
            format!(
                "policies of {} compare {} with one value in every statement of the roles that they apply to, and no index \
                 begins with it: such an index could serve all of these statements",
                table.name,
                columns.join(" and ")
            )
        })
    };
    input.catalog.tables.iter().filter_map(of_table).collect()
}

/// The workload updates columns that no index holds yet.
fn lost_hot_updates(input: &Input<'_>, def: &IndexDef, table: &Table) -> Option<String> {
    let has_index = |column: &String| {
        let only = std::slice::from_ref(column);
        table.indexes.iter().any(|index| index.def.hangs_on(only))
    };
    let (mut updates, mut columns) = (0, Vec::new());
    for (query, shape) in input.workload.understood() {
        if shape.kind != StatementKind::Update {
            continue;
        }
        let target = shape.scans.iter().find(|scan| scan.target && scan.table == table.name);
        let Some(target) = target else { continue };
        let set = table.set_with(&target.written);
        if set.iter().any(has_index) || !def.hangs_on(&set) {
            continue;
        }
        updates += query.rows.unwrap_or(query.calls);
        let own = set.iter().filter(|c| def.hangs_on(std::slice::from_ref(c)));
        for column in own {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
    }
    (updates > 0).then(|| {
        format!(
            "{updates} updates of the workload set {}, which no index holds now: with it none of them is a HOT update, \
             and each writes all indexes of {}",
            columns.join(" and "),
            table.name.name
        )
    })
}

/// Returns one caution for all indexes whose values may become too long: those of whose lengths nothing is known,
/// and those that are short so far.
fn lengths_to_know(
    input: &Input<'_>,
    recommendations: &[Recommendation],
    longest: &Longest,
) -> Vec<String> {
    let functions = &input.catalog.functions;
    let (mut unknown, mut short, mut bytes) = (Vec::new(), Vec::new(), 0);
    for index in recommendations.iter().filter_map(|r| r.index.as_ref()) {
        let Some(table) = input.catalog.table(&index.def.table) else { continue };
        if key_length::is_unknown(&index.def, longest, table, functions) {
            unknown.push(index.name.as_str());
        } else if let Some(own) = key_length::short_so_far(&index.def, longest, table, functions) {
            short.push(index.name.as_str());
            bytes = bytes.max(own);
        }
    }
    let unknown = (!unknown.is_empty()).then(|| {
        format!(
            "the length of the values of {} is not known: a value of more than 2,704 bytes cannot be written once \
             such an index exists, and none can be built where there is one",
            named(&unknown)
        )
    });
    let short = (!short.is_empty()).then(|| {
        format!(
            "the values of {} are short now ({bytes} bytes at most), but their types allow longer ones: none of more \
             than 2,704 bytes can be written once such an index exists",
            named(&short)
        )
    });
    unknown.into_iter().chain(short).collect()
}

/// The first of several names, and how many more there are.
fn named(names: &[&str]) -> String {
    let more = match names.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ") + &more
}
