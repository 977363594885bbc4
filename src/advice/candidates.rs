//! One recommendation for each index that findings ask for, none of them part of another.

use crate::model::catalog::{Catalog, Index, IndexKey, Table, TableKind};
use crate::model::finding::{Finding, Level};
use crate::model::recommendation::{IndexPlan, Kind, Recommendation, State};
use crate::model::shape::{Scan, Shape};
use crate::model::workload::{Query, Workload};
use crate::sql::ident::quote_table;
use crate::sql::index_ddl::{Build, create, drop, name};

use super::index_keys::candidates;

/// What recommendations are made from.
pub struct Input<'a> {
    pub workload: &'a Workload,
    pub catalog: &'a Catalog,
    pub shapes: &'a [Option<Shape>],
    pub findings: &'a [Finding],
}

/// A candidate with the findings behind it and the time of the statements it would serve.
struct Candidate {
    plan: IndexPlan,
    because: Vec<String>,
    total_us: u64,
}

/// Recommendations by the time of the statements they serve, longest first.
pub fn recommend(input: &Input<'_>) -> Vec<Recommendation> {
    let mut found: Vec<Candidate> = Vec::new();
    for (query, shape) in input.workload.queries.iter().zip(input.shapes) {
        for scan in shape.iter().flat_map(|shape| &shape.scans) {
            from_scan(input, query, scan, &mut found);
        }
    }
    from_foreign_keys(input, &mut found);
    let mut merged = merge(found);
    merged.retain(|candidate| {
        input
            .catalog
            .table(&candidate.plan.table)
            .is_none_or(|table| !exists(table, &candidate.plan))
    });
    merged.sort_by(|a, b| {
        b.total_us.cmp(&a.total_us).then_with(|| name(&a.plan).cmp(&name(&b.plan)))
    });
    let mut taken = Vec::new();
    let mut recommendations: Vec<Recommendation> = merged
        .into_iter()
        .map(|candidate| create_index(input.catalog, candidate, &mut taken))
        .collect();
    recommendations.extend(drops(input));
    recommendations
}

/// The table is in a state in which an index of this plan would say nothing new.
fn exists(table: &Table, plan: &IndexPlan) -> bool {
    table.indexes.iter().any(|index| {
        index.valid
            && index.method == plan.method
            && index.predicate == plan.predicate
            && index.keys.starts_with(&plan.keys)
    })
}

fn from_scan(input: &Input<'_>, query: &Query, scan: &Scan, found: &mut Vec<Candidate>) {
    let Some(table) = input.catalog.table(&scan.table).filter(|table| table.is_indexable()) else {
        return;
    };
    let fingerprint = query.fingerprint.to_string();
    let about: Vec<&Finding> = input
        .findings
        .iter()
        .filter(|finding| {
            finding.rule.starts_with("unindexed-")
                && finding.level >= Level::Warning
                && finding.subject.table.as_ref() == Some(&scan.table)
                && names(finding, &fingerprint)
        })
        .collect();
    if about.is_empty() {
        return;
    }
    let join_column = about
        .iter()
        .find(|finding| finding.rule == "unindexed-join")
        .and_then(|finding| finding.subject.columns.first())
        .filter(|column| scan.joins.iter().any(|join| join.column == **column));
    for plan in candidates(table, scan, join_column.map(String::as_str)) {
        found.push(Candidate {
            plan,
            because: about.iter().map(|finding| finding.id.clone()).collect(),
            total_us: query.total_us,
        });
    }
}

/// The finding's evidence lists the statement.
fn names(finding: &Finding, fingerprint: &str) -> bool {
    finding.evidence.iter().any(|evidence| {
        evidence["fingerprints"]
            .as_array()
            .is_some_and(|list| list.iter().any(|known| known.as_str() == Some(fingerprint)))
    })
}

/// A foreign key whose referenced rows are deleted; the rest stay without: an index that serves
/// nothing costs every write.
fn from_foreign_keys(input: &Input<'_>, found: &mut Vec<Candidate>) {
    for finding in input.findings {
        if finding.rule != "unindexed-foreign-key" || finding.level < Level::Warning {
            continue;
        }
        let Some(table) = &finding.subject.table else { continue };
        found.push(Candidate {
            plan: IndexPlan {
                table: table.clone(),
                method: "btree".to_owned(),
                keys: finding.subject.columns.iter().map(IndexKey::column).collect(),
                include: Vec::new(),
                predicate: None,
            },
            because: vec![finding.id.clone()],
            total_us: 0,
        });
    }
}

/// Folds equal candidates together, and btree candidates into those that begin with their keys.
fn merge(found: Vec<Candidate>) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    // Longest first, so that whatever could take a candidate in is there already.
    let mut ordered = found;
    ordered.sort_by_key(|candidate| std::cmp::Reverse(candidate.plan.keys.len()));
    for candidate in ordered {
        let home = kept.iter_mut().find(|known| {
            known.plan.table == candidate.plan.table
                && known.plan.method == candidate.plan.method
                && known.plan.predicate == candidate.plan.predicate
                && serves(&known.plan.keys, &candidate.plan.keys)
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

/// An index on `long` does what one on `short` would: it begins with the same keys, in the same
/// directions or, from some key to the end, in all the opposite ones. The keys before that one are
/// pinned by equalities, so the index is read backwards within them.
fn serves(long: &[IndexKey], short: &[IndexKey]) -> bool {
    let same_key = |a: &IndexKey, b: &IndexKey| {
        a.expression == b.expression && a.operator_class == b.operator_class
    };
    if long.starts_with(short) {
        return true;
    }
    let turned = long.iter().zip(short).position(|(a, b)| a != b).unwrap_or(short.len());
    long.len() == short.len()
        && long.iter().zip(short).all(|(a, b)| same_key(a, b))
        && long[turned..]
            .iter()
            .zip(&short[turned..])
            .all(|(a, b)| a.descending != b.descending && a.nulls_first != b.nulls_first)
}

fn create_index(
    catalog: &Catalog,
    candidate: Candidate,
    taken: &mut Vec<String>,
) -> Recommendation {
    let plan = candidate.plan;
    let mut index = name(&plan);
    // The same columns in other directions are another index, and need another name.
    let mut number = 2;
    while taken.contains(&index) {
        index = format!("{}_{number}", name(&plan));
        number += 1;
    }
    taken.push(index.clone());
    let mut sql = Vec::new();
    let trigrams =
        plan.keys.iter().any(|key| key.operator_class.as_deref() == Some("gin_trgm_ops"));
    if trigrams && !catalog.extensions.iter().any(|extension| extension == "pg_trgm") {
        sql.push("CREATE EXTENSION IF NOT EXISTS pg_trgm".to_owned());
    }
    // A partitioned table takes no CONCURRENTLY, neither to make an index nor to drop it.
    let partitioned =
        catalog.table(&plan.table).is_some_and(|table| table.kind == TableKind::Partitioned);
    let build = if partitioned { Build::Plain } else { Build::Concurrently };
    sql.push(create(&plan, &index, build));
    Recommendation {
        id: format!("ix-{}", index.strip_suffix("_idx").unwrap_or(&index)),
        kind: Kind::CreateIndex,
        table: Some(plan.table.clone()),
        sql,
        // The extension stays: something else may have come to need it.
        undo: vec![drop(&plan.table.schema, &index, build)],
        because: candidate.because,
        state: State::Proposed,
        why: partitioned.then(|| {
            "the table is partitioned, so the build cannot be concurrent: writes wait for it"
                .to_owned()
        }),
        estimated: None,
        index: Some(plan),
    }
}

fn drops(input: &Input<'_>) -> Vec<Recommendation> {
    let mut recommendations = Vec::new();
    for finding in input.findings.iter().filter(|finding| finding.rule == "duplicate-index") {
        let table = finding.subject.table.as_ref().and_then(|name| input.catalog.table(name));
        let index: Option<&Index> = table.and_then(|table| {
            table.indexes.iter().find(|index| Some(&index.name) == finding.subject.index.as_ref())
        });
        let (Some(table), Some(index)) = (table, index) else { continue };
        recommendations.push(Recommendation {
            id: format!("drop-{}", index.name),
            kind: Kind::DropIndex,
            table: Some(table.name.clone()),
            sql: vec![drop(&index.schema, &index.name, Build::Concurrently)],
            undo: vec![concurrently(&index.definition)],
            because: vec![finding.id.clone()],
            state: State::Proposed,
            why: Some(format!("another index of {} does the same", quote_table(&table.name))),
            estimated: None,
            index: None,
        });
    }
    recommendations
}

/// The statement that makes an index, without blocking writers.
fn concurrently(definition: &str) -> String {
    definition.replacen("CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1).replacen(
        "CREATE UNIQUE INDEX ",
        "CREATE UNIQUE INDEX CONCURRENTLY ",
        1,
    )
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
        assert!(serves(&down, &keys(&[("status", false), ("created_at", false)])));
        assert!(serves(&down, &keys(&[("status", false)])));
        assert!(!serves(&keys(&[("status", false)]), &down));
        // Turned only in the middle, no direction of reading gives the order.
        let mixed = keys(&[("a", false), ("b", true), ("c", false)]);
        assert!(!serves(&mixed, &keys(&[("a", false), ("b", false), ("c", false)])));
        assert!(serves(&mixed, &keys(&[("a", false), ("b", false), ("c", true)])));
    }
}
