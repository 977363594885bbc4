//! Facts about a run that the handover and the terminal share, in words.
//!
//! In: a run. Out: rows and sentences.
//! Never: layout.

pub mod gains;
pub mod lookup;
pub(crate) mod trust;
pub mod who_acts;
pub mod write_cost;
