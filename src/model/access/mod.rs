//! Who may see and change rows: roles, privileges and functions of a database, and what is said of them.
//!
//! In: nothing. Out: plain types.
//! Never: a judgement; `access` and `rules` make those.

pub mod acting;
pub mod privileges;
pub mod recommendation;
pub mod rows;
pub mod verdict;
