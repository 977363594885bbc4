//! Detectors. One a file, its page beside it; each sees plain data and nothing else.

pub mod chatty_transaction;
pub mod deep_offset;
pub mod duplicate_index;
pub mod duplicate_query;
pub mod episodes;
pub mod invalid_index;
pub mod links;
pub mod loops;
mod mappers;
pub mod n_plus_one;
pub mod non_sargable_predicate;
pub mod owners;
pub mod rls_disabled;
pub mod secret_in_log;
mod secrets;
pub mod select_star_wide;
mod span;
pub mod spread;
pub mod support;
pub mod unbounded_select;
pub mod unindexed_filter;
pub mod unindexed_foreign_key;
pub mod unindexed_join;
pub mod unindexed_sort;
pub mod unused_index;
pub mod write_loop;

use std::cell::OnceCell;

use loops::Loops;

use crate::model::catalog::{Catalog, Table};
use crate::model::finding::Finding;
use crate::model::shape::{Scan, Shape};
use crate::model::workload::{Query, Workload};

/// What a rule may look at. Same input, same findings, same order.
pub struct Input<'a> {
    pub workload: &'a Workload,
    pub catalog: Option<&'a Catalog>,
    /// One for each query of the workload; `None` where the statement could not be parsed.
    pub shapes: &'a [Option<Shape>],
    /// Worked out when the first rule asks: three rules look at the same loops.
    loops: OnceCell<Loops>,
}

/// A detector.
pub struct Rule {
    /// Kebab-case; names the pattern, not the cure.
    pub id: &'static str,
    /// One line for the list of rules.
    pub summary: &'static str,
    /// What it cannot do without, in words.
    pub needs: &'static str,
    /// The page: text of `explain`, handbook and test at once.
    pub page: &'static str,
    pub find: fn(&Input<'_>) -> Vec<Finding>,
}

/// Every rule, in the order of running and of documenting.
pub const RULES: &[&Rule] = &[
    &n_plus_one::RULE,
    &write_loop::RULE,
    &duplicate_query::RULE,
    &chatty_transaction::RULE,
    &unindexed_filter::RULE,
    &unindexed_sort::RULE,
    &unindexed_join::RULE,
    &unindexed_foreign_key::RULE,
    &non_sargable_predicate::RULE,
    &deep_offset::RULE,
    &unbounded_select::RULE,
    &select_star_wide::RULE,
    &duplicate_index::RULE,
    &unused_index::RULE,
    &invalid_index::RULE,
    &rls_disabled::RULE,
    &secret_in_log::RULE,
];

/// Runs every rule; findings by share of time, then by level, then by id.
pub fn find_all(input: &Input<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().flat_map(|rule| (rule.find)(input)).collect();
    findings.sort_by(|a, b| {
        b.impact_pct
            .total_cmp(&a.impact_pct)
            .then_with(|| b.level.cmp(&a.level))
            .then_with(|| a.id.cmp(&b.id))
    });
    findings
}

/// A scan of a base table by a statement, with the table where the catalog knows it.
pub struct ScanOf<'a> {
    pub query: &'a Query,
    pub shape: &'a Shape,
    pub scan: &'a Scan,
    pub table: Option<&'a Table>,
}

impl<'a> ScanOf<'a> {
    /// The scans that the alternatives of its conditions would make.
    pub fn alternatives(&self) -> impl Iterator<Item = ScanOf<'a>> {
        let ScanOf { query, shape, scan, table } = *self;
        scan.alternatives.iter().flatten().map(move |scan| ScanOf { query, shape, scan, table })
    }
}

impl<'a> Input<'a> {
    pub fn new(
        workload: &'a Workload,
        catalog: Option<&'a Catalog>,
        shapes: &'a [Option<Shape>],
    ) -> Self {
        Input { workload, catalog, shapes, loops: OnceCell::new() }
    }

    /// The loops in the timeline.
    pub fn loops(&self) -> &Loops {
        self.loops.get_or_init(|| loops::find(self))
    }

    /// Every scan of every statement that was understood.
    pub fn scans(&self) -> impl Iterator<Item = ScanOf<'a>> {
        let catalog = self.catalog;
        self.workload
            .queries
            .iter()
            .zip(self.shapes)
            .filter_map(|(query, shape)| Some((query, shape.as_ref()?)))
            .flat_map(move |(query, shape)| {
                shape.scans.iter().map(move |scan| ScanOf {
                    query,
                    shape,
                    scan,
                    table: catalog.and_then(|catalog| catalog.table(&scan.table)),
                })
            })
    }
}
