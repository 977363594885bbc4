//! Rows that no policy guards, and roles that none binds.
//!
//! In: tables, owners, roles and partitions. Out: findings.
//! Never: a table whose rows are nobody's.

pub mod rls_disabled;
pub mod rls_no_policy;
pub mod rls_owner_bypass;
pub mod rls_partition_bypass;
pub mod rls_policy_not_enabled;
pub mod rls_unfixed_server;
