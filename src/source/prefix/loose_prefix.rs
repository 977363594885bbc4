//! What stands before the severity, told by what its parts look like. For prefixes that nobody
//! listed and whose parts differ too much from line to line to be read off one.

use super::severity::{Fields, severity, severity_in};
use super::timestamp::looks_like_time;

/// Longest prefix, bytes. Further in, a severity is part of a message.
const LONGEST: usize = 400;

/// The fields, severity and message of a line that begins a record.
pub fn split(line: &[u8]) -> Option<(Fields<'_>, &[u8], &[u8])> {
    let at = severity_in(&line[..line.len().min(LONGEST)])?;
    let (word, message) = severity(&line[at..])?;
    let fields = fields(&line[..at]);
    // Something has to say whose record it is, or when it was written.
    let is_prefix = !fields.time.is_empty() || !session(&fields).is_empty();
    is_prefix.then_some((fields, word, message))
}

fn session<'a>(fields: &Fields<'a>) -> &'a [u8] {
    if fields.session.is_empty() { fields.pid } else { fields.session }
}

fn fields(head: &[u8]) -> Fields<'_> {
    let mut fields = Fields::default();
    // Rank of the process id found so far: in brackets it is one for sure.
    let mut pid_rank = 0;
    let mut at = 0;
    while at < head.len() {
        let rest = &head[at..];
        if let Some(end) = looks_like_time(rest) {
            let zone = zone_length(&rest[end..]);
            let has_fraction = rest[..end].contains(&b'.');
            // The start of the session has no fraction.
            if fields.time.is_empty() || (has_fraction && !fields.time.contains(&b'.')) {
                fields.time = &rest[..end + zone];
            }
            at += end + zone;
            continue;
        }
        let length = rest.iter().take_while(|byte| is_token(byte)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let token = &rest[..length];
        let before = head[..at].iter().rev().find(|byte| **byte != b' ');
        let rank = match before {
            Some(b'[' | b'(') => 2,
            _ => 1,
        };
        if is_session(token) {
            fields.session = token;
        } else if token.iter().all(u8::is_ascii_digit) {
            if rank > pid_rank {
                fields.pid = token;
                pid_rank = rank;
            }
        } else if token.contains(&b'/') && token[0].is_ascii_digit() {
            fields.transaction = token;
        } else if let Some(split) = memchr::memchr(b'@', token) {
            fields.user = &token[..split];
            fields.database = &token[split + 1..];
        } else if let Some(split) = memchr::memchr(b'=', token) {
            let value = &token[split + 1..];
            match &token[..split] {
                b"user" => fields.user = value,
                b"db" | b"database" => fields.database = value,
                b"app" | b"application" => fields.application = value,
                _ => {}
            }
        }
        at += length;
    }
    fields
}

fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'.' | b'/' | b'@' | b'=' | b'-')
        || *byte >= 0x80
}

/// `6b0384c2.4a02`: start of the session and process id, hexadecimal.
fn is_session(token: &[u8]) -> bool {
    let Some(dot) = memchr::memchr(b'.', token) else { return false };
    let hex = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_hexdigit);
    dot == 8 && hex(&token[..dot]) && hex(&token[dot + 1..])
}

/// Length of a zone with the blank before it.
fn zone_length(rest: &[u8]) -> usize {
    match rest.strip_prefix(b" ") {
        Some(zone)
            if zone.first().is_some_and(|b| b.is_ascii_uppercase() || b"+-<".contains(b)) =>
        {
            let is_part = |b: &&u8| b.is_ascii_alphanumeric() || b"+-:<>".contains(*b);
            1 + zone.iter().take_while(is_part).count()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_looks() {
        for (line, session, time) in [
            (
                "[     18998] shop-web            |2026-11-23 00:11:46.875 UTC LOG:  x",
                "18998",
                "2026-11-23 00:11:46.875 UTC",
            ),
            (
                "2026-11-23 00:11:50 UTC 2026-11-23 00:11:50.206 UTC [19214] app LOG:  x",
                "19214",
                "2026-11-23 00:11:50.206 UTC",
            ),
            (
                "127.0.0.1 2026-11-23 00:11:48.569 +01:30 19106 LOG:  x",
                "19106",
                "2026-11-23 00:11:48.569 +01:30",
            ),
            (
                "2026-11-23 00:11:46 UTC 6b0384c2.4a12 18 0 1/0 SELECT client backend  100 LOG:  x",
                "6b0384c2.4a12",
                "2026-11-23 00:11:46 UTC",
            ),
            (
                "2026-11-23 00:11:51.821 UTC [19323] client backend [18] shop-web LOG:  x",
                "19323",
                "2026-11-23 00:11:51.821 UTC",
            ),
        ] {
            let (fields, word, message) =
                split(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(super::session(&fields), session.as_bytes(), "{line}");
            assert_eq!(fields.time, time.as_bytes(), "{line}");
            assert_eq!((word, message), (&b"LOG"[..], &b"x"[..]));
        }
        assert!(split(b"and then LOG:  x").is_none());
    }
}
