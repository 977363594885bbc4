//! One text for all executions of a statement: normalization, fingerprint, literals and redaction.
//!
//! In: tokens. Out: the normalized text, its fingerprint, and where its literals stand.
//! Never: a parse. What the parser cannot read still has a fingerprint.

pub mod fingerprint;
pub mod literal_scan;
pub mod normalizer;
mod output;
pub mod redact;
pub mod slot;
