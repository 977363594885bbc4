//! Who may see rows, and secrets that a log shows.
//!
//! In: shapes, the catalog and texts. Out: findings.
//! Never: the secret itself.

pub(crate) mod credentials;
pub mod rls_disabled;
pub mod secret_in_log;
