//! The values of constants in a statement's text.

use std::borrow::Cow;

use super::lexer::continuation;
use crate::model::workload::literal::Literal;

/// The value of a constant that is a word.
pub fn word(token: &str) -> Option<Literal> {
    if token.eq_ignore_ascii_case("null") {
        return Some(Literal::NULL);
    }
    let is_word = token.starts_with(|c: char| c.is_ascii_alphabetic()) && !token.contains('\'');
    is_word.then(|| Literal::text(token))
}

/// The value of a string or number token, without quotes.
pub fn unquote(token: &[u8], negative: bool) -> Cow<'_, [u8]> {
    // An opening quote stands behind at most a prefix of two bytes, as in `U&'…'`.
    if let Some(quote) = token.iter().take(3).position(|byte| *byte == b'\'') {
        let body = &token[quote + 1..];
        let body = body.strip_suffix(b"'").unwrap_or(body);
        let escapes = matches!(token[0], b'e' | b'E');
        let plain = !escapes || !body.contains(&b'\\');
        if plain && memchr::memchr(b'\'', body).is_none() {
            return Cow::Borrowed(body);
        }
        return Cow::Owned(unescape(body, escapes));
    }
    if let Some(rest) = token.strip_prefix(b"$") {
        // $tag$…$tag$
        let tag = memchr::memchr(b'$', rest).map_or(token.len(), |at| at + 2);
        return Cow::Borrowed(token.get(tag..token.len().saturating_sub(tag)).unwrap_or(b""));
    }
    if negative { Cow::Owned([b"-", token].concat()) } else { Cow::Borrowed(token) }
}

/// Doubled quotes, and the backslash escapes of `E'…'` that applications really send.
fn unescape(body: &[u8], escapes: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied();
    while let Some(byte) = bytes.next() {
        let at = body.len() - bytes.len();
        match byte {
            b'\'' if body.get(at) == Some(&b'\'') => {
                bytes.next();
                out.push(b'\'');
            }
            // It goes on in a later line.
            b'\'' => match continuation(body, at) {
                Some(next) => drop(bytes.by_ref().take(next + 1 - at).count()),
                None => return out,
            },
            b'\\' if escapes => match bytes.next() {
                Some(b'n') => out.push(b'\n'),
                Some(b't') => out.push(b'\t'),
                Some(b'r') => out.push(b'\r'),
                Some(other) => out.push(other),
                None => {}
            },
            other => out.push(other),
        }
    }
    out
}
