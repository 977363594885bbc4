//! What an index is: its definition as SQL, what it serves, what it covers, and its size.
//!
//! In: index definitions, predicates and statistics of the catalog. Out: answers about them and DDL text.
//! Rules, advice, trials and `apply` ask here.
//! Never: a connection to a server, or a choice between candidates.

pub mod covers;
pub mod ddl;
pub mod gin_size;
pub mod partitioned;
pub mod serves;
pub mod size;
