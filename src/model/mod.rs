//! The data that all modules share.
//!
//! In: nothing. Out: plain types, with methods about themselves alone.
//! Never: a file, a clock, a database, or another module of the crate.

pub mod access;
pub mod catalog;
pub mod finding;
pub mod index;
pub mod name;
pub mod plan;
pub mod recommendation;
pub mod run;
pub mod run_access;
pub mod trial;
pub mod whatif;
pub mod workload;
