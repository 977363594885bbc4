//! Conditions of policies, views and functions as trees of our own.
//!
//! In: texts of the catalog. Out: `Term` and `Select`, whose columns are resolved.
//! Never: a judgement about them, and nothing of the parser's.

pub mod read;
pub mod term;
