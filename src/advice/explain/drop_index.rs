//! Indexes to take away: what another covers, what nothing reads, what is not valid, and what a new one
//! makes superfluous.

use crate::advice::input::Input;
use crate::index::ddl::{BuildMode, drop};
use crate::index::partitioned::again;
use crate::model::catalog::{Catalog, Table, TableKind};
use crate::model::finding::Finding;
use crate::model::index::Index;
use crate::model::recommendation::{Recommendation, RecommendationKind};
use crate::sql::expression::equivalence::is_same;
use crate::sql::lex::identifier::quote_table;

/// Rules whose findings are cured by taking an index away.
const RULES: [&str; 3] = ["duplicate-index", "unused-index", "invalid-index"];

/// How many times as large an index is that is dearer to read as a whole.
const MUCH_LARGER: f64 = 4.0;

/// Indexes that findings are about, and those that one of the new ones makes superfluous.
pub fn drops(input: &Input<'_>, new: &[Recommendation]) -> Vec<Recommendation> {
    let mut all: Vec<Recommendation> = Vec::new();
    for own in found(input).chain(replaced(input.catalog, new)) {
        match all.iter_mut().find(|known| known.id == own.id && known.table == own.table) {
            Some(known) => known.because.extend(own.because),
            None => all.push(own),
        }
    }
    all
}

fn found(input: &Input<'_>) -> impl Iterator<Item = Recommendation> {
    let findings = input.findings.iter().filter(|finding| RULES.contains(&finding.rule));
    findings.filter_map(|finding| {
        let table = input.catalog.table(finding.subject.table.as_ref()?)?;
        let name = finding.subject.index.as_ref()?;
        let index = table.indexes.iter().find(|index| index.name == *name && !index.constraint)?;
        let why = match finding.rule {
            "invalid-index" if index.unique => format!(
                "{}; the undo builds it anew, which fails while rows repeat its values",
                finding.message
            ),
            _ => finding.message.clone(),
        };
        let because = vec![finding.id.clone()];
        let mut proposed = recommendation(input.catalog, table, index, why);
        proposed.cautions.extend(much_larger(finding, index));
        Some(Recommendation { because, ..proposed })
    })
}

fn replaced(catalog: &Catalog, new: &[Recommendation]) -> impl Iterator<Item = Recommendation> {
    let plans = new.iter().filter_map(|by| {
        let def = &by.index.as_ref()?.def;
        Some((by, def, catalog.table(&def.table)?))
    });
    plans.flat_map(move |(by, def, table)| {
        let old = table.indexes.iter().filter(|index| index.valid && def.replaces(index));
        old.map(move |index| {
            let why = format!("{} does all that it does, once that is there", by.id);
            let requires = Some(by.id.clone());
            Recommendation { requires, ..recommendation(catalog, table, index, why) }
        })
    })
}

fn recommendation(catalog: &Catalog, table: &Table, index: &Index, why: String) -> Recommendation {
    // A partitioned table takes no CONCURRENTLY, neither to make an index nor to drop it.
    let partitioned = table.kind == TableKind::Partitioned;
    let build = if partitioned { BuildMode::Plain } else { BuildMode::Concurrently };
    let mut others = catalog.tables.iter().flat_map(|table| &table.indexes);
    // A name is one of its schema only.
    let id = match others.any(|own| own.name == index.name && own.schema != index.schema) {
        true => format!("drop-{}.{}", index.schema, index.name),
        false => format!("drop-{}", index.name),
    };
    // An expression has no statistics before its table is analyzed.
    let has_expression = index.def.keys.iter().any(|key| !key.is_column);
    let analyze = has_expression.then(|| format!("ANALYZE {}", quote_table(&table.name)));
    Recommendation {
        sql: vec![drop(&index.schema, &index.name, build)],
        undo: again(table, index).into_iter().chain(analyze).collect(),
        why: Some(why),
        cautions: cautions(table, index),
        ..Recommendation::proposed(id, RecommendationKind::DropIndex, &table.name)
    }
}

/// The replacement of an index is many times as large.
fn much_larger(finding: &Finding, index: &Index) -> Option<String> {
    let evidence = finding.evidence.first()?;
    let (cover, bytes) = (evidence["covered_by"].as_str()?, evidence["covered_by_bytes"].as_f64()?);
    let times = bytes / index.size_bytes.filter(|own| *own > 0)? as f64;
    (times >= MUCH_LARGER).then(|| {
        format!("{cover} is {times:.0} times as large: what reads many rows by the index reads more pages there")
    })
}

/// Side effects of dropping an index, a sentence each.
fn cautions(table: &Table, index: &Index) -> Vec<String> {
    let mark = index.clustered.then(|| {
        format!("CLUSTER goes by it: without it, CLUSTER leaves {} as it is", table.name.name)
    });
    let is_elsewhere = |expression: &str| {
        let mut others = table.indexes.iter().filter(|other| other.name != index.name);
        others.any(|other| other.def.keys.iter().any(|key| is_same(&key.expression, expression)))
    };
    let mut expressions = index.def.keys.iter().filter(|key| !key.is_column);
    let statistics = expressions.find(|key| !is_elsewhere(&key.expression)).map(|key| {
        format!(
            "the planner has statistics of `{}` by it alone: plans of statements that ask for that may change; \
             CREATE STATISTICS (from PostgreSQL 14 on) keeps them",
            key.expression
        )
    });
    mark.into_iter().chain(statistics).collect()
}
