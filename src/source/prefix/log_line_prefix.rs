//! Matches `log_line_prefix`, which precedes the severity of each line of a stderr log.

use super::derive::{derive, stopping};
use super::severity::{Fields, severity};
use super::timestamp::time_ends;

/// Prefixes in wide use, the most telling first. Each was seen in a distribution's default, a
/// provider's documentation or another tool's advice.
const KNOWN: &[&str] = &[
    "%m [%p] %q%u@%d ",
    "%m [%p] %q%u@%d %a ",
    "%m [%p] %q%a %u@%d ",
    "%m [%p] %q[user=%u,db=%d,app=%a] ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%m [%p]: user=%u,db=%d,app=%a,client=%h ",
    "%t:%r:%u@%d:[%p]:",
    "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
    "%m|%u|%d|%c|",
    "%t [%p-%l] %q%u@%d ",
    "%t [%p-%l] %q%u@%d %a ",
    "%t [%p] %q%u@%d ",
    "%t [%p] %q%u@%d %a ",
    "%m [%p] %u@%d/%a ",
    "%m %u@%d [%p] ",
    "%m [%p] ",
    "%t [%p] ",
    "%m ",
    "%t ",
    "",
];

/// Lines that a prefix is read off, each by itself.
const DERIVED_FROM: usize = 40;

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    /// The letter of an escape.
    Escape(char),
    /// `%q`: processes without a session stop here.
    Stop,
}

/// A prefix, ready to match lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Prefix {
    parts: Vec<Part>,
    source: String,
    /// No prefix fits all lines: each is read by what its parts look like.
    is_loose: bool,
}

/// Share of the lines that a detected prefix has to fit, percent. Below, its parts vary more than any
/// one line shows.
const FITS_PCT: usize = 97;

impl Prefix {
    /// # Errors
    /// A sentence when the prefix has an escape that no server knows.
    pub fn compile(source: &str) -> Result<Prefix, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut chars = source.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            // `%-10p` and `%10p` pad; the padding is blanks and is skipped when matching.
            let mut letter = chars.next();
            while letter.is_some_and(|l| l == '-' || l.is_ascii_digit()) {
                letter = chars.next();
            }
            let part = match letter {
                Some('%') => {
                    text.push('%');
                    continue;
                }
                Some('q') => Part::Stop,
                Some(letter) if "audrhbpPtmnieclsvxQL".contains(letter) => Part::Escape(letter),
                Some(other) => return Err(format!("%{other} is no escape of any server version")),
                None => return Err("it ends in a lone %".to_owned()),
            };
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(part);
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Prefix { parts, source: source.to_owned(), is_loose: false })
    }

    /// The prefix that fits most lines: one of those in wide use, or one read off the lines
    /// themselves; `None` when none fits any. Of those that fit as many it is the one that finds no blank in the
    /// names of users and databases: applications have them, and addresses stand beside.
    pub fn detect(lines: &[&str]) -> Option<Prefix> {
        let known = KNOWN.iter().map(|source| (*source).to_owned());
        // Lines of sessions and of background processes differ; a few of each are enough.
        let derived = lines.iter().take(DERIVED_FROM).filter_map(|line| derive(line));
        let derived =
            derived.flat_map(|source| [Some(source.clone()), stopping(&source)]).flatten();
        let mut best: Option<((usize, usize), Prefix)> = None;
        let mut seen: Vec<String> = Vec::new();
        for source in known.chain(derived) {
            if seen.contains(&source) {
                continue;
            }
            let Ok(prefix) = Prefix::compile(&source) else { continue };
            let fits: Vec<Fields<'_>> =
                lines.iter().filter_map(|line| Some(prefix.split(line.as_bytes())?.0)).collect();
            let is_name = |name: &[u8]| !name.trim_ascii().iter().any(|c| b" /".contains(c));
            let named = fits.iter().filter(|f| is_name(f.user) && is_name(f.database)).count();
            seen.push(source);
            // A later one has to fit more lines: those in wide use say more about their fields.
            let score = (fits.len(), named);
            if score.0 > 0 && best.as_ref().is_none_or(|(most, _)| score > *most) {
                best = Some((score, prefix));
            }
        }
        let ((count, _), prefix) = best?;
        if count * 100 < lines.len() * FITS_PCT {
            let loose = Prefix { is_loose: true, ..Prefix::compile("").ok()? };
            let fits = lines.iter().filter(|line| loose.split(line.as_bytes()).is_some()).count();
            if fits > count {
                return Some(loose);
            }
        }
        Some(prefix)
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    /// The line may have stopped at `%q`: the next one, of the same process, may go on there.
    pub fn may_go_on(&self, fields: &Fields<'_>) -> bool {
        self.parts.contains(&Part::Stop)
            && [fields.user, fields.database, fields.application].iter().all(|f| f.is_empty())
    }

    /// The fields, severity and message of a line that begins a record.
    pub fn split<'a>(&self, line: &'a [u8]) -> Option<(Fields<'a>, &'a [u8], &'a [u8])> {
        if self.is_loose {
            return super::loose_prefix::split(line);
        }
        let mut fields = Fields::default();
        let rest = match straight(&self.parts, line, &mut fields) {
            Some(rest) => rest,
            None => {
                fields = Fields::default();
                let mut attempts = MOST_ATTEMPTS;
                matched(&self.parts, line, &mut fields, &mut attempts)?
            }
        };
        let (severity, message) = severity(rest)?;
        Some((fields, severity, message))
    }
}

/// Returns the rest of `line` after the prefix, taking the likeliest end of each value: nearly every line is as
/// it seems.
fn straight<'a>(parts: &[Part], line: &'a [u8], fields: &mut Fields<'a>) -> Option<&'a [u8]> {
    let mut rest = line;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) => rest = rest.strip_prefix(text.as_bytes())?,
            Part::Stop => {}
            Part::Escape(letter) => {
                let end = match letter {
                    'm' | 't' | 's' => time_ends(rest)?.0,
                    letter => match allowed(*letter) {
                        Some(allowed) => run_end(rest, allowed).0,
                        None => next_text(rest, parts.get(at + 1)?, 0)?,
                    },
                };
                store(*letter, rest[..end].trim_ascii(), fields);
                rest = &rest[end..];
            }
        }
    }
    severity(rest).is_some().then_some(rest)
}

/// Parts that are tried on one line, at most.
const MOST_ATTEMPTS: u32 = 2_000;

/// Returns the rest of `line` after the prefix, trying all ends of each value for as many `attempts`.
fn matched<'a>(
    parts: &[Part],
    line: &'a [u8],
    fields: &mut Fields<'a>,
    attempts: &mut u32,
) -> Option<&'a [u8]> {
    *attempts = attempts.checked_sub(1)?;
    let Some((part, rest)) = parts.split_first() else {
        return severity(line).is_some().then_some(line);
    };
    match part {
        Part::Text(text) => matched(rest, line.strip_prefix(text.as_bytes())?, fields, attempts),
        Part::Stop => {
            let mut session = *fields;
            match matched(rest, line, &mut session, attempts) {
                Some(left) => {
                    *fields = session;
                    Some(left)
                }
                None => severity(line).is_some().then_some(line),
            }
        }
        Part::Escape(letter) => ends(*letter, line, rest.first()).into_iter().find_map(|end| {
            let mut attempt = *fields;
            store(*letter, line[..end].trim_ascii(), &mut attempt);
            let left = matched(rest, &line[end..], &mut attempt, attempts)?;
            *fields = attempt;
            Some(left)
        }),
    }
}

/// Returns the offsets at which the value of an escape may end, the likeliest first.
fn ends(letter: char, line: &[u8], next: Option<&Part>) -> Vec<usize> {
    /// Ends tried of a value that may hold anything.
    const MOST: usize = 16;
    if matches!(letter, 'm' | 't' | 's') {
        return match time_ends(line) {
            Some((likely, Some(other))) => vec![likely, other],
            Some((likely, None)) => vec![likely],
            None => Vec::new(),
        };
    }
    let run = |allowed: fn(&u8) -> bool| {
        let (end, padded) = run_end(line, allowed);
        // A value may also be missing.
        vec![end, padded, 0]
    };
    match (allowed(letter), next) {
        (Some(allowed), _) => run(allowed),
        // Names and hosts may hold anything: every place where the next text stands is an end.
        (None, Some(text @ Part::Text(_))) => {
            let first = next_text(line, text, 0);
            std::iter::successors(first, |at| next_text(line, text, at + 1)).take(MOST).collect()
        }
        (None, _) => run(|byte| !byte.is_ascii_whitespace()),
    }
}

/// Bytes that the value of an escape is made of; `None` where it may hold anything.
pub(crate) fn allowed(letter: char) -> Option<fn(&u8) -> bool> {
    Some(match letter {
        'n' => |b| b.is_ascii_digit() || *b == b'.',
        'p' | 'P' | 'l' | 'x' => u8::is_ascii_digit,
        'Q' => |b| b.is_ascii_digit() || *b == b'-',
        'e' => u8::is_ascii_alphanumeric,
        'c' => |b| b.is_ascii_hexdigit() || *b == b'.',
        'v' => |b| b.is_ascii_digit() || matches!(b, b'/' | b'-'),
        _ => return None,
    })
}

/// End of a run of allowed bytes behind padding, without and with the blanks that follow it:
/// left-justified values are padded behind.
fn run_end(line: &[u8], allowed: fn(&u8) -> bool) -> (usize, usize) {
    let blanks = |from: usize| line[from..].iter().take_while(|byte| **byte == b' ').count();
    let start = blanks(0);
    let end = start + line[start..].iter().take_while(|byte| allowed(byte)).count();
    // No value at all: then the blanks belong to what follows, or are its padding.
    if end == start { (0, start) } else { (end, end + blanks(end)) }
}

/// The first place from `from` on where the next text stands.
fn next_text(line: &[u8], next: &Part, from: usize) -> Option<usize> {
    let Part::Text(text) = next else { return None };
    let rest = line.get(from..)?;
    let found = match text.as_bytes() {
        [only] => memchr::memchr(*only, rest),
        text => memchr::memmem::find(rest, text),
    };
    found.map(|at| from + at)
}

fn store<'a>(letter: char, value: &'a [u8], fields: &mut Fields<'a>) {
    match letter {
        'm' | 't' | 'n' => fields.time = value,
        'p' => fields.pid = value,
        'c' => fields.session = value,
        'u' => fields.user = value,
        'd' => fields.database = value,
        'a' => fields.application = value,
        'v' => fields.transaction = value,
        'Q' => fields.queryid = value,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(prefix: &str, line: &'a str) -> (Fields<'a>, &'a [u8], &'a [u8]) {
        Prefix::compile(prefix).unwrap().split(line.as_bytes()).unwrap()
    }

    #[test]
    fn debian_default_and_its_background_processes() {
        let line = "2026-11-22 18:15:51.505 UTC [17525] app@np1 LOG:  hello: x";
        let (fields, severity, message) = split("%m [%p] %q%u@%d ", line);
        assert_eq!(
            (fields.pid, fields.user, fields.database),
            (&b"17525"[..], &b"app"[..], &b"np1"[..])
        );
        assert_eq!((severity, message), (&b"LOG"[..], &b"hello: x"[..]));
        let line = "2026-11-22 18:15:51.505 UTC [17] LOG:  checkpoint starting";
        assert_eq!(split("%m [%p] %q%u@%d ", line).0.user, b"");
    }

    #[test]
    fn names_may_hold_the_separator() {
        let line = "2026-11-22 18:15:51 UTC [1]: user=a,db=b,app=psql, really,client=::1 LOG:  x";
        let (fields, ..) = split("%t [%p]: user=%u,db=%d,app=%a,client=%h ", line);
        assert_eq!((fields.application, fields.database), (&b"psql, really"[..], &b"b"[..]));
    }

    #[test]
    fn rds_and_padding() {
        let line = "2026-11-22 18:15:51 UTC:10.0.0.1(4242):app@shop:[99]:LOG:  x";
        let (fields, ..) = split("%t:%r:%u@%d:[%p]:", line);
        assert_eq!((fields.user, fields.pid), (&b"app"[..], &b"99"[..]));
        assert_eq!(split("[%10p] ", "[        42] LOG:  x").0.pid, b"42");
    }

    #[test]
    fn prefixes_that_nobody_listed_are_read_off_the_lines() {
        for (prefix, line) in [
            ("%t [%p]: ", "2026-11-22 18:15:51 UTC [99]: LOG:  x"),
            (
                "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
                "2026-11-22 18:15:51 UTC [99]: [3-1] user=app,db=np1,app=psql,client=::1 LOG:  x",
            ),
            ("<%m|%p> ", "<2026-11-22 18:15:51.505 UTC|99> LOG:  x"),
            ("%n %p ", "1795371351.505 99 LOG:  x"),
            ("%c|%l|", "6b033157.4475|12|LOG:  x"),
            (
                "%m %u@%d [%p] %v %e ",
                "2026-11-22 18:15:51.505 UTC app@np1 [99] 5/107 00000 LOG:  x",
            ),
            ("user=%u,db=%d ", "user=app,db=np1 LOG:  x"),
            ("", "LOG:  x"),
        ] {
            let found = Prefix::detect(&[line]).unwrap_or_else(|| panic!("{prefix}"));
            let (fields, severity, _) = found.split(line.as_bytes()).unwrap();
            assert_eq!(severity, b"LOG", "{prefix}");
            assert!(!prefix.contains("%p") || fields.pid == b"99", "{prefix}: {found:?}");
            assert!(
                !prefix.contains("%u") || (fields.user, fields.database) == (b"app", b"np1"),
                "{prefix}: {found:?}"
            );
            assert!(
                !prefix.contains("%c") || fields.session == b"6b033157.4475",
                "{prefix}: {found:?}"
            );
            assert!(
                !prefix.contains("%n") || fields.time == b"1795371351.505",
                "{prefix}: {found:?}"
            );
        }
    }

    #[test]
    fn a_prefix_is_detected_and_an_unknown_escape_refused() {
        let lines = ["2026-11-22 18:15:51.505 UTC [17525] app@np1 LOG:  x"];
        assert_eq!(Prefix::detect(&lines).unwrap().source(), "%m [%p] %q%u@%d ");
        let with_application = [
            "2026-11-22 18:15:51.505 UTC [9] LOG:  checkpoint starting: time",
            "2026-11-22 18:15:51.505 UTC [17525] app@shop web LOG:  x",
            "2026-11-22 18:15:51.505 UTC [17526] app@shop DBeaver 21 - Main LOG:  x",
            "2026-11-22 18:15:51.505 UTC [17527] app@shop  LOG:  x",
        ];
        let prefix = Prefix::detect(&with_application).unwrap();
        assert_eq!(prefix.source(), "%m [%p] %q%u@%d %a ");
        let databases: Vec<&[u8]> = with_application
            .iter()
            .map(|line| prefix.split(line.as_bytes()).unwrap().0.database)
            .collect();
        assert_eq!(databases, [&b""[..], b"shop", b"shop", b"shop"]);
        let behind_a_slash = [
            "2026-11-22 18:15:51.505 UTC [9] LOG:  checkpoint starting: time",
            "2026-11-22 18:15:51.505 UTC [17525] app@shop/web [3/12] 0 LOG:  x",
            "2026-11-22 18:15:51.505 UTC [17526] app@shop/tool/0.1.0 [4/1] 771 LOG:  x",
            "2026-11-22 18:15:51.505 UTC [17527] app@shop/DBeaver 21 - Main [5/1] 0 LOG:  x",
        ];
        let prefix = Prefix::detect(&behind_a_slash).unwrap();
        let databases: Vec<&[u8]> = behind_a_slash[1..]
            .iter()
            .map(|line| prefix.split(line.as_bytes()).unwrap().0.database)
            .collect();
        assert_eq!(databases, [b"shop", b"shop", b"shop"], "{}", prefix.source());
        assert_eq!(Prefix::detect(&["nothing"]), None);
        assert!(Prefix::compile("%m %z ").is_err());
    }
}
