//! The handover report, as Markdown and HTML.
//!
//! In: a run. Out: a document whose numbers are already in words.
//! Never: a figure that the run file does not have.

pub mod chart;
pub mod document;
pub mod render;
pub mod sections;
pub mod template;
