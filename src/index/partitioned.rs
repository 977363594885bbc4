//! Indexes of partitioned tables, which are those of their partitions.

use super::ddl::concurrently;
use crate::model::catalog::{PartIndex, Table, TableKind};
use crate::model::index::{Index, IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::sql::dump::partitions::without_only;
use crate::sql::lex::identifier::quote_table;
use crate::sql::lex::lexer::tokens;

/// The statements that make an index again, without blocking writers where its parts are known: an empty one on the
/// table alone, each part under its own name and with its own settings, and each made a part.
pub fn again(table: &Table, index: &Index) -> Vec<String> {
    match table.kind {
        TableKind::Partitioned => with_parts(&table.part_indexes, index),
        _ => on_its_own(index),
    }
}

/// The statements that make again what an index of this plan on the whole table would take in, and what would go with
/// it.
pub fn recreate_attached(table: &Table, def: &IndexDef) -> Vec<String> {
    let taken = attached_parts(table, def).into_iter();
    taken.flat_map(|part| of_part(&table.part_indexes, part)).collect()
}

/// Indexes of partitions that the server would make part of an index of this plan on the whole table, instead of
/// building another: it asks for the same keys, in whichever directions (`CompareIndexInfo`).
pub fn attached_parts<'t>(table: &'t Table, def: &IndexDef) -> Vec<&'t PartIndex> {
    let parts = table.part_indexes.iter();
    parts.filter(|part| part.above.is_none() && is_alike(&part.index, def)).collect()
}

/// The server would take the index for one of this plan.
pub fn is_alike(index: &Index, def: &IndexDef) -> bool {
    let unordered =
        |key: &IndexKey| IndexKey { descending: false, nulls_first: false, ..key.clone() };
    let own = &index.def;
    let mut keys = own.keys.iter().zip(&def.keys);
    index.valid
        && !index.unique
        && own.method == def.method
        && own.keys.len() == def.keys.len()
        && keys.all(|(own, key)| unordered(own).is_same_as(&unordered(key)))
        && own.include == def.include
        && own.has_same_rows(def)
}

/// The statement makes an index on a partitioned table and on none of its partitions.
pub fn is_for_parent_only(sql: &str) -> bool {
    without_only(sql).1
}

fn of_part(known: &[PartIndex], part: &PartIndex) -> Vec<String> {
    match part.partitioned {
        true => with_parts(known, &part.index),
        false => on_its_own(&part.index),
    }
}

/// An index of one relation.
fn on_its_own(index: &Index) -> Vec<String> {
    let build = concurrently(&index.definition);
    std::iter::once(build).chain(index.restore.iter().cloned()).collect()
}

/// An index of a partitioned relation, from the top.
fn with_parts(known: &[PartIndex], index: &Index) -> Vec<String> {
    let name = TableName::new(&index.schema, &index.name);
    let parts = known.iter().filter(|part| part.above.as_ref() == Some(&name));
    let mut statements: Vec<String> = parts
        .flat_map(|part| {
            let own = TableName::new(&part.index.schema, &part.index.name);
            let attach = format!(
                "ALTER INDEX {} ATTACH PARTITION {}",
                quote_table(&name),
                quote_table(&own)
            );
            of_part(known, part).into_iter().chain([attach])
        })
        .collect();
    // No partition indexes known; the server creates them.
    let top = match statements.is_empty() {
        true => index.definition.clone(),
        false => only(&index.definition),
    };
    statements.insert(0, top);
    statements.extend(index.restore.iter().cloned());
    statements
}

/// The statement that makes an index, for the table without its partitions.
fn only(definition: &str) -> String {
    match tokens(definition).find(|token| token.is_word("on")) {
        Some(on) => {
            let end = on.start + on.text.len();
            format!("{} ONLY{}", &definition[..end], &definition[end..])
        }
        None => definition.to_owned(),
    }
}
