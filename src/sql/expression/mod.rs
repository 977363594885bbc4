//! What PostgreSQL knows of expressions: types, immutability, implication and equality.
//!
//! In: expressions. Out: whether one may be indexed, can fail, implies or equals another.
//! Never: rows or statistics.

pub mod equivalence;
pub mod fallible;
pub mod immutability;
pub mod implication;
pub mod member_names;
pub mod types;
