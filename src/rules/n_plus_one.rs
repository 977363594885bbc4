//! Loops that ask once for each row of an earlier answer.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::n_plus_one_links::{KeySlot, key_slots, link, yields_rows};
use super::{Input, Rule};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::shape::StatementKind;
use crate::model::workload::{Execution, Query};
use crate::sql::rewrite::batched;

pub const RULE: Rule = Rule {
    id: "n-plus-one",
    summary: "a query in a loop over the rows of an earlier query",
    needs: "a log (from pg_stat_statements alone it is only a suspicion)",
    page: include_str!("n_plus_one.md"),
    find,
};

/// Executions from which on a repetition is a loop. Sentry and others draw the line here, too: below
/// it the time lost is not worth a change.
const FEWEST_EXECUTIONS: usize = 5;
/// Different keys from which on a repetition walks over rows and does not merely poll.
const FEWEST_KEYS: usize = 3;
/// A pause of this length ends a loop, microseconds. Applications take milliseconds between steps.
const PAUSE_US: i64 = 1_000_000;
/// A parent is looked for this long before its children, microseconds.
const PARENT_WINDOW_US: i64 = 3_000_000;

fn find(input: &Input<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (child, slots) in children(input) {
        findings.extend(from_timeline(input, child, &slots));
    }
    if input.workload.timeline.executions.is_empty() {
        findings.extend(from_counters(input));
    }
    findings
}

/// Statements that could be the body of a loop: reads by a scalar key.
fn children(input: &Input<'_>) -> Vec<(usize, Vec<KeySlot>)> {
    input
        .shapes
        .iter()
        .enumerate()
        .filter_map(|(at, shape)| {
            let shape =
                shape.as_ref().filter(|s| s.kind == StatementKind::Select && !s.locks_rows)?;
            let slots = key_slots(shape);
            (!slots.is_empty()).then_some((at, slots))
        })
        .collect()
}

/// Executions of the child that one execution of the parent set off.
struct Loop<'t> {
    parent: &'t Execution,
    children: Vec<&'t Execution>,
    /// Different values of the slot that varies most.
    keys: usize,
}

/// A parent with the loops it would explain.
struct Explained<'t> {
    parent: usize,
    slot: KeySlot,
    why: String,
    loops: Vec<Loop<'t>>,
}

fn from_timeline(input: &Input<'_>, child: usize, slots: &[KeySlot]) -> Option<Finding> {
    let executions = &input.workload.timeline.executions;
    let own: Vec<&Execution> = executions.iter().filter(|e| e.query as usize == child).collect();
    if own.len() < FEWEST_EXECUTIONS {
        return None;
    }
    let mut best: Option<Explained<'_>> = None;
    for parent in 0..input.shapes.len() {
        let Some((slot, why)) = parent_link(input, parent, child, slots) else { continue };
        let loops = loops(input, parent, &own, &slot);
        let explained = Explained { parent, slot, why, loops };
        if !explained.loops.is_empty() && best.as_ref().is_none_or(|b| rank(&explained) > rank(b)) {
            best = Some(explained);
        }
    }
    best.map(|explained| finding(input, child, &explained))
}

/// The parent that explains most executions wins; of two, the one that ran closer to its children.
fn rank(explained: &Explained<'_>) -> (usize, i64) {
    let children = explained.loops.iter().map(|l| l.children.len()).sum();
    let distance: i64 = explained.loops.iter().map(|l| l.children[0].at_us - l.parent.at_us).sum();
    (children, -(distance / explained.loops.len().max(1) as i64))
}

/// How rows of `parent` could give keys to `child`.
fn parent_link(
    input: &Input<'_>,
    parent: usize,
    child: usize,
    slots: &[KeySlot],
) -> Option<(KeySlot, String)> {
    if parent == child {
        return None;
    }
    let (above, below) = (input.shapes[parent].as_ref()?, input.shapes[child].as_ref()?);
    if !yields_rows(above, input.catalog) {
        return None;
    }
    slots.iter().find_map(|slot| link(above, below, slot, input).map(|why| (slot.clone(), why)))
}

/// Groups the child's executions by the parent's execution before them, in each lane (database and
/// user): pools and concurrent requests spread a loop over sessions.
fn loops<'t>(
    input: &'t Input<'_>,
    parent: usize,
    own: &[&'t Execution],
    slot: &KeySlot,
) -> Vec<Loop<'t>> {
    let timeline = &input.workload.timeline;
    let parents: Vec<&Execution> =
        timeline.executions.iter().filter(|e| e.query as usize == parent).collect();
    let mut groups: BTreeMap<usize, Vec<&Execution>> = BTreeMap::new();
    for execution in own {
        if let Some(at) = owner(&parents, execution) {
            groups.entry(at).or_default().push(execution);
        }
    }
    let mut found = Vec::new();
    for (at, mut children) in groups {
        // What comes after a pause belongs to something else.
        let pause = children.windows(2).position(|pair| pair[1].at_us - pair[0].at_us > PAUSE_US);
        children.truncate(pause.map_or(children.len(), |end| end + 1));
        let keys: HashSet<u64> = children
            .iter()
            .filter_map(|e| timeline.slots(e).get(usize::from(slot.number) - 1).copied())
            .filter(|hash| *hash != 0)
            .collect();
        if children.len() >= FEWEST_EXECUTIONS && keys.len() >= FEWEST_KEYS {
            found.push(Loop { parent: parents[at], children, keys: keys.len() });
        }
    }
    found
}

/// The parent's execution that a child's execution belongs to: the last before it in the same
/// transaction, else in the same session, else in the same lane.
fn owner(parents: &[&Execution], child: &Execution) -> Option<usize> {
    let started = child.at_us - child.duration_us as i64;
    let end = parents.partition_point(|parent| parent.at_us <= started.max(child.at_us - 1));
    let recent = parents[..end]
        .iter()
        .enumerate()
        .rev()
        .take_while(|(_, parent)| child.at_us - parent.at_us <= PARENT_WINDOW_US)
        .filter(|(_, parent)| parent.lane == child.lane);
    let mut fallback = None;
    for (at, parent) in recent {
        if child.transaction != 0 && parent.transaction == child.transaction {
            return Some(at);
        }
        if parent.session == child.session {
            return Some(at);
        }
        fallback = fallback.or(Some(at));
    }
    fallback
}

fn finding(input: &Input<'_>, child: usize, explained: &Explained<'_>) -> Finding {
    let workload = input.workload;
    let (query, parent) = (&workload.queries[child], &workload.queries[explained.parent]);
    let loops = &explained.loops;
    let executions: usize = loops.iter().map(|l| l.children.len()).sum();
    let most = loops.iter().map(|l| l.children.len()).max().unwrap_or(0);
    let total_us: u64 = loops.iter().flat_map(|l| &l.children).map(|e| e.duration_us).sum();
    // One statement for the whole loop costs about as much as its slowest part.
    let kept_us: u64 =
        loops.iter().filter_map(|l| l.children.iter().map(|e| e.duration_us).max()).sum();
    let sessions: HashSet<u32> =
        loops.iter().flat_map(|l| &l.children).map(|e| e.session).collect();
    let slot = &explained.slot;
    Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level: Level::Warning,
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
            "link": explained.why,
        })],
        advice: advice(query, slot),
    }
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

fn advice(query: &Query, slot: &KeySlot) -> Option<String> {
    batched(&query.normalized, &slot.column, slot.number)
}

/// Counters alone: a child whose calls are the parent's rows is a suspicion, never more.
fn from_counters(input: &Input<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (child, slots) in children(input) {
        let query = &input.workload.queries[child];
        let suspected = (0..input.shapes.len()).find_map(|parent| {
            let (slot, why) = parent_link(input, parent, child, &slots)?;
            let above = &input.workload.queries[parent];
            let rows = above.rows?;
            // One call for each row the parent ever gave, give or take a third.
            let fits = query.calls >= FEWEST_EXECUTIONS as u64 * above.calls.max(1)
                && rows > 0
                && (2 * rows / 3..=4 * rows / 3).contains(&query.calls);
            fits.then_some((parent, slot, why))
        });
        let Some((parent, slot, why)) = suspected else { continue };
        let above = &input.workload.queries[parent];
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
        findings.push(Finding {
            id: format!("{}:{}", RULE.id, query.fingerprint),
            rule: RULE.id,
            level: Level::Info,
            impact_pct: input.workload.share_pct(query.total_us),
            subject: subject(query, above, &slot),
            message: format!(
                "{} by {} is suspected to run once for each row of an earlier query: {} calls for {} rows; counters alone cannot show the order, a log can",
                slot.table, slot.column, query.calls, above.rows.unwrap_or(0)
            ),
            evidence: vec![evidence],
            advice: advice(query, &slot),
        });
    }
    findings
}
