//! Lines of a block.

/// One past the last line feed.
pub fn last_line(block: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', block).map(|at| at + 1)
}

/// The lines of a block, without their line feeds.
pub struct Lines<'b> {
    rest: &'b [u8],
}

impl<'b> Lines<'b> {
    pub fn of(block: &'b [u8]) -> Self {
        Lines { rest: block }
    }
}

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr::memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &b""[..]),
        };
        self.rest = rest;
        Some(line)
    }
}
