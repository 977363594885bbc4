//! The text of a log message: statements, durations, parameters, plans.
//!
//! In: a message. Out: what it says of an execution.
//! Never: what other messages say. `source::assembler` joins them.

pub mod auto_explain;
pub mod database;
pub(crate) mod execute;
pub mod log_text;
pub mod parameters;
pub mod record;
