//! Filters that no index serves.

use serde_json::json;

use super::non_sargable_predicate::is_cured_by_an_index;
use crate::model::finding::{Finding, Level};
use crate::model::workload::shape::{Key, StatementKind};
use crate::rules::grouped::{Grouped, SUSPECT_BLOCKS_PER_ROW, SUSPECT_MEAN_US, is_worth_an_index};
use crate::rules::input::Input;
use crate::rules::observed::ScanOf;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "unindexed-filter",
    summary: "a WHERE condition that no index serves",
    needs: "a catalog (schema file or database); without one only a suspicion",
    page: include_str!("unindexed_filter.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let mut groups = Grouped::new(RULE.id);
    for found in input.scans() {
        if found.shape.kind == StatementKind::Insert && found.scan.target {
            continue;
        }
        if is_served(&found) {
            continue;
        }
        look(input, &found, &mut groups);
        // Of `a = 1 OR b = 2` each has to be found by an index, or the whole table is read.
        for alternative in found.alternatives().filter(|alternative| !is_served(alternative)) {
            look(input, &alternative, &mut groups);
        }
    }
    groups.finish(input.workload)
}

fn is_served(found: &ScanOf<'_>) -> bool {
    found.table.is_some_and(|table| table.is_filter_served(found.scan))
}

/// Notes the filters of a scan that no known index serves.
fn look(input: &Input<'_>, found: &ScanOf<'_>, groups: &mut Grouped) {
    let columns = columns(found);
    if columns.is_empty() {
        return;
    }
    let Some(table) = found.table else {
        let why = match input.catalog {
            None => "no catalog was given",
            Some(_) => "the catalog has no such table",
        };
        return suspect(found, columns, why, groups);
    };
    // Writes find their rows by the same filters, so they count too.
    if is_worth_an_index(found.query, table) {
        groups.add(&table.name, columns.clone(), Level::Warning, found.query, || {
            format!("{} is filtered by {} and no index serves it", table.name, columns.join(", "))
        });
        if let Some(rows) = table.rows {
            groups.evidence(json!({"kind": "table", "provenance": "estimated", "rows": rows}));
        }
    }
}

/// Columns and expressions of the filters that an index could serve. Expressions that another
/// condition would serve better are the matter of `non-sargable-predicate`.
fn columns(found: &ScanOf<'_>) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for filter in found.scan.filters.iter().filter(|filter| filter.is_sargable()) {
        if let Key::Expression { sql, .. } = &filter.key
            && !is_cured_by_an_index(sql)
        {
            continue;
        }
        let name = filter.key.sql().to_owned();
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    columns
}

/// No catalog tells which indexes there are, for the reason `why`; what the statement reads may.
fn suspect(found: &ScanOf<'_>, columns: Vec<String>, why: &str, groups: &mut Grouped) {
    let query = found.query;
    // Over several tables nothing tells which of them is scanned.
    if found.shape.scans.len() != 1 {
        return;
    }
    let calls = query.calls.max(1);
    let reason = match (query.blocks, query.rows) {
        (Some(blocks), Some(rows)) => {
            let per_row = blocks / calls / (rows / calls + 1);
            (per_row >= SUSPECT_BLOCKS_PER_ROW).then(|| {
                format!("it reads {} blocks a call for {} rows", blocks / calls, rows / calls)
            })
        }
        _ => query
            .mean_us()
            .filter(|mean| *mean >= SUSPECT_MEAN_US)
            .map(|mean| format!("it takes {} ms in the mean", mean / 1_000)),
    };
    if let Some(reason) = reason {
        let name = found.scan.table.clone();
        groups.add(&name, columns.clone(), Level::Info, query, || {
            format!(
                "a scan of {name} by {} is suspected: {reason}; {why}, so whether an index exists is not known",
                columns.join(", ")
            )
        });
    }
}
