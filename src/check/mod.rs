//! Compares a measurement with a baseline.
//!
//! In: a baseline, and statements to measure. Out: a status for each statement.
//! Never: a write to the database.

pub mod baseline;
pub mod gate;
pub mod measure;
