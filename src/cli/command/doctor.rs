//! `doctor`: what is there, what is missing, and the line that mends it.

use std::fmt::Write;

use crate::cli::connection::{flags_again, settings};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::print;
use crate::cli::{args, config};
use crate::pg::connect::connection::Connection;
use crate::pg::connect::pooler::{Pooling, direct, pooling};
use crate::pg::doctor::{Mark, examine};

/// # Errors
/// When there is no connection.
pub fn run(args: &args::Doctor) -> Result<Exit, Failure> {
    let config = config::load()?;
    let settings = settings(&args.connection, &config)?;
    let connection = Connection::open(&settings)?;
    let pooling = pooling(&connection, &settings)?;
    let checks = examine(&connection, &settings, pooling)?;
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
    let target = match pooling {
        Pooling::Transaction => direct(&connection, &settings),
        Pooling::None | Pooling::Session => flags_again(&settings),
    };
    let _ = writeln!(out, "\nnext: pgassay analyze {target}");
    print(&out)?;
    Ok(Exit::Done)
}
