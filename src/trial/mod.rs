//! Replays statements with and without a change, and judges the difference.

mod balance;
mod beside;
mod block;
pub mod compare;
pub mod confirm;
pub mod decide;
pub mod forecast;
mod leave_one_out;
mod log_gap;
mod pace;
pub mod parameters;
pub mod plan;
pub mod replay;
pub mod schedule;
pub mod share;
pub mod stage;
pub mod transaction;
mod upkeep;
pub mod verify;
mod work;
mod writes;
