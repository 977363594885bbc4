//! Writes a run to standard output and to files.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::args;
use super::exit::Failure;
use crate::model::run::Run;
use crate::report::{Format, by_extension, by_name};

/// How often and how long a pipe without a reader is waited for.
const READER_TRIES: usize = 20;
const READER_PAUSE: Duration = Duration::from_millis(100);

/// Writes the files first, then standard output.
///
/// # Errors
/// When a file's ending is unknown or it cannot be written. A reader that goes away is no error.
pub fn write(run: &Run, output: &args::Output) -> Result<(), Failure> {
    unless_interrupted()?;
    write_what_there_is(run, output)
}

/// The same for a run that says itself that it was cut short.
///
/// # Errors
/// As of [`write()`].
pub fn write_what_there_is(run: &Run, output: &args::Output) -> Result<(), Failure> {
    for file in &output.outputs {
        if file.as_os_str() == "-" {
            continue;
        }
        write_file(run, file)?;
    }
    let format = by_name(&output.format).ok_or_else(|| {
        Failure::usage("cannot write", format!("{:?} is no format", output.format))
    })?;
    print(&render(format, run)?)
}

/// Writes what is known so far into the run files among the outputs. That it cannot be written is told at the end,
/// when it is tried again.
pub fn write_stored(run: &Run, output: &args::Output) {
    let is_run = |file: &&PathBuf| file.extension().is_some_and(|ending| ending == "json");
    for file in output.outputs.iter().filter(is_run) {
        let _ = write_file(run, file);
    }
}

/// The present time, as RFC 3339 has it.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// Fails if the user has interrupted the command: an interrupted result is no result. Steps that note an error
/// and go on end here.
///
/// # Errors
/// When the user asked to stop.
pub fn unless_interrupted() -> Result<(), Failure> {
    Ok(crate::pg::error::PgError::unless_interrupted()?)
}

/// Refuses endings that name no format, files that are read, and files that cannot be written, before any work is done.
///
/// # Errors
/// With the list of endings, or the reason.
pub fn check(output: &args::Output, inputs: &[&Path]) -> Result<(), Failure> {
    output.outputs.iter().filter(|file| file.as_os_str() != "-").try_for_each(|file| {
        format_of(file)?;
        unless_input(file, inputs)?;
        try_writing(file).map_err(|error| not_written(file, &error))
    })
}

/// Refuses an output that is one of the inputs, under whatever name.
///
/// # Errors
/// When it is.
pub fn unless_input(file: &Path, inputs: &[&Path]) -> Result<(), Failure> {
    let identity = |file: &Path| {
        let metadata = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
        Some((metadata.dev(), metadata.ino()))
    };
    let own = identity(file);
    match own.is_some() && inputs.iter().any(|input| identity(input) == own) {
        true => Err(Failure::usage(
            format!("will not write {}", file.display()),
            "it is one of the files that are read",
        )
        .with_help("name another file with -o")),
        false => Ok(()),
    }
}

/// Opens the file for writing and leaves it as it was.
fn try_writing(file: &Path) -> std::io::Result<()> {
    match std::fs::metadata(file) {
        // Who reads a pipe would take this for its end.
        Ok(known) if !known.is_file() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(file).map(drop),
        Err(_) => {
            OpenOptions::new().append(true).create_new(true).open(file)?;
            std::fs::remove_file(file)
        }
    }
}

fn not_written(file: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot write {}", file.display()), error.to_string())
        .with_help("check that its directory exists and that you may write there")
}

fn format_of(file: &Path) -> Result<&'static Format, Failure> {
    let ending =
        file.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    by_extension(&ending).ok_or_else(|| {
        let known: Vec<String> = crate::report::FORMATS
            .iter()
            .filter(|format| !format.extension.is_empty())
            .map(|format| format!(".{}", format.extension))
            .collect();
        Failure::usage(
            format!("cannot write {}", file.display()),
            format!("the ending {ending:?} names no format"),
        )
        .with_help(known.join(" "))
    })
}

/// # Errors
/// When the ending is unknown or the file cannot be written.
pub fn write_file(run: &Run, file: &Path) -> Result<(), Failure> {
    let text = render(format_of(file)?, run)?;
    write_beside(file, text.as_bytes(), None).map_err(|error| not_written(file, &error))
}

/// Writes a file beside the old one and puts it in its place when it is complete, so that a full disk or a killed
/// process leaves the old one as it was. A pipe or a device is written to as it is. `mode` is that of a new file;
/// without it, that of the old file or what the user's mask allows.
///
/// # Errors
/// Errors of the file system.
pub fn write_beside(file: &Path, bytes: &[u8], mode: Option<u32>) -> std::io::Result<()> {
    let known = std::fs::metadata(file).ok();
    if known.as_ref().is_some_and(|known| !known.is_file()) {
        return open_special(file)?.write_all(bytes);
    }
    // What a link leads to is replaced, and not the link.
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.{}.partial", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if let Some(mode) = mode {
        options.mode(mode);
    }
    let written = options.open(&beside).and_then(|mut partial| {
        if let (None, Some(known)) = (mode, &known) {
            partial.set_permissions(known.permissions())?;
        }
        partial.write_all(bytes)?;
        partial.sync_all()
    });
    let done = written.and_then(|()| std::fs::rename(&beside, &file));
    if done.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    done
}

/// Opens a pipe or a device. A pipe that nobody reads is waited for only so long.
fn open_special(file: &Path) -> std::io::Result<File> {
    let open = || OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(file);
    let mut opened = open();
    for _ in 0..READER_TRIES {
        match &opened {
            Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
                std::thread::sleep(READER_PAUSE);
                opened = open();
            }
            _ => break,
        }
    }
    let file = opened.map_err(|error| match error.raw_os_error() == Some(Errno::ENXIO as i32) {
        true => std::io::Error::new(ErrorKind::BrokenPipe, "nobody reads this pipe"),
        false => error,
    })?;
    // From here on it waits for its reader.
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_WRONLY))?;
    Ok(file)
}

fn render(format: &Format, run: &Run) -> Result<String, Failure> {
    format.write(run).map_err(|error| {
        Failure::usage(format!("cannot render {}", format.name), error.to_string())
    })
}

/// Text to standard output.
///
/// # Errors
/// [`Failure::broken_pipe`] when nobody reads it any more; another when the disk is full.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::broken_pipe()),
        Err(error) => Err(Failure::usage("cannot write to standard output", error.to_string())),
        Ok(()) => Ok(()),
    }
}
