//! Columns of policies without an index.

use std::collections::BTreeSet;

use serde_json::json;

use crate::access::alternatives::{Asks, asks, split};
use crate::access::policies::Access;
use crate::model::catalog::Table;
use crate::model::finding::Finding;
use crate::rules::access::found::{found, grouped, speed_level};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::Term;

pub const RULE: Rule = Rule {
    id: "rls-unindexed-policy",
    summary: "a column that a policy compares and no index begins with",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_unindexed_policy.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let tables = access.tables().filter(|table| table.row_security);
    let all = tables.filter_map(|table| of(access, table)).collect();
    grouped(
        RULE.id,
        all,
        "policies compare columns that no index begins with; tables that are small or of unknown size",
    )
}

fn of(access: &Access<'_>, table: &Table) -> Option<Finding> {
    let mut columns = BTreeSet::new();
    for own in access.policies(&table.name).iter().filter(|own| own.policy.permissive) {
        let Some(using) = &own.using else { continue };
        columns.extend(using.owner_columns().into_iter().map(str::to_owned));
        for part in split(&access.actors, &using.term, false, 6).iter().flatten() {
            if let Term::Any(operator, column, _) = part
                && operator == "="
                && asks(&access.actors, part) == Asks::Tied
            {
                columns.extend(column.row_column().map(str::to_owned));
            }
        }
    }
    let is_indexed = |column: &String| {
        table.indexes.iter().any(|index| {
            index.valid
                && index.def.predicate.is_none()
                && index
                    .def
                    .keys
                    .first()
                    .is_some_and(|key| key.is_column && key.expression == *column)
        })
    };
    let columns: Vec<String> = columns.into_iter().filter(|column| !is_indexed(column)).collect();
    if columns.is_empty() {
        return None;
    }
    let message = format!(
        "policies on {} compare {}, and no index begins with {}: every statement reads the rows of all",
        table.name,
        columns.join(", "),
        if columns.len() == 1 { "it" } else { "them" }
    );
    let name = table.name.to_string();
    let level = speed_level(table);
    let mut made = found(RULE.id, level, &name, Some(&table.name), columns.clone(), message);
    made.evidence.push(json!({ "kind": "columns", "table": name, "columns": columns }));
    Some(made)
}
