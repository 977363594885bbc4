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
    Lexer { text, bytes: text.as_bytes(), at: 0, escapes: escapes_plainly(text.as_bytes()) }
}

pub struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// `\` escapes in strings without a prefix too.
    escapes: bool,
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let start = self.at;
        let first = *self.bytes.get(start)?;
        let kind = match first {
            b'\'' => self.string(self.escapes),
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
                b"n" | b"N" => return self.string(self.escapes),
                b"b" | b"B" | b"x" | b"X" => return self.to(bit_string_end, TokenKind::String),
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
        self.at += operator_length(&self.bytes[self.at..]);
        // A byte that fits nowhere may be the first of a character.
        self.skip_to_char_boundary();
        TokenKind::Operator
    }

    fn skip_to_char_boundary(&mut self) {
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

/// Bytes of the operator that `bytes` begin with, by the rules of the server's scanner (`operator` in `scan.l`): a
/// comment ends it, and it ends in `+` or `-` only behind a character that no operator of standard SQL has.
fn operator_length(bytes: &[u8]) -> usize {
    const OPERATOR: &[u8] = b"~!@#^&|`?+-*/%<>=";
    const NOT_STANDARD: &[u8] = b"~!@#^&|`?%";
    if bytes[0] == b':' {
        return if matches!(bytes.get(1), Some(b':' | b'=')) { 2 } else { 1 };
    }
    let run = bytes.iter().take_while(|byte| OPERATOR.contains(byte)).count();
    let begins_comment = |at: usize| matches!(&bytes[at..at + 2], b"--" | b"/*");
    let mut length = (1..run.saturating_sub(1)).find(|at| begins_comment(*at)).unwrap_or(run);
    while length > 1
        && matches!(bytes[length - 1], b'+' | b'-')
        && !bytes[..length - 1].iter().any(|byte| NOT_STANDARD.contains(byte))
    {
        length -= 1;
    }
    length.max(1)
}

/// End of the string constant whose opening quote is at `at`; `escapes` is set for `E'…'`. A string that another one
/// follows on a later line goes on there, as what it began as.
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
            continue;
        }
        match continuation(bytes, at + 1) {
            Some(next) => at = next + 1,
            None => return at + 1,
        }
    }
}

/// End of the bit string whose opening quote is at `at`: in `B'…'` and `X'…'` no quote is doubled.
pub(crate) fn bit_string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let Some(next) = memchr::memchr(b'\'', rest) else { return bytes.len() };
        at += next + 1;
        match continuation(bytes, at) {
            Some(next) => at = next + 1,
            None => return at,
        }
    }
}

/// Where the string that ended before `at` goes on: the quote behind blanks and comments with a newline among them
/// (`quotecontinue` in `scan.l`).
pub(crate) fn continuation(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut has_newline = false;
    loop {
        match bytes.get(at)? {
            b'\n' | b'\r' => {
                has_newline = true;
                at += 1;
            }
            b' ' | b'\t' | 0x0b | 0x0c => at += 1,
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = line_comment_end(bytes, at);
                // The end of the text ends the string as well.
                bytes.get(at)?;
            }
            b'\'' if has_newline => return Some(at),
            _ => return None,
        }
    }
}

/// The text is of a server with `standard_conforming_strings = off`, where `\` escapes in strings without a prefix: read
/// as the standard says, a string in it ends in `\'` in the middle of a word or never, and read with escapes each ends.
pub(crate) fn escapes_plainly(bytes: &[u8]) -> bool {
    if memchr::memmem::find(bytes, b"\\'").is_none() {
        return false;
    }
    let strings = |escapes: bool| {
        let text = String::from_utf8_lossy(bytes);
        let lexer = Lexer { text: &text, bytes: text.as_bytes(), at: 0, escapes };
        let (mut is_open, mut is_odd) = (false, false);
        for token in lexer {
            if token.kind == TokenKind::String && token.text.starts_with('\'') {
                let after = text.as_bytes().get(token.start + token.text.len()).copied();
                is_open |= token.text.len() < 2 || !token.text.ends_with('\'');
                is_odd |= token.text.ends_with("\\'")
                    && after.is_some_and(|byte| is_ident_start(byte) || byte.is_ascii_digit());
            }
        }
        (is_open, is_odd)
    };
    let (is_open, is_odd) = strings(false);
    (is_open || is_odd) && !strings(true).0
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
    memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |end| at + end)
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
            ["a", "=", "-", "1", "::", "int", "and", "b", "=", "$12", "::", "text"]
        );
    }

    #[test]
    fn operators_end_where_the_server_ends_them() {
        for (sql, expected) in [
            ("a@-1", &["a", "@-", "1"][..]),
            ("a<-1", &["a", "<", "-", "1"]),
            ("a*-- x\n1", &["a", "*", "1"]),
            ("a+/* x */-1", &["a", "+", "-", "1"]),
            ("a:=b", &["a", ":=", "b"]),
            ("a[1:2]", &["a", "[", "1", ":", "2", "]"]),
            ("a=>-1", &["a", "=>", "-", "1"]),
            ("a||-1", &["a", "||-", "1"]),
        ] {
            assert_eq!(texts(sql), expected, "{sql}");
        }
    }

    #[test]
    fn a_comment_ends_at_a_carriage_return() {
        assert_eq!(texts("a --b\r, c"), ["a", ",", "c"]);
    }

    #[test]
    fn a_string_goes_on_in_a_later_line_as_what_it_began_as() {
        for one in ["'a'\n'b'", "E'a'\n  'b\\'c'", "'a' -- x\n 'b'", "U&'a'\r'b'", "X'0'\n\n'1'"] {
            assert_eq!(texts(one), [one]);
        }
        for two in ["'a' 'b'", "'a'--", "'a' /* \n */ 'b'", "'a'\n, 'b'"] {
            assert_eq!(texts(two).first(), Some(&"'a'"), "{two}");
        }
    }

    #[test]
    fn a_backslash_escapes_where_only_that_makes_sense() {
        assert_eq!(texts("'O\\'Brien', 1"), ["'O\\'Brien'", ",", "1"]);
        assert_eq!(texts("'a\\', 'b'"), ["'a\\'", ",", "'b'"]);
        assert_eq!(texts("'O\\'x', 'P\\'y'"), ["'O\\'x'", ",", "'P\\'y'"]);
        assert_eq!(texts("'c:\\dir\\' || x"), ["'c:\\dir\\'", "||", "x"]);
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
