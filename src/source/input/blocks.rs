//! Splits an input into blocks that end where a record ends, for parallel reading.

use std::io::Read;

use crate::source::error::SourceError;
use crate::source::format::framer::Cut;

/// Bytes of a block: small enough for the processor's cache, large enough that its ends do not count.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Longest record kept whole, bytes. Longer ones are cut: a statement of this size is no request.
const MAX_RECORD_BYTES: usize = 256 * 1024 * 1024;

/// Hands out one block after the other.
pub struct Blocks<'r> {
    reader: Box<dyn Read + Send + 'r>,
    /// Read, and not yet handed out.
    rest: Vec<u8>,
    next: u64,
    block_bytes: usize,
    is_done: bool,
    /// The error that ended the input early.
    pub broken: Option<std::io::Error>,
}

impl<'r> Blocks<'r> {
    pub fn new(reader: Box<dyn Read + Send + 'r>, block_bytes: Option<usize>) -> Self {
        let block_bytes = block_bytes.unwrap_or(BLOCK_BYTES).max(1);
        Blocks { reader, rest: Vec::new(), next: 0, block_bytes, is_done: false, broken: None }
    }

    /// Fills `block` and returns its number; `None` at the end. An input that breaks off ends there;
    /// the reason stays in `broken`.
    pub fn next(&mut self, block: &mut Vec<u8>, cut: &dyn Cut) -> Option<u64> {
        block.clear();
        let mut wanted = self.block_bytes;
        let end = loop {
            self.fill(block, wanted);
            if self.is_done && self.rest.is_empty() {
                break block.len();
            }
            match cut.cut(block) {
                Some(end) if end > 0 => break end,
                _ if block.len() >= MAX_RECORD_BYTES => break block.len(),
                _ => wanted = block.len() * 2,
            }
        };
        if block.is_empty() {
            return None;
        }
        self.rest.splice(..0, block.drain(end..));
        self.next += 1;
        Some(self.next - 1)
    }

    fn fill(&mut self, block: &mut Vec<u8>, wanted: usize) {
        let ahead = self.rest.len().min(wanted.saturating_sub(block.len()));
        block.extend(self.rest.drain(..ahead));
        while !self.is_done && block.len() < wanted {
            let missing = (wanted - block.len()) as u64;
            match self.reader.by_ref().take(missing).read_to_end(block) {
                Ok(0) => self.is_done = true,
                Ok(_) => {}
                Err(error) => {
                    self.is_done = true;
                    self.broken = Some(error);
                }
            }
        }
    }

    /// The beginning of the input, without handing it out.
    ///
    /// # Errors
    /// When not even the first byte can be read.
    pub fn peek(&mut self, bytes: usize) -> Result<&[u8], SourceError> {
        let mut rest = std::mem::take(&mut self.rest);
        self.fill(&mut rest, bytes);
        self.rest = rest;
        match self.broken.take_if(|_| self.rest.is_empty()) {
            Some(error) => Err(error.into()),
            None => Ok(&self.rest),
        }
    }

    /// All that is left, for formats that are read as a whole.
    pub fn into_rest(mut self) -> (Vec<u8>, Option<std::io::Error>) {
        let mut rest = std::mem::take(&mut self.rest);
        self.fill(&mut rest, usize::MAX);
        (rest, self.broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::format::lines::last_line;

    struct Lines;
    impl Cut for Lines {
        fn cut(&self, block: &[u8]) -> Option<usize> {
            last_line(block)
        }
    }

    #[test]
    fn blocks_join_to_the_input_and_end_with_a_line() {
        let text: Vec<u8> = (0..200_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let mut input = text.clone();
        input.extend_from_slice(b"no end");
        let mut blocks = Blocks::new(Box::new(&input[..]), Some(10_000));
        assert!(blocks.peek(10).unwrap().starts_with(b"line 0\n"));
        let (mut block, mut joined, mut count) = (Vec::new(), Vec::new(), 0);
        while let Some(number) = blocks.next(&mut block, &Lines) {
            assert_eq!(number, count);
            count += 1;
            assert!(block.ends_with(b"\n") || joined.len() + block.len() == input.len());
            joined.extend_from_slice(&block);
        }
        assert_eq!(joined, input);
        assert!(count > 100);
    }
}
