//! Everything that talks to PostgreSQL.
//!
//! In: settings and statements. Out: plain data of `model`, and errors with their SQLSTATE.
//! Never: `async` outside. One thread owns each connection with a runtime of its own, so that a latency is the server's.

pub mod catalog;
pub mod cluster;
pub mod config;
pub mod connect;
pub mod doctor;
pub mod error;
pub mod planner;
pub mod session;
pub mod stop_flag;
pub mod wire;
