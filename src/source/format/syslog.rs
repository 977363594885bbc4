//! Removes what syslog, journald, container runtimes and log drains put around a line of the server.

use crate::source::prefix::timestamp::looks_like_time;

/// A line without its wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Line<'a> {
    /// Time of the wrapping, as it stands there.
    pub time: &'a [u8],
    /// Who wrote it: process id, or tag.
    pub source: &'a [u8],
    pub payload: &'a [u8],
}

/// Takes the wrapping off; `None` for a line that has none.
pub fn unwrap(line: &[u8]) -> Option<Line<'_>> {
    let line = without_priority(line);
    if let Some(rest) = line.strip_prefix(b"1 ") {
        return rfc_5424(rest);
    }
    let (time, rest) = time(line)?;
    container(time, rest).or_else(|| rfc_3164(time, rest))
}

/// `<134>` before anything else.
fn without_priority(line: &[u8]) -> &[u8] {
    let Some(rest) = line.strip_prefix(b"<") else { return line };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match rest.get(digits) {
        Some(b'>') if (1..=3).contains(&digits) => &rest[digits + 1..],
        _ => line,
    }
}

/// The time at the start of a line, and what follows the blank behind it.
fn time(line: &[u8]) -> Option<(&[u8], &[u8])> {
    // The server writes a blank between date and time.
    let is_iso = line.get(10) == Some(&b'T');
    let end = if let Some(end) = looks_like_time(line).filter(|_| is_iso) {
        // 2026-11-23T00:16:27.246436+00:00
        end + line[end..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count()
    } else if line.get(3) == Some(&b' ') && looks_like_time(line.get(4..)?).is_some() {
        // Mon 2026-11-23 00:19:48 UTC
        let rest = &line[4..];
        let end = looks_like_time(rest)?;
        4 + end + 1 + rest.get(end + 1..)?.iter().take_while(|b| **b != b' ').count()
    } else {
        short_time(line)?
    };
    let rest = line.get(end..)?.strip_prefix(b" ")?;
    Some((&line[..end], rest))
}

/// End of `Nov 23 00:16:27`, with an optional fraction.
fn short_time(line: &[u8]) -> Option<usize> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let is_month = MONTHS.chunks(3).any(|month| line.starts_with(month));
    let shape: &[u8] = b" dd dd:dd:dd";
    let fits = is_month
        && line.len() > 3 + shape.len()
        && shape.iter().zip(&line[3..]).enumerate().all(|(at, (shape, byte))| match shape {
            // The day may be padded with a blank.
            b'd' => byte.is_ascii_digit() || (at == 1 && *byte == b' '),
            shape => shape == byte,
        });
    let end = 3 + shape.len();
    let fraction = match line.get(end) {
        Some(b'.') if fits => {
            1 + line[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count()
        }
        _ => 0,
    };
    fits.then_some(end + fraction)
}

/// `stderr F payload`, as container runtimes write it.
fn container<'a>(time: &'a [u8], rest: &'a [u8]) -> Option<Line<'a>> {
    let rest = rest.strip_prefix(b"stderr ").or_else(|| rest.strip_prefix(b"stdout "))?;
    let payload = rest.strip_prefix(b"F ").or_else(|| rest.strip_prefix(b"P "))?;
    Some(Line { time, source: b"", payload })
}

/// `host tag[pid]: payload`; log drains leave the host out.
fn rfc_3164<'a>(time: &'a [u8], rest: &'a [u8]) -> Option<Line<'a>> {
    const LONGEST: usize = 200;
    let head = &rest[..rest.len().min(LONGEST)];
    let colon = memchr::memmem::find(head, b"]:")?;
    let tag = &rest[..colon];
    let open = memchr::memrchr(b'[', tag)?;
    // A bracket of the server's own prefix has blanks before the name of the host and the tag.
    if tag[..open].iter().filter(|byte| **byte == b' ').count() > 1 {
        return None;
    }
    let payload = &rest[colon + 2..];
    Some(Line {
        time,
        source: &tag[open + 1..],
        payload: payload.strip_prefix(b" ").unwrap_or(payload),
    })
}

/// `time host app pid message-id structured-data payload`
fn rfc_5424(rest: &[u8]) -> Option<Line<'_>> {
    let mut parts = rest.splitn(6, |byte| *byte == b' ');
    let time = parts.next()?;
    looks_like_time(time)?;
    let (_host, _app, source, _id) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let rest = parts.next()?;
    let payload = match rest.strip_prefix(b"-") {
        Some(payload) => payload,
        // [id name="value"]
        None => &rest[memchr::memmem::find(rest, b"] ")? + 1..],
    };
    Some(Line { time, source, payload: payload.trim_ascii_start() })
}

/// Takes off what the server and log drains number their messages with: `[7-1] `, `[7] `,
/// `[DATABASE] `. Says whether the piece goes on a message: `[7-2]`.
pub fn without_number(payload: &[u8]) -> (&[u8], bool) {
    let mut rest = payload;
    let mut goes_on = false;
    while let Some(inner) = rest.strip_prefix(b"[") {
        let Some(close) = memchr::memchr(b']', inner) else { break };
        let word = &inner[..close];
        let is_number = !word.is_empty()
            && word.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
            && word[0].is_ascii_digit();
        // A process id in brackets belongs to the prefix; a number is followed by more.
        let after = &inner[close + 1..];
        let is_label = !word.is_empty() && word.iter().all(u8::is_ascii_uppercase);
        if !(is_number || is_label) || !after.starts_with(b" ") {
            break;
        }
        if let Some(dash) = memchr::memchr(b'-', word) {
            goes_on = &word[dash + 1..] != b"1";
        }
        rest = &after[1..];
        if is_number {
            break;
        }
    }
    // A blank at the start of a piece may belong to the text, but not before a tab or a beginning.
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    let trimmed = &rest[blanks..];
    let is_padding = !goes_on || trimmed.first() == Some(&b'\t');
    (if is_padding { trimmed } else { rest }, goes_on)
}

/// Undoes `#011` and `#012`, with which rsyslog writes control characters.
pub fn unescape(payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = payload;
    while let Some(at) = memchr::memchr(b'#', rest) {
        let octal = rest.get(at + 1..at + 4).filter(|digits| {
            digits[0] == b'0' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit))
        });
        match octal {
            Some(digits) => {
                out.extend_from_slice(&rest[..at]);
                out.push((digits[1] - b'0') * 8 + (digits[2] - b'0'));
                rest = &rest[at + 4..];
            }
            None => {
                out.extend_from_slice(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> Option<(&str, &str, &str)> {
        let text = |part| std::str::from_utf8(part).unwrap();
        unwrap(line.as_bytes()).map(|l| (text(l.time), text(l.source), text(l.payload)))
    }

    #[test]
    fn every_wrapping_is_taken_off() {
        for (line, time, source) in [
            ("Nov 23 00:16:27 db1 postgres[29639]: x", "Nov 23 00:16:27", "29639"),
            ("Nov  3 00:16:27.061 db1 postgres[29639]: x", "Nov  3 00:16:27.061", "29639"),
            (
                "2026-11-23T00:16:27.246436+00:00 db1 postgres[7]: x",
                "2026-11-23T00:16:27.246436+00:00",
                "7",
            ),
            (
                "Mon 2026-11-23 00:19:48 UTC vm postgres[1232]: x",
                "Mon 2026-11-23 00:19:48 UTC",
                "1232",
            ),
            (
                "<134>1 2026-11-23T00:16:27.070154+00:00 db1 postgres 29639 - -  x",
                "2026-11-23T00:16:27.070154+00:00",
                "29639",
            ),
            (
                "2026-11-23T00:16:27.070154+00:00 app[postgres.12]: x",
                "2026-11-23T00:16:27.070154+00:00",
                "postgres.12",
            ),
            ("2026-11-23T00:16:27.070154789Z stderr F x", "2026-11-23T00:16:27.070154789Z", ""),
        ] {
            assert_eq!(parts(line), Some((time, source, "x")), "{line}");
        }
        assert_eq!(parts("2026-11-23 00:16:27.070 UTC [29639] app@shop LOG:  x"), None);
        assert_eq!(parts("2026-11-23 00:16:27 UTC [29639]: [3-1] LOG:  x"), None);
        assert_eq!(parts("hello"), None);
    }

    #[test]
    fn numbers_and_labels_are_taken_off_and_escapes_undone() {
        assert_eq!(without_number(b"[7-1] 2026"), (&b"2026"[..], false));
        assert_eq!(without_number(b"[7-2] #011x"), (&b"#011x"[..], true));
        assert_eq!(without_number(b"[DATABASE] [5-1]  x"), (&b"x"[..], false));
        assert_eq!(without_number(b"[5-2]  \tx"), (&b"\tx"[..], true));
        assert_eq!(without_number(b"[5-2]  x"), (&b" x"[..], true));
        assert_eq!(without_number(b"[12] LOG"), (&b"LOG"[..], false));
        let mut out = Vec::new();
        unescape(b"a#011b#012c #1 #999", &mut out);
        assert_eq!(out, b"a\tb\nc #1 #999");
        // Octal digits alone are text: only control characters are escaped, and their first digit is 0.
        unescape(b"order #123#011", &mut out);
        assert_eq!(out, b"order #123\t");
    }
}
