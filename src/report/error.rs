//! Why a run could not be rendered.

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
