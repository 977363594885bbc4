//! Statements that run once for each row of an earlier result.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::detect::find::{FEWEST_EXECUTIONS, Parent, StatementLoops};
use super::detect::key_origin::{Joins, KeySlot, key_slots, link, yields_rows};
use super::detect::time_span::TimeSpan;
use super::orm::recognize;
use crate::model::finding::{Finding, Level, Subject};
use crate::model::workload::shape::StatementKind;
use crate::model::workload::{Query, Workload};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::rewrite::batch::batched;

pub const RULE: Rule = Rule {
    id: "n-plus-one",
    summary: "a query in a loop over the rows of an earlier query",
    needs: "a log (from pg_stat_statements alone it is only a suspicion)",
    page: include_str!("n_plus_one.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    if input.workload.timeline.executions.is_empty() {
        return in_counters(input);
    }
    let finding = |found: &StatementLoops| Some(finding(input, found, found.parent.as_ref()?));
    input.loops().reads.iter().filter_map(finding).collect()
}

/// Counters alone: a child whose calls are the parent's rows is a suspicion, never more.
fn in_counters(input: &Input<'_>) -> Vec<Finding> {
    let queries = &input.workload.queries;
    let joins = Joins::new(input.observed());
    let yields =
        |at: usize| input.workload.shape(at).is_some_and(|shape| yields_rows(shape, input.catalog));
    let parents: Vec<usize> = (0..queries.len()).filter(|at| yields(*at)).collect();
    let mut findings = Vec::new();
    for child in 0..queries.len() {
        let Some(shape) = input.workload.shape(child) else { continue };
        if shape.kind != StatementKind::Select || shape.locks_rows {
            continue;
        }
        let slots = key_slots(shape);
        let calls = queries[child].calls;
        let suspected = parents.iter().filter(|parent| **parent != child).find_map(|parent| {
            let above = &queries[*parent];
            let rows = above.rows?;
            // One call for each row the parent ever gave, give or take a third.
            let fits = calls >= FEWEST_EXECUTIONS as u64 * above.calls.max(1)
                && rows > 0
                && (2 * rows / 3..=4 * rows / 3).contains(&calls);
            let parent_shape = input.workload.shape(*parent).filter(|_| fits)?;
            slots.iter().find_map(|slot| {
                let why = link(parent_shape, shape, slot, &joins, input.catalog)?;
                Some((*parent, slot, why))
            })
        });
        if let Some((parent, slot, why)) = suspected {
            findings.push(suspicion(input, &queries[child], &queries[parent], slot, &why));
        }
    }
    findings
}

fn finding(input: &Input<'_>, found: &StatementLoops, above: &Parent) -> Finding {
    let workload = input.workload;
    let timeline = &workload.timeline.executions;
    let (query, parent) = (&workload.queries[found.child], &workload.queries[above.query]);
    let loops = &found.loops;
    let executions = found.executions();
    let most = loops.iter().map(|l| l.children.len()).max().unwrap_or(0);
    let at = |place: &u32| &timeline[*place as usize];
    let duration_us = |place: &u32| u64::from(at(place).duration_us);
    let total_us: u64 = loops.iter().flat_map(|l| &l.children).map(duration_us).sum();
    // One statement for the whole loop costs about as much as its slowest part.
    let kept_us: u64 = loops.iter().filter_map(|l| l.children.iter().map(duration_us).max()).sum();
    let sessions: HashSet<u32> =
        loops.iter().flat_map(|l| &l.children).map(|place| at(place).session).collect();
    let slot = &above.slot;
    let span = TimeSpan::of(workload, loops);
    let mapper = query.samples.iter().find_map(|sample| recognize(&sample.text));
    Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level: if above.is_guess { Level::Info } else { Level::Warning },
        impact_pct: workload.share_pct(total_us),
        subject: subject(query, parent, slot),
        message: format!(
            "{} by {} runs once for each row of an earlier query: {executions} executions in {} {}, up to {most} each",
            slot.table,
            slot.column,
            loops.len(),
            if loops.len() == 1 { "loop" } else { "loops" },
        ),
        evidence: vec![json!({
            "kind": "loop",
            "provenance": "observed",
            "child": query.normalized,
            "parent": parent.normalized,
            "loops": loops.len(),
            "executions": executions,
            "executions_per_loop": executions / loops.len().max(1),
            "distinct_keys": loops.iter().map(|l| l.keys).max(),
            "sessions": sessions.len(),
            "total_us": total_us,
            "wasted_us": total_us.saturating_sub(kept_us),
            "wall_us": span.wall_us,
            "first_at": span.first_at,
            "last_at": span.last_at,
            "worst_minute": span.worst_minute,
            "worst_minute_executions": span.worst_executions,
            "rows": query.rows,
            "timeline_kept_pct": kept_pct(workload),
            "link": above.why,
            "mapper": mapper.map(|mapper| mapper.name),
            "preload": mapper.map(|mapper| mapper.preload),
        })],
        advice: advice(query, slot, &|number| found.varies(workload, number, false)),
    }
}

/// Share of the executions that were kept in order; loops are counted among these.
fn kept_pct(workload: &Workload) -> f64 {
    (workload.timeline.kept_share() * 1_000.0).round() / 10.0
}

fn subject(query: &Query, parent: &Query, slot: &KeySlot) -> Subject {
    Subject {
        table: Some(slot.table.clone()),
        columns: vec![slot.column.clone()],
        query: Some(query.fingerprint),
        parent_query: Some(parent.fingerprint),
        ..Subject::default()
    }
}

fn advice(query: &Query, slot: &KeySlot, varies: &dyn Fn(u16) -> bool) -> Option<String> {
    batched(&query.normalized, &slot.table, &slot.column, slot.number, varies)
}

fn suspicion(
    input: &Input<'_>,
    query: &Query,
    above: &Query,
    slot: &KeySlot,
    why: &str,
) -> Finding {
    let evidence: Value = json!({
        "kind": "counters",
        "provenance": "observed",
        "child": query.normalized,
        "parent": above.normalized,
        "calls": query.calls,
        "parent_calls": above.calls,
        "parent_rows": above.rows,
        "total_us": query.total_us,
        "link": why,
    });
    Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level: Level::Info,
        impact_pct: input.workload.share_pct(query.total_us),
        subject: subject(query, above, slot),
        message: format!(
            "{} by {} is suspected to run once for each row of an earlier query: {} calls for {} rows; counters alone cannot show the order, a log can",
            slot.table,
            slot.column,
            query.calls,
            above.rows.unwrap_or(0)
        ),
        evidence: vec![evidence],
        advice: advice(query, slot, &|_| false),
    }
}
