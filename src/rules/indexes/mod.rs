//! Indexes that are missing, unused, duplicate or invalid.
//!
//! In: shapes and the catalog. Out: findings that advice answers.
//! Never: costs.

pub mod duplicate_index;
pub mod invalid_index;
pub mod non_sargable_predicate;
pub mod unindexed_filter;
pub mod unindexed_foreign_key;
pub mod unindexed_join;
pub mod unindexed_sort;
pub mod unused_index;
