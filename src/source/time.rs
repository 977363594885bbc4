//! Times as the server writes them.

use jiff::civil;
use jiff::tz::TimeZone;

/// Length of `YYYY-MM-DD HH:MM:SS` with an optional fraction, when `text` begins with one.
pub fn looks_like_time(text: &str) -> Option<usize> {
    const SHAPE: &[u8] = b"dddd-dd-dd dd:dd:dd";
    let bytes = text.as_bytes();
    let fits = bytes.len() >= SHAPE.len()
        && SHAPE.iter().zip(bytes).all(|(shape, byte)| match shape {
            b'd' => byte.is_ascii_digit(),
            b' ' => matches!(byte, b' ' | b'T'),
            shape => shape == byte,
        });
    if !fits {
        return None;
    }
    let mut end = SHAPE.len();
    if bytes.get(end) == Some(&b'.') {
        let digits = bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        end += 1 + digits;
    }
    Some(end)
}

/// Microseconds since the Unix epoch of `2026-11-22 18:15:51.505 UTC`, or of an epoch with
/// milliseconds as `%n` writes it.
///
/// Zones are read as offsets or as UTC; a zone that is only an abbreviation counts as UTC, which
/// shifts all times of a log alike and changes neither order nor distance.
pub fn parse(text: &str) -> Option<i64> {
    let Some(end) = looks_like_time(text) else {
        let seconds: f64 = text.trim().parse().ok()?;
        return (1e8..1e11).contains(&seconds).then_some((seconds * 1e6) as i64);
    };
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let small = |from: usize, to: usize| text.get(from..to)?.parse::<i8>().ok();
    let date = civil::Date::new(number(0, 4)?, small(5, 7)?, small(8, 10)?).ok()?;
    // A leap second is written as :60.
    let time = civil::Time::new(small(11, 13)?, small(14, 16)?, small(17, 19)?.min(59), 0).ok()?;
    let utc = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
    let seconds = utc.timestamp().as_second() - offset_seconds(text[end..].trim_start());
    let mut fraction_us = 0;
    let mut scale = 100_000;
    for digit in text.get(20..end).unwrap_or("").bytes().take(6) {
        fraction_us += i64::from(digit - b'0') * scale;
        scale /= 10;
    }
    Some(seconds * 1_000_000 + fraction_us)
}

/// `+02`, `-05:30`, `+0530`; everything else is UTC.
fn offset_seconds(zone: &str) -> i64 {
    let sign = match zone.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return 0,
    };
    let digits: Vec<i64> =
        zone[1..].bytes().filter(u8::is_ascii_digit).take(4).map(|d| i64::from(d - b'0')).collect();
    let two = |at: usize| match digits.get(at..at + 2) {
        Some([tens, ones]) => tens * 10 + ones,
        _ => 0,
    };
    sign * (two(0) * 3600 + two(2) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_prefix_escape_are_read() {
        let utc = parse("2026-11-22 18:15:51.505 UTC").unwrap();
        assert_eq!(utc, 1_795_371_351_505_000);
        assert_eq!(parse("2026-11-22 20:15:51.505 +02"), Some(utc));
        assert_eq!(parse("2026-11-22 12:45:51.505 -05:30"), Some(utc));
        assert_eq!(parse("2026-11-22 18:15:51 UTC"), Some(utc - 505_000));
        assert_eq!(parse("1795371351.505"), Some(utc));
        assert_eq!(parse("2026-13-45 18:15:51 UTC"), None);
        assert_eq!(parse("yesterday"), None);
    }
}
