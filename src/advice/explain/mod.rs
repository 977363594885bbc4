//! Recommendations with SQL, undo, cautions and reasons.
//!
//! In: the chosen set. Out: `model::recommendation::Recommendation`.
//! Never: a change of the choice.

pub mod cautions;
pub mod drop_index;
pub mod recommendation;
pub mod why_no_index;
