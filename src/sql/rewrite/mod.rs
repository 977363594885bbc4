//! Statements made from statements: what a replay may run, and one statement in place of a loop.
//!
//! In: a statement of the workload. Out: a text with the same rows, or the reason why there is none.
//! Never: execution. `pg::session::guard` decides what is sent.

pub mod batch;
pub(crate) mod batch_rows;
pub mod for_replay;
pub mod replayable;
pub mod row_order;
pub mod rows_reached;
pub mod visible;
