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
    &crate::rules::access::coverage::rls_disabled::RULE,
    &crate::rules::access::coverage::rls_policy_not_enabled::RULE,
    &crate::rules::access::coverage::rls_no_policy::RULE,
    &crate::rules::access::coverage::rls_owner_bypass::RULE,
    &crate::rules::access::coverage::rls_partition_bypass::RULE,
    &crate::rules::access::coverage::rls_unfixed_server::RULE,
    &crate::rules::access::policy::rls_always_true::RULE,
    &crate::rules::access::policy::rls_any_user::RULE,
    &crate::rules::access::policy::rls_missing_identity::RULE,
    &crate::rules::access::policy::rls_shared_rows::RULE,
    &crate::rules::access::policy::rls_unchecked_write::RULE,
    &crate::rules::access::policy::rls_privileged_column::RULE,
    &crate::rules::access::policy::rls_self_enrolment::RULE,
    &crate::rules::access::policy::rls_shadowed_name::RULE,
    &crate::rules::access::policy::rls_user_claim::RULE,
    &crate::rules::access::policy::rls_recursive_policy::RULE,
    &crate::rules::access::beside::rls_definer_view::RULE,
    &crate::rules::access::beside::rls_materialized_view::RULE,
    &crate::rules::access::beside::rls_definer_function::RULE,
    &crate::rules::access::beside::rls_lookup_writable::RULE,
    &crate::rules::access::beside::rls_exposed_column::RULE,
    &crate::rules::access::beside::rls_truncate_granted::RULE,
    &crate::rules::access::beside::rls_default_privileges::RULE,
    &crate::rules::access::beside::rls_existence_oracle::RULE,
    &crate::rules::access::speed::rls_per_row_call::RULE,
    &crate::rules::access::speed::rls_unindexed_policy::RULE,
    &crate::rules::access::speed::rls_slow_form::RULE,
    &crate::rules::access::speed::rls_index_defeated::RULE,
    &crate::rules::access::speed::rls_immutable_identity::RULE,
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
