//! Parses times as the server writes them.

use jiff::civil;
use jiff::tz::TimeZone;

/// Length of `YYYY-MM-DD HH:MM:SS`.
const SECONDS: usize = 19;

/// Length of `YYYY-MM-DD HH:MM:SS` with an optional fraction, when `text` begins with one.
pub fn looks_like_time(text: &[u8]) -> Option<usize> {
    const SHAPE: &[u8; SECONDS] = b"dddd-dd-dd dd:dd:dd";
    let head = text.first_chunk::<SECONDS>()?;
    let fits = SHAPE.iter().zip(head).all(|(shape, byte)| match shape {
        b'd' => byte.is_ascii_digit(),
        b' ' => matches!(byte, b' ' | b'T'),
        shape => shape == byte,
    });
    if !fits {
        return None;
    }
    let fraction = match text.get(SECONDS) {
        Some(b'.') => 1 + text[SECONDS + 1..].iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    };
    Some(SECONDS + fraction)
}

/// Reads times, one after the other: neighbours mostly share their second.
#[derive(Debug, Default)]
pub struct Clock {
    /// Date, time and zone of `base_us`.
    second: [u8; SECONDS],
    zone: Vec<u8>,
    base_us: Option<i64>,
}

impl Clock {
    /// Microseconds since the Unix epoch of `2026-11-22 18:15:51.505 UTC`, of a time as in RFC 3339,
    /// or of an epoch with milliseconds as `%n` writes it.
    pub fn read(&mut self, text: &[u8]) -> Option<i64> {
        let Some(end) = looks_like_time(text) else { return epoch(text) };
        let (second, zone) = (text.first_chunk::<SECONDS>()?, &text[end..]);
        if self.second != *second || self.zone != zone || self.base_us.is_none() {
            self.base_us = base(second, zone);
            self.second = *second;
            self.zone = zone.to_vec();
        }
        let mut fraction_us = 0;
        let mut scale = 100_000;
        for digit in text[SECONDS..end].iter().skip(1).take(6) {
            fraction_us += i64::from(digit - b'0') * scale;
            scale /= 10;
        }
        self.base_us.map(|base_us| base_us + fraction_us)
    }
}

fn epoch(text: &[u8]) -> Option<i64> {
    let seconds: f64 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    (1e8..1e11).contains(&seconds).then(|| (seconds * 1e6).round() as i64)
}

/// Microseconds since the epoch of a whole second in a zone.
fn base(second: &[u8; SECONDS], zone: &[u8]) -> Option<i64> {
    let number = |from: usize, to: usize| {
        second[from..to].iter().fold(0i16, |sum, digit| sum * 10 + i16::from(digit - b'0'))
    };
    let small = |from: usize| number(from, from + 2) as i8;
    let date = civil::Date::new(number(0, 4), small(5), small(8)).ok()?;
    // A leap second is written as :60.
    let time = civil::Time::new(small(11), small(14), small(17).min(59), 0).ok()?;
    let utc = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
    let offset = offset_seconds(zone.trim_ascii());
    Some((utc.timestamp().as_second() - offset) * 1_000_000)
}

/// Abbreviations that `log_timezone` writes, with hours and minutes east of Greenwich: those of
/// PostgreSQL's default set (src/timezone/tznames/Default) that are in use today. Summer and winter
/// time have names of their own, so the hour that comes twice in autumn is told apart.
const ZONES: &[(&str, i64, i64)] = &[
    ("ACDT", 10, 30),
    ("ACST", 9, 30),
    ("ADT", -3, 0),
    ("AEDT", 11, 0),
    ("AEST", 10, 0),
    ("AKDT", -8, 0),
    ("AKST", -9, 0),
    ("AST", -4, 0),
    ("AWST", 8, 0),
    ("BST", 1, 0),
    ("CAT", 2, 0),
    ("CDT", -5, 0),
    ("CEST", 2, 0),
    ("CET", 1, 0),
    ("CST", -6, 0),
    ("EAT", 3, 0),
    ("EDT", -4, 0),
    ("EEST", 3, 0),
    ("EET", 2, 0),
    ("EST", -5, 0),
    ("HKT", 8, 0),
    ("HST", -10, 0),
    ("IDT", 3, 0),
    ("IST", 5, 30),
    ("JST", 9, 0),
    ("KST", 9, 0),
    ("MDT", -6, 0),
    ("MSK", 3, 0),
    ("MST", -7, 0),
    ("NDT", -2, -30),
    ("NST", -3, -30),
    ("NZDT", 13, 0),
    ("NZST", 12, 0),
    ("PDT", -7, 0),
    ("PKT", 5, 0),
    ("PST", -8, 0),
    ("SAST", 2, 0),
    ("SST", -11, 0),
    ("WAT", 1, 0),
    ("WEST", 1, 0),
    ("WET", 0, 0),
    ("WIB", 7, 0),
    ("WIT", 9, 0),
    ("WITA", 8, 0),
];

/// `+02`, `-05:30`, `+0530`, an abbreviation, or nothing. What is not known counts as UTC, which
/// shifts all times of a log alike and changes neither order nor distance.
fn offset_seconds(zone: &[u8]) -> i64 {
    let sign = match zone.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => {
            let known = ZONES.binary_search_by(|(name, ..)| name.as_bytes().cmp(zone));
            return known.map_or(0, |at| ZONES[at].1 * 3600 + ZONES[at].2 * 60);
        }
    };
    let mut digits = zone[1..].iter().filter(|b| b.is_ascii_digit()).map(|d| i64::from(d - b'0'));
    let mut two = || match (digits.next(), digits.next()) {
        (Some(tens), Some(ones)) => tens * 10 + ones,
        (Some(hours), None) => hours,
        _ => 0,
    };
    let (hours, minutes) = (two(), two());
    sign * (hours * 3600 + minutes * 60)
}

/// End of a time with its zone, and the other end it may have.
pub(super) fn time_ends(line: &[u8]) -> Option<(usize, Option<usize>)> {
    let padding = line.iter().take_while(|byte| **byte == b' ').count();
    let end = padding + looks_like_time(&line[padding..])?;
    let zone = &line[end..];
    let length = match zone.strip_prefix(b" ") {
        Some(zone) => {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-_/<>".contains(byte);
            1 + zone.iter().take_while(|byte| is_part(byte)).count()
        }
        None => 0,
    };
    // An offset may carry minutes behind a colon, and a colon may also follow the time.
    let minutes = zone.get(length..length + 3).is_some_and(|minutes| {
        minutes[0] == b':'
            && minutes[1..].iter().all(u8::is_ascii_digit)
            && zone[..length].iter().any(|byte| b"+-".contains(byte))
    });
    let plain = end + length;
    Some(if minutes { (plain + 3, Some(plain)) } else { (plain, None) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<i64> {
        Clock::default().read(text.as_bytes())
    }

    #[test]
    fn times_of_every_prefix_escape_are_read() {
        let utc = parse("2026-11-22 18:15:51.505 UTC").unwrap();
        assert_eq!(utc, 1_795_371_351_505_000);
        assert_eq!(parse("2026-11-22 20:15:51.505 +02"), Some(utc));
        assert_eq!(parse("2026-11-22 12:45:51.505 -05:30"), Some(utc));
        assert_eq!(parse("2026-11-22 19:15:51.505 CET"), Some(utc));
        assert_eq!(parse("2026-11-22 14:45:51.505 NST"), Some(utc));
        assert_eq!(parse("2026-11-22T18:15:51.505123456Z"), Some(utc + 123));
        assert_eq!(parse("2026-11-22 18:15:51 UTC"), Some(utc - 505_000));
        assert_eq!(parse("1795371351.505"), Some(utc));
        assert_eq!(parse("2026-13-45 18:15:51 UTC"), None);
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn the_hour_that_comes_twice_stays_in_order() {
        let mut clock = Clock::default();
        let times = ["2026-10-25 02:59:59.999 CEST", "2026-10-25 02:00:00.001 CET"];
        let read: Vec<_> = times.iter().map(|text| clock.read(text.as_bytes()).unwrap()).collect();
        assert_eq!(read[1] - read[0], 2_000);
    }

    #[test]
    fn zones_are_sorted_for_the_search() {
        assert!(ZONES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
