//! Syntax tree to shape: which tables a statement scans, with which predicates, joins and order.
//!
//! In: a tree and the catalog. Out: `model::workload::shape::Shape`.
//! Never: costs or advice. `resolver` and `from_clause` call one another, as sub-queries nest.

pub(crate) mod aggregate;
pub(crate) mod dml;
pub(crate) mod expr_walk;
pub(crate) mod from_clause;
pub mod operator;
pub mod policies;
pub mod predicate;
pub mod resolver;
pub mod scope;
