//! One file for each output format but the handover.
//!
//! In: a run. Out: text.
//! Never: a figure that the run file does not have.

pub mod csv;
pub mod github;
pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;
pub(crate) mod trial_text;
