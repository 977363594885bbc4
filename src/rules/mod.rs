//! Detectors: one a file, its page beside it.
//!
//! In: statements with their shapes, and the catalog. Out: findings.
//! Never: a database, a file, a clock or a random number.

pub mod access;
pub mod grouped;
pub mod indexes;
pub mod input;
pub mod loops;
pub mod observed;
pub mod rule;
pub mod statements;

use input::Input;
use rule::Rule;

use crate::model::finding::Finding;

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
