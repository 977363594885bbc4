//! A run to text, in every format.
//!
//! In: `model::run::Run`. Out: one string for each format of [`FORMATS`].
//! Never: anything that the run file does not hold, so that a stored run can be rendered again offline.

pub mod error;
pub mod escape;
pub mod format;
pub mod handover;
mod one_line;
pub mod record;
pub mod record_access;
pub mod summary;
mod tables;
pub mod words;

use crate::model::run::Run;
use crate::report::error::RenderError;

/// A way to write a run down.
pub struct Format {
    /// As in `--format NAME`.
    pub name: &'static str,
    /// As in `-o FILE.extension`; empty where no file has it.
    pub extension: &'static str,
    pub render: fn(&Run) -> Result<String, RenderError>,
}

/// Formats that escape control characters themselves.
const EXACT: [&str; 2] = ["json", "sarif"];

impl Format {
    /// The run in this format, fit for a terminal, for XML and for the log of a CI run.
    ///
    /// # Errors
    /// A fault of ours in a template.
    pub fn write(&self, run: &Run) -> Result<String, RenderError> {
        if EXACT.contains(&self.name) {
            return (self.render)(run).map(words::printable);
        }
        let text = (self.render)(&one_line::names(run))?;
        Ok(match self.name {
            // Its lines are commands, and its values are escaped.
            "github" => words::printable(text),
            _ => words::displayable(&text),
        })
    }
}

/// Every format, in the order of the help.
pub const FORMATS: &[Format] = &[
    Format { name: "text", extension: "txt", render: crate::report::format::text::render },
    Format {
        name: "markdown",
        extension: "md",
        render: crate::report::handover::template::markdown,
    },
    Format { name: "html", extension: "html", render: crate::report::handover::template::html },
    Format { name: "json", extension: "json", render: crate::report::format::json::render },
    Format { name: "csv", extension: "csv", render: crate::report::format::csv::render },
    Format { name: "junit", extension: "xml", render: crate::report::format::junit::render },
    Format { name: "sarif", extension: "sarif", render: crate::report::format::sarif::render },
    Format { name: "github", extension: "", render: crate::report::format::github::render },
    Format { name: "sql", extension: "sql", render: crate::report::format::text::sql },
];

pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The format for a file's ending.
pub fn by_extension(extension: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| !format.extension.is_empty() && format.extension == extension)
}
