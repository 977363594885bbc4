//! Turns chosen indexes into recommendations: SQL, undo, and the findings they answer.

use super::cautions::cautions;
use super::drop_index::drops;
use crate::advice::advised::Chosen;
use crate::advice::candidates::foreign_key::{foreign_keys, names};
use crate::advice::candidates::generate::is_there;
use crate::advice::candidates::key_length::Longest;
use crate::advice::input::{Input, Limits};
use crate::index::ddl::{BuildMode, create, drop, name, with_schemas};
use crate::index::partitioned::recreate_attached;
use crate::index::size::index_bytes;
use crate::model::catalog::{Catalog, TableKind};
use crate::model::index::{IndexDef, NewIndex};
use crate::model::recommendation::{Recommendation, RecommendationKind, Takes};
use crate::sql::lex::identifier::{object_name, quote_table};

/// Purpose of an index on a foreign key that no statement of the workload uses.
const REFERENCES: &str = "serves the deletes of the rows that it refers to";

/// Recommendations from what a planner chose.
pub fn with_planner(
    input: &Input<'_>,
    chosen: Vec<Chosen>,
    longest: &Longest,
) -> Vec<Recommendation> {
    let mut taken = Vec::new();
    let references = references(input, &chosen);
    let mut recommendations: Vec<Recommendation> = chosen
        .into_iter()
        .map(|chosen| {
            let because = because(input, &chosen);
            let purpose = served(input, &chosen);
            let serves = chosen.serves.iter();
            let serves = serves.map(|query| input.workload.queries[*query].fingerprint).collect();
            let mut recommendation = create_index(input, chosen.def, because, &mut taken);
            recommendation.estimated = chosen.estimate;
            recommendation.takes = Some(chosen.takes);
            recommendation.purpose = Some(purpose);
            recommendation.serves = serves;
            if let Some(why) = chosen.why {
                add_reason(&mut recommendation, &format!("no estimate: {why}"));
            }
            recommendation
        })
        .collect();
    recommendations.extend(references.into_iter().map(|(def, because, size_bytes)| {
        let mut recommendation = create_index(input, def, because, &mut taken);
        recommendation.purpose = Some(REFERENCES.to_owned());
        recommendation.takes = Some(Takes { size_bytes, write_overhead_pct: None });
        recommendation
    }));
    add_cautions(input, &mut recommendations, longest);
    recommendations.extend(drops(input, &recommendations));
    recommendations
}

pub(crate) fn add_cautions(
    input: &Input<'_>,
    recommendations: &mut [Recommendation],
    longest: &Longest,
) {
    for recommendation in recommendations {
        let index = recommendation.index.as_ref();
        recommendation.cautions =
            index.map_or(Vec::new(), |index| cautions(input, &index.def, longest));
    }
}

/// Foreign keys whose referenced rows are deleted and that nothing chosen serves, as far as there is room
/// for them.
fn references(input: &Input<'_>, chosen: &[Chosen]) -> Vec<(IndexDef, Vec<String>, u64)> {
    let Limits { budget_bytes, max_indexes, .. } = input.limits;
    let used_bytes: u64 = chosen.iter().map(|chosen| chosen.takes.size_bytes).sum();
    let mut bytes = budget_bytes.map(|budget| budget.saturating_sub(used_bytes));
    let mut places = max_indexes.map(|most| most.saturating_sub(chosen.len()));
    foreign_keys(input)
        .into_iter()
        .filter_map(|(def, because)| {
            let is_served = chosen.iter().any(|chosen| {
                chosen.def.table == def.table
                    && chosen.def.predicate.is_none()
                    && chosen.def.keys.starts_with(&def.keys)
            });
            let table = input.catalog.table(&def.table)?;
            if is_served || is_there(table, &def) {
                return None;
            }
            let size = index_bytes(table, &def, table.rows.unwrap_or(0.0)) as u64;
            let has_room =
                places.is_none_or(|places| places > 0) && bytes.is_none_or(|bytes| bytes >= size);
            if has_room {
                places = places.map(|places| places - 1);
                bytes = bytes.map(|bytes| bytes - size);
            }
            has_room.then_some((def, because, size))
        })
        .collect()
}

pub(crate) fn add_reason(recommendation: &mut Recommendation, reason: &str) {
    recommendation.why = Some(match recommendation.why.take() {
        Some(known) => format!("{known}; {reason}"),
        None => reason.to_owned(),
    });
}

/// Findings about a statement that the index serves, on its table.
pub(crate) fn because(input: &Input<'_>, chosen: &Chosen) -> Vec<String> {
    let served: Vec<String> = chosen
        .serves
        .iter()
        .map(|query| input.workload.queries[*query].fingerprint.to_string())
        .collect();
    input
        .findings
        .iter()
        .filter(|finding| {
            finding.subject.table.as_ref() == Some(&chosen.def.table)
                && (finding.rule.starts_with("unindexed-")
                    || finding.rule == "non-sargable-predicate")
                && served.iter().any(|fingerprint| names(finding, fingerprint))
        })
        .map(|finding| finding.id.clone())
        .collect()
}

/// How much of the workload an index serves, in words.
fn served(input: &Input<'_>, chosen: &Chosen) -> String {
    let total_us = chosen.serves.iter().map(|query| input.workload.queries[*query].total_us).sum();
    let count = chosen.serves.len();
    let plural = if count == 1 { "" } else { "s" };
    format!(
        "serves {count} statement{plural}, {:.1} % of the time",
        input.workload.share_pct(total_us)
    )
}

pub(crate) fn create_index(
    input: &Input<'_>,
    def: IndexDef,
    because: Vec<String>,
    taken: &mut Vec<String>,
) -> Recommendation {
    let catalog = input.catalog;
    let mut index = name(&def);
    // The same columns in other directions are another index, and need another name; so does one whose
    // name something else already has.
    let mut number = 2;
    while taken.contains(&index) || is_taken(catalog, &def.table.schema, &index) {
        index = numbered(&name(&def), number);
        number += 1;
    }
    taken.push(index.clone());
    let mut sql = Vec::new();
    let trigrams = def.keys.iter().any(|key| key.operator_class.as_deref() == Some("gin_trgm_ops"));
    if trigrams && !catalog.extensions.iter().any(|extension| extension == "pg_trgm") {
        sql.push("CREATE EXTENSION IF NOT EXISTS pg_trgm".to_owned());
    }
    // A partitioned table takes no CONCURRENTLY, neither to make an index nor to drop it.
    let whole = catalog.table(&def.table).filter(|table| table.kind == TableKind::Partitioned);
    let build = if whole.is_some() { BuildMode::Plain } else { BuildMode::Concurrently };
    // What was there before is there again.
    let attached_parts = whole.map_or(Vec::new(), |table| recreate_attached(table, &def));
    sql.push(create(&with_schemas(&def, &catalog.hidden_classes), &index, build));
    let id = format!("ix-{}", index.strip_suffix("_idx").unwrap_or(&index));
    let proposed = Recommendation::proposed(id, RecommendationKind::CreateIndex, &def.table);
    Recommendation {
        sql,
        // The extension stays: something else may have come to need it.
        undo: std::iter::once(drop(&def.table.schema, &index, build))
            .chain(attached_parts)
            .collect(),
        after: def
            .keys
            .iter()
            .any(|key| !key.is_column)
            .then(|| format!("ANALYZE {}", quote_table(&def.table)))
            .into_iter()
            .collect(),
        because,
        index: Some(NewIndex { name: index, def }),
        ..proposed
    }
}

/// A table or an index of the schema has the name.
fn is_taken(catalog: &Catalog, schema: &str, name: &str) -> bool {
    catalog.tables.iter().any(|table| {
        let of_parts = table.part_indexes.iter().map(|part| &part.index);
        let mut indexes = table.indexes.iter().chain(of_parts);
        (table.name.schema == schema && table.name.name == name)
            || table.partitions.iter().any(|part| part.schema == schema && part.name == name)
            || indexes.any(|index| index.schema == schema && index.name == name)
    })
}

/// The name with a number before its suffix; the server would cut off what is too long.
fn numbered(name: &str, number: usize) -> String {
    let stem = name.strip_suffix("_idx").unwrap_or(name);
    object_name(&[stem, &number.to_string()], "idx")
}
