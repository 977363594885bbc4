//! The catalog and statistics of a database.
//!
//! In: a connection. Out: plain data of `model`.
//! Never: a write.

pub mod distinct;
pub mod gin_keys;
pub mod keys;
pub mod load;
pub mod pg_stat_statements;
pub mod privileges;
