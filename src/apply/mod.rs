//! Accepted recommendations, executed or written as migrations.
//!
//! In: recommendations of a run. Out: steps on a server, or files.
//! Never: a memory of its own. What is done already is seen in the catalog, so an interrupted run can be repeated.

pub mod execute;
pub mod file;
mod framework;
pub mod migration;
mod partitions;
pub mod steps;
pub mod verify;
