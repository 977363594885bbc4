//! Why a source could not be read at all.

/// Why a source gave nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the input is empty")]
    Empty,
    #[error(
        "no known format: not stderr, csvlog, jsonlog or syslog, not a cloud's JSON around them, nor an export of pg_stat_statements"
    )]
    UnknownFormat,
    #[error("no line matches log_line_prefix {0:?}")]
    Prefix(String),
    #[error("log_line_prefix: {0}")]
    BadPrefix(String),
    #[error("a capture that cannot be read: {0}")]
    Capture(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
