//! SARIF 2.1.0, for tools that collect findings.

use serde_json::{Value, json};

use crate::model::run::{Run, RunFinding};
use crate::report::error::RenderError;

/// # Errors
/// When a number cannot be written as JSON.
pub fn render(run: &Run) -> Result<String, RenderError> {
    let mut rules: Vec<&str> = run.findings.iter().map(|finding| finding.rule.as_str()).collect();
    rules.sort_unstable();
    rules.dedup();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": run.tool.name,
                "version": run.tool.version,
                "rules": rules.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(),
            }},
            "results": run.findings.iter().map(result).collect::<Vec<_>>(),
        }],
    });
    let mut text = serde_json::to_string_pretty(&log)?;
    text.push('\n');
    Ok(text)
}

fn result(finding: &RunFinding) -> Value {
    let level = match finding.level.as_str() {
        "error" => "error",
        "warning" => "warning",
        _ => "note",
    };
    json!({
        "ruleId": finding.rule,
        "level": level,
        "message": {"text": finding.message},
        // A database has no files; the table stands as a logical location.
        "locations": [{"logicalLocations": [{
            "fullyQualifiedName": finding.subject.table.clone().unwrap_or_else(|| finding.id.clone()),
            "kind": "table",
        }]}],
        "partialFingerprints": {"pgassay/v1": finding.id},
    })
}
