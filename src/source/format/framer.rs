//! The trait of all log formats: where records may be cut, and how a block becomes messages.

use crate::source::assembler::Assembler;
use crate::source::prefix::timestamp::Clock;

/// How to read what cannot be told from the bytes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `log_line_prefix` of a stderr log; detected when not given.
    pub log_line_prefix: Option<String>,
    /// Threads that read side by side; one for each core when not given.
    pub threads: Option<usize>,
    /// Bytes that a thread reads at a time; what the processor's cache holds when not given.
    pub block_bytes: Option<usize>,
}

/// Reads the records of one format.
pub trait Framer: Cut {
    /// Hands the messages of a block to the assembler, and returns the number of lines.
    fn block(&self, block: &[u8], assembler: &mut Assembler<'_>, scratch: &mut Scratch) -> u64;

    /// One thread has to read all blocks, in order.
    fn is_sequential(&self) -> bool {
        false
    }

    /// Hands over what was still under way at the end of the input.
    fn finish(&self, _assembler: &mut Assembler<'_>, _scratch: &mut Scratch) {}
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    pub clock: Clock,
    pub text: Vec<u8>,
    pub detail: Vec<u8>,
    /// User, database and application.
    pub names: [Vec<u8>; 3],
}

/// Finds the places where a format's input may be cut between records.
pub trait Cut: Sync {
    /// Length of the longest part of `block` that holds whole records only; `None` when there is no
    /// such part as yet. `block` begins with a record, or with what is left of one.
    fn cut(&self, block: &[u8]) -> Option<usize>;
}
