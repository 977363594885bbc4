//! What to replay: statements, parameters, order and time for each.
//!
//! In: the workload. Out: statements with parameter sets, and a schedule.
//! Never: a connection that writes.

pub(crate) mod pace;
pub mod parameters;
pub mod schedule;
pub mod statements;
pub mod time_budget;
