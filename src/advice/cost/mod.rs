//! What statements cost with a set of candidates.
//!
//! In: candidates and planner costs through `model::whatif`. Out: a cost for each statement and set.
//! Never: a choice.

pub(crate) mod charge;
pub(crate) mod counted_size;
pub(crate) mod not_offerable;
pub(crate) mod relevance;
pub(crate) mod scan_model;
pub mod statement_weight;
pub(crate) mod substitute;
pub mod what_if;
pub mod write_overhead;
