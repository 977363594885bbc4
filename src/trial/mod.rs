//! Replays statements with and without a change, and judges the difference.
//!
//! In: a workload, recommendations, and consent to write. Out: trials, and what becomes of each recommendation.
//! Never: a commit. Every transaction ends in a rollback.

pub mod config;
pub mod confirm_loop;
pub mod forecast;
mod leave_one_out;
mod log_gap;
pub mod outcome;
pub mod plan;
pub mod procedure;
mod retry_in_set;
pub mod run;
mod thin_out;
pub mod writes;
