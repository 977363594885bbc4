//! Bytes to a workload. Takes readers, knows no database.
//!
//! Reading never fails as a whole: what was understood is returned with what was skipped.

pub mod assemble;
pub mod collect;
pub mod compressed;
pub mod csv_log;
pub mod detect;
pub mod json_log;
pub mod parameters;
pub mod prefix;
pub mod statements;
pub mod stderr_log;
pub mod time;

use std::io::{BufRead, Read};

use collect::Collector;
use detect::Format;

/// How to read what cannot be told from the bytes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `log_line_prefix` of a stderr log; detected when not given.
    pub log_line_prefix: Option<String>,
}

/// Why a source gave nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the input is empty")]
    Empty,
    #[error("no known format: not stderr, csvlog or jsonlog, nor an export of pg_stat_statements")]
    UnknownFormat,
    #[error("{0} is not read directly")]
    Compression(&'static str),
    #[error("no line matches log_line_prefix {0:?}")]
    Prefix(String),
    #[error("log_line_prefix: {0}")]
    BadPrefix(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Reads one source into `collector` and returns its format. `name` stands in coverage examples.
///
/// # Errors
/// When nothing can be read. An input that breaks off in the middle is no error: what came before
/// stays, and the break is in the coverage.
pub fn read(
    input: impl Read,
    name: &str,
    options: &Options,
    collector: &mut Collector,
) -> Result<Format, SourceError> {
    let mut reader = compressed::open(input)?;
    let head = compressed::peek(&mut reader)?;
    if head.is_empty() {
        return Err(SourceError::Empty);
    }
    let format = detect::detect(&head).ok_or(SourceError::UnknownFormat)?;
    collector.begin(name);
    let outcome = match format {
        Format::Stderr => stderr_log::read(&mut reader, &head, options, collector),
        Format::Csv => csv_log::read(&mut reader, collector),
        Format::Json => json_log::read(&mut reader, collector),
        Format::StatementsCsv => statements::read_csv(&mut reader, collector),
        Format::StatementsJson => statements::read_json(&mut reader, collector),
    };
    match outcome {
        Err(SourceError::Io(error)) if collector.has_read() => {
            collector.skip("input breaks off", 1, || error.to_string());
            Ok(format)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(format),
    }
}

/// One line with its line feed cut off, in `buffer`; `false` at the end of the input.
pub(crate) fn next_line(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    buffer.clear();
    if reader.read_until(b'\n', buffer)? == 0 {
        return Ok(false);
    }
    while matches!(buffer.last(), Some(b'\n' | b'\r')) {
        buffer.pop();
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::model::workload::Workload;

    fn workload(text: &[u8]) -> Workload {
        let mut collector = Collector::new();
        read(text, "test", &Options::default(), &mut collector).unwrap();
        collector.finish()
    }

    #[test]
    fn a_gzip_that_breaks_off_gives_what_came_before() {
        let line =
            "2026-11-22 18:15:51.505 UTC [1] a@b LOG:  duration: 1.000 ms  statement: SELECT ";
        let text: String = (0..5_000).map(|n| format!("{line}{n}, {}\n", n * 7919)).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        let whole = encoder.finish().unwrap();
        let cut = workload(&whole[..whole.len() / 2]);
        assert!(cut.coverage.statements > 100 && cut.coverage.statements < 5_000);
        assert_eq!(cut.coverage.skipped[0].reason, "input breaks off");
        assert_eq!(workload(&whole).coverage.statements, 5_000);
    }
}
