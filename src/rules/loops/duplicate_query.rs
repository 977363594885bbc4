//! The same statement with the same values, repeated within one unit of work.

use serde_json::json;

use super::detect::find::Repeated;
use crate::model::finding::{Finding, Level, Subject};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "duplicate-query",
    summary: "the same query with the same values, asked again within one request",
    needs: "a log with parameters",
    page: include_str!("duplicate_query.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    input.loops().repeated.iter().map(|repeated| finding(input, repeated)).collect()
}

fn finding(input: &Input<'_>, repeated: &Repeated) -> Finding {
    let workload = input.workload;
    let query = &workload.queries[repeated.query];
    let table = workload
        .shape(repeated.query)
        .and_then(|shape| shape.scans.first())
        .map(|scan| scan.table.clone());
    let duration_us =
        |place: &u32| u64::from(workload.timeline.executions[*place as usize].duration_us);
    let executions: usize = repeated.units.iter().map(Vec::len).sum();
    let total_us: u64 = repeated.units.iter().flatten().map(duration_us).sum();
    let first_us: u64 =
        repeated.units.iter().filter_map(|unit| unit.first()).map(duration_us).sum();
    let most = repeated.units.iter().map(Vec::len).max().unwrap_or(0);
    Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level: Level::Warning,
        impact_pct: workload.share_pct(total_us),
        message: format!(
            "a query{} is asked again with the same values: {executions} executions in {} {}, up to {most} each",
            table.as_ref().map(|table| format!(" on {table}")).unwrap_or_default(),
            repeated.units.len(),
            if repeated.units.len() == 1 { "unit of work" } else { "units of work" },
        ),
        subject: Subject { table, query: Some(query.fingerprint), ..Subject::default() },
        evidence: vec![json!({
            "kind": "repetition",
            "provenance": "observed",
            "query": query.normalized,
            "units": repeated.units.len(),
            "executions": executions,
            "total_us": total_us,
            "wasted_us": total_us.saturating_sub(first_us),
        })],
        advice: Some("ask once and keep the answer for the rest of the request".to_owned()),
    }
}
