//! Names and messages on one line: a quoted identifier may hold a newline, and a reader sees where it does.

use serde_json::Value;

use crate::model::run::Run;

/// Keys whose texts have lines of their own.
const LINES: &[&str] =
    &["sql", "undo", "after", "advice", "observed_plan", "plan_before", "plan_after"];

/// The run with control characters in names and messages written as escapes.
pub fn names(run: &Run) -> Run {
    let Ok(mut value) = serde_json::to_value(run) else { return run.clone() };
    if !escape(&mut value, false) {
        return run.clone();
    }
    serde_json::from_value(value).unwrap_or_else(|_| run.clone())
}

/// Escapes all texts below a value, and tells whether there was anything to escape.
fn escape(value: &mut Value, has_lines: bool) -> bool {
    let mut any = false;
    match value {
        Value::String(text) => {
            let is_escaped = |c: char| c.is_control() && !(has_lines && c == '\n');
            if text.contains(is_escaped) {
                *text = text
                    .chars()
                    .map(|c| match is_escaped(c) {
                        true => c.escape_default().to_string(),
                        false => c.to_string(),
                    })
                    .collect();
                any = true;
            }
        }
        Value::Array(list) => {
            for item in list {
                any |= escape(item, has_lines);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                any |= escape(item, LINES.contains(&key.as_str()));
            }
        }
        _ => {}
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_line_and_plans_have_theirs() {
        let mut value = serde_json::json!({"table": "a\n::b\u{1b}", "plan_before": "x\ny"});
        assert!(escape(&mut value, false));
        assert_eq!(value, serde_json::json!({"table": "a\\n::b\\u{1b}", "plan_before": "x\ny"}));
        assert!(!escape(&mut value, false));
    }
}
