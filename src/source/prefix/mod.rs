//! What stands before the message of a log line: `log_line_prefix`, severity and time.
//!
//! In: a line. Out: its fields and the rest of the line.
//! Never: the text of the message.

pub mod derive;
pub mod log_line_prefix;
pub(crate) mod loose_prefix;
pub(crate) mod severity;
pub mod timestamp;
