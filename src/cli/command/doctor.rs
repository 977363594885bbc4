//! `doctor`: what is there, what is missing, and the line that mends it.

use std::fmt::Write;

use crate::cli::connection::{flags_again, open, settings};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::print;
use crate::cli::{args, config};
use crate::pg::doctor::{Mark, examine};

/// # Errors
/// When there is no connection.
pub fn run(args: &args::Doctor) -> Result<Exit, Failure> {
    let config = config::load()?;
    let settings = settings(&args.connection, &config)?;
    let connection = open(&settings, &args.connection)?;
    let checks = examine(&connection)?;
    let version = connection.version_text();
    let mut out = format!("target   {}\n\n", settings.describe(Some(&version)));
    for check in &checks {
        let mark = match check.mark {
            Mark::Good => '✓',
            Mark::Partly => '~',
            Mark::Missing => '✗',
        };
        let _ = writeln!(out, "  {mark} {:<22} {}", check.name, check.text);
        if let Some(help) = &check.help {
            let _ = writeln!(out, "      help: {help}");
        }
    }
    let _ = writeln!(out, "\nnext: pgassay analyze {}", flags_again(&settings));
    print(&out)?;
    Ok(Exit::Done)
}
