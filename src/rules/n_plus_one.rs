//! Loops that ask once for each row of an earlier answer.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::n_plus_one_links::{Joins, KeySlot, key_slots, link, yields_rows};
use super::{Input, Rule};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::shape::StatementKind;
use crate::model::timeline::Execution;
use crate::model::workload::Query;
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
/// Executions of a parent looked at for each child: those of requests that run at the same time.
const LOOK_BACK: usize = 64;

fn find(input: &Input<'_>) -> Vec<Finding> {
    let search = Search::new(input);
    let mut findings = Vec::new();
    for (child, slots) in children(input) {
        findings.extend(search.in_timeline(child, &slots));
    }
    if input.workload.timeline.executions.is_empty() {
        findings.extend(search.in_counters());
    }
    findings
}

/// What is looked up again and again, worked out once.
struct Search<'a> {
    input: &'a Input<'a>,
    joins: Joins<'a>,
    /// Places in the timeline of each query's executions, ascending.
    places: Vec<Vec<usize>>,
    /// The query can return several rows.
    yields: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let mut places = vec![Vec::new(); input.shapes.len()];
        for (place, execution) in input.workload.timeline.executions.iter().enumerate() {
            places[execution.query as usize].push(place);
        }
        let yields = input
            .shapes
            .iter()
            .map(|shape| shape.as_ref().is_some_and(|shape| yields_rows(shape, input.catalog)))
            .collect();
        Search { input, joins: Joins::new(input), places, yields }
    }

    fn in_timeline(&self, child: usize, slots: &[KeySlot]) -> Option<Finding> {
        let own = &self.places[child];
        if own.len() < FEWEST_EXECUTIONS {
            return None;
        }
        let mut best: Option<Explained<'_>> = None;
        for parent in (0..self.places.len()).filter(|parent| !self.places[*parent].is_empty()) {
            let Some((slot, why)) = self.link(parent, child, slots) else { continue };
            let loops = self.loops(parent, own, &slot);
            let explained = Explained { parent, slot, why, loops };
            let in_loops: usize = explained.loops.iter().map(|l| l.children.len()).sum();
            // Of statements that come in any order, some follow one another by chance.
            if in_loops * 2 < own.len() {
                continue;
            }
            if !explained.loops.is_empty()
                && best.as_ref().is_none_or(|b| rank(&explained) > rank(b))
            {
                best = Some(explained);
            }
        }
        best.map(|explained| finding(self.input, child, &explained))
    }

    /// How rows of `parent` could give keys to `child`.
    fn link(&self, parent: usize, child: usize, slots: &[KeySlot]) -> Option<(KeySlot, String)> {
        if parent == child || !self.yields[parent] {
            return None;
        }
        let shape = |at: usize| self.input.shapes[at].as_ref();
        let (above, below) = (shape(parent)?, shape(child)?);
        slots.iter().find_map(|slot| {
            link(above, below, slot, &self.joins, self.input.catalog).map(|why| (slot.clone(), why))
        })
    }

    /// Groups the child's executions by the parent's execution before them, in each lane (database
    /// and user): pools and concurrent requests spread a loop over sessions.
    fn loops(&self, parent: usize, own: &[usize], slot: &KeySlot) -> Vec<Loop<'a>> {
        let timeline = &self.input.workload.timeline;
        let parents = &self.places[parent];
        let mut groups: BTreeMap<usize, Vec<&Execution>> = BTreeMap::new();
        for place in own {
            if let Some(at) = self.owner(parents, *place) {
                groups.entry(at).or_default().push(&timeline.executions[*place]);
            }
        }
        let mut found = Vec::new();
        for (at, mut children) in groups {
            // What comes after a pause belongs to something else.
            let pause =
                children.windows(2).position(|pair| pair[1].at_us - pair[0].at_us > PAUSE_US);
            children.truncate(pause.map_or(children.len(), |end| end + 1));
            let keys: HashSet<u64> = children
                .iter()
                .filter_map(|e| timeline.slots(e, self.input.workload.queries[e.query as usize].slots.len()).get(usize::from(slot.number) - 1).copied())
                .filter(|hash| hash.is_scalar()).map(|hash| u64::from(hash.0))
                .collect();
            if children.len() >= FEWEST_EXECUTIONS && keys.len() >= FEWEST_KEYS {
                found.push(Loop { parent: &timeline.executions[at], children, keys: keys.len() });
            }
        }
        found
    }

    /// The place of the parent's execution that a child's execution belongs to: the last before it in
    /// the same transaction or session, else in the same lane.
    fn owner(&self, parents: &[usize], child: usize) -> Option<usize> {
        let executions = &self.input.workload.timeline.executions;
        let own = &executions[child];
        let mut fallback = None;
        for place in
            parents[..parents.partition_point(|place| *place < child)].iter().rev().take(LOOK_BACK)
        {
            let parent = &executions[*place];
            if own.at_us - parent.at_us > PARENT_WINDOW_US {
                break;
            }
            if parent.lane != own.lane {
                continue;
            }
            let together = own.group != 0 && parent.group == own.group;
            if together || parent.session == own.session {
                return Some(*place);
            }
            fallback = fallback.or(Some(*place));
        }
        fallback
    }

    /// Counters alone: a child whose calls are the parent's rows is a suspicion, never more.
    fn in_counters(&self) -> Vec<Finding> {
        let queries = &self.input.workload.queries;
        let mut findings = Vec::new();
        for (child, slots) in children(self.input) {
            let calls = queries[child].calls;
            let suspected = (0..queries.len()).find_map(|parent| {
                let (slot, why) = self.link(parent, child, &slots)?;
                let above = &queries[parent];
                let rows = above.rows?;
                // One call for each row the parent ever gave, give or take a third.
                let fits = calls >= FEWEST_EXECUTIONS as u64 * above.calls.max(1)
                    && rows > 0
                    && (2 * rows / 3..=4 * rows / 3).contains(&calls);
                fits.then_some((parent, slot, why))
            });
            if let Some((parent, slot, why)) = suspected {
                findings.push(suspicion(
                    self.input,
                    &queries[child],
                    &queries[parent],
                    &slot,
                    &why,
                ));
            }
        }
        findings
    }
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

/// The parent that explains most executions wins; of two, the one that ran closer to its children.
fn rank(explained: &Explained<'_>) -> (usize, i64) {
    let children = explained.loops.iter().map(|l| l.children.len()).sum();
    let distance: i64 = explained.loops.iter().map(|l| l.children[0].at_us - l.parent.at_us).sum();
    (children, -(distance / explained.loops.len().max(1) as i64))
}

fn finding(input: &Input<'_>, child: usize, explained: &Explained<'_>) -> Finding {
    let workload = input.workload;
    let (query, parent) = (&workload.queries[child], &workload.queries[explained.parent]);
    let loops = &explained.loops;
    let executions: usize = loops.iter().map(|l| l.children.len()).sum();
    let most = loops.iter().map(|l| l.children.len()).max().unwrap_or(0);
    let total_us: u64 = loops.iter().flat_map(|l| &l.children).map(|e| u64::from(e.duration_us)).sum();
    // One statement for the whole loop costs about as much as its slowest part.
    let kept_us: u64 =
        loops.iter().filter_map(|l| l.children.iter().map(|e| u64::from(e.duration_us)).max()).sum();
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
        advice: advice(query, slot),
    }
}
