//! Policies that are slow.
//!
//! In: policies, understood, and indexes. Out: findings, on small tables as information.
//! Never: a measured figure; those are a trial's.

pub mod rls_immutable_identity;
pub mod rls_index_defeated;
pub mod rls_per_row_call;
pub mod rls_slow_form;
pub mod rls_unindexed_policy;
