//! Indexes that no statement may read.

use serde_json::json;

use crate::model::catalog::TableKind;
use crate::model::finding::{Finding, Level, Subject};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "invalid-index",
    summary: "an index that CREATE INDEX CONCURRENTLY left unfinished",
    needs: "a database",
    page: include_str!("invalid_index.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let tables = input.catalog.map(|catalog| catalog.tables.as_slice()).unwrap_or(&[]);
    tables
        .iter()
        // The index of a partitioned table is not valid until every partition has its own.
        .filter(|table| table.kind != TableKind::Partitioned)
        .flat_map(|table| table.indexes.iter().map(move |index| (table, index)))
        .filter(|(_, index)| !index.valid && !index.building)
        .map(|(table, index)| Finding {
            id: format!("{}:{}.{}", RULE.id, index.schema, index.name),
            rule: RULE.id,
            level: Level::Warning,
            impact_pct: 0.0,
            subject: Subject {
                table: Some(table.name.clone()),
                columns: index.def.keys.iter().map(|key| key.expression.clone()).collect(),
                index: Some(index.name.clone()),
                ..Subject::default()
            },
            message: format!(
                "index {} is not valid: no statement reads it, and writes may still keep it up",
                index.name
            ),
            evidence: vec![json!({
                "kind": "index",
                "provenance": "observed",
                "size_bytes": index.size_bytes,
                "constraint": index.constraint,
            })],
            advice: index.constraint.then(|| {
                "it stands behind a constraint: REINDEX INDEX CONCURRENTLY makes it whole"
                    .to_owned()
            }),
        })
        .collect()
}
