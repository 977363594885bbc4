//! Where a connection goes and how, from all places that libpq reads.
//!
//! In: flags, environment, files. Out: `Settings`.
//! Never: a password in a message.

pub mod connection_string;
pub mod pgpass;
pub mod secret;
pub mod settings;
pub mod ssl;
