//! Bytes of a file: decompression, the format, and blocks that threads share.
//!
//! In: a reader. Out: blocks that end where a record ends.
//! Never: the meaning of a record.

pub mod blocks;
pub mod compressed;
