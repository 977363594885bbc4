//! Who may see rows, and secrets that a log shows.
//!
//! In: shapes, the catalog and texts. Out: findings.
//! Never: the secret itself.

pub mod beside;
pub mod coverage;
pub(crate) mod credentials;
pub(crate) mod found;
pub mod policy;
pub mod secret_in_log;
pub mod speed;
