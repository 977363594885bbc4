//! The prefix and the severity of one line of a stderr log.

/// The fields of a prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Fields<'a> {
    pub time: &'a [u8],
    pub pid: &'a [u8],
    pub session: &'a [u8],
    pub user: &'a [u8],
    pub database: &'a [u8],
    pub application: &'a [u8],
    pub transaction: &'a [u8],
    pub queryid: &'a [u8],
}

/// Words that follow the prefix; the colon and two blanks are the server's.
const SEVERITIES: &[&str] = &[
    "LOG",
    "ERROR",
    "FATAL",
    "PANIC",
    "WARNING",
    "NOTICE",
    "INFO",
    "DEBUG",
    "DEBUG1",
    "DEBUG2",
    "DEBUG3",
    "DEBUG4",
    "DEBUG5",
    "DETAIL",
    "HINT",
    "QUERY",
    "CONTEXT",
    "LOCATION",
    "STATEMENT",
    "BACKTRACE",
];

/// The severity at the start of `text`, and the message behind it.
pub fn severity(text: &[u8]) -> Option<(&[u8], &[u8])> {
    const LONGEST: usize = 10;
    let colon = text.iter().take(LONGEST).position(|byte| *byte == b':')?;
    let word = &text[..colon];
    let message = text[colon..].strip_prefix(b":  ")?;
    is_severity(word).then_some((word, message))
}

fn is_severity(word: &[u8]) -> bool {
    // These two are nearly all of a log of statements.
    word == b"LOG" || word == b"DETAIL" || SEVERITIES.iter().any(|known| known.as_bytes() == word)
}

/// Returns the offset of the first severity in the line.
pub fn severity_at(line: &str) -> Option<usize> {
    severity_in(line.as_bytes())
}

/// As [`severity_at`], of bytes.
pub fn severity_in(line: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(line, b":  ").find_map(|colon| {
        let word = line[..colon].iter().rev().take_while(|b| b.is_ascii_alphanumeric()).count();
        let start = colon - word;
        is_severity(&line[start..colon]).then_some(start)
    })
}
