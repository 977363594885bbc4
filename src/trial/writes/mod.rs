//! What new indexes cost the statements that write.
//!
//! In: the writes of the workload. Out: their cost, and which indexes cost more than they gain.
//! Never: a commit.

pub(crate) mod balance;
pub(crate) mod measure;
pub(crate) mod reject;
