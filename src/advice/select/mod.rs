//! Which candidates to create, all of them together.
//!
//! In: costs, sizes and limits. Out: the chosen set.
//! Never: a plan asked for twice. Costs are kept by `advice::cost::what_if`.

pub mod budget;
pub mod iterate;
mod local_search;
pub mod selection;
