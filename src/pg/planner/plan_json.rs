//! `EXPLAIN (FORMAT JSON)` to a plan: shape, indexes, and what was touched.

use std::fmt::Write;

use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::model::plan::{Plan, PlannedScan};
use crate::sql::normalize::redact::redact;

/// Reads the answer of `EXPLAIN (FORMAT JSON)`; an unknown form gives an empty plan.
pub fn read(explained: &Value) -> Plan {
    let root = &explained[0]["Plan"];
    let mut plan = Plan { cost: root["Total Cost"].as_f64().unwrap_or(0.0), ..Plan::default() };
    let (mut shape, mut nodes) = (Xxh3::new(), Xxh3::new());
    plan.full_cost = plan.cost + cut_off(root);
    plan.expected_rows = root["Plan Rows"].as_f64().unwrap_or(0.0);
    node(root, 0, 1.0, &mut plan, (&mut shape, &mut nodes));
    (plan.shape, plan.nodes) = (shape.digest(), nodes.digest());
    let executed = root.get("Actual Rows").is_some();
    plan.rows = executed.then(|| root["Actual Rows"].as_f64().unwrap_or(0.0) as u64);
    let blocks =
        |keys: &[&str]| keys.iter().map(|key| root[*key].as_u64().unwrap_or(0)).sum::<u64>();
    plan.buffers = executed.then(|| {
        blocks(&[
            "Shared Hit Blocks",
            "Shared Read Blocks",
            "Local Hit Blocks",
            "Local Read Blocks",
        ])
    });
    plan.temp_blocks = executed.then(|| blocks(&["Temp Read Blocks", "Temp Written Blocks"]));
    if !executed {
        plan.rows_scanned = None;
    }
    plan
}

/// Cost that the outermost `LIMIT` leaves out.
fn cut_off(value: &Value) -> f64 {
    let child = &value["Plans"][0];
    let cost = |value: &Value| value["Total Cost"].as_f64().unwrap_or(0.0);
    match value["Node Type"].as_str() {
        Some("Limit") => (cost(child) - cost(value)).max(0.0) + cut_off(child),
        // Nodes that hand on what they get, row by row.
        Some("LockRows" | "Result" | "Subquery Scan" | "ProjectSet" | "Unique") => cut_off(child),
        _ => 0.0,
    }
}

/// `processes` share the rows of a node that is aware of it.
fn node(
    value: &Value,
    depth: usize,
    processes: f64,
    plan: &mut Plan,
    (shape, nodes): (&mut Xxh3, &mut Xxh3),
) {
    let text = |key: &str| value[key].as_str();
    let kind = text("Node Type").unwrap_or("?");
    let _ = write!(plan.text, "{}{kind}", "  ".repeat(depth));
    for part in [kind, text("Join Type").unwrap_or(""), text("Strategy").unwrap_or("")] {
        for hash in [&mut *shape, &mut *nodes] {
            hash.update(part.as_bytes());
            hash.update(&[0]);
        }
    }
    for hash in [&mut *shape, &mut *nodes] {
        hash.update(&(depth as u64).to_le_bytes());
    }
    if let Some(index) = text("Index Name") {
        let _ = write!(plan.text, " using {index}");
        shape.update(index.as_bytes());
        if !plan.indexes.iter().any(|known| known == index) {
            plan.indexes.push(index.to_owned());
        }
    }
    if let Some(relation) = text("Relation Name") {
        let _ = write!(plan.text, " on {relation}");
        shape.update(relation.as_bytes());
        nodes.update(relation.as_bytes());
    }
    let rows = value["Plan Rows"].as_f64().unwrap_or(0.0);
    let _ = match value["Actual Rows"].as_f64() {
        Some(actual) => {
            let loops = value["Actual Loops"].as_f64().unwrap_or(1.0);
            writeln!(plan.text, "  (rows {actual:.0}, estimated {rows:.0}, loops {loops:.0})")
        }
        None => writeln!(plan.text, "  (estimated rows {rows:.0})"),
    };
    for key in ["Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Filter", "Join Filter"] {
        if let Some(condition) = text(key) {
            let _ = writeln!(plan.text, "{}  {key}: {}", "  ".repeat(depth), redact(condition));
        }
    }
    if let Some(keys) = value["Sort Key"].as_array() {
        let keys: Vec<String> = keys.iter().filter_map(Value::as_str).map(redact).collect();
        let _ = writeln!(plan.text, "{}  Sort Key: {}", "  ".repeat(depth), keys.join(", "));
    }
    if let Some(relation) = text("Relation Name") {
        let cost = value["Total Cost"].as_f64().unwrap_or(0.0);
        let is_shared = value["Parallel Aware"].as_bool() == Some(true);
        let all_rows = if is_shared { rows * processes } else { rows };
        let by_index = text("Index Name").is_some() || kind == "Bitmap Heap Scan";
        plan.scans.push(PlannedScan {
            relation: relation.to_owned(),
            rows: all_rows,
            cost,
            by_index,
        });
    }
    // A bitmap's rows are those of the heap scan above it.
    if kind.contains("Scan") && kind != "Bitmap Index Scan" {
        let loops = value["Actual Loops"].as_f64().unwrap_or(1.0);
        let seen: f64 = ["Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck"]
            .iter()
            .map(|key| value[*key].as_f64().unwrap_or(0.0))
            .sum();
        *plan.rows_scanned.get_or_insert(0) += (seen * loops) as u64;
    }
    let processes = value["Workers Planned"].as_f64().map_or(processes, sharing);
    for child in value["Plans"].as_array().into_iter().flatten() {
        node(child, depth + 1, processes, plan, (&mut *shape, &mut *nodes));
    }
}

/// How many processes share the rows where so many workers are planned: the leader helps the less the more there are
/// (`get_parallel_divisor` in PostgreSQL's `costsize.c`).
fn sharing(workers: f64) -> f64 {
    workers + (1.0 - 0.3 * workers).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_that_several_processes_share_are_the_rows_of_all_of_them() {
        let scan = |name: &str, aware: bool| json!({"Node Type": "Seq Scan", "Relation Name": name, "Plan Rows": 100, "Parallel Aware": aware});
        let explained = json!([{"Plan": {"Node Type": "Gather", "Workers Planned": 2, "Plans": [
            {"Node Type": "Nested Loop", "Plans": [scan("shared", true), scan("own", false)]}]}}]);
        let rows: Vec<f64> = read(&explained).scans.iter().map(|scan| scan.rows).collect();
        assert_eq!(rows, [240.0, 100.0]);
    }

    #[test]
    fn a_plan_shows_its_nodes_and_hides_its_literals() {
        let explained = json!([{"Plan": {
            "Node Type": "Limit", "Total Cost": 12.5, "Plan Rows": 20, "Actual Rows": 20, "Actual Loops": 1,
            "Shared Hit Blocks": 7, "Shared Read Blocks": 3,
            "Plans": [{"Node Type": "Index Scan", "Relation Name": "t", "Index Name": "t_a", "Plan Rows": 20,
                "Actual Rows": 20, "Actual Loops": 1, "Rows Removed by Filter": 5,
                "Index Cond": "(email = 'a@b.c'::text)"}]}}]);
        let plan = read(&explained);
        assert_eq!((plan.buffers, plan.rows, plan.rows_scanned), (Some(10), Some(20), Some(25)));
        assert_eq!(plan.indexes, ["t_a"]);
        assert!(
            plan.text.contains("Index Scan using t_a on t") && !plan.text.contains("a@b.c"),
            "{}",
            plan.text
        );
    }
}
