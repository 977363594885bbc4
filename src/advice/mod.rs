//! Findings to recommendations, each with its undo. Pure: planner costs come in through
//! [`crate::model::whatif::WhatIf`].

pub mod candidates;
pub mod estimate;
pub mod index_keys;

pub use candidates::recommend;
pub use estimate::estimate;
