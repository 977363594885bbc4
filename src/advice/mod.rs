//! Findings and planner costs to recommendations, each with its undo. Pure: costs come in through
//! [`crate::model::whatif`].

pub mod advised;
pub mod candidates;
pub mod cost;
mod document_members;
pub mod explain;
pub mod input;
pub mod select;
pub mod with_planner;
pub mod without_planner;
