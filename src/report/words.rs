//! Formats numbers for people: three significant digits, a sign on every change.

use crate::model::run::{RunArm, RunWork};

/// Blank between a number and its unit that does not break.
const THIN: char = '\u{202f}';

/// Microseconds as milliseconds: `0.25 ms`, `5.1 ms`, `139 ms`, `1 204 ms`.
pub fn milliseconds(us: f64) -> String {
    let ms = us / 1e3;
    format!("{}{THIN}ms", three_digits(ms))
}

/// Quantiles of an arm as they are shown: name, value in microseconds, and in words.
pub fn quantiles(arm: &RunArm) -> [(&'static str, Option<f64>, String); 3] {
    [("p50", 0.50, arm.p50_us), ("p95", 0.95, arm.p95_us), ("p99", 0.99, arm.p99_us)].map(
        |(name, quantile, value)| {
            // The slowest are those that were stopped.
            let is_stopped = arm.timed_out as f64 > (1.0 - quantile) * arm.n as f64;
            let sign = if is_stopped { "> " } else { "" };
            let words = value.map_or("–".to_owned(), |us| format!("{sign}{}", milliseconds(us)));
            (name, value, words)
        },
    )
}

/// A quantile on both sides: `12.0 ms → 0.67 ms`.
pub fn before_after(before: &RunArm, after: &RunArm, quantile: &str) -> String {
    let words = |arm: &RunArm| {
        let [(_, _, p50), (_, _, p95), _] = quantiles(arm);
        if quantile == "p50" { p50 } else { p95 }
    };
    // What is not under the head of its column says what it is.
    let name = if quantile == "p50" { " (p50)" } else { "" };
    format!("{} → {}{name}", words(before), words(after))
}

/// Blocks that an execution touches: `308 → 2`.
pub fn blocks(work: Option<&RunWork>) -> String {
    work.map_or("–".to_owned(), |work| {
        format!("{} → {}", count(work.blocks_before), count(work.blocks_after))
    })
}

/// The evidence of a verdict, for a sentence.
pub fn evidence(judged_by: &str) -> &'static str {
    match judged_by {
        "work" => "work",
        "rows" => "other rows",
        "p50" => "the median",
        _ => "p95",
    }
}

/// Three significant digits, and never fewer than the whole part.
pub fn three_digits(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        s if s < 0.001 => 4,
        s if s < 1.0 => 3,
        s if s < 10.0 => 2,
        s if s < 100.0 => 1,
        _ => 0,
    };
    if size >= 1_000.0 && value.is_finite() {
        return count(value.round() as u64);
    }
    format!("{value:.decimals$}")
}

/// Digits in groups of three: `38 114`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// A change with its sign: `−97 %`, `+4.5 %`.
pub fn change(percent: f64) -> String {
    if !percent.is_finite() {
        return "unknown".to_owned();
    }
    let decimals = if percent.abs() < 10.0 || percent < -99.0 { 1 } else { 0 };
    let sign = if percent < 0.0 { '−' } else { '+' };
    format!("{sign}{:.decimals$}{THIN}%", percent.abs())
}

/// An interval: `−97 to −96 %`.
pub fn interval(low: f64, high: f64) -> String {
    if !low.is_finite() || !high.is_finite() {
        return "no interval".to_owned();
    }
    let low = change(low);
    format!("{} to {}", low.trim_end_matches('%').trim_end_matches(THIN), change(high))
}

/// A change with its interval: `−97 % (−97 to −96 %)`.
pub fn change_within(percent: f64, [low, high]: [f64; 2]) -> String {
    format!("{} ({})", change(percent), interval(low, high))
}

/// A part of a whole: `84 %`.
pub fn ratio(part: f64) -> String {
    format!("{:.0}{THIN}%", 100.0 * part)
}

/// Bytes: `512 kB`, `12 MB`, `1.4 GB`, in powers of 1024 as the server prints them.
pub fn bytes(size: u64) -> String {
    const KB: f64 = 1024.0;
    let size = size as f64;
    let (value, unit) = match size {
        s if s < KB * KB => (s / KB, "kB"),
        s if s < KB * KB * KB => (s / KB / KB, "MB"),
        s => (s / KB / KB / KB, "GB"),
    };
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$}{THIN}{unit}")
}

/// How much was understood: never 100 % where something was not.
pub fn coverage_pct(understood: u64, all: u64) -> String {
    let percent = 100.0 * understood as f64 / all.max(1) as f64;
    let percent = if understood < all { percent.min(99.9) } else { percent };
    format!("{percent:.1} %")
}

pub fn share(percent: f64) -> String {
    format!("{percent:.1}{THIN}%")
}

/// `1 index`, `3 indexes`.
pub fn plural(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number as u64), if number == 1 { one } else { many })
}

/// Small numbers as words, at the start of a sentence.
pub fn spelled(number: usize) -> String {
    const WORDS: [&str; 10] =
        ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
    WORDS.get(number).map_or_else(|| count(number as u64), |word| (*word).to_owned())
}

/// Without control characters: a name from somebody's log must not steer the reader's terminal, and
/// XML has no way to write them.
pub fn printable(text: String) -> String {
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(is_harmless) {
        return text;
    }
    text.chars().map(|c| if is_harmless(c) { c } else { '\u{fffd}' }).collect()
}

/// The same, and no line begins with `::`: in a CI log that is a command.
pub fn displayable(text: &str) -> String {
    let text = printable(text.to_owned());
    match text.starts_with("::") || text.contains("\n::") {
        true => {
            let lines: Vec<String> = text
                .split('\n')
                .map(
                    |line| {
                        if line.starts_with("::") { format!(" {line}") } else { line.to_owned() }
                    },
                )
                .collect();
            lines.join("\n")
        }
        false => text,
    }
}

/// A statement in few characters: what it selects is left out, as that tells statements of one mapper apart the
/// least, then its end.
pub fn short_statement(sql: &str, most: usize) -> String {
    let text = match sql.split_once(' ').filter(|(verb, _)| verb.eq_ignore_ascii_case("SELECT")) {
        Some((verb, rest)) => match top_level_from(rest) {
            Some(at) if at > 12 => format!("{verb} … {}", &rest[at..]),
            _ => sql.to_owned(),
        },
        None => sql.to_owned(),
    };
    if text.chars().count() <= most {
        return text;
    }
    let cut: String = text.chars().take(most.saturating_sub(2)).collect();
    format!("{} …", cut.trim_end())
}

/// Returns the offset of the first `FROM` outside parentheses.
fn top_level_from(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        let is_from = depth == 0
            && text[at..].get(..5).is_some_and(|word| word.eq_ignore_ascii_case("FROM "));
        (is_from && (at == 0 || text.as_bytes()[at - 1] == b' ')).then_some(at)
    })
}

/// Cuts the middle out of a long text, on whole characters.
pub fn middle_cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most || most < 5 {
        return text.to_owned();
    }
    let head = (most - 3) * 2 / 3;
    let tail = most - 3 - head;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{} … {}", start.trim_end(), end.trim_start())
}

/// A figure before and after.
pub(super) fn pair<T>(before: Option<T>, after: Option<T>, words: fn(T) -> String) -> String {
    match (before, after) {
        (Some(before), Some(after)) => format!("{} → {}", words(before), words(after)),
        _ => "–".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: String) -> String {
        text.replace(THIN, " ")
    }

    #[test]
    fn a_quantile_that_falls_on_what_was_stopped_is_a_bound() {
        let arm = RunArm {
            n: 60,
            timed_out: 5,
            p50_us: Some(900.0),
            p95_us: Some(2_000.0),
            p99_us: Some(2_000.0),
            histogram: Vec::new(),
        };
        let words: Vec<String> = quantiles(&arm).into_iter().map(|(.., words)| words).collect();
        assert_eq!(words, ["0.900\u{202f}ms", "> 2.00\u{202f}ms", "> 2.00\u{202f}ms"]);
        let nothing = RunArm::default();
        assert_eq!(plain(before_after(&arm, &nothing, "p50")), "0.900 ms → – (p50)");
        assert_eq!(plain(before_after(&arm, &arm, "p95")), "> 2.00 ms → > 2.00 ms");
    }

    #[test]
    fn numbers_have_three_digits_and_one_unit() {
        assert_eq!(plain(milliseconds(250.0)), "0.250 ms");
        assert_eq!(plain(milliseconds(139_400.0)), "139 ms");
        assert_eq!(plain(milliseconds(1_204_000.0)), "1 204 ms");
        assert_eq!(plain(bytes(12 << 20)), "12 MB");
        assert_eq!(plain(count(38_114)), "38 114");
    }

    #[test]
    fn changes_carry_their_sign() {
        assert_eq!(plain(change(-96.6)), "−97 %");
        assert_eq!(plain(change(4.5)), "+4.5 %");
        assert_eq!(plain(change(-99.83)), "−99.8 %");
        assert_eq!(plain(interval(-97.2, 2.0)), "−97 to +2.0 %");
        assert_eq!(change(f64::INFINITY), "unknown");
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        assert_eq!(middle_cut("short", 20), "short");
        let cut = middle_cut("SELECT a, b, c FROM listings WHERE category_id = $1", 24);
        assert!(cut.chars().count() <= 24 && cut.contains('…'), "{cut}");
    }

    #[test]
    fn a_short_statement_shows_its_tables_and_conditions() {
        let sql = "SELECT a, (SELECT b FROM u LIMIT $1), c FROM listings WHERE category_id = $2";
        assert_eq!(short_statement(sql, 60), "SELECT … FROM listings WHERE category_id = $2");
        assert_eq!(short_statement(sql, 30), "SELECT … FROM listings WHERE …");
        assert_eq!(short_statement("DELETE FROM t", 60), "DELETE FROM t");
        assert_eq!(short_statement("SELECT count(*) FROM t", 60), "SELECT count(*) FROM t");
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\tc\n".to_owned()), "a\u{fffd}[31mb\tc\n");
        assert_eq!(printable("plain".to_owned()), "plain");
    }
}
