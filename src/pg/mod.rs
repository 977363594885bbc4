//! The only module that talks to PostgreSQL.
//!
//! Every connection is owned by one thread, with a runtime of its own: latencies are those of the
//! server and not of a scheduler, and the rest of the program stays free of `async`.

pub mod built;
pub mod catalog;
pub mod connect;
pub mod distinct;
pub mod doctor;
pub mod error;
pub mod explain;
pub mod guard;
pub mod hypothetical;
pub mod interrupt;
pub mod inverted;
pub mod libpq_env;
pub mod pgpass;
pub mod plan;
pub mod planner;
pub mod role_path;
pub mod role_settings;
pub mod secret;
pub mod session;
pub mod statements;
pub mod stop;
pub mod throwaway;
pub mod tls;
pub mod typical;
pub mod written;
