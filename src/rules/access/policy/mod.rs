//! What a policy opens that it should not.
//!
//! In: policies, understood. Out: findings.
//! Never: a judgement by names alone.

pub mod rls_always_true;
pub mod rls_any_user;
pub mod rls_missing_identity;
pub mod rls_privileged_column;
pub mod rls_recursive_policy;
pub mod rls_self_enrolment;
pub mod rls_shadowed_name;
pub mod rls_shared_rows;
pub mod rls_unchecked_write;
pub mod rls_user_claim;
