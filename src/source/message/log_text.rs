//! Parses the text of a log message: an execution, a part of one, or a duration.

/// The content of a `LOG` message.
#[derive(Debug, PartialEq)]
pub enum LogText<'a> {
    /// An execution, with its time when it is in the same message.
    LoggedExecution(LoggedExecution<'a>),
    /// Parse or bind: part of an execution to come.
    Prepared {
        duration_us: u64,
    },
    /// `log_duration` alone: the time of what was said before.
    Took {
        duration_us: u64,
    },
    /// `auto_explain`: a plan, and the time of the execution.
    Plan {
        duration_us: u64,
        text: &'a [u8],
    },
    /// A record of pgaudit.
    Audit,
    Other,
}

impl LogText<'_> {
    /// How long what was said has taken, microseconds.
    pub fn duration_us(&self) -> u64 {
        match self {
            LogText::LoggedExecution(executed) => executed.duration_us.unwrap_or(0),
            LogText::Prepared { duration_us }
            | LogText::Took { duration_us }
            | LogText::Plan { duration_us, .. } => *duration_us,
            LogText::Audit | LogText::Other => 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoggedExecution<'a> {
    pub text: &'a [u8],
    pub duration_us: Option<u64>,
    /// By the extended protocol, where parse and bind are apart and parameters stand in the detail.
    pub is_extended: bool,
    /// `execute fetch from`: more rows of an execution that was counted before.
    pub is_continued: bool,
}

/// Reads the text of a `LOG` message.
pub fn log_text(text: &[u8]) -> LogText<'_> {
    let Some(after) = text.strip_prefix(b"duration: ") else {
        return match statement(text) {
            Some(Named { text, is_extended, is_continued, is_executed: true }) => {
                LogText::LoggedExecution(LoggedExecution {
                    text,
                    duration_us: None,
                    is_extended,
                    is_continued,
                })
            }
            _ if text.starts_with(b"AUDIT: ") => LogText::Audit,
            _ => LogText::Other,
        };
    };
    let Some((duration_us, rest)) = milliseconds(after) else { return LogText::Other };
    let rest = rest.trim_ascii_start();
    if rest.is_empty() {
        return LogText::Took { duration_us };
    }
    match statement(rest) {
        Some(Named { text, is_extended, is_continued, is_executed: true }) => {
            let duration_us = Some(duration_us);
            LogText::LoggedExecution(LoggedExecution {
                text,
                duration_us,
                is_extended,
                is_continued,
            })
        }
        Some(_) => LogText::Prepared { duration_us },
        None => match rest.strip_prefix(b"plan:") {
            Some(text) => LogText::Plan { duration_us, text },
            None => LogText::Other,
        },
    }
}

/// `12.345 ms` in microseconds, and what follows.
fn milliseconds(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let whole = text[..end]
        .iter()
        .fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    let mut rest = &text[end..];
    let mut fraction_us = 0;
    if let Some(digits) = rest.strip_prefix(b".") {
        let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
        let mut scale = 100;
        for digit in digits[..end].iter().take(3) {
            fraction_us += u64::from(digit - b'0') * scale;
            scale /= 10;
        }
        rest = &digits[end..];
    }
    let rest = rest.strip_prefix(b" ms").filter(|_| end > 0)?;
    Some((whole.saturating_mul(1_000).saturating_add(fraction_us), rest))
}

struct Named<'a> {
    text: &'a [u8],
    is_executed: bool,
    is_extended: bool,
    is_continued: bool,
}

/// `statement: …`, `execute NAME: …`, `execute fetch from NAME: …`, `parse NAME: …`, `bind NAME: …`.
fn statement(text: &[u8]) -> Option<Named<'_>> {
    if let Some(text) = text.strip_prefix(b"statement: ") {
        return Some(Named { text, is_executed: true, is_extended: false, is_continued: false });
    }
    let (is_executed, rest) = if let Some(rest) = text.strip_prefix(b"execute ") {
        (true, rest)
    } else if let Some(rest) = text.strip_prefix(b"bind ") {
        (false, rest)
    } else {
        (false, text.strip_prefix(b"parse ")?)
    };
    let colon = memchr::memchr_iter(b':', rest).find(|at| rest.get(at + 1) == Some(&b' '))?;
    Some(Named {
        text: &rest[colon + 2..],
        is_executed,
        is_extended: true,
        is_continued: rest.starts_with(b"fetch from "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed(duration_us: Option<u64>, text: &str, is_extended: bool) -> LogText<'_> {
        let text = text.as_bytes();
        LogText::LoggedExecution(LoggedExecution {
            text,
            duration_us,
            is_extended,
            is_continued: false,
        })
    }

    #[test]
    fn each_form_of_a_message_is_told_apart() {
        let read = |text: &'static str| log_text(text.as_bytes());
        assert_eq!(
            read("duration: 0.063 ms  statement: BEGIN"),
            executed(Some(63), "BEGIN", false)
        );
        assert_eq!(
            read("duration: 1.5 ms  execute <unnamed>: SELECT 1"),
            executed(Some(1500), "SELECT 1", true)
        );
        assert!(matches!(
            read("duration: 1 ms  execute fetch from c/p: SELECT 1"),
            LogText::LoggedExecution(LoggedExecution {
                duration_us: Some(1000),
                is_continued: true,
                ..
            })
        ));
        assert_eq!(
            read("duration: 2 ms  bind s1: SELECT 1"),
            LogText::Prepared { duration_us: 2000 }
        );
        assert_eq!(read("duration: 2 ms"), LogText::Took { duration_us: 2000 });
        assert_eq!(read("statement: SELECT 'a: b'"), executed(None, "SELECT 'a: b'", false));
        assert_eq!(read("execute <unnamed>: SELECT 1"), executed(None, "SELECT 1", true));
        assert!(matches!(
            read("duration: 2 ms  plan:\nQuery Text: x"),
            LogText::Plan { duration_us: 2000, text: b"\nQuery Text: x" }
        ));
        assert_eq!(read("AUDIT: SESSION,1,1,READ,SELECT,,,x,<none>"), LogText::Audit);
        assert_eq!(read("checkpoint starting: time"), LogText::Other);
        assert_eq!(read("duration: ms  statement: BEGIN"), LogText::Other);
    }
}
