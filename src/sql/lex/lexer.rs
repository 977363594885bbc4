//! Cuts SQL into tokens without understanding it. Never fails: what is cut short is a token too.

/// The kinds of tokens; comments and white space are not tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Word,
    QuotedIdent,
    /// Any string constant, prefix and dollar quotes included.
    String,
    Number,
    /// `$1`
    Parameter,
    /// One of `( ) [ ] , ; .`
    Punctuation,
    /// `::`, `=`, `@>` and so on; also every byte that fits nowhere else.
    Operator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub kind: TokenKind,
    pub text: &'a str,
    /// Byte offset in the input.
    pub start: usize,
}

impl<'a> Token<'a> {
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, TokenKind::Punctuation | TokenKind::Operator) && self.text == text
    }
}

/// Tokens of `text` in order.
pub fn tokens(text: &str) -> Lexer<'_> {
    Lexer { text, bytes: text.as_bytes(), at: 0 }
}

pub struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let start = self.at;
        let first = *self.bytes.get(start)?;
        let kind = match first {
            b'\'' => self.string(false),
            b'"' => self.quoted_ident(),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.to(number_end, TokenKind::Number),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => {
                self.to(number_end, TokenKind::Number)
            }
            b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' => {
                self.at += 1;
                TokenKind::Punctuation
            }
            _ if is_ident_start(first) => self.word(),
            _ => self.operator(),
        };
        Some(Token { kind, text: &self.text[start..self.at], start })
    }
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn skip_blank(&mut self) {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(byte), _) if byte.is_ascii_whitespace() || byte == 0x0b || byte == 0 => {
                    self.at += 1;
                }
                (Some(b'-'), Some(b'-')) => self.at = line_comment_end(self.bytes, self.at),
                (Some(b'/'), Some(b'*')) => self.at = block_comment_end(self.bytes, self.at),
                _ => return,
            }
        }
    }

    fn to(&mut self, end: fn(&[u8], usize) -> usize, kind: TokenKind) -> TokenKind {
        self.at = end(self.bytes, self.at);
        kind
    }

    /// From the opening quote; `escapes` is set for `E'…'`.
    fn string(&mut self, escapes: bool) -> TokenKind {
        self.at = string_end(self.bytes, self.at, escapes);
        // A backslash may have jumped into the middle of a character at the very end.
        self.skip_to_char_boundary();
        TokenKind::String
    }

    fn quoted_ident(&mut self) -> TokenKind {
        self.to(quoted_end, TokenKind::QuotedIdent)
    }

    /// `$1`, `$tag$…$tag$` or a lone dollar.
    fn dollar(&mut self) -> TokenKind {
        let rest = &self.bytes[self.at + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            self.at += 1 + digits;
            return TokenKind::Parameter;
        }
        match dollar_quoted_end(self.bytes, self.at) {
            Some(end) => {
                self.at = end;
                TokenKind::String
            }
            None => {
                self.at += 1;
                TokenKind::Operator
            }
        }
    }

    fn word(&mut self) -> TokenKind {
        let start = self.at;
        while self
            .peek(0)
            .is_some_and(|byte| is_ident_start(byte) || byte.is_ascii_digit() || byte == b'$')
        {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        if self.peek(0) == Some(b'\'') {
            match word {
                b"e" | b"E" => return self.string(true),
                b"b" | b"B" | b"x" | b"X" | b"n" | b"N" => return self.string(false),
                _ => {}
            }
        }
        // U&'…' and U&"…"
        if matches!(word, b"u" | b"U") && self.peek(0) == Some(b'&') {
            match self.peek(1) {
                Some(b'\'') => {
                    self.at += 1;
                    return self.string(false);
                }
                Some(b'"') => {
                    self.at += 1;
                    return self.quoted_ident();
                }
                _ => {}
            }
        }
        TokenKind::Word
    }

    fn operator(&mut self) -> TokenKind {
        const OPERATOR: &[u8] = b"+-*/<>=~!@#%^&|`?:\\";
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            let comment = matches!((byte, self.peek(1)), (b'-', Some(b'-')) | (b'/', Some(b'*')));
            if !OPERATOR.contains(&byte) || comment {
                break;
            }
            self.at += 1;
            // `::` binds to nothing: `a=-1::int` and `x::text` must not swallow their neighbours.
            if byte == b':' && self.peek(0) == Some(b':') {
                self.at += 1;
                break;
            }
            if self.peek(0) == Some(b':') {
                break;
            }
        }
        // A control byte that fits nowhere is a token of its own, so that the lexer always advances.
        self.at = self.at.max(start + 1);
        TokenKind::Operator
    }

    fn skip_to_char_boundary(&mut self) {
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

/// End of the string constant whose opening quote is at `at`; `escapes` is set for `E'…'`.
pub(crate) fn string_end(bytes: &[u8], at: usize, escapes: bool) -> usize {
    let mut at = at + 1;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let next =
            if escapes { memchr::memchr2(b'\'', b'\\', rest) } else { memchr::memchr(b'\'', rest) };
        let Some(next) = next else { return bytes.len() };
        at += next;
        if bytes[at] == b'\\' || bytes.get(at + 1) == Some(&b'\'') {
            at += 2;
        } else {
            return at + 1;
        }
    }
}

/// End of the quoted identifier whose opening quote is at `at`.
pub(crate) fn quoted_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let Some(next) = memchr::memchr(b'"', rest) else { return bytes.len() };
        at += next;
        if bytes.get(at + 1) != Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
}

/// End of the `$tag$…$tag$` that begins at `at`; `None` where the dollar opens no string.
pub(crate) fn dollar_quoted_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at + 1..];
    let tag =
        rest.iter().take_while(|byte| is_ident_start(**byte) || byte.is_ascii_digit()).count();
    if rest.get(tag) != Some(&b'$') {
        return None;
    }
    let delimiter = &bytes[at..at + tag + 2];
    let body = at + tag + 2;
    Some(match memchr::memmem::find(&bytes[body..], delimiter) {
        Some(end) => body + end + tag + 2,
        None => bytes.len(),
    })
}

/// End of the number that begins at `start`.
pub(crate) fn number_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut exponent = false;
    while let Some(byte) = bytes.get(at) {
        let part = match byte {
            b'0'..=b'9' | b'.' | b'_' => true,
            b'e' | b'E' => {
                exponent = true;
                true
            }
            b'+' | b'-' => exponent && matches!(bytes[at - 1], b'e' | b'E'),
            // Hexadecimal, octal and binary numbers, from 16 on.
            byte => byte.is_ascii_alphanumeric(),
        };
        // `1..10` is no number with two dots; a slice of an array has its colon before.
        if !part || (*byte == b'.' && bytes.get(at + 1) == Some(&b'.')) {
            break;
        }
        at += 1;
    }
    at
}

/// End of the `--` comment at `at`.
pub(crate) fn line_comment_end(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end)
}

/// End of the block comment at `at`; they nest in PostgreSQL.
pub(crate) fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at;
    let mut depth = 0usize;
    while let Some(next) = memchr::memchr2(b'/', b'*', bytes.get(at..).unwrap_or(&[])) {
        at += next;
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Letters, underscore and every byte of a multi-byte character, as in the server's scanner.
pub(crate) fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        tokens(sql).map(|token| token.text).collect()
    }

    #[test]
    fn comments_and_blanks_are_no_tokens() {
        assert_eq!(texts("select /* a /* nested */ b */ 1 -- end"), ["select", "1"]);
    }

    #[test]
    fn strings_keep_their_quotes_whatever_is_in_them() {
        assert_eq!(
            texts("'it''s' E'a\\'b' $x$ ' $x$ \"a\"\"b\""),
            ["'it''s'", "E'a\\'b'", "$x$ ' $x$", "\"a\"\"b\""]
        );
    }

    #[test]
    fn casts_and_parameters_stand_alone() {
        assert_eq!(
            texts("a=-1::int and b=$12::text"),
            ["a", "=-", "1", "::", "int", "and", "b", "=", "$12", "::", "text"]
        );
    }

    #[test]
    fn numbers_of_every_form_are_one_token() {
        for number in ["1", "1.5", ".5", "1e-5", "0x1F", "1_000"] {
            assert_eq!(texts(number), [number]);
        }
    }

    #[test]
    fn what_is_cut_short_is_still_a_token() {
        for text in ["'abc", "\"abc", "/* abc", "$x$ abc", "E'a\\", "E'\\ü", "$", "\u{1}", "x\0y"]
        {
            let _ = texts(text);
        }
    }
}
