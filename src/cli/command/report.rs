//! `report`: renders a stored run again, offline.

use crate::cli::exit::{Exit, Failure};
use crate::cli::{args, output, stored};

/// # Errors
/// When the file is no run file, or of a later version.
pub fn run(args: &args::Report) -> Result<Exit, Failure> {
    output::check(&args.output, &[&args.run])?;
    let mut run = stored::read(&args.run)?;
    if run.recommendations.iter().any(|recommendation| recommendation.state == "accepted") {
        run.next = Some(format!("pgassay apply {}", args.run.display()));
    }
    output::write(&run, &args.output)?;
    Ok(Exit::Done)
}
