//! Reads stored run files.

use std::path::Path;

use super::exit::Failure;
use crate::model::run::{Run, SCHEMA_VERSION};

/// # Errors
/// When the file is no run file, or of a later version.
pub fn read(file: &Path) -> Result<Run, Failure> {
    let what = format!("cannot read {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::unreadable(&what, error.to_string()).with_help("check the path")
    })?;
    let help = "pgassay trial … -o run.json writes a run file";
    let run: Run = serde_json::from_str(&text).map_err(|error| {
        Failure::unreadable(&what, format!("line {}: it is no run file: {error}", error.line()))
            .with_help(help)
    })?;
    if run.schema_version != SCHEMA_VERSION {
        let cause = format!(
            "it has schema version {}, this program reads {SCHEMA_VERSION}",
            run.schema_version
        );
        return Err(Failure::unreadable(&what, cause).with_help("use the program that wrote it"));
    }
    Ok(run)
}
