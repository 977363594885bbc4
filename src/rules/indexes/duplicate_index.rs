//! Indexes that another index makes superfluous.

use serde_json::json;

use crate::model::catalog::{Table, TableKind};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::index::Index;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

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
    for index in &table.indexes {
        // What enforces something stays, whatever else covers it; of a partitioned table one that is not valid waits
        // for those of its partitions.
        let is_under_way = !index.valid && table.kind == TableKind::Partitioned;
        if index.constraint || index.unique || is_under_way {
            continue;
        }
        let covers = |of: &Index, other: &Index| {
            other.name != of.name
                && other.makes_superfluous(of)
                && (!of.makes_superfluous(other) || stays(other, of))
        };
        let mut all = table.indexes.iter().filter(|other| covers(index, other)).peekable();
        let Some(first) = all.peek().copied() else { continue };
        // What stands in for it should be there tomorrow.
        let goes = |cover: &Index| {
            let is_kept = cover.constraint || cover.unique;
            !is_kept && table.indexes.iter().any(|other| covers(cover, other))
        };
        let cover = all.find(|cover| !goes(cover)).unwrap_or(first);
        let same = cover.def.keys.len() == index.def.keys.len();
        findings.push(Finding {
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
            message: if same {
                format!("index {} repeats {}", index.name, cover.name)
            } else {
                format!("index {} is the beginning of {}", index.name, cover.name)
            },
            evidence: vec![json!({
                "kind": "index",
                "covered_by": cover.name,
                "covered_by_bytes": cover.size_bytes,
                "size_bytes": index.size_bytes,
                "scans": index.scans,
            })],
            advice: None,
        });
    }
    findings
}

/// Tells whether this one of two indexes that cover each other is kept.
fn stays(other: &Index, index: &Index) -> bool {
    (other.constraint, other.unique) > (index.constraint, index.unique)
        || ((other.constraint, other.unique) == (index.constraint, index.unique)
            && other.name < index.name)
}
