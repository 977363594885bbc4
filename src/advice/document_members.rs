//! Statements that ask for one member of a document here and for another there: `data ->> 'a'`, `data ->> 'b'`. They
//! are one statement to all who count them, and an index on an expression holds one member. So each is advised as a
//! statement of its own.

use std::collections::BTreeMap;

use super::advised::{Advised, Chosen};
use super::input::Input;
use crate::model::workload::literal::Literal;
use crate::model::workload::shape::Shape;
use crate::model::workload::values::{Kept, Values};
use crate::model::workload::{Query, SPELLINGS, Spelling, Workload};
use crate::sql::expression::member_names::member_parameters;
use crate::sql::normalize::normalizer::normalize;

/// Members of which each gets its own statement, at most; the rest stay together.
const MOST_MEMBERS: usize = 8;

/// The workload with a statement for each member.
pub struct Members {
    pub workload: Workload,
    /// By position, that in the workload as it was.
    of: Vec<usize>,
}

/// The workload taken apart; `None` where nothing in it asks for several members.
pub fn members(input: &Input<'_>) -> Option<Members> {
    let queries = &input.workload.queries;
    let of_each = |query: &Query| query.shape.as_ref().map_or_else(Vec::new, |s| parts(query, s));
    let parts: Vec<Vec<Query>> = queries.iter().map(of_each).collect();
    // The workload is large, and seldom does it ask so.
    if parts.iter().all(Vec::is_empty) {
        return None;
    }
    let mut apart = Members { workload: Workload::default(), of: Vec::new() };
    for (at, (query, parts)) in queries.iter().zip(parts).enumerate() {
        let parts = if parts.is_empty() { vec![query.clone()] } else { parts };
        apart.of.extend(parts.iter().map(|_| at));
        apart.workload.queries.extend(parts);
    }
    apart.workload.window = input.workload.window;
    Some(apart)
}

impl Members {
    /// The same question about the statements taken apart.
    pub fn input<'a>(&'a self, whole: &Input<'a>) -> Input<'a> {
        Input { workload: &self.workload, ..*whole }
    }

    /// Maps the advice back to the original statements.
    pub fn whole(&self, advised: Advised) -> Advised {
        let chosen: Vec<Chosen> = advised
            .chosen
            .into_iter()
            .map(|chosen| Chosen { serves: self.each(chosen.serves.iter().copied()), ..chosen })
            .collect();
        let mut no_index: Vec<(usize, String)> = Vec::new();
        for (at, why) in advised.no_index {
            let at = self.of[at];
            let is_served = chosen.iter().any(|chosen| chosen.serves.contains(&at));
            if !is_served && !no_index.iter().any(|(known, _)| *known == at) {
                no_index.push((at, why));
            }
        }
        let mut unplanned: Vec<(usize, String)> = Vec::new();
        for (at, why) in advised.unplanned {
            if !unplanned.iter().any(|(known, _)| *known == self.of[at]) {
                unplanned.push((self.of[at], why));
            }
        }
        Advised { chosen, no_index, unplanned, ..advised }
    }

    fn each(&self, positions: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut each: Vec<usize> = positions.map(|at| self.of[at]).collect();
        each.dedup();
        each
    }
}

/// A statement for each member that the kept executions ask for, and one for the rest; none where there is one alone.
fn parts(query: &Query, shape: &Shape) -> Vec<Query> {
    let named = member_parameters(shape);
    if named.is_empty() || query.samples.is_empty() {
        return Vec::new();
    }
    let mut groups: BTreeMap<Vec<Literal>, Vec<usize>> = BTreeMap::new();
    for (at, sample) in query.samples.iter().enumerate() {
        let normalized = normalize(&sample.text);
        let value = |number: &usize| normalized.slots.get(number - 1)?.value(&sample.parameters);
        let Some(values) = named.iter().map(value).collect::<Option<Vec<_>>>() else {
            return Vec::new();
        };
        groups.entry(values).or_default().push(at);
    }
    let mut groups: Vec<(Vec<Literal>, Vec<usize>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, samples)| std::cmp::Reverse(samples.len()));
    let rest: Vec<usize> = groups
        .split_off(groups.len().min(MOST_MEMBERS))
        .into_iter()
        .flat_map(|(_, of)| of)
        .collect();
    let is_one = groups.len() < 2;
    // Where nearly each execution has its own, they are no members that somebody chose to have.
    if is_one || 2 * rest.len() > query.samples.len() {
        return Vec::new();
    }
    let each = groups.iter().map(|(values, samples)| {
        let mut part = share(query, samples);
        for (number, value) in named.iter().zip(values) {
            part.slots[number - 1] = only(&part.slots[number - 1], value);
        }
        part
    });
    each.chain((!rest.is_empty()).then(|| share(query, &rest))).collect()
}

/// The statement with some of its executions, for as many of all as these are of those that were kept.
fn share(query: &Query, samples: &[usize]) -> Query {
    let share = samples.len() as f64 / query.samples.len() as f64;
    let scaled = |count: u64| (count as f64 * share).round() as u64;
    let spelling = |(sample, at): (usize, &usize)| {
        let known = query.spellings.iter().find(|spelling| spelling.sample == *at)?;
        Some(Spelling { sample, shape: known.shape.clone() })
    };
    Query {
        calls: scaled(query.calls).max(1),
        total_us: scaled(query.total_us),
        rows: query.rows.map(scaled),
        blocks: query.blocks.map(scaled),
        samples: samples.iter().map(|at| query.samples[*at].clone()).collect(),
        spellings: samples.iter().take(SPELLINGS).enumerate().filter_map(spelling).collect(),
        ..query.clone()
    }
}

/// The position as it is where it always holds this value.
fn only(values: &Values, value: &Literal) -> Values {
    let known = values.kept().iter().find(|kept| kept.value == *value);
    let hash = known.map_or(0, |kept| kept.hash);
    let seen = values.seen.max(1);
    Values::from_parts(seen, 0, 0, vec![Kept { hash, count: seen, value: value.clone() }])
}
