//! Statements that run in a loop: once for each row, or the same again and again.
//!
//! In: the timeline of the workload. Out: findings. `detect` finds the loops that these rules describe.
//! Never: guesses without a timeline.

pub mod chatty_transaction;
pub mod detect;
pub mod duplicate_query;
pub mod n_plus_one;
pub(crate) mod orm;
pub mod write_loop;
