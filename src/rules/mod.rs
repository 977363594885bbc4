//! Detectors. One a file, its page beside it; each sees plain data and nothing else.

pub mod access;
pub mod grouped;
pub mod indexes;
pub mod loops;
pub mod statements;

use std::cell::OnceCell;

use loops::detect::find::Loops;

use crate::model::catalog::{Catalog, Table};
use crate::model::finding::Finding;
use crate::model::workload::shape::{Scan, Shape};
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
    &crate::rules::loops::n_plus_one::RULE,
    &crate::rules::loops::write_loop::RULE,
    &crate::rules::loops::duplicate_query::RULE,
    &crate::rules::loops::chatty_transaction::RULE,
    &crate::rules::indexes::unindexed_filter::RULE,
    &crate::rules::indexes::unindexed_sort::RULE,
    &crate::rules::indexes::unindexed_join::RULE,
    &crate::rules::indexes::unindexed_foreign_key::RULE,
    &crate::rules::indexes::non_sargable_predicate::RULE,
    &crate::rules::statements::deep_offset::RULE,
    &crate::rules::statements::unbounded_select::RULE,
    &crate::rules::statements::select_star_wide::RULE,
    &crate::rules::indexes::duplicate_index::RULE,
    &crate::rules::indexes::unused_index::RULE,
    &crate::rules::indexes::invalid_index::RULE,
    &crate::rules::access::rls_disabled::RULE,
    &crate::rules::access::secret_in_log::RULE,
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
        self.loops.get_or_init(|| crate::rules::loops::detect::find::find(self))
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
