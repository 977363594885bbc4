//! Exit codes, and errors in three parts.

use std::process::ExitCode;

use super::stderr::line;
use crate::pg::error::PgError;
use crate::pipeline::error::{Error, ErrorKind};

/// How the program ends. A public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; no gate failed.
    Done,
    /// A gate failed: `check` found a regression, or `--fail-on` was met.
    Gate,
    /// Usage or configuration.
    Usage,
    /// Database or input cannot be reached or read, or nothing in the input was understood.
    Unreadable,
    /// `check` could not tell.
    Inconclusive,
    /// Interrupted, after cleaning up.
    Interrupted,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Gate => 1,
            Exit::Usage => 2,
            Exit::Unreadable => 3,
            Exit::Inconclusive => 4,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: String,
    cause: String,
    help: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, error: impl Into<String>, cause: impl Into<String>) -> Self {
        Failure { exit, error: error.into(), cause: cause.into(), help: None }
    }

    pub fn usage(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, error, cause)
    }

    pub fn unreadable(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Failure::new(Exit::Unreadable, error, cause)
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// No recommendation has the id; the help is those that there are.
    pub fn unknown_id<'i>(error: String, known: impl Iterator<Item = &'i str>) -> Self {
        let known: Vec<&str> = known.collect();
        let help = if known.is_empty() { "there is none".to_owned() } else { known.join(" ") };
        Failure::usage(error, "no recommendation has this id").with_help(help)
    }

    /// Another way out, beside the first.
    pub fn and_help(mut self, help: String) -> Self {
        self.help = Some(match self.help.take() {
            Some(known) => format!("{known}; {help}"),
            None => help,
        });
        self
    }

    /// The reader of our output went away, which is its right.
    pub fn broken_pipe() -> Self {
        Failure::new(Exit::Done, "", "")
    }

    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Writes the three parts to stderr.
    pub fn print(&self) {
        match self.exit {
            Exit::Interrupted => line(&format!("interrupted: {}", self.cause)),
            Exit::Done => {}
            _ => {
                line(&format!("error: {}", self.error));
                line(&format!("cause: {}", self.cause));
                if let Some(help) = &self.help {
                    line(&format!("help:  {help}"));
                }
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind {
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Unreadable => Exit::Unreadable,
            ErrorKind::Interrupted => Exit::Interrupted,
        };
        Failure { exit, error: error.what, cause: error.cause, help: error.help }
    }
}

impl From<PgError> for Failure {
    fn from(error: PgError) -> Self {
        Failure::from(Error::from(error))
    }
}
