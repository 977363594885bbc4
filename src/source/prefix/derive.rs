//! Derives an unknown `log_line_prefix` from the lines of a log.

use super::severity::severity_at;
use super::timestamp::{looks_like_time, time_ends};

/// Longest prefix, bytes. A severity further in is part of a message.
const LONGEST: usize = 400;

/// A prefix read off one line, by what its parts look like.
pub(crate) fn derive(line: &str) -> Option<String> {
    let head = &line[..severity_at(line).filter(|at| *at <= LONGEST)?];
    let mut out = String::new();
    let mut at = 0;
    while at < head.len() {
        let rest = &head[at..];
        let (escape, length) = part_at(rest, &out).unwrap_or_else(|| {
            let c = rest.chars().next().unwrap_or(' ');
            (if c == '%' { "%%".to_owned() } else { c.to_string() }, c.len_utf8())
        });
        out.push_str(&escape);
        at += length;
    }
    Some(out)
}

/// The same, where lines of background processes have nothing from the user on.
pub(crate) fn stopping(source: &str) -> Option<String> {
    let user = source.find("%u").filter(|_| !source.contains("%q"))?;
    let from = source[..user].rfind(' ')? + 1;
    Some(format!("{}%q{}", &source[..from], &source[from..]))
}

/// The escape that the beginning of `rest` looks like, and its length; `before` is what was derived
/// so far.
fn part_at(rest: &str, before: &str) -> Option<(String, usize)> {
    let run = |allowed: fn(char) -> bool| rest.find(|c: char| !allowed(c)).unwrap_or(rest.len());
    let has = |escape: &str| before.contains(escape);
    if let Some(end) = looks_like_time(rest.as_bytes()) {
        let escape = if rest[..end].contains('.') {
            "%m"
        } else if has("%m") || has("%t") {
            "%s"
        } else {
            "%t"
        };
        let length = time_ends(rest.as_bytes()).map_or(end, |(likely, _)| likely);
        return Some((escape.to_owned(), length));
    }
    for (key, escape) in [
        ("user=", "%u"),
        ("db=", "%d"),
        ("database=", "%d"),
        ("app=", "%a"),
        ("application=", "%a"),
        ("client=", "%h"),
        ("host=", "%h"),
    ] {
        if let Some(value) = rest.strip_prefix(key) {
            let end = value.find([',', ' ', ']', '|', ';']).unwrap_or(value.len());
            return Some((format!("{key}{escape}"), key.len() + end));
        }
    }
    let digits = run(|c| c.is_ascii_digit());
    let after = rest[digits..].chars().next().unwrap_or(' ');
    let hex = run(|c| c.is_ascii_hexdigit());
    let session = rest[hex..]
        .strip_prefix('.')
        .map(|pid| hex + 1 + pid.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(pid.len()));
    if let Some(length) = session.filter(|length| hex >= 8 && *length > hex + 1) {
        // An epoch with milliseconds has ten digits; a session id has eight, hexadecimal.
        return Some((if digits == 10 { "%n" } else { "%c" }.to_owned(), length));
    }
    if digits > 0 && after == '/' {
        let length = run(|c| c.is_ascii_digit() || c == '/');
        return Some(("%v".to_owned(), length));
    }
    if digits == 5 && rest.starts_with("00000") {
        return Some(("%e".to_owned(), 5));
    }
    if digits > 0 && !after.is_alphanumeric() && after != '.' {
        let escape = ["%p", "%l", "%x"].into_iter().find(|escape| !has(escape))?;
        return Some((escape.to_owned(), digits));
    }
    let word = run(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '[' | ']'));
    if word > 0 && rest[word..].starts_with('@') && !has("%u") {
        let ends = |text: &str| text.find([' ', ':', '|', ',', '/', ']']).unwrap_or(text.len());
        let database = word + 1 + ends(&rest[word + 1..]);
        return Some(match rest[database..].strip_prefix('/') {
            Some(application) if !has("%a") => {
                ("%u@%d/%a".to_owned(), database + 1 + ends(application))
            }
            _ => ("%u@%d".to_owned(), database),
        });
    }
    None
}
