//! The guard: who may write, and which statements are sent.
//!
//! In: a connection, and the very text that would be sent. Out: a `Writable`, or the reason why not.
//! Never: a guess. What cannot be decided is left out and named.

pub mod consent;
mod hazards;
pub mod statement;
mod words;
