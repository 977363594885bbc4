//! The only module that talks to PostgreSQL.
//!
//! Every connection is owned by one thread, with a runtime of its own: latencies are those of the
//! server and not of a scheduler, and the rest of the program stays free of `async`.

pub mod catalog;
pub mod cluster;
pub mod connect;
pub mod doctor;
pub mod planner;
pub mod session;
