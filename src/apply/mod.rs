//! Accepted recommendations, made real: executed, or written down as migrations.
//!
//! Nothing is remembered between two runs: what is there already is seen in the catalog, so a run that
//! was cut short is repeated and goes on where it stopped.

pub mod execute;
pub mod file;
mod framework;
pub mod migration;
mod partitions;
pub mod steps;
