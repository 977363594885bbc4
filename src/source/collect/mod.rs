//! Executions to a workload: one entry for each distinct statement.
//!
//! In: events in the order of the log. Out: a `Workload`, the same whichever way collectors were merged.
//! Never: input or output.

pub mod captured_catalog;
pub mod collector;
pub mod literal_map;
pub(crate) mod merge;
pub(crate) mod open_ends;
pub mod resolve_all;
pub(crate) mod roles;
pub(crate) mod settings;
pub mod skips;
pub(crate) mod slot_values;
pub mod statement;
pub mod timeline_sample;
