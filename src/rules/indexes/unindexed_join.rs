//! Joins that have to read a whole table for the rows of another.

use crate::model::finding::{Finding, Level};
use crate::model::workload::shape::{Operator, Scan};
use crate::rules::grouped::{Grouped, is_worth_an_index};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "unindexed-join",
    summary: "a join column that no index leads with",
    needs: "a catalog (schema file or database)",
    page: include_str!("unindexed_join.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let mut groups = Grouped::new(RULE.id);
    for found in input.scans() {
        let Some(table) = found.table else { continue };
        if !is_worth_an_index(found.query, table) || table.is_filter_served(found.scan) {
            continue;
        }
        for join in &found.scan.joins {
            let other = &found.shape.scans[join.other_scan];
            // The filtered side comes first; this side is then looked up row by row. Where neither is
            // filtered, the whole of both is wanted and an index would not be used.
            // Of several columns that join the same two, one that an index leads with does.
            let mut together =
                found.scan.joins.iter().filter(|own| own.other_scan == join.other_scan);
            if !is_picked(other) || together.any(|own| table.has_index_on(&own.column)) {
                continue;
            }
            let columns = vec![join.column.clone()];
            groups.add(&table.name, columns, Level::Warning, found.query, || {
                format!(
                    "{} is joined to {} by {}, which no index leads with",
                    table.name, other.table, join.column
                )
            });
        }
        for lookup in found.scan.lookups.iter().filter(|lookup| lookup.for_few) {
            let Some(column) = lookup.key.column().filter(|own| !table.has_index_on(own)) else {
                continue;
            };
            let columns = vec![column.to_owned()];
            groups.add(&table.name, columns, Level::Warning, found.query, || {
                format!("{} is looked up by {column}, which no index leads with", table.name)
            });
        }
    }
    groups.finish(input.workload)
}

/// A filter leaves few rows of the scan.
fn is_picked(scan: &Scan) -> bool {
    scan.filters.iter().any(|filter| matches!(filter.operator, Operator::Equal | Operator::In))
}
