//! Results without an upper limit.

use serde_json::json;

use crate::model::finding::{Finding, Level, Subject};
use crate::model::workload::Query;
use crate::model::workload::shape::{Shape, StatementKind};
use crate::rules::grouped::SUSPECT_MEAN_US;
use crate::rules::input::Input;
use crate::rules::loops::detect::key_origin::yields_rows;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "unbounded-select",
    summary: "a SELECT without LIMIT that returns a thousand rows or more",
    needs: "pg_stat_statements, which counts rows, or a catalog with statistics; else only a suspicion",
    page: include_str!("unbounded_select.md"),
    find,
};

/// Rows a call from which on no page shows them all.
const MANY_ROWS: u64 = 1_000;

fn find(input: &Input<'_>) -> Vec<Finding> {
    let queries = input.workload.understood();
    queries
        .filter_map(|(query, shape)| {
            let is_open = shape.kind == StatementKind::Select
                && !shape.limited
                && !shape.single_row
                && !shape.locks_rows
                && !shape.writes
                && !shape.scans.is_empty();
            if !is_open || is_of_the_system(shape) {
                return None;
            }
            match query.rows {
                Some(rows) => {
                    let per_call = rows / query.calls.max(1);
                    (per_call >= MANY_ROWS)
                        .then(|| finding(input, query, shape, Rows::Counted(per_call)))
                }
                None => whole_table(input, query, shape),
            }
        })
        .collect()
}

enum Rows {
    /// A call, in the mean.
    Counted(u64),
    /// By the statistics of the table.
    Estimated(u64),
    Unknown,
}

/// Nobody counted rows; a statement without any condition returns the table.
fn whole_table(input: &Input<'_>, query: &Query, shape: &Shape) -> Option<Finding> {
    let [scan] = shape.scans.as_slice() else { return None };
    let is_whole = !shape.conditional
        && scan.filters.is_empty()
        && !shape.grouped
        && !shape.reads_function
        && yields_rows(shape, input.catalog);
    if !is_whole {
        return None;
    }
    match input.catalog.and_then(|catalog| catalog.table(&scan.table)).and_then(|t| t.rows) {
        Some(rows) if rows >= MANY_ROWS as f64 => {
            Some(finding(input, query, shape, Rows::Estimated(rows as u64)))
        }
        Some(_) => None,
        None => query
            .mean_us()
            .is_some_and(|mean| mean >= SUSPECT_MEAN_US)
            .then(|| finding(input, query, shape, Rows::Unknown)),
    }
}

fn is_of_the_system(shape: &Shape) -> bool {
    shape.scans.iter().all(|scan| {
        matches!(scan.table.schema.as_str(), "pg_catalog" | "information_schema")
            || scan.table.name.starts_with("pg_")
    })
}

fn finding(input: &Input<'_>, query: &Query, shape: &Shape, rows: Rows) -> Finding {
    let table = shape.scans[0].table.clone();
    let (level, provenance, number, message) = match rows {
        Rows::Counted(rows) => (
            Level::Warning,
            "observed",
            Some(rows),
            format!("a SELECT from {table} without LIMIT returns {rows} rows a call"),
        ),
        Rows::Estimated(rows) => (
            Level::Warning,
            "estimated",
            Some(rows),
            format!(
                "a SELECT without condition and LIMIT returns all of {table}, about {rows} rows"
            ),
        ),
        Rows::Unknown => (
            Level::Info,
            "observed",
            None,
            format!(
                "a SELECT without condition and LIMIT returns all of {table} and takes {} ms in the mean; how many rows is not known",
                query.mean_us().unwrap_or(0) / 1_000
            ),
        ),
    };
    Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level,
        impact_pct: input.workload.share_pct(query.total_us),
        subject: Subject {
            table: Some(table),
            query: Some(query.fingerprint),
            ..Subject::default()
        },
        message,
        evidence: vec![json!({
            "kind": "rows",
            "provenance": provenance,
            "rows_per_call": number,
            "calls": query.calls,
            "total_us": query.total_us,
        })],
        advice: Some(
            "page by key with a LIMIT, or read through a cursor when a job needs all".to_owned(),
        ),
    }
}
