//! Sorts of many rows to return a few, without an index in that order.

use crate::model::finding::{Finding, Level};
use crate::model::workload::shape::Scan;
use crate::rules::grouped::{Grouped, is_worth_an_index};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "unindexed-sort",
    summary: "ORDER BY with LIMIT that no index gives in order",
    needs: "a catalog (schema file or database)",
    page: include_str!("unindexed_sort.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let mut groups = Grouped::new(RULE.id);
    for found in input.scans() {
        let (Some(table), scan) = (found.table, found.scan) else { continue };
        if scan.sort.is_empty() || !scan.limited || !is_worth_an_index(found.query, table) {
            continue;
        }
        // Rows found by a unique key are few; sorting them costs nothing.
        let fixed = fixed_columns(scan);
        let is_one_row = table.indexes.iter().any(|index| {
            index.unique && index.def.keys.iter().all(|key| fixed.contains(&key.expression))
        });
        if is_one_row || table.is_sort_served(scan) {
            continue;
        }
        let order: Vec<String> = scan
            .sort
            .iter()
            .map(|key| format!("{}{}", key.key.sql(), if key.descending { " DESC" } else { "" }))
            .collect();
        let mut columns = fixed.clone();
        columns.extend(scan.sort.iter().map(|key| key.key.sql().to_owned()));
        columns.dedup();
        groups.add(&table.name, columns, Level::Warning, found.query, || {
            let within = if fixed.is_empty() {
                String::new()
            } else {
                format!(" within {}", fixed.join(", "))
            };
            format!(
                "{} is sorted by {}{within} to return a few rows, and no index has that order",
                table.name,
                order.join(", ")
            )
        });
    }
    groups.finish(input.workload)
}

/// Columns that an equality pins to one value.
fn fixed_columns(scan: &Scan) -> Vec<String> {
    let mut columns: Vec<String> = scan.fixed().map(|key| key.sql().to_owned()).collect();
    columns.dedup();
    columns
}
