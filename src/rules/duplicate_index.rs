//! Indexes that another index makes superfluous.

use serde_json::json;

use super::{Input, Rule};
use crate::model::catalog::{Index, Table, TableKind};
use crate::model::finding::{Finding, Level, Subject};
use crate::sql::index_ddl::makes_superfluous;

pub const RULE: Rule = Rule {
    id: "duplicate-index",
    summary: "an index that another index covers",
    needs: "a catalog (schema file or database)",
    page: include_str!("duplicate_index.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let tables = input.catalog.map(|catalog| catalog.tables.as_slice()).unwrap_or(&[]);
    tables.iter().flat_map(in_table).collect()
}

fn in_table(table: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, index) in table.indexes.iter().enumerate() {
        // What enforces something stays, whatever else covers it; of a partitioned table one that is not valid waits
        // for those of its partitions.
        let is_under_way = !index.valid && table.kind == TableKind::Partitioned;
        if index.constraint || index.unique || is_under_way {
            continue;
        }
        let cover = table.indexes.iter().enumerate().find(|(other_at, other)| {
            *other_at != at
                && makes_superfluous(other, index, &table.name)
                && (!makes_superfluous(index, other, &table.name) || stays(other, index))
        });
        let Some((_, cover)) = cover else { continue };
        let same = cover.keys.len() == index.keys.len();
        findings.push(Finding {
            id: format!("{}:{}.{}", RULE.id, index.schema, index.name),
            rule: RULE.id,
            level: Level::Warning,
            impact_pct: 0.0,
            subject: Subject {
                table: Some(table.name.clone()),
                columns: index.keys.iter().map(|key| key.expression.clone()).collect(),
                index: Some(index.name.clone()),
                ..Subject::default()
            },
            message: if same {
                format!("index {} repeats {}", index.name, cover.name)
            } else {
                format!("index {} is the beginning of {}", index.name, cover.name)
            },
            evidence: vec![json!({
                "kind": "index",
                "covered_by": cover.name,
                "size_bytes": index.size_bytes,
                "scans": index.scans,
            })],
            advice: None,
        });
    }
    findings
}

/// Of two that cover each other, this one is kept.
fn stays(other: &Index, index: &Index) -> bool {
    (other.constraint, other.unique) > (index.constraint, index.unique)
        || ((other.constraint, other.unique) == (index.constraint, index.unique)
            && other.name < index.name)
}
