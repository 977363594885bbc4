//! Pages deep in a result, reached by OFFSET.

use serde_json::json;

use crate::model::finding::{Finding, Level, Subject};
use crate::model::workload::Query;
use crate::model::workload::shape::{Shape, StatementKind};
use crate::rules::grouped::{SUSPECT_BLOCKS_PER_ROW, SUSPECT_MEAN_US};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "deep-offset",
    summary: "an OFFSET that reads and throws away a thousand rows or more",
    needs: "a log with parameters; from pg_stat_statements alone it is only a suspicion",
    page: include_str!("deep_offset.md"),
    find,
};

/// Rows that are read and thrown away from which on it is worth a change: some fifty pages of twenty.
const DEEP_ROWS: u64 = 1_000;

fn find(input: &Input<'_>) -> Vec<Finding> {
    input
        .workload
        .understood()
        .filter(|(_, shape)| shape.kind == StatementKind::Select)
        .filter_map(|(query, shape)| {
            let offset = shape.offsets.first()?;
            match deepest(query, &shape.offsets) {
                Some(rows) if rows >= DEEP_ROWS => Some(finding(input, query, shape, Some(rows))),
                Some(_) => None,
                None if is_seen(query, *offset) => None,
                None => is_suspect(query).then(|| finding(input, query, shape, None)),
            }
        })
        .collect()
}

/// The largest value that was seen behind an `OFFSET`.
fn deepest(query: &Query, offsets: &[u16]) -> Option<u64> {
    offsets
        .iter()
        .filter_map(|slot| query.slots.get(usize::from(*slot) - 1))
        .flat_map(|values| values.kept())
        .filter_map(|kept| kept.value.expose()?.parse().ok())
        .max()
}

fn is_seen(query: &Query, slot: u16) -> bool {
    query.slots.get(usize::from(slot) - 1).is_some_and(|values| values.seen > 0)
}

/// No value is known; what the statement reads for each row that it returns may tell.
fn is_suspect(query: &Query) -> bool {
    let calls = query.calls.max(1);
    match (query.blocks, query.rows) {
        (Some(blocks), Some(rows)) => blocks / calls / (rows / calls + 1) >= SUSPECT_BLOCKS_PER_ROW,
        _ => query.mean_us().is_some_and(|mean| mean >= SUSPECT_MEAN_US),
    }
}

fn finding(input: &Input<'_>, query: &Query, shape: &Shape, rows: Option<u64>) -> Finding {
    let table = shape.scans.first().map(|scan| scan.table.clone());
    let of = table.as_ref().map(|table| format!(" of {table}")).unwrap_or_default();
    let sort: Vec<String> =
        shape.scans.iter().flat_map(|s| &s.sort).map(|s| s.key.sql().to_owned()).collect();
    let message = match rows {
        Some(rows) => format!(
            "a page{of} lies behind an OFFSET of up to {rows} rows, which are read and thrown away"
        ),
        None => format!(
            "a deep OFFSET into rows{of} is suspected: each call reads far more than it returns; no values were seen, a log with parameters has them"
        ),
    };
    Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level: if rows.is_some() { Level::Warning } else { Level::Info },
        impact_pct: input.workload.share_pct(query.total_us),
        subject: Subject {
            table,
            columns: sort.clone(),
            query: Some(query.fingerprint),
            ..Subject::default()
        },
        message,
        evidence: vec![json!({
            "kind": "offset",
            "provenance": "observed",
            "largest_offset_rows": rows,
            "calls": query.calls,
            "total_us": query.total_us,
        })],
        advice: Some(keyset(&sort)),
    }
}

/// Paging by the last row of the page before.
fn keyset(sort: &[String]) -> String {
    match sort {
        [] => "order by a unique key and go on behind the last one seen: WHERE id > $last ORDER BY id LIMIT $n".to_owned(),
        keys => format!(
            "go on behind the last row seen: WHERE ({}) > ($last, …) with the same ORDER BY and LIMIT (< where it descends)",
            keys.join(", ")
        ),
    }
}
