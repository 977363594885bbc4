//! Replays both sides of a change and compares them.
//!
//! In: planned statements and indexes. Out: a `Trial` with its verdicts.
//! Never: a commit.

pub mod compare;
pub mod replay;
pub(crate) mod sessions;
pub mod transaction;
pub(crate) mod work;
