//! Workflow commands of GitHub: one annotation a finding, within its limit.

use std::fmt::Write;

use crate::model::run::Run;
use crate::report::error::RenderError;

/// GitHub shows ten annotations of a kind for each step and drops the rest without a word.
const MOST: usize = 10;

/// # Errors
/// None; the signature is that of every format.
pub fn render(run: &Run) -> Result<String, RenderError> {
    let mut lines: Vec<(&str, String, String)> = Vec::new();
    for check in &run.checks {
        if matches!(check.status.as_str(), "regressed" | "error") {
            let title = format!("pgassay {}", check.status);
            lines.push(("error", title, format!("{}: {}", check.normalized, check.reason)));
        }
    }
    for finding in &run.findings {
        let kind = match finding.level.as_str() {
            "error" => "error",
            "warning" => "warning",
            _ => "notice",
        };
        lines.push((kind, format!("pgassay {}", finding.rule), finding.message.clone()));
    }
    let mut out = String::new();
    for kind in ["error", "warning", "notice"] {
        let of_kind: Vec<_> = lines.iter().filter(|(own, ..)| *own == kind).collect();
        for (_, title, message) in of_kind.iter().take(MOST) {
            let _ = writeln!(out, "::{kind} title={}::{}", property(title), data(message));
        }
        if of_kind.len() > MOST {
            let _ = writeln!(out, "and {} more of level {kind}", of_kind.len() - MOST);
        }
    }
    Ok(out)
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
