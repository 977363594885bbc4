//! The nouns of the tool: plain data, no behaviour beyond themselves.
//!
//! Nothing here reads a file, a clock or a database, and nothing here imports another module of
//! the crate.

pub mod catalog;
pub mod finding;
pub mod index;
pub mod name;
pub mod plan;
pub mod recommendation;
pub mod run;
pub mod trial;
pub mod whatif;
pub mod workload;
