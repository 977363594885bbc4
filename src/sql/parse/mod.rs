//! Normalized text to syntax tree.
//!
//! In: text. Out: trees of `sqlparser`. `dialect` rewrites PostgreSQL syntax that the parser lacks.
//! Never: names or types. `resolve` gives them their meaning.

pub(crate) mod dialect;
pub mod parser;
pub(crate) mod utility;
