//! Bytes to a workload.
//!
//! In: readers. Out: a `Workload`, with what was skipped and why.
//! Never: a database, or failure as a whole while something was understood.
//!
//! ```text
//!  input ─► compressed ─► blocks ─┬► framer ─► message ─► assembler ─► event ─► collector ─┐
//!                                 └► framer ─► …  one for each core                       ─┴► merge
//! ```

pub mod assembler;
pub mod capture;
pub mod collect;
pub mod error;
pub mod format;
pub mod input;
pub mod message;
pub mod prefix;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};

use assembler::Assembler;
use collect::collector::Collector;
use collect::open_ends::ChunkEnds;
use format::detect::Format;
use format::wrapped_log::{WrappedLog, Wrapping};
use input::blocks::Blocks;
use prefix::timestamp::Clock;

use crate::source::error::SourceError;
use crate::source::format::framer::{Framer, Options, Scratch};

/// Bytes looked at to tell the format. A csvlog record of a long statement has to fit.
const HEAD_BYTES: usize = 256 * 1024;

/// Reads one source into `collector` and returns its format. `name` stands in coverage examples.
///
/// # Errors
/// When nothing can be read. An input that breaks off in the middle is no error: what came before
/// stays, and the break is in the coverage.
pub fn read(
    input: impl Read + Send,
    name: &str,
    options: &Options,
    collector: &mut Collector,
) -> Result<Format, SourceError> {
    let mut blocks =
        Blocks::new(crate::source::input::compressed::open(input)?, options.block_bytes);
    let head = blocks.peek(HEAD_BYTES)?;
    if head.is_empty() {
        return Err(SourceError::Empty);
    }
    let format = crate::source::format::detect::detect(head).ok_or(SourceError::UnknownFormat)?;
    collector.begin(name);
    let framer: Box<dyn Framer> = match format {
        Format::Stderr => {
            Box::new(crate::source::format::stderr_log::StderrLog::new(head, options)?)
        }
        Format::Csv => Box::new(crate::source::format::csv_log::CsvLog),
        Format::Json => Box::new(crate::source::format::json_log::JsonLog),
        Format::Syslog => Box::new(WrappedLog::new(Wrapping::Syslog, head, options)?),
        Format::WrappedJson => Box::new(WrappedLog::new(Wrapping::Json, head, options)?),
        Format::Capture => return read_capture(blocks, collector),
        Format::StatementsCsv | Format::StatementsJson => {
            return read_statements(blocks, format, collector);
        }
    };
    let broken = read_log(blocks, framer.as_ref(), options, collector);
    report_break(broken, collector)?;
    Ok(format)
}

/// When an input begins, and for a capture ends, microseconds since the epoch: what inputs are
/// ordered by. `None` where that cannot be told.
pub fn begins(input: impl Read + Send) -> Option<(i64, i64)> {
    let mut blocks = Blocks::new(crate::source::input::compressed::open(input).ok()?, None);
    let head = blocks.peek(HEAD_BYTES).ok()?;
    if head.starts_with(capture::MAGIC) {
        return capture::begins(head);
    }
    let mut at = 0;
    while at < head.len() {
        if let Some(end) = crate::source::prefix::timestamp::looks_like_time(&head[at..]) {
            let zone = head[at + end..]
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b' ' | b'+' | b'-'));
            let text = &head[at..at + end + zone.take(6).count()];
            let text = text.trim_ascii_end();
            if let Some(at_us) = Clock::default().read(text) {
                return Some((at_us, at_us));
            }
        }
        at += 1;
    }
    None
}

fn read_statements(
    blocks: Blocks<'_>,
    format: Format,
    collector: &mut Collector,
) -> Result<Format, SourceError> {
    let (bytes, broken) = blocks.into_rest();
    match format {
        Format::StatementsCsv => {
            crate::source::format::pg_stat_statements::read_csv(&bytes, collector)?
        }
        _ => crate::source::format::pg_stat_statements::read_json(&bytes, collector),
    }
    report_break(broken, collector)?;
    Ok(format)
}

fn read_capture(blocks: Blocks<'_>, collector: &mut Collector) -> Result<Format, SourceError> {
    let (bytes, broken) = blocks.into_rest();
    if let Some(error) = broken {
        return Err(error.into());
    }
    capture::read(&bytes, collector).map_err(SourceError::Capture)?;
    Ok(Format::Capture)
}

/// An input that breaks off is reported, and is an error when nothing came before.
fn report_break(
    broken: Option<std::io::Error>,
    collector: &mut Collector,
) -> Result<(), SourceError> {
    match broken {
        Some(error) if collector.has_read() => {
            collector.skip("input breaks off", 1, || error.to_string());
            Ok(())
        }
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Collects the pieces of all threads and joins them in the order of the log.
struct Joined<'c> {
    collector: &'c mut Collector,
    waiting: BTreeMap<u64, ChunkEnds>,
    next: u64,
    whole: ChunkEnds,
    lines: Vec<u64>,
}

impl Joined<'_> {
    fn add(&mut self, piece: u64, chunk: ChunkEnds, lines: u64) {
        self.waiting.insert(piece, chunk);
        let place = piece as usize;
        if self.lines.len() <= place {
            self.lines.resize(place + 1, 0);
        }
        self.lines[place] = lines;
        while let Some(chunk) = self.waiting.remove(&self.next) {
            self.whole.join(chunk, &mut |event| self.collector.event(event));
            self.next += 1;
        }
    }
}

/// Reads a log, side by side in as many threads as there are cores, and returns what broke it off.
fn read_log(
    blocks: Blocks<'_>,
    framer: &dyn Framer,
    options: &Options,
    collector: &mut Collector,
) -> Option<std::io::Error> {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads =
        if framer.is_sequential() { 1 } else { options.threads.unwrap_or_else(available).max(1) };
    let parts: Vec<Collector> = (0..threads).map(|_| collector.fork()).collect();
    let blocks = Mutex::new(blocks);
    let joined = Mutex::new(Joined {
        collector,
        waiting: BTreeMap::new(),
        next: 0,
        whole: ChunkEnds::default(),
        lines: Vec::new(),
    });
    let work = |mut part: Collector| {
        let mut block = Vec::new();
        let mut scratch = Scratch::default();
        // The guard is given back before the block is read.
        while let Some(piece) = { lock(&blocks).next(&mut block, framer) } {
            part.piece(piece);
            let mut assembler = Assembler::new(&mut part, piece);
            let lines = framer.block(&block, &mut assembler, &mut scratch);
            let chunk = assembler.finish();
            lock(&joined).add(piece, chunk, lines);
        }
        if framer.is_sequential() {
            let piece = lock(&joined).next;
            let mut assembler = Assembler::new(&mut part, piece);
            framer.finish(&mut assembler, &mut scratch);
            let chunk = assembler.finish();
            lock(&joined).add(piece, chunk, 0);
        }
        part
    };
    let parts: Vec<Collector> = std::thread::scope(|scope| {
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| work(part))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let Joined { collector, whole, lines, .. } =
        joined.into_inner().unwrap_or_else(PoisonError::into_inner);
    parts.into_iter().for_each(|part| collector.merge(part));
    collector.leave_open(whole);
    collector.end(&lines);
    blocks.into_inner().unwrap_or_else(PoisonError::into_inner).broken
}

/// A thread that panicked ends the reading anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
