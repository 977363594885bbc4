//! Whether the rows of one statement could hold the keys of another.

use std::collections::HashMap;

use crate::model::catalog::{Catalog, ForeignKey};
use crate::model::name::TableName;
use crate::model::workload::shape::{Operator, Scan, Shape, StatementKind};
use crate::rules::observed::Observed;

/// A position of a statement that a loop could fill: `column = $n` on a base table.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySlot {
    /// Number of the `$n`, from 1.
    pub number: u16,
    pub table: TableName,
    pub column: String,
}

/// The equality positions of a statement. `LIMIT` and ranges are no keys of a loop.
pub fn key_slots(shape: &Shape) -> Vec<KeySlot> {
    let mut slots = Vec::new();
    for (at, scan) in shape.scans.iter().enumerate() {
        // `WHERE id >= (SELECT id FROM t WHERE id = $1) ORDER BY id LIMIT 20` is a page, not a row.
        let pages = |other: &Scan| other.table == scan.table && other.limited;
        if shape.scans.iter().enumerate().any(|(other, scan)| other != at && pages(scan)) {
            continue;
        }
        for filter in &scan.filters {
            if let (Operator::Equal | Operator::In, [number], Some(column)) =
                (filter.operator, filter.slots.as_slice(), filter.key.column())
            {
                slots.push(KeySlot {
                    number: *number,
                    table: scan.table.clone(),
                    column: column.to_owned(),
                });
            }
        }
    }
    slots
}

/// The statement can return several rows: it is a read that no unique key pins to one.
pub fn yields_rows(shape: &Shape, catalog: Option<&Catalog>) -> bool {
    let reads = shape.kind == StatementKind::Select && !shape.scans.is_empty();
    if !reads || shape.single_row {
        return false;
    }
    !shape.scans.iter().all(|scan| {
        let fixed: Vec<&str> = scan
            .filters
            .iter()
            .filter(|filter| filter.operator == Operator::Equal)
            .filter_map(|filter| filter.key.column())
            .collect();
        let unique = catalog.and_then(|catalog| catalog.table(&scan.table)).is_some_and(|table| {
            table.indexes.iter().any(|index| {
                index.unique
                    && index.def.predicate.is_none()
                    && index.def.keys.iter().all(|key| fixed.contains(&key.expression.as_str()))
            })
        });
        // Without a catalog the most common name of a primary key has to do.
        unique || (catalog.is_none() && fixed.contains(&"id"))
    })
}

/// The joins of the workload, computed once: the column of one table to the table and column at the other end.
pub struct Joins<'a>(HashMap<(&'a TableName, &'a str), Vec<(&'a TableName, &'a str)>>);

impl<'a> Joins<'a> {
    pub fn new(input: Observed<'a>) -> Self {
        let mut ends: HashMap<_, Vec<_>> = HashMap::new();
        for found in input.scans() {
            for join in &found.scan.joins {
                let other = &found.shape.scans[join.other_scan];
                let far = (&other.table, join.other_column.as_str());
                let known: &mut Vec<_> =
                    ends.entry((&found.scan.table, join.column.as_str())).or_default();
                if other.table != found.scan.table && !known.contains(&far) {
                    known.push(far);
                }
            }
        }
        Joins(ends)
    }

    /// Some statement joins the slot's column to a table of this name.
    fn tie(&self, scan: &Scan, slot: &KeySlot) -> Option<String> {
        let ends = self.0.get(&(&slot.table, slot.column.as_str()))?;
        let (_, column) = ends.iter().find(|(table, _)| **table == scan.table)?;
        Some(format!("joined elsewhere by {} = {column}", slot.column))
    }
}

/// In words, why rows of `parent` could give values to `slot`; `None` when nothing says so.
pub fn link(
    parent: &Shape,
    child: &Shape,
    slot: &KeySlot,
    joins: &Joins<'_>,
    catalog: Option<&Catalog>,
) -> Option<String> {
    parent.scans.iter().find_map(|scan| {
        foreign_key(scan, slot, catalog)
            .or_else(|| joins.tie(scan, slot))
            .or_else(|| by_name(scan, child, slot))
    })
}

/// A foreign key between the tables, over the column of the slot.
fn foreign_key(scan: &Scan, slot: &KeySlot, catalog: Option<&Catalog>) -> Option<String> {
    let catalog = catalog?;
    let says = |key: &ForeignKey| format!("foreign key {}", key.name);
    let down = catalog.table(&slot.table).and_then(|table| {
        table
            .foreign_keys
            .iter()
            .find(|key| key.columns.contains(&slot.column) && key.references == scan.table)
    });
    let up = || {
        catalog.table(&scan.table)?.foreign_keys.iter().find(|key| {
            key.references == slot.table
                && (key.referenced_columns.contains(&slot.column)
                    || key.referenced_columns.is_empty())
        })
    };
    // Two children of one parent, looked up by the column they share.
    let sideways = || {
        let ours = catalog.table(&slot.table)?;
        let theirs = catalog.table(&scan.table)?;
        ours.foreign_keys.iter().find(|key| {
            key.columns.contains(&slot.column)
                && theirs
                    .foreign_keys
                    .iter()
                    .any(|other| other.references == key.references && gives(scan, &other.columns))
        })
    };
    down.or_else(up).or_else(sideways).map(says)
}

/// The columns are among those that the scan returns.
fn gives(scan: &Scan, columns: &[String]) -> bool {
    scan.outputs.iter().any(|output| output == "*" || columns.contains(output))
}

/// The parent returns a column that is named for the child's table and key, or the child's key is
/// named for the parent's table.
fn by_name(scan: &Scan, child: &Shape, slot: &KeySlot) -> Option<String> {
    // Rows of the same table, looked up again one by one.
    if scan.table == slot.table && scan.outputs.iter().any(|o| o == "*" || *o == slot.column) {
        return Some(format!("both read {}", slot.table));
    }
    if scan.table == slot.table {
        return None;
    }
    let (key, own) = (singular(&slot.column), singular(&slot.table.name));
    let parent = singular(&scan.table.name);
    // child.author_id, parent author
    if refers(&key, &parent) {
        return Some(format!("{} is named for {}", slot.column, scan.table));
    }
    // child author.id, parent returns author_id
    let named = scan.outputs.iter().find(|output| refers(&singular(output), &own));
    if let Some(output) = named.filter(|_| is_row_key(&key) && child.scans.len() == 1) {
        return Some(format!("{output} is named for {}", slot.table));
    }
    // Both have the column: thread_id here and there.
    let shared = key.len() > 2 && scan.outputs.contains(&slot.column);
    shared.then(|| format!("both have {}", slot.column))
}

/// `author_id`, `authorid` and `author` refer to `author`.
fn refers(column: &str, table: &str) -> bool {
    let stem = column.strip_suffix("id").unwrap_or(column).trim_end_matches('_');
    !stem.is_empty() && (stem == table || table.ends_with(&format!("_{stem}")))
}

/// A column that by its name picks rows of its own table.
fn is_row_key(column: &str) -> bool {
    matches!(column, "id" | "uuid" | "guid" | "uid" | "pk" | "key" | "code")
}

/// Lower case, words joined by `_`, the last one singular: enough to compare names.
fn singular(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    if let Some(stem) = out.strip_suffix("ies") {
        return format!("{stem}y");
    }
    for (ending, keep) in [("sses", 2), ("xes", 1), ("ches", 2), ("shes", 2)] {
        if out.ends_with(ending) {
            return out[..out.len() - ending.len() + keep].to_owned();
        }
    }
    match out.strip_suffix('s') {
        Some(stem) if !stem.ends_with('s') && !stem.is_empty() => stem.to_owned(),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_the_singular() {
        for (plural, one) in [
            ("authors", "author"),
            ("categories", "category"),
            ("boxes", "box"),
            ("address", "address"),
            ("OrderItems", "order_item"),
        ] {
            assert_eq!(singular(plural), one);
        }
        assert!(refers("author_id", "author") && refers("author_id", "app_author"));
        assert!(!refers("id", "author") && !refers("editor_id", "author"));
    }
}
