//! One framer for each log format: where records may be cut, and which messages a block holds.
//!
//! In: a block. Out: messages.
//! Never: state across blocks. What crosses a border is `source::collect::open_ends`.

pub mod csv_log;
pub mod detect;
pub mod framer;
pub mod json_fields;
pub mod json_log;
pub mod json_record;
pub mod lines;
pub mod pg_stat_statements;
pub mod stderr_log;
pub mod syslog;
pub mod wrapped_log;
