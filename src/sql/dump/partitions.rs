//! Partitions in a dump, which the parser does not read.

use std::collections::BTreeMap;

use crate::model::catalog::{Catalog, PartIndex};
use crate::model::name::TableName;
use crate::sql::lex::cursor::{altered, qualified, take};
use crate::sql::lex::lexer::{Token, tokens};

/// The table that a statement makes a part, and the one it is a part of from then on:
/// `ALTER TABLE whole ATTACH PARTITION part`, `CREATE TABLE part PARTITION OF whole`.
pub(super) fn attached(sql: &str) -> Option<(TableName, TableName)> {
    let all: Vec<Token<'_>> = tokens(sql).take(16).collect();
    let mut rest = &all[..];
    if let Some(whole) = altered(&mut rest) {
        return match take(&mut rest, &["attach", "partition"]) {
            true => Some((qualified(&mut rest)?, whole)),
            false => None,
        };
    }
    let is_create =
        take(&mut rest, &["create", "table"]) || take(&mut rest, &["create", "unlogged", "table"]);
    if !is_create {
        return None;
    }
    take(&mut rest, &["if", "not", "exists"]);
    let part = qualified(&mut rest)?;
    match take(&mut rest, &["partition", "of"]) {
        true => Some((part, qualified(&mut rest)?)),
        false => None,
    }
}

/// `CREATE INDEX … ON ONLY …` as it is for the whole, and whether it is one: a dump attaches the indexes of the parts
/// one by one.
pub(crate) fn without_only(sql: &str) -> (String, bool) {
    let all: Vec<Token<'_>> = tokens(sql).take(16).collect();
    let only = all.windows(2).find(|pair| pair[0].is_word("on") && pair[1].is_word("only"));
    match only {
        Some([_, only]) if all.first().is_some_and(|first| first.is_word("create")) => {
            (format!("{}{}", &sql[..only.start], &sql[only.start + only.text.len()..]), true)
        }
        _ => (sql.to_owned(), false),
    }
}

/// Leaves the parts out, as a server's catalog does, with their names and indexes at the table that holds them. `above`
/// is the index that one is a part of.
pub(super) fn join(
    catalog: &mut Catalog,
    attached: &[(TableName, TableName)],
    above: impl Fn(&TableName) -> Option<TableName>,
) {
    let whole_of: BTreeMap<&TableName, &TableName> =
        attached.iter().map(|(part, whole)| (part, whole)).collect();
    for (part, whole) in attached {
        let mut root = whole;
        // No more steps than there are parts: what a file says may go round in circles.
        for _ in attached {
            root = whole_of.get(root).unwrap_or(&root);
        }
        let is_lowest = !attached.iter().any(|(_, whole)| whole == part);
        if !catalog.tables.iter().any(|table| table.name == *root) || root == part {
            continue;
        }
        let own = catalog.tables.iter().position(|table| table.name == *part);
        let indexes = own.map_or(Vec::new(), |at| catalog.tables.remove(at).indexes);
        let root = catalog.tables.iter_mut().find(|table| table.name == *root);
        let Some(root) = root else { continue };
        root.part_indexes.extend(indexes.into_iter().map(|index| PartIndex {
            table: part.clone(),
            partitioned: !is_lowest,
            above: above(&TableName::new(&index.schema, &index.name)),
            index,
        }));
        if is_lowest {
            root.partitions.push(part.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dump::catalog;

    #[test]
    fn the_parts_of_a_dump_stand_at_the_whole_with_its_indexes() {
        let (catalog, coverage) = catalog::catalog(
            "CREATE TABLE app.positions (vehicle_id bigint, at timestamptz NOT NULL) PARTITION BY RANGE (at);
             CREATE TABLE app.p_2026 (vehicle_id bigint, at timestamptz NOT NULL) PARTITION BY HASH (vehicle_id);
             CREATE TABLE app.\"P_1\" (vehicle_id bigint, at timestamptz NOT NULL);
             CREATE TABLE app.p_rest PARTITION OF app.positions DEFAULT;
             ALTER TABLE ONLY app.positions ATTACH PARTITION app.p_2026 FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
             ALTER TABLE ONLY app.p_2026 ATTACH PARTITION app.\"P_1\" FOR VALUES WITH (modulus 2, remainder 0);
             CREATE INDEX pos_veh_at ON ONLY app.positions USING btree (vehicle_id, at);
             CREATE INDEX p_2026_v_at ON ONLY app.p_2026 USING btree (vehicle_id, at);
             CREATE INDEX p_1_v_at ON app.\"P_1\" USING btree (vehicle_id, at);
             ALTER INDEX app.pos_veh_at ATTACH PARTITION app.p_2026_v_at;
             ALTER TABLE a ATTACH PARTITION b FOR VALUES IN (1);
             ALTER TABLE b ATTACH PARTITION a FOR VALUES IN (1);
             CREATE INDEX only_on ON app.positions (at) WHERE at > 'on only';",
        );
        let names: Vec<String> = catalog.tables.iter().map(|t| t.name.to_string()).collect();
        assert_eq!(names, ["app.positions"]);
        let positions = &catalog.tables[0];
        let part = |name: &str| TableName::new("app", name);
        assert_eq!(positions.partitions, [part("p_rest"), part("P_1")]);
        let indexes: Vec<&str> = positions.indexes.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(indexes, ["pos_veh_at", "only_on"]);
        assert!(coverage.skipped.is_empty(), "{coverage:?}");
    }
}
