//! Advice with a planner: from a workload to the indexes worth having.

use std::collections::HashMap;

use super::advised::{Advised, Chosen};
use super::candidates::candidate::{Candidate, Candidates};
use super::candidates::expression_stats::{measured, without_coarse};
use super::candidates::generate::candidates;
use super::candidates::key_length::{longest, within_a_row};
use super::cost::counted_size::counted;
use super::cost::not_offerable::price;
use super::cost::relevance::{SizedCandidate, relevant};
use super::cost::statement_weight::weighed;
use super::cost::what_if::{Costs, Set};
use super::cost::write_overhead::Writes;
use super::document_members::members;
use super::explain::why_no_index::{ChoiceSummary, reasons};
use super::input::Input;
use super::select::iterate::{Choice, SelectionInput, choose};
use crate::index::size::index_bytes;
use crate::model::catalog::Catalog;
use crate::model::recommendation::{Estimate, Takes};
use crate::model::whatif::{IndexBuilder, Statistics, WhatIf};

/// A condition that most rows meet leaves an index as large as it was.
const MOST_OF_THE_ROWS: f64 = 0.7;
/// Pairs of a statement and a candidate up to which the planner is asked of each of them.
const MOST_PAIRS: usize = 10_000;
/// Part of its cost above which a statement is not cheaper by an index.
const UNCHANGED: f64 = 0.99;

/// The indexes worth having.
pub fn advise(
    input: &Input<'_>,
    whatif: &mut dyn WhatIf,
    build: Option<&mut dyn IndexBuilder>,
) -> Advised {
    match members(input) {
        Some(apart) => apart.whole(advise_each(&apart.input(input), whatif, build)),
        None => advise_each(input, whatif, build),
    }
}

fn advise_each(
    input: &Input<'_>,
    whatif: &mut dyn WhatIf,
    build: Option<&mut dyn IndexBuilder>,
) -> Advised {
    let found = candidates(input.workload, input.catalog);
    let longest = longest(&found.all, input.catalog, whatif.statistics());
    let (found, too_long) = within_a_row(found, &longest, input.catalog);
    let Candidates { all, conditions, .. } = found;
    let mut sized = sized(all, input.catalog, whatif.statistics());
    let plans = sized.iter().map(|sized| sized.candidate.def.clone()).collect();
    let mut costs = Costs::new(input.workload, plans, whatif);
    let mut found = relevant(input, &sized, &conditions);
    for (query, of) in &found {
        costs.concerns(*query, of.all());
    }
    price(input, &mut costs, &mut sized, &mut found, build);
    let is_small = found.values().map(|of| of.all().len()).sum::<usize>() <= MOST_PAIRS;
    let mut relevant: HashMap<usize, Set> = HashMap::new();
    for (query, of) in &found {
        let all = of.all();
        let kept = match is_small {
            true => costs.narrow(*query, &all, &all, &[]),
            false => costs.narrow(*query, &of.tested, &of.bare, &of.followers),
        };
        relevant.insert(*query, kept);
    }
    let statements = weighed(input.workload, &mut costs, &relevant);
    let writes = Writes::of(input.workload, input.catalog);
    let work = SelectionInput::new(input, &mut costs, &sized, &relevant, &statements, &writes);
    let Choice { wanted, chosen } = choose(&work, &mut costs, &mut sized);
    let upkeep_us: f64 =
        chosen.iter().map(|at| writes.upkeep_us(&sized[*at].candidate.def, sized[*at].rows)).sum();
    let writes_us = writes.time_us();
    let write_overhead_pct = (writes_us > 0.0).then(|| 100.0 * upkeep_us / writes_us);
    let chosen = explain(input, &mut costs, &sized, &relevant, &chosen, &writes);
    let served: Vec<usize> = chosen.iter().flat_map(|chosen| chosen.serves.clone()).collect();
    let found = ChoiceSummary {
        relevant: &relevant,
        wanted: &wanted,
        served: &served,
        too_long: &too_long,
    };
    let no_index = reasons(input, &mut costs, &found);
    let mut unplanned: Vec<(usize, String)> = costs.failed.into_iter().collect();
    unplanned.sort();
    Advised { chosen, write_overhead_pct, no_index, unplanned, longest }
}

/// The candidates that are worth a look, each with the rows and the bytes it would take.
fn sized(
    found: Vec<Candidate>,
    catalog: &Catalog,
    statistics: &mut dyn Statistics,
) -> Vec<SizedCandidate> {
    let expressions = measured(&found, catalog, statistics);
    let found = without_coarse(found, &expressions, catalog);
    let mut counted = counted(&found, catalog, statistics);
    for (name, columns) in expressions {
        let known = counted.remove(&name).or_else(|| catalog.table(&name).cloned());
        counted.extend(known.map(|mut table| {
            table.columns.extend(columns);
            (name, table)
        }));
    }
    let mut known: HashMap<(String, String), f64> = HashMap::new();
    found
        .into_iter()
        .filter_map(|candidate| {
            let name = &candidate.def.table;
            let table = counted.get(name).or_else(|| catalog.table(name))?;
            let all = table.rows.unwrap_or(0.0);
            let rows = match &candidate.def.predicate {
                None => all,
                Some(predicate) => {
                    let key = (table.name.to_string(), predicate.clone());
                    *known.entry(key).or_insert_with(|| {
                        // Where the server does not tell, it may be all of them.
                        statistics.rows(&table.name, predicate, &[]).unwrap_or(f64::INFINITY)
                    })
                }
            };
            if candidate.def.predicate.is_some() && rows > all * MOST_OF_THE_ROWS {
                return None;
            }
            let size_bytes = index_bytes(table, &candidate.def, rows);
            Some(SizedCandidate { candidate, rows, size_bytes, is_counted: false, why_not: None })
        })
        .collect()
}

/// The chosen candidates with what they serve and what the planner says of them.
fn explain(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    sized: &[SizedCandidate],
    relevant: &HashMap<usize, Set>,
    chosen: &[usize],
    writes: &Writes<'_>,
) -> Vec<Chosen> {
    let mut queries: Vec<usize> = relevant.keys().copied().collect();
    queries.sort_unstable();
    let mut serves: HashMap<usize, Vec<usize>> = HashMap::new();
    for query in queries {
        for at in costs.used(query, chosen) {
            serves.entry(at).or_default().push(query);
        }
    }
    let mut out: Vec<(u64, Chosen)> = chosen
        .iter()
        .map(|at| {
            let SizedCandidate { candidate, rows, size_bytes, why_not, .. } = &sized[*at];
            let used_by = serves.remove(at).unwrap_or_default();
            let IndexBenefit { serves, cost_before, cost_after, total_us } =
                merit(input, costs, chosen, *at, used_by);
            // A model gives no figure that a reader could take for the planner's.
            let is_priced = !serves.iter().any(|query| costs.is_modelled(*query, *at));
            let why = why_not.clone().filter(|_| serves.is_empty() || !is_priced);
            let estimate = why.is_none().then_some(Estimate { cost_before, cost_after });
            let takes = Takes {
                size_bytes: *size_bytes as u64,
                write_overhead_pct: writes.overhead_pct(&candidate.def, *rows),
            };
            let def = candidate.def.clone();
            (total_us, Chosen { def, serves, takes, estimate, why })
        })
        .collect();
    out.sort_by_key(|(total_us, _)| std::cmp::Reverse(*total_us));
    out.into_iter().map(|(_, chosen)| chosen).collect()
}

/// The benefit of an index beside the others.
struct IndexBenefit {
    serves: Vec<usize>,
    cost_before: f64,
    cost_after: f64,
    total_us: u64,
}

/// Returns, of the statements whose plan uses an index, those that are cheaper with it than with the other
/// indexes alone: what these do for the same statements is not its merit.
fn merit(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    chosen: &[usize],
    at: usize,
    used_by: Vec<usize>,
) -> IndexBenefit {
    let others: Vec<usize> = chosen.iter().filter(|other| **other != at).copied().collect();
    let mut all: Vec<(usize, f64, f64)> = Vec::new();
    for query in used_by {
        // What the planner was not shown beside the others has a figure for itself alone.
        let beside = !costs.has_model(query, at);
        let without = if beside { costs.plain_cost(query, &others) } else { None };
        let before = without.or_else(|| costs.plain_cost(query, &[])).unwrap_or(0.0);
        let after = costs.plain_cost(query, chosen).unwrap_or(before);
        all.push((query, before, after));
    }
    let is_cheaper = |(query, before, after): &(usize, f64, f64)| {
        *after < *before * UNCHANGED || costs.is_modelled(*query, at)
    };
    if all.iter().any(is_cheaper) {
        all.retain(is_cheaper);
    }
    let mut merit =
        IndexBenefit { serves: Vec::new(), cost_before: 0.0, cost_after: 0.0, total_us: 0 };
    for (query, before, after) in all {
        let of = &input.workload.queries[query];
        merit.serves.push(query);
        merit.cost_before += of.calls as f64 * before;
        merit.cost_after += of.calls as f64 * after;
        merit.total_us += of.total_us;
    }
    merit
}
