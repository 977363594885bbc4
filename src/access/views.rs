//! What the queries of views show, through views that they read.

use std::collections::BTreeSet;

use super::actor::Actor;
use super::policies::{Access, source_column};
use crate::model::catalog::TableKind;
use crate::model::name::TableName;
use crate::sql::condition::term::Select;

/// Each part of the query asks who reads, in a condition that leaves rows out, or reads another that does.
pub fn asks_who(access: &Access<'_>, query: &Select, depth: usize) -> bool {
    let asks = query.condition.as_ref().is_some_and(|condition| {
        access.actors.mentions(condition, &|actor| actor != Actor::UserClaim)
    });
    let of_source = query.sources.iter().any(|source| {
        let inner = source.query.as_ref().is_some_and(|query| inner_asks(access, query, depth));
        let view = source.table.as_ref().filter(|_| depth > 0).and_then(|table| access.view(table));
        inner || view.is_some_and(|view| asks_who(access, view, depth - 1))
    });
    (asks || of_source) && query.others.iter().all(|other| asks_who(access, other, depth))
}

/// A query in FROM asks, or gives who reads to be joined with.
fn inner_asks(access: &Access<'_>, query: &Select, depth: usize) -> bool {
    let gives = query.outputs.iter().any(|output| access.actors.actor(output).is_some());
    gives || asks_who(access, query, depth)
}

/// The tables that a query reads, through views that run as their owner and through materialized views.
pub fn base_tables(access: &Access<'_>, query: &Select, depth: usize) -> Vec<TableName> {
    let mut found: Vec<TableName> = Vec::new();
    for name in query.tables() {
        let table = access.catalog.table(name);
        let kind = table.map(|table| table.kind);
        let is_invoker = access.relation(name).is_some_and(|own| own.security_invoker);
        match kind {
            Some(TableKind::View | TableKind::MaterializedView) if depth > 0 => {
                let inner = access.view(name).filter(|_| !is_invoker);
                found.extend(
                    inner.map(|inner| base_tables(access, inner, depth - 1)).into_iter().flatten(),
                );
            }
            _ => found.push(name.clone()),
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The view shows only rows that a flag of theirs opens to its roles: it asks for the same columns.
pub fn shows_flagged(
    access: &Access<'_>,
    query: &Select,
    table: &TableName,
    roles: &[&str],
) -> bool {
    let mut columns = BTreeSet::new();
    if let Some(condition) = &query.condition {
        condition.walk(&mut |term| {
            if let Some((of, name)) = source_column(term)
                && of == table
            {
                columns.insert(name.to_owned());
            }
            true
        });
    }
    let is_whole = query.others.is_empty();
    is_whole && access.flags(table, roles).iter().any(|flag| flag.is_subset(&columns))
}
