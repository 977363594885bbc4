//! The way to the server: socket, TLS, login.
//!
//! In: settings. Out: a logged-in stream whose messages have a limit.
//! Never: a statement.

mod certificate;
pub(in crate::pg) mod login;
pub(in crate::pg) mod stream;
pub mod tls;
