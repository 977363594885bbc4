//! What runs on a connection: execution for measuring, the guard, counters and settings.
//!
//! In: statements. Out: answers with latency.
//! Never: a write without a `Writable` of the guard.

pub mod callers;
pub mod execute;
pub mod guard;
pub mod reached;
pub mod role_settings;
pub mod write_counters;
