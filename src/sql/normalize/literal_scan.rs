//! Finds the literals of a statement, and hashes the rest, in one pass over its bytes.
//!
//! Logs repeat a few hundred statements a million times. Normalizing is for the first time; from
//! then on the skeleton's hash says which statement it is and the spans say where its literals
//! stand. The skeleton is finer than the normalized text: it keeps spacing, letter case and the
//! length of lists, so equal skeletons have equal normalized texts, as long as the literals that the
//! normalized text keeps (`ORDER BY 2`) are compared beside it.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::sql::lex::lexer::{
    bit_string_end, block_comment_end, dollar_quoted_end, escapes_plainly, is_ident_start,
    line_comment_end, number_end, quoted_end, string_end,
};

/// A literal's range in a text, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteralSpan {
    pub start: usize,
    pub end: usize,
}

impl LiteralSpan {
    /// Returns the literal's bytes.
    pub fn of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start..self.end).unwrap_or(&[])
    }
}

/// The scanner; one serves many texts and keeps its buffer.
#[derive(Debug, Default)]
pub struct Skeleton {
    /// String and number literals in order of appearance.
    pub literals: Vec<LiteralSpan>,
    /// Comments in order of appearance.
    pub comments: Vec<LiteralSpan>,
}

/// Bytes classified at a time.
const BLOCK: usize = 64;
const DIGIT: u8 = 1;
const IDENT: u8 = 2;
const SPECIAL: u8 = 4;
/// The lowest bit of each byte of a word.
const LOW: u64 = 0x0101_0101_0101_0101;

impl Skeleton {
    /// Finds literals and comments, and returns the hash of everything else.
    pub fn scan(&mut self, text: &[u8]) -> u64 {
        self.literals.clear();
        self.comments.clear();
        let escapes = escapes_plainly(text);
        let mut hash = 0;
        let mut kept_from = 0;
        let mut at = 0;
        while let Some((found, class)) = next_event(text, at) {
            let Some(event) = event(text, found, class, escapes) else {
                at = found + 1;
                continue;
            };
            at = event.end;
            let (kind, span) = match event.kind {
                ScanEventKind::Nothing => continue,
                ScanEventKind::Literal(mark) => {
                    self.literals.push(LiteralSpan { start: event.start, end: event.end });
                    (mark, event.start)
                }
                ScanEventKind::Comment => {
                    self.comments.push(LiteralSpan { start: event.start, end: event.end });
                    (b' ', event.start)
                }
            };
            hash = mix(hash, &text[kept_from.min(span)..span], kind);
            kept_from = event.end;
        }
        let rest = text.get(kept_from..).unwrap_or(&[]).trim_ascii_end();
        mix(hash, rest, b';')
    }
}

fn mix(hash: u64, part: &[u8], kind: u8) -> u64 {
    xxh3_64_with_seed(part, hash.rotate_left(5) ^ u64::from(kind))
}

enum ScanEventKind {
    /// A quoted identifier, which belongs to the skeleton.
    Nothing,
    /// With a mark that tells whole numbers, whose place may be a position, from other literals.
    Literal(u8),
    Comment,
}

struct ScanEvent {
    kind: ScanEventKind,
    start: usize,
    end: usize,
}

/// Returns what begins at `at`; `None` for a byte without a meaning of its own there.
/// `plain_escapes` is that of [`escapes_plainly`].
fn event(text: &[u8], at: usize, class: u8, plain_escapes: bool) -> Option<ScanEvent> {
    let before = |back: usize| at.checked_sub(back).and_then(|place| text.get(place)).copied();
    let is_ident = |byte: Option<u8>| {
        byte.is_some_and(|b| is_ident_start(b) || b.is_ascii_digit() || b == b'$')
    };
    if class & DIGIT != 0 {
        let start = if before(1) == Some(b'.') { at - 1 } else { at };
        let end = number_end(text, start);
        let whole = text[start..end].iter().all(u8::is_ascii_digit);
        return Some(ScanEvent {
            kind: ScanEventKind::Literal(if whole { b'1' } else { b'.' }),
            start,
            end,
        });
    }
    match text[at] {
        b'\'' => {
            let prefix = before(1).filter(|_| !is_ident(before(2)));
            let start = match prefix {
                Some(b'e' | b'E' | b'b' | b'B' | b'x' | b'X' | b'n' | b'N') => at - 1,
                _ if before(1) == Some(b'&')
                    && matches!(before(2), Some(b'u' | b'U'))
                    && !is_ident(before(3)) =>
                {
                    at - 2
                }
                _ => at,
            };
            let escapes = match text[start] {
                b'e' | b'E' => true,
                b'\'' | b'n' | b'N' => plain_escapes,
                _ => false,
            };
            let end = match text[start] {
                b'b' | b'B' | b'x' | b'X' => bit_string_end(text, at),
                _ => string_end(text, at, escapes),
            };
            Some(ScanEvent { kind: ScanEventKind::Literal(b'\''), start, end })
        }
        b'"' => {
            Some(ScanEvent { kind: ScanEventKind::Nothing, start: at, end: quoted_end(text, at) })
        }
        b'$' if !is_ident(before(1)) => {
            let end = dollar_quoted_end(text, at)?;
            Some(ScanEvent { kind: ScanEventKind::Literal(b'\''), start: at, end })
        }
        b'-' => Some(ScanEvent {
            kind: ScanEventKind::Comment,
            start: at,
            end: line_comment_end(text, at),
        }),
        b'/' => Some(ScanEvent {
            kind: ScanEventKind::Comment,
            start: at,
            end: block_comment_end(text, at),
        }),
        _ => None,
    }
}

/// The first byte from `from` on that may begin a literal, a comment or a quoted name.
fn next_event(text: &[u8], from: usize) -> Option<(usize, u8)> {
    let mut at = from;
    // A digit begins a number unless it goes on a word; what ends at `from` is no word.
    let mut carry = 0u64;
    while at < text.len() {
        let mut block = [0u8; BLOCK];
        let rest = &text[at..];
        let flags = match rest.first_chunk::<BLOCK>() {
            Some(whole) => classify(whole),
            None => {
                block[..rest.len()].copy_from_slice(rest);
                classify(&block)
            }
        };
        for (word, eight) in flags.chunks_exact(8).enumerate() {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(eight);
            let f = u64::from_le_bytes(bytes);
            let digits = f & LOW;
            let idents = (f >> 1) & LOW;
            let specials = (f >> 2) & LOW;
            let starts = digits & !((idents << 8) | carry);
            carry = idents >> 56;
            let mut events = starts | specials;
            while events != 0 {
                let place = (events.trailing_zeros() / 8) as usize;
                let found = at + word * 8 + place;
                if (starts >> (place * 8)) & 1 == 1 {
                    return Some((found, DIGIT));
                }
                if may_begin(text, found) {
                    return Some((found, SPECIAL));
                }
                events &= events - 1;
            }
        }
        at += BLOCK;
    }
    None
}

/// Most dollars belong to parameters, most dashes and slashes to operators.
fn may_begin(text: &[u8], at: usize) -> bool {
    match (text[at], text.get(at + 1)) {
        (b'$', Some(next)) => !next.is_ascii_digit(),
        (b'-', next) => next == Some(&b'-'),
        (b'/', next) => next == Some(&b'*'),
        _ => true,
    }
}

/// Flags of each byte; written so that the compiler makes vector code of it.
fn classify(block: &[u8; BLOCK]) -> [u8; BLOCK] {
    let mut flags = [0u8; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        let b = *byte;
        let digit = u8::from(b.wrapping_sub(b'0') < 10);
        let letter = u8::from((b | 0x20).wrapping_sub(b'a') < 26);
        let other = u8::from(b == b'_') | u8::from(b == b'$') | u8::from(b >= 0x80);
        let special = u8::from(b == b'\'')
            | u8::from(b == b'"')
            | u8::from(b == b'$')
            | u8::from(b == b'-')
            | u8::from(b == b'/');
        *flag = (digit * DIGIT) | ((digit | letter | other) * IDENT) | (special * SPECIAL);
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(sql: &str) -> (u64, Vec<&str>) {
        let mut skeleton = Skeleton::default();
        let hash = skeleton.scan(sql.as_bytes());
        (hash, skeleton.literals.iter().map(|span| &sql[span.start..span.end]).collect())
    }

    #[test]
    fn literals_are_found_and_do_not_count() {
        let (one, found) = literals(
            "SELECT a1, t2.b FROM t WHERE c = 42 AND d = 'it''s' AND e=-.5e-3 AND f = E'\\'' LIMIT $1",
        );
        assert_eq!(found, ["42", "'it''s'", ".5e-3", "E'\\''"]);
        let (two, _) = literals(
            "SELECT a1, t2.b FROM t WHERE c = 7 AND d = '' AND e=-1.5 AND f = E'x' LIMIT $1",
        );
        assert_eq!(one, two);
    }

    #[test]
    fn what_is_no_literal_counts() {
        let all = [
            "a = $1",
            "a = $2",
            "a1 = $1",
            "\"a\" = $1",
            "\"1\" = $1",
            "\"2\" = $1",
            "a = 1",
            "a = 1.5",
            "a=1",
            "a = '1'",
        ];
        let hashes: std::collections::HashSet<u64> =
            all.iter().map(|sql| literals(sql).0).collect();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn comments_stand_apart_and_hide_what_is_in_them() {
        let mut skeleton = Skeleton::default();
        let one = skeleton.scan(b"SELECT 1 /* trace 77 */ -- it's");
        assert_eq!((skeleton.literals.len(), skeleton.comments.len()), (1, 2));
        let two = skeleton.scan(b"SELECT 2 /* trace 88 'x' */ -- so");
        assert_eq!(one, two);
        assert_ne!(skeleton.scan(b"ab"), skeleton.scan(b"a/**/b"));
    }

    #[test]
    fn every_literal_of_the_lexer_is_found_where_it_stands() {
        let sql = "x'1f' b'01' U&'d' n'1' $$a 'b'$$ $t$5$t$ $1 a$1 e1 1e5 0x1F 1_000 .5 a.5 \"q9\" 'ü' ü9 5";
        let slow: Vec<&str> = crate::sql::lex::lexer::tokens(sql)
            .filter(|token| {
                matches!(
                    token.kind,
                    crate::sql::lex::lexer::TokenKind::String
                        | crate::sql::lex::lexer::TokenKind::Number
                )
            })
            .map(|token| token.text)
            .collect();
        assert_eq!(literals(sql).1, slow);
    }
}
