//! Finds loops in the timeline, in one session and across several.
//!
//! In: executions in order. Out: loops with their parent statement and keys.
//! Never: findings. The rules beside this folder word them.

pub mod episodes;
pub mod find;
pub mod key_origin;
pub mod many_sessions;
pub mod one_session;
pub(crate) mod time_span;
