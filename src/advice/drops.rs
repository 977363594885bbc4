//! Indexes to take away: what another covers, what nothing reads, what is not valid, and what a new one
//! makes superfluous.

use super::Input;
use crate::model::catalog::{Catalog, Index, Table, TableKind};
use crate::model::recommendation::{Kind, Recommendation, State};
use crate::sql::ident::quote_table;
use crate::sql::index_ddl::{Build, drop, replaces};

/// Rules whose findings are cured by taking an index away.
const RULES: [&str; 3] = ["duplicate-index", "unused-index", "invalid-index"];

/// Indexes that findings are about.
pub fn found(input: &Input<'_>) -> Vec<Recommendation> {
    let mut recommendations: Vec<Recommendation> = Vec::new();
    for finding in input.findings.iter().filter(|finding| RULES.contains(&finding.rule)) {
        let table = finding.subject.table.as_ref().and_then(|name| input.catalog.table(name));
        let index: Option<&Index> = table.and_then(|table| {
            table.indexes.iter().find(|index| Some(&index.name) == finding.subject.index.as_ref())
        });
        let (Some(table), Some(index)) = (table, index) else { continue };
        if index.constraint {
            continue;
        }
        let why = match finding.rule {
            "duplicate-index" => {
                format!("another index of {} does the same", quote_table(&table.name))
            }
            _ => finding.message.clone(),
        };
        let new = recommendation(table, index, why);
        let known =
            recommendations.iter_mut().find(|known| known.id == new.id && known.table == new.table);
        match known {
            Some(known) => known.because.push(finding.id.clone()),
            None => {
                recommendations.push(Recommendation { because: vec![finding.id.clone()], ..new })
            }
        }
    }
    recommendations
}

/// Indexes that one of the new ones makes superfluous, once it is there.
pub fn replaced(catalog: &Catalog, new: &[Recommendation]) -> Vec<Recommendation> {
    let mut recommendations: Vec<Recommendation> = Vec::new();
    for (by, plan) in new.iter().filter_map(|by| Some((by, &by.index.as_ref()?.plan))) {
        let Some(table) = catalog.table(&plan.table) else { continue };
        for index in table.indexes.iter().filter(|index| index.valid && replaces(plan, index)) {
            let why = format!("{} does all that it does, once that is there", by.id);
            let own = recommendation(table, index, why);
            if !recommendations.iter().any(|known| known.id == own.id && known.table == own.table) {
                recommendations.push(Recommendation { requires: Some(by.id.clone()), ..own });
            }
        }
    }
    recommendations
}

fn recommendation(table: &Table, index: &Index, why: String) -> Recommendation {
    // A partitioned table takes no CONCURRENTLY, neither to make an index nor to drop it.
    let partitioned = table.kind == TableKind::Partitioned;
    let build = if partitioned { Build::Plain } else { Build::Concurrently };
    let again = match partitioned {
        true => index.definition.clone(),
        false => concurrently(&index.definition),
    };
    Recommendation {
        id: format!("drop-{}", index.name),
        kind: Kind::DropIndex,
        table: Some(table.name.clone()),
        sql: vec![drop(&index.schema, &index.name, build)],
        undo: std::iter::once(again).chain(index.restore.iter().cloned()).collect(),
        because: Vec::new(),
        state: State::Proposed,
        requires: None,
        purpose: None,
        why: Some(why),
        estimated: None,
        index: None,
    }
}

/// The statement that makes an index, without blocking writers.
fn concurrently(definition: &str) -> String {
    definition.replacen("CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1).replacen(
        "CREATE UNIQUE INDEX ",
        "CREATE UNIQUE INDEX CONCURRENTLY ",
        1,
    )
}
