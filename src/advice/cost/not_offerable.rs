//! Prices candidates that HypoPG cannot show to the planner: by building them, or by a model.

use std::collections::HashMap;

use super::relevance::{Relevant, SizedCandidate};
use super::scan_model::IndexScanModel;
use super::substitute::substitutes;
use super::what_if::Costs;
use crate::advice::candidates::inverted::{is_nearest, served};
use crate::advice::candidates::scan_needs::ScanContext;
use crate::advice::input::Input;
use crate::model::catalog::Table;
use crate::model::index::IndexDef;
use crate::model::name::TableName;
use crate::model::whatif::IndexBuilder;
use crate::model::workload::shape::{Scan, Shape};
use crate::sql::rewrite::for_replay::on_its_own;

/// Executions of a statement for which the rows of an inverted index are estimated.
const EXECUTIONS: usize = 4;

/// A candidate that HypoPG cannot show for some statements, or for any.
struct NotOfferable {
    candidate: usize,
    /// The statements that it could matter to; ascending.
    queries: Vec<usize>,
    why: String,
    /// A model exists: only this index serves its conditions, by an index scan.
    has_model: bool,
}

/// Prices every candidate for the statements for which HypoPG cannot show it. A candidate that is neither built nor
/// modelled for a statement is dropped for that statement.
pub fn price(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    sized: &mut [SizedCandidate],
    relevant: &mut HashMap<usize, Relevant>,
    mut build: Option<&mut dyn IndexBuilder>,
) {
    for NotOfferable { candidate: at, queries, why, has_model } in
        not_offerable_candidates(input, costs, sized, relevant)
    {
        let sized = &mut sized[at];
        let built = build.as_mut().map(|build| built(input, costs, at, sized, &queries, *build));
        sized.why_not = match built {
            Some(Ok(())) => None,
            Some(Err(why)) => Some(why),
            None => Some(why),
        };
        let table = input.catalog.table(&sized.candidate.def.table);
        let model = table
            .filter(|_| has_model && sized.why_not.is_some())
            .and_then(IndexScanModel::modelled);
        // What serves one of several alternatives has no model: alone it serves nothing.
        for query in queries.iter().filter(|query| sized.candidate.whole.contains(query)) {
            let Some((table, model)) = table.zip(model.clone()) else { break };
            let def = &sized.candidate.def;
            let model = match gives_nearest(input, *query, table, def) {
                true => model.nearest(table),
                false => model.finding(finds(input, costs, *query, table, def).unwrap_or(0.0)),
            };
            costs.with_model(*query, at, model);
        }
        for query in queries.iter().filter(|query| !costs.has_model(**query, at)) {
            relevant.entry(*query).and_modify(|of| of.leave_out(at));
        }
    }
}

/// The index serves only the order of the statement, by distance.
fn gives_nearest(input: &Input<'_>, at: usize, table: &Table, def: &IndexDef) -> bool {
    let (query, functions) = (&input.workload.queries[at], &input.catalog.functions[..]);
    input.workload.shape(at).is_some_and(|shape| match &shape.scans[..] {
        [scan] => is_nearest(ScanContext { query, table, scan, functions, spelled: &[] }, def),
        _ => false,
    })
}

/// Mean number of rows that an inverted index returns for some executions of a statement, before its other conditions.
/// `None` where that is not known.
fn finds(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    at: usize,
    table: &Table,
    def: &IndexDef,
) -> Option<f64> {
    let (query, shape) = (&input.workload.queries[at], input.workload.shape(at)?);
    if !def.method.is_inverted() {
        return None;
    }
    let scan = only_scan(shape, &table.name)?;
    let functions = &input.catalog.functions;
    let mut found = Vec::new();
    for spelling in query.spellings.iter().take(EXECUTIONS) {
        let sample = &query.samples[spelling.sample];
        let own = only_scan(&spelling.shape, &table.name)?;
        let served = served(ScanContext { query, table, scan, functions, spelled: &[own] }, def);
        if served.is_empty() {
            return None;
        }
        let parts: Vec<&str> = served.into_iter().map(|at| &*own.filters[at].sql).collect();
        let (condition, parameters) = on_its_own(&parts.join(" AND "), &sample.parameters)?;
        found.extend(costs.statistics().rows(&table.name, &condition, &parameters).ok());
    }
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// Puts first the candidates that only a build can price: there may be no time to build all.
fn not_offerable_candidates(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    sized: &[SizedCandidate],
    relevant: &HashMap<usize, Relevant>,
) -> Vec<NotOfferable> {
    let mut concerned = vec![Vec::new(); sized.len()];
    for (query, of) in relevant {
        of.all().into_iter().for_each(|at| concerned[at].push(*query));
    }
    concerned.iter_mut().for_each(|queries| queries.sort_unstable());
    let refused: HashMap<usize, String> = costs.check().into_iter().collect();
    let (mut not_offerable_candidates, mut hidden_reason) = (Vec::new(), Vec::new());
    for (candidate, mut queries) in concerned.into_iter().enumerate() {
        let def = &sized[candidate].candidate.def;
        if let Some(why) = refused.get(&candidate).cloned() {
            not_offerable_candidates.push(NotOfferable {
                candidate,
                queries,
                why,
                has_model: def.method.is_inverted(),
            });
            continue;
        }
        let has_model = def.keys.iter().any(|key| !key.is_column);
        let Some(why) = keep_unseen(input, costs, candidate, &mut queries) else { continue };
        keep_without_substitute(input, costs, (candidate, def), &mut queries);
        if !queries.is_empty() {
            hidden_reason.push(NotOfferable { candidate, queries, why, has_model });
        }
    }
    not_offerable_candidates.append(&mut hidden_reason);
    not_offerable_candidates
}

/// Keeps the statements in which the planner would not see a candidate, and returns the reason; `None` where there are
/// none.
fn keep_unseen(
    input: &Input<'_>,
    costs: &Costs<'_>,
    candidate: usize,
    queries: &mut Vec<usize>,
) -> Option<String> {
    let mut why = None;
    queries.retain(|query| {
        let shape = input.workload.shape(*query);
        let found = shape.and_then(|shape| costs.hidden_reason(candidate, shape));
        let is_unseen = found.is_some();
        why = why.take().or(found);
        is_unseen
    });
    why
}

/// Sets substitutes for a candidate, and keeps the statements for which there is none.
fn keep_without_substitute(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    (candidate, def): (usize, &IndexDef),
    queries: &mut Vec<usize>,
) {
    let Some(table) = input.catalog.table(&def.table) else { return };
    // They differ in nothing but the order of their columns.
    let mut can_show = None;
    queries.retain(|query| {
        let shape = input.workload.shape(*query);
        let scan = shape.and_then(|shape| only_scan(shape, &def.table));
        let Some(indexes) = scan.and_then(|scan| substitutes(def, scan, table)) else {
            return true;
        };
        let can_show = *can_show.get_or_insert_with(|| costs.can_show(&indexes[0]));
        if can_show {
            costs.with_substitutes(*query, candidate, indexes);
        }
        !can_show
    });
}

/// The only scan of a table; `None` where there are several, which may ask for other rows.
fn only_scan<'s>(shape: &'s Shape, table: &TableName) -> Option<&'s Scan> {
    let mut scans = shape.scans.iter().filter(|scan| scan.table == *table);
    scans.next().filter(|_| scans.next().is_none())
}

/// Builds a candidate for its size and its costs, or returns the reason why not.
fn built(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    at: usize,
    sized: &mut SizedCandidate,
    concerned: &[usize],
    build: &mut dyn IndexBuilder,
) -> Result<(), String> {
    // What cannot be planned without it is not planned with it; and which executions are typical is to be known
    // before something is built: a refused one would take the others with it.
    let is_planned = |query: &&usize| costs.planned(**query, &[]).is_some();
    let concerned: Vec<usize> = concerned.iter().filter(is_planned).copied().collect();
    let queries: Vec<_> = concerned.iter().map(|query| &input.workload.queries[*query]).collect();
    let built = build.alone(&sized.candidate.def, sized.size_bytes, &queries)?;
    sized.size_bytes = built.size_bytes as f64;
    sized.is_counted = true;
    let Some(table) = input.catalog.table(&sized.candidate.def.table) else { return Ok(()) };
    for (query, planned) in concerned.iter().zip(built.plans) {
        let Some(planned) = planned.filter(|planned| !planned.used.is_empty()) else { continue };
        let Some(before) = costs.planned(*query, &[]) else { continue };
        let model = IndexScanModel::built(table, planned, before);
        costs.with_model(*query, at, model);
    }
    Ok(())
}
