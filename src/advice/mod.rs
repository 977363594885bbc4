//! Findings and planner costs to recommendations.
//!
//! In: statements, catalog, findings, limits; costs through `model::whatif`. Out: recommendations, each with its undo.
//! Never: a connection. Who has one implements the traits.

pub mod advised;
pub mod candidates;
pub mod cost;
mod document_members;
pub mod explain;
pub mod input;
pub mod select;
pub mod with_planner;
pub mod without_planner;
