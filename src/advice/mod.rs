//! Findings and planner costs to recommendations, each with its undo. Pure: costs come in through
//! [`crate::model::whatif`].

pub mod advise;
pub mod candidates;
pub mod costs;
pub mod keys;
pub mod offline;
pub mod pinned;
pub mod reasons;
pub mod recommend;
pub mod select;
pub mod size;
pub mod writes;
