//! Foreign keys whose referencing side has no index.

use serde_json::json;

use crate::model::catalog::{ForeignKey, Table};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::index::{AccessMethod, Index};
use crate::rules::grouped::deletes;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "unindexed-foreign-key",
    summary: "a foreign key without an index on its own side",
    needs: "a catalog (schema file or database)",
    page: include_str!("unindexed_foreign_key.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let tables = input.catalog.map(|catalog| catalog.tables.as_slice()).unwrap_or(&[]);
    tables
        .iter()
        .flat_map(|table| table.foreign_keys.iter().map(move |key| (table, key)))
        .filter(|(table, key)| !is_indexed(table, key))
        .map(|(table, key)| finding(input, table, key))
        .collect()
}

/// Some index begins with the columns of the key, in any order.
fn is_indexed(table: &Table, key: &ForeignKey) -> bool {
    match key.columns.as_slice() {
        // The index of an exclusion constraint finds one value as well (btree_gist).
        [column] => table.has_index_on(column) || is_led_by_gist(table, column),
        columns => table
            .indexes
            .iter()
            .any(|index| index.def.predicate.is_none() && index.begins_with(columns)),
    }
}

fn is_led_by_gist(table: &Table, column: &str) -> bool {
    let is_it = |index: &Index| {
        index.valid
            && index.def.method == AccessMethod::Gist
            && index.constraint
            && index.def.predicate.is_none()
            && index.def.keys.first().is_some_and(|key| key.is_column && key.expression == column)
    };
    table.indexes.iter().any(is_it)
}

fn finding(input: &Input<'_>, table: &Table, key: &ForeignKey) -> Finding {
    // Deletes of the referenced table, and the time they take, are what the missing index costs.
    let deletes: Vec<_> = deletes(input, &key.references).collect();
    let total_us = deletes.iter().map(|query| query.total_us).sum();
    let columns = key.columns.join(", ");
    Finding {
        id: format!("{}:{}({})", RULE.id, table.name, key.columns.join(",")),
        rule: RULE.id,
        level: if deletes.is_empty() { Level::Info } else { Level::Warning },
        impact_pct: input.workload.share_pct(total_us),
        subject: Subject {
            table: Some(table.name.clone()),
            columns: key.columns.clone(),
            query: deletes.first().map(|query| query.fingerprint),
            ..Subject::default()
        },
        message: format!(
            "{} references {} by {columns} without an index: each delete there reads all of {}",
            table.name, key.references, table.name
        ),
        evidence: vec![json!({
            "kind": "foreign-key",
            "constraint": key.name,
            "references": key.references.to_string(),
            "deletes_observed": deletes.iter().map(|query| query.calls).sum::<u64>(),
        })],
        advice: None,
    }
}
