//! Row-level security: what stands before an index where policies hold.
//!
//! In: predicates and the catalog. Out: which predicates an index can serve for a role that policies bind.
//! Never: a connection to a server. Policy text is read in `sql`, not here.

pub(crate) mod pushdown;
