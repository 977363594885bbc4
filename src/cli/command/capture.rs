//! `capture`: logs, counters and captures into one capture.

use std::io::Write;
use std::path::Path;

use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::Progress;
use crate::cli::sources::{Needs, collect, sources};
use crate::cli::{args, config, output, stderr};
use crate::pipeline::gather::{Collected, one_database};

/// # Errors
/// When a source cannot be read, nothing was in it, or the capture cannot be written.
pub fn run(args: &args::Capture) -> Result<Exit, Failure> {
    output::unless_input(&args.output, &args.sources.inputs())?;
    let config = config::load()?;
    let progress = Progress::new(args.quiet);
    let Collected { mut collector, live, mut warnings } =
        collect(&args.sources, &args.connection, &config, Needs::Anything, &progress)?;
    if let Some(live) = &live {
        collector
            .set_catalog(crate::pg::catalog::load::load(&live.connection, live.callers.path())?);
    }
    // A capture holds all databases: whose statements are wanted is settled when it is read.
    if args.sources.log_database.is_some() {
        warnings.extend(one_database(
            &sources(&args.sources, Needs::Anything),
            None,
            &mut collector,
        )?);
    }
    let executions = collector.executions();
    if executions == 0 {
        return Err(Failure::unreadable("nothing to capture", "no source holds a statement")
            .with_help(
                "does the server log statements? log_min_duration_statement = 0, or log_statement = 'all'",
            ));
    }
    let bytes = crate::source::capture::write(&mut collector)
        .map_err(|error| Failure::unreadable("cannot pack the capture", error.to_string()))?;
    if args.output.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(&bytes).and_then(|()| out.flush());
    } else {
        write(&args.output, &bytes)?;
    }
    for warning in &warnings {
        stderr::line(&format!("warning: {warning}"));
    }
    stderr::line(&format!(
        "captured {executions} executions of {} distinct statements from {} lines: {}, {} bytes",
        collector.distinct(),
        collector.lines_read(),
        args.output.display(),
        bytes.len(),
    ));
    if args.output.as_os_str() != "-" {
        stderr::line(&format!("next     pgassay analyze {}", args.output.display()));
    }
    Ok(Exit::Done)
}

/// Only the owner may read it: it holds parameters.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    output::write_beside(path, bytes, Some(0o600)).map_err(|error| {
        Failure::unreadable(format!("cannot write {}", path.display()), error.to_string())
            .with_help("is the directory there, and may you write to it?")
    })
}
