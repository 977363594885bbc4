//! The run itself, and its schema.

use crate::model::run::Run;
use crate::report::error::RenderError;

/// # Errors
/// When a number cannot be written as JSON.
pub fn render(run: &Run) -> Result<String, RenderError> {
    let mut text = serde_json::to_string_pretty(run)?;
    text.push('\n');
    Ok(text)
}

/// The JSON schema of the run file.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Run)).unwrap_or_default();
    text.push('\n');
    text
}
