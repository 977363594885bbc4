//! Plans that `auto_explain` logged, as text or as JSON, without the values in them.

use serde_json::Value;

use crate::sql::normalize::redact::redact;

/// Longest plan kept, bytes.
const LONGEST: usize = 8 * 1024;

/// A statement with the plan it ran by.
#[derive(Debug, PartialEq)]
pub struct LoggedPlan {
    pub statement: String,
    /// One line for each node, conditions without their values.
    pub plan: String,
}

/// Reads what follows `plan:`; `None` for a format that is neither text nor JSON.
pub fn read(text: &[u8]) -> Option<LoggedPlan> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let mut explained = if text.starts_with('{') { json(text)? } else { plain(text)? };
    if explained.plan.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| explained.plan.is_char_boundary(*at)).unwrap_or(0);
        explained.plan.truncate(end);
        explained.plan.push('…');
    }
    Some(explained)
}

fn plain(text: &str) -> Option<LoggedPlan> {
    let text = text.strip_prefix("Query Text: ")?;
    let lines: Vec<&str> = text.lines().collect();
    // The text of the query may have many lines; the first node has its cost.
    let first = lines.iter().position(|line| line.contains("  (cost="))?;
    let statement: Vec<&str> = lines[..first]
        .iter()
        .copied()
        .filter(|line| !line.starts_with("Query Parameters: "))
        .collect();
    let plan: Vec<String> = lines[first..].iter().map(|line| plan_line(line)).collect();
    Some(LoggedPlan { statement: statement.join("\n"), plan: plan.join("\n") })
}

/// A node without its costs and times, which belong to one execution, or a condition without its
/// values.
fn plan_line(line: &str) -> String {
    if let Some((node, figures)) = line.split_once("  (cost=") {
        let rows = figures.split_once("(actual").and_then(|(_, actual)| {
            let from = actual.find("rows=")?;
            Some(actual[from..].trim_end_matches(')').to_owned())
        });
        return rows.map_or_else(|| node.to_owned(), |rows| format!("{node}  ({rows})"));
    }
    match line.split_once(": ") {
        Some((label, value)) if value.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
            format!("{label}: {value}")
        }
        Some((label, value)) => format!("{label}: {}", redact(value)),
        None => redact(line),
    }
}

fn json(text: &str) -> Option<LoggedPlan> {
    let value: Value = serde_json::from_str(text).ok()?;
    let statement = value.get("Query Text")?.as_str()?.to_owned();
    let mut plan = Vec::new();
    node(value.get("Plan")?, 0, &mut plan);
    Some(LoggedPlan { statement, plan: plan.join("\n") })
}

/// Members of a node that are conditions or orders.
const CONDITIONS: [&str; 9] = [
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "Sort Key",
    "Group Key",
    "One-Time Filter",
];

fn node(value: &Value, depth: usize, out: &mut Vec<String>) {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let indent = if depth == 0 { String::new() } else { "      ".repeat(depth - 1) + "  ->  " };
    let mut line = format!("{indent}{}", text("Node Type").unwrap_or("?"));
    if let Some(index) = text("Index Name") {
        line += &format!(" using {index}");
    }
    if let Some(relation) = text("Relation Name") {
        line += &format!(" on {relation}");
    }
    if let (Some(rows), Some(loops)) = (value.get("Actual Rows"), value.get("Actual Loops")) {
        line += &format!("  (rows={rows} loops={loops})");
    }
    out.push(line);
    let inner = "      ".repeat(depth) + "  ";
    for name in CONDITIONS {
        let condition = match value.get(name) {
            Some(Value::String(text)) => redact(text),
            Some(Value::Array(parts)) => {
                let parts: Vec<String> =
                    parts.iter().filter_map(Value::as_str).map(redact).collect();
                parts.join(", ")
            }
            _ => continue,
        };
        out.push(format!("{inner}{name}: {condition}"));
    }
    for plan in value.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        // serde_json refuses what is nested deeper than 128.
        node(plan, depth + 1, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_give_statement_and_plan_without_values() {
        let text = "\nQuery Text: SELECT a\nFROM t WHERE b = 'secret'\nQuery Parameters: $1 = 'secret'\nSort  (cost=22.04..22.05 rows=6 width=20) (actual time=0.504..0.505 rows=8.00 loops=1)\n  Sort Key: price\n  ->  Seq Scan on t  (cost=0.00..9.00 rows=1 width=4)\n        Filter: (b = 'secret'::text)\n        Rows Removed by Filter: 7";
        let read_text = read(text.as_bytes()).unwrap();
        assert_eq!(read_text.statement, "SELECT a\nFROM t WHERE b = 'secret'");
        assert_eq!(
            read_text.plan,
            "Sort  (rows=8.00 loops=1)\n  Sort Key: price\n  ->  Seq Scan on t\n        Filter: (b = $n::text)\n        Rows Removed by Filter: 7"
        );
        let json = r#"{"Query Text": "SELECT 1", "Plan": {"Node Type": "Sort", "Sort Key": ["a"], "Plans": [{"Node Type": "Seq Scan", "Relation Name": "t", "Filter": "(b = 'secret')"}]}}"#;
        let read_json = read(json.as_bytes()).unwrap();
        assert_eq!(
            read_json.plan,
            "Sort\n  Sort Key: a\n  ->  Seq Scan on t\n        Filter: (b = $n)"
        );
        assert_eq!(read(b"<explain>"), None);
    }
}
