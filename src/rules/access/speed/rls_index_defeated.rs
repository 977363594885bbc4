//! Indexes on what is not LEAKPROOF, behind policies.

use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::model::index::Index;
use crate::rules::access::found::{evidence, found, speed_level};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-index-defeated",
    summary: "an index that policies keep from use",
    needs: "a database",
    page: include_str!("rls_index_defeated.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let tables =
        access.tables().filter(|table| table.row_security && access.has_identity(&table.name));
    tables.flat_map(|table| of(input, table)).collect()
}

fn of(input: &Input<'_>, table: &Table) -> Vec<Finding> {
    let is_kept = |index: &&Index| {
        let first = index.def.keys.first();
        let is_leakproof = first.is_none_or(|key| {
            key.is_column
                && table
                    .column(&key.expression)
                    .is_some_and(|column| column.storage.is_none_or(|own| own.leakproof))
        });
        !index.unique && !is_leakproof
    };
    table
        .indexes
        .iter()
        .filter(is_kept)
        .map(|index| {
            let first = &index.def.keys[0].expression;
            let used = input.scans().filter(|found| {
                found.scan.table == table.name
                    && found.scan.filters.iter().any(|filter| filter.key.column() == Some(first))
            });
            let calls: u64 = used.map(|found| found.query.calls).sum();
            let level = match calls {
                0 => Level::Info,
                _ => speed_level(table),
            };
            let message = format!(
                "index {} on {} serves no role that policies bind: the comparison of {first} is not LEAKPROOF and waits for the policies",
                index.name, table.name
            );
            let object = format!("{}.{}", table.name, index.name);
            let mut made = found(RULE.id, level, &object, Some(&table.name), vec![first.clone()], message);
            made.subject.index = Some(index.name.clone());
            evidence(&mut made, "statements", "calls", calls);
            made
        })
        .collect()
}
