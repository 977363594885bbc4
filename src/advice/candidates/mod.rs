//! The indexes that could serve each scan.
//!
//! In: shapes, findings and statistics. Out: candidates, each with the statements that ask for it.
//! Never: costs of statements.

pub mod candidate;
pub(crate) mod expression_stats;
pub(crate) mod foreign_key;
pub mod generate;
pub(crate) mod inverted;
pub mod key_length;
pub mod partial;
pub mod scan_needs;
