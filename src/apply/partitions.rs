//! An index on a partitioned table, without blocking its writers.
//!
//! The server builds such an index with all writes waiting, and knows no `CONCURRENTLY` for it. So it is
//! made the way the manual gives: an empty one on the parent alone, a concurrent build on each partition,
//! and each attached to the one above. It becomes valid with the last.

use std::collections::HashMap;
use std::time::Instant;

use super::execute::{Event, Execution, Outcome};
use crate::index::ddl::{BuildMode, create};
use crate::index::partitioned::is_alike;
use crate::model::catalog::PartIndex;
use crate::model::index::IndexDef;
use crate::model::name::TableName;
use crate::pg::catalog::load;
use crate::pg::error::{PgError, PgErrorKind};
use crate::sql::lex::identifier::{object_name, quote_table};

/// One relation of the tree.
struct Node {
    table: TableName,
    parent: Option<TableName>,
    kind: String,
    /// Its index that hangs below the one we make already.
    attached: Option<String>,
}

impl Node {
    fn is_partitioned(&self) -> bool {
        self.kind == "p"
    }
}

/// The name that an index gets on a partition, made from the parent's.
fn of_partition(partition: &TableName, name: &str) -> String {
    object_name(&[&partition.name, name.strip_suffix("_idx").unwrap_or(name)], "idx")
}

/// The index of the partition that is to be a part: one that is attached, one like it that is there, or a new one.
fn part_name(node: &Node, name: &str, def: &IndexDef, there: &[PartIndex]) -> String {
    if node.parent.is_none() {
        return name.to_owned();
    }
    if let Some(attached) = &node.attached {
        return attached.clone();
    }
    let is_it = |part: &&PartIndex| {
        part.table == node.table && part.above.is_none() && is_alike(&part.index, def)
    };
    let alike = there.iter().find(is_it);
    alike.map_or_else(|| of_partition(&node.table, name), |part| part.index.name.clone())
}

impl Execution<'_> {
    /// Builds on each partition in turn. What an earlier attempt has done is not done twice.
    pub(super) fn create_on_partitions(
        &mut self,
        table: &TableName,
        name: &str,
        def: &IndexDef,
    ) -> Result<Outcome, PgError> {
        let started = Instant::now();
        let tree = self.patiently(|own| own.tree(table, name))?;
        let mut indexes: HashMap<&TableName, TableName> = HashMap::new();
        // A foreign table has its indexes elsewhere.
        let nodes: Vec<&Node> = tree.iter().filter(|node| node.kind != "f").collect();
        let there =
            self.patiently(|own| load::part_indexes(own.connection, &own.connection.caller()))?;
        for (at, node) in nodes.iter().enumerate() {
            (self.tell)(Event::Partition { done: at, of: nodes.len() });
            let index = part_name(node, name, def, &there);
            if node.attached.is_none() {
                self.patiently(|own| own.create_on(node, &index, def))?;
            }
            indexes.insert(&node.table, TableName::new(&node.table.schema, &index));
        }
        // From below: what is attached to a parent that is not complete yet is not valid either.
        for node in nodes.iter().rev().filter(|node| node.attached.is_none()) {
            let Some(above) = node.parent.as_ref().and_then(|parent| indexes.get(parent)) else {
                continue;
            };
            let (above, own) = (quote_table(above), quote_table(&indexes[&node.table]));
            let sql = format!("ALTER INDEX {above} ATTACH PARTITION {own}");
            self.patiently(|own| own.run(&sql))?;
        }
        match self.find(&table.schema, name)? {
            Some(found) if found.is_valid => Ok(Outcome::Done {
                took_ms: started.elapsed().as_secs_f64() * 1e3,
                size_bytes: found.size_bytes,
            }),
            _ => {
                let cause = "a partition came or went meanwhile, so the index is not complete";
                Err(PgError::new(PgErrorKind::Statement, format!("cannot create {name}"), cause)
                    .with_help("apply again: what is there is not done twice"))
            }
        }
    }

    /// Makes an index without its parts: it is not valid until the last of them is attached.
    pub(super) fn create_parent(
        &mut self,
        sql: &str,
        table: &TableName,
        name: &str,
    ) -> Result<Outcome, PgError> {
        let found = self.find(&table.schema, name)?;
        if found.is_some_and(|found| found.table == *table) {
            return Ok(Outcome::AlreadyThere(name.to_owned()));
        }
        let took_ms = self.build(sql, table, name)?;
        Ok(Outcome::Done { took_ms, size_bytes: None })
    }

    fn create_on(&mut self, node: &Node, index: &str, def: &IndexDef) -> Result<(), PgError> {
        let def = IndexDef { table: node.table.clone(), ..def.clone() };
        let found = self.find(&node.table.schema, index)?;
        let is_on_it = found.as_ref().is_some_and(|found| found.table == node.table);
        // On a partitioned one, not valid is what it is until the last partition is attached.
        let is_done = found.is_some_and(|found| found.is_valid || node.is_partitioned());
        if is_on_it && is_done {
            return Ok(());
        }
        let build =
            if node.is_partitioned() { BuildMode::OnlyParent } else { BuildMode::Concurrently };
        self.build(&create(&def, index, build), &node.table, index).map(drop)
    }

    /// The table is partitioned: it and everything below it, from the top. Empty where it is not.
    fn tree(&self, table: &TableName, index: &str) -> Result<Vec<Node>, PgError> {
        let sql = include_str!("queries/partition_tree.sql");
        let rows = self.connection.query(sql, &[&quote_table(table), &index])?;
        let name =
            |schema: Option<String>, name: Option<String>| Some(TableName::new(schema?, name?));
        Ok(rows
            .iter()
            .filter_map(|row| {
                Some(Node {
                    table: name(row.get(0), row.get(1))?,
                    kind: row.get(2),
                    parent: name(row.get(3), row.get(4)),
                    attached: row.get(5),
                })
            })
            .collect())
    }

    /// Drops the indexes of partitions that were built and never attached.
    pub(super) fn drop_unattached(&mut self, table: &TableName, name: &str) -> Result<(), PgError> {
        for node in self.tree(table, name)? {
            if node.parent.is_none() || node.attached.is_some() {
                continue;
            }
            let index = of_partition(&node.table, name);
            let found = self.find(&node.table.schema, &index)?;
            if found.is_some_and(|found| found.table == node.table) {
                let index = quote_table(&TableName::new(&node.table.schema, &index));
                let word = if node.is_partitioned() { "" } else { "CONCURRENTLY " };
                self.run(&format!("DROP INDEX {word}IF EXISTS {index}"))?;
            }
        }
        Ok(())
    }

    pub(super) fn is_partitioned(&self, table: &TableName) -> Result<bool, PgError> {
        let sql = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'p')";
        Ok(self.connection.row(sql, &[&table.schema, &table.name])?.get(0))
    }
}
