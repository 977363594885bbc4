//! Ways to rows beside their table: views, functions, privileges.
//!
//! In: views, functions and privileges, understood. Out: findings.
//! Never: a view or function that asks who calls.

pub mod rls_default_privileges;
pub mod rls_definer_function;
pub mod rls_definer_view;
pub mod rls_existence_oracle;
pub mod rls_exposed_column;
pub mod rls_lookup_writable;
pub mod rls_materialized_view;
pub mod rls_truncate_granted;
