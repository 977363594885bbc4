//! Rows written one statement at a time.

use serde_json::json;

use super::detect::find::StatementLoops;
use super::detect::time_span::TimeSpan;
use crate::model::finding::{Finding, Level, Subject};
use crate::model::name::TableName;
use crate::model::workload::shape::StatementKind;
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::rewrite::batch::many_rows;

pub const RULE: Rule = Rule {
    id: "write-loop",
    summary: "rows written one statement at a time",
    needs: "a log",
    page: include_str!("write_loop.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    input.loops().writes.iter().filter_map(|found| finding(input, found)).collect()
}

fn finding(input: &Input<'_>, found: &StatementLoops) -> Option<Finding> {
    let workload = input.workload;
    let query = &workload.queries[found.child];
    let shape = workload.shape(found.child)?;
    let target = shape.scans.iter().find(|scan| scan.target)?;
    let parent = found.parent.as_ref().map(|parent| &workload.queries[parent.query]);
    let executions = found.executions();
    let most = found.loops.iter().map(|l| l.children.len()).max().unwrap_or(0);
    let places = found.loops.iter().flat_map(|l| &l.children);
    let total_us: u64 = places
        .map(|place| u64::from(workload.timeline.executions[*place as usize].duration_us))
        .sum();
    let verb = match shape.kind {
        StatementKind::Insert => "inserts into",
        StatementKind::Delete => "deletes from",
        _ => "updates",
    };
    let table = input.catalog.and_then(|catalog| catalog.table(&target.table));
    let varies = |slot: u16| found.varies(workload, slot, true);
    // One statement changes a row once, whatever it is told to do with it.
    let is_again = shape.kind == StatementKind::Update
        && found.loops.iter().any(|own| own.keys < own.children.len());
    let one = (!is_again).then(|| many_rows(&query.normalized, shape, table, &varies)).flatten();
    let advice = one.unwrap_or_else(|| in_words(shape.kind, &target.table, is_again));
    let span = TimeSpan::of(workload, &found.loops);
    Some(Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level: Level::Warning,
        impact_pct: workload.share_pct(total_us),
        subject: Subject {
            table: Some(target.table.clone()),
            columns: found.parent.iter().map(|parent| parent.slot.column.clone()).collect(),
            query: Some(query.fingerprint),
            parent_query: parent.map(|parent| parent.fingerprint),
            ..Subject::default()
        },
        message: format!(
            "one statement a row {verb} {}: {executions} executions in {} {}, up to {most} each",
            target.table,
            found.loops.len(),
            if found.loops.len() == 1 { "loop" } else { "loops" },
        ),
        evidence: vec![json!({
            "kind": "loop",
            "provenance": "observed",
            "child": query.normalized,
            "parent": parent.map(|parent| &parent.normalized),
            "loops": found.loops.len(),
            "executions": executions,
            "total_us": total_us,
            "wall_us": span.wall_us,
            "first_at": span.first_at,
            "last_at": span.last_at,
            "worst_minute": span.worst_minute,
            "worst_minute_executions": span.worst_executions,
        })],
        advice: Some(advice),
    })
}

/// Advice for a statement that computes what it writes.
fn in_words(kind: StatementKind, table: &TableName, is_again: bool) -> String {
    match kind {
        StatementKind::Insert => format!(
            "INSERT INTO {table} (…) VALUES (…), (…), …, INSERT … SELECT FROM unnest($1, $2), or COPY"
        ),
        StatementKind::Delete => format!("DELETE FROM {table} WHERE … = ANY($1)"),
        _ if is_again => format!(
            "UPDATE {table} SET … FROM (SELECT key, … FROM unnest($1, $2) AS each (key, value) GROUP BY key) AS new \
             WHERE … = new.key: it changes each row once, so what is for the same key is put together first"
        ),
        _ => format!(
            "UPDATE {table} SET … FROM unnest($1, $2) AS new (key, value) WHERE … = new.key"
        ),
    }
}
