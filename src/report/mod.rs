//! A run to bytes, in every format. Knows a run and nothing else, so that a stored run can be
//! rendered again, offline.

pub mod chart;
pub mod csv;
pub mod document;
pub mod gains;
pub mod github;
pub mod handover;
pub mod json;
pub mod junit;
pub mod record;
pub mod sarif;
pub mod sections;
mod tables;
pub mod template;
pub mod text;
mod trial_text;
mod trust;
pub mod words;
pub mod write_cost;

use crate::model::run::Run;

/// A way to write a run down.
pub struct Format {
    /// As in `--format NAME`.
    pub name: &'static str,
    /// As in `-o FILE.extension`; empty where no file has it.
    pub extension: &'static str,
    pub render: fn(&Run) -> Result<String, RenderError>,
}

impl Format {
    /// The run in this format, fit for a terminal and for XML.
    ///
    /// # Errors
    /// A fault of ours in a template.
    pub fn write(&self, run: &Run) -> Result<String, RenderError> {
        (self.render)(run).map(words::printable)
    }
}

/// Every format, in the order of the help.
pub const FORMATS: &[Format] = &[
    Format { name: "text", extension: "txt", render: text::render },
    Format { name: "markdown", extension: "md", render: template::markdown },
    Format { name: "html", extension: "html", render: template::html },
    Format { name: "json", extension: "json", render: json::render },
    Format { name: "csv", extension: "csv", render: csv::render },
    Format { name: "junit", extension: "xml", render: junit::render },
    Format { name: "sarif", extension: "sarif", render: sarif::render },
    Format { name: "github", extension: "", render: github::render },
    Format { name: "sql", extension: "sql", render: text::sql },
];

pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The format for a file's ending.
pub fn by_extension(extension: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| !format.extension.is_empty() && format.extension == extension)
}

/// A run could not be rendered: a fault of ours, not of the run.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("template: {0}")]
    Template(#[from] minijinja::Error),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("CSV: {0}")]
    Csv(#[from] ::csv::Error),
    #[error("output: {0}")]
    Output(String),
}
