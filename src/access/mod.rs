//! Who may reach which rows: policies and functions understood, and to whom rows belong.
//!
//! In: the catalog and its conditions. Out: what policies ask for, which columns hold who it is, which predicates an
//! index can serve for a role that policies bind.
//! Never: a connection to a server, or the text of a condition: it is read in `sql`.

pub mod actor;
pub mod alternatives;
pub mod atoms;
pub mod bodies;
pub mod body;
pub mod choose;
pub mod derive;
pub mod domains;
pub mod evidence;
pub mod form;
pub mod policies;
mod procedural;
pub(crate) mod pushdown;
pub mod truth;
pub mod units;
pub mod views;
pub mod who_acts;
