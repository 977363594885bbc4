//! One file for each command: reads its flags, calls the modules below, and prints.
//!
//! In: flags. Out: an exit code.
//! Never: work that a library user would need without flags.

pub(crate) mod analyze;
pub(crate) mod apply;
pub mod capture;
pub mod check;
pub mod doctor;
pub mod explain;
pub mod generate;
pub(crate) mod migrations;
pub mod report;
pub mod trial;
