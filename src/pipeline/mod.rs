//! What the commands have in common: gather, find, recommend, prove.
//!
//! In: sources and an open database. Out: plain data of `model`, and errors as [`error::Error`].
//! Never: flags, exit codes, environment variables, progress bars or output.

pub mod acting;
pub mod confirm_loops;
pub mod derive;
pub mod error;
pub mod find;
pub mod gather;
pub mod progress;
pub mod prove;
pub mod recommend;
