//! Statements that read more than anybody needs.
//!
//! In: shapes and what was observed. Out: findings.
//! Never: the catalog of another database.

pub mod deep_offset;
pub mod select_star_wide;
pub mod unbounded_select;
