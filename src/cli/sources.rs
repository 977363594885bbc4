//! Makes sources and an open database from flags.

use super::args;
use super::config::Config;
use super::connection::{is_flagged, is_given, open, settings};
use super::exit::Failure;
use super::progress::Progress;
use crate::pipeline::gather::{self, Collected, Counters, Gathered, Live, Sources};

/// The inputs that a command requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A workload or a catalog, whatever is given.
    Anything,
    /// A database, and a workload from it where no file gives one.
    Database,
    /// A database and nothing else; counters only where they are asked for.
    DatabaseAlone,
}

/// Reads files, counters and catalog, and resolves every statement.
///
/// # Errors
/// When a source cannot be read at all, or nothing in any of them was understood.
pub fn gather(
    args: &args::Sources,
    connection: &args::Connection,
    config: &Config,
    wanted: Needs,
    progress: &Progress,
) -> Result<Gathered, Failure> {
    let live = live(args, connection, config, wanted)?;
    let ignored = ignored(args, connection, live.is_some());
    let mut gathered = gather::gather(&sources(args, wanted), live, progress)?;
    gathered.warnings.splice(0..0, ignored.map(str::to_owned));
    Ok(gathered)
}

/// Reads files and counters.
///
/// # Errors
/// When a source cannot be read at all.
pub fn collect(
    args: &args::Sources,
    connection: &args::Connection,
    config: &Config,
    wanted: Needs,
    progress: &Progress,
) -> Result<Collected, Failure> {
    let live = live(args, connection, config, wanted)?;
    let ignored = ignored(args, connection, live.is_some());
    let mut collected = gather::collect(&sources(args, wanted), live, progress)?;
    collected.warnings.splice(0..0, ignored.map(str::to_owned));
    Ok(collected)
}

/// The sources that flags name.
pub fn sources(args: &args::Sources, wanted: Needs) -> Sources {
    let counters = match wanted {
        _ if args.pg_stat_statements => Counters::Yes,
        Needs::DatabaseAlone => Counters::No,
        Needs::Anything | Needs::Database => Counters::IfNoFile,
    };
    Sources {
        files: args.files.clone(),
        counters,
        schema: args.schema.clone(),
        log_line_prefix: args.log_line_prefix.clone(),
        log_database: args.log_database.clone(),
    }
}

/// The database, where a command needs one or flags and environment name one.
fn live(
    args: &args::Sources,
    connection: &args::Connection,
    config: &Config,
    wanted: Needs,
) -> Result<Option<Live>, Failure> {
    let is_live = wanted != Needs::Anything
        || args.pg_stat_statements
        || (args.schema.is_none() && is_given(connection, config));
    if is_live {
        let settings = settings(connection, config)?;
        let connection = open(&settings, connection)?;
        return Ok(Some(Live::new(settings, connection)));
    }
    if args.files.is_empty() && args.schema.is_none() {
        return Err(Failure::usage(
            "nothing to read",
            "neither a file, nor a schema, nor a database was given",
        )
        .with_help(
            "pgassay analyze server.log   or   pgassay analyze -d postgresql://user@host/database",
        ));
    }
    Ok(None)
}

/// Returns which of a schema and a database is not read, where flags name both.
fn ignored(
    args: &args::Sources,
    connection: &args::Connection,
    is_live: bool,
) -> Option<&'static str> {
    args.schema.as_ref()?;
    match is_live {
        true => Some("the catalog comes from the database; --schema is not read"),
        false if is_flagged(connection) => {
            Some("the catalog comes from --schema; the database that the flags name is not asked")
        }
        false => None,
    }
}
