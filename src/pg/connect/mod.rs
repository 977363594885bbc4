//! Connections: settings, passwords, TLS, errors and cancellation.
//!
//! In: settings of the command line and of libpq. Out: a `Connection` that one thread owns.
//! Never: a query of the workload.

pub mod caller;
pub mod cancel;
pub mod connection;
pub mod connection_string;
pub mod error;
pub mod parameter;
pub mod pgpass;
pub mod pooler;
pub mod secret;
pub mod settings;
pub mod ssl;
pub mod stop_flag;
pub mod wire;
