//! Migration files, written into a project.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::apply::file::{Existing, File, MigrationPlace};
use crate::apply::migration::{Framework, migrations};
use crate::cli::exit::Failure;
use crate::cli::output;
use crate::model::run::RunRecommendation;
use crate::report::format::text::reasons;
use crate::report::words::printable;

/// Bytes of a migration that is there already that are looked at: its class stands at the top.
const HEAD: usize = 4_096;

/// Writes a migration for each recommendation that has none yet; no file is ever overwritten.
///
/// # Errors
/// When the directory is not there or cannot be written to.
pub fn write(
    framework: Framework,
    given: Option<&Path>,
    chosen: &[&RunRecommendation],
) -> Result<(), Failure> {
    let directory = directory(framework, given)?;
    let existing = existing(&directory)?;
    let above = std::path::absolute(&directory).ok();
    let application = above.as_deref().and_then(Path::parent).and_then(Path::file_name);
    let place = MigrationPlace {
        application: &application.map(|name| name.to_string_lossy()).unwrap_or_default(),
        existing: &existing,
        now: jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).datetime(),
    };
    let notes = |recommendation: &RunRecommendation| {
        reasons(recommendation).into_iter().map(printable).collect()
    };
    let written = migrations(framework, chosen, &notes, &place);
    for name in &written.known {
        output::print(&format!("there    {}\n", directory.join(name).display()))?;
    }
    for file in &written.files {
        let path = directory.join(&file.path);
        create(&path, file)?;
        output::print(&format!("written  {}\n", path.display()))?;
    }
    Ok(())
}

/// The directory given, made when missing; else the framework's own, which has to be there.
fn directory(framework: Framework, given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(given) = given {
        std::fs::create_dir_all(given).map_err(|error| cannot_write(given, &error))?;
        return Ok(given.to_owned());
    }
    let what = "cannot write migrations";
    let Some(own) = framework.directory() else {
        return Err(Failure::usage(what, "which application are they of?")
            .with_help("--dir APPLICATION/migrations"));
    };
    if !Path::new(own).is_dir() {
        return Err(Failure::usage(what, format!("there is no directory {own} here"))
            .with_help("go to the top of the project, or give --dir DIR"));
    }
    Ok(PathBuf::from(own))
}

fn existing(directory: &Path) -> Result<Vec<Existing>, Failure> {
    let entries = std::fs::read_dir(directory).map_err(|error| cannot_write(directory, &error))?;
    let mut existing = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A directory holds a migration as well, and one that cannot be read still has its name.
        let mut text = std::fs::read(entry.path()).unwrap_or_default();
        text.truncate(HEAD);
        existing.push(Existing { name, text: String::from_utf8_lossy(&text).into_owned() });
    }
    existing.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(existing)
}

fn create(path: &Path, file: &File) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|error| cannot_write(parent, &error))?;
    }
    let outcome = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut target| target.write_all(file.text.as_bytes()));
    outcome.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    let failure = Failure::usage(format!("cannot write {}", path.display()), error.to_string());
    match error.kind() {
        ErrorKind::AlreadyExists => failure.with_help("it is left as it is; move it away"),
        _ => failure.with_help("check that the directory exists and that you may write there"),
    }
}
