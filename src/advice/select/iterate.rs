//! Repeats the choice until prices and sizes, which depend on it, stay as they are.

use std::collections::HashMap;

use super::budget::{Budget, Priced};
use super::selection::Selection;
use crate::advice::cost::counted_size::resized;
use crate::advice::cost::relevance::SizedCandidate;
use crate::advice::cost::scan_model::relations;
use crate::advice::cost::statement_weight::{WeightedStatement, damped};
use crate::advice::cost::what_if::{Costs, Set};
use crate::advice::cost::write_overhead::Writes;
use crate::advice::input::Input;
use crate::model::catalog::{Catalog, Table};
use crate::model::index::{AccessMethod, IndexDef};

/// An index as large as all the data has to save this part of the time that is left.
const LEAST_SAVING_OF_FULL_INDEX: f64 = 0.2;
/// A price that changes by less changes no choice.
const SAME_PRICE: f64 = 0.1;
/// Choices that follow one another, at most: each is made with what the one before it leaves.
const MOST_CHOICES: usize = 8;
/// Candidates of one bundle, at most.
const MOST_TOGETHER: usize = 4;

/// The input of the choice.
pub struct SelectionInput<'w> {
    input: &'w Input<'w>,
    statements: &'w [WeightedStatement],
    writes: &'w Writes<'w>,
    /// Price of a row of an index for writes that neither log nor counters show, microseconds.
    unseen_row_us: f64,
    /// For each candidate.
    concerned: Vec<Concerned>,
    /// For each candidate, those that cover it or that it covers.
    rivals: Vec<Set>,
    /// Candidates that some plan uses together when all exist. Each may be useless without the others, as those of
    /// `a = 1 OR b = 2`.
    bundles: Vec<Set>,
}

/// Positions in the list of statements, ascending.
#[derive(Clone, Default)]
struct Concerned {
    /// The statements that a candidate can matter to.
    all: Vec<usize>,
    /// Of these, the statements whose plan scans an existing index of the same table.
    beside: Vec<usize>,
}

/// The useful indexes, and those of them that fit the budget.
pub struct Choice {
    pub wanted: Set,
    pub chosen: Set,
}

/// Chooses with the known prices and sizes, refines both for the chosen indexes, and repeats until they stay as they
/// are.
///
/// The price of a byte depends on the time that is left. With a price from the original time, the smaller of two indexes
/// for the same statement would be chosen however much better the larger is, and be replaced by the next run. With a
/// budget the price stays: the budget sets the worth of a byte.
pub fn choose(
    work: &SelectionInput<'_>,
    costs: &mut Costs<'_>,
    sized: &mut [SizedCandidate],
) -> Choice {
    let catalog = work.input.catalog;
    let mut whole = damped(work.statements.iter().map(|statement| statement.weight));
    let mut wanted = Set::new();
    for choice in 1_usize.. {
        let selected = work.selection(costs, sized, Budget::default(), whole).from(&wanted);
        wanted = selected.candidates;
        let whole_before = std::mem::replace(&mut whole, damped(selected.left.into_iter()));
        let is_same_price = (whole / whole_before - 1.0).abs() < SAME_PRICE;
        let is_resized = resized(sized, &wanted, catalog, costs.statistics());
        if !is_resized && (is_same_price || choice >= MOST_CHOICES) {
            break;
        }
    }
    let budget = Budget::of(work.input.limits, work.writes.time_us());
    let mut chosen = work.selection(costs, sized, budget, whole).of(&wanted).candidates;
    while resized(sized, &chosen, catalog, costs.statistics()) {
        chosen = work.selection(costs, sized, budget, whole).from(&chosen).candidates;
    }
    let chosen = work.used(costs, chosen);
    Choice { wanted, chosen }
}

impl<'w> SelectionInput<'w> {
    /// `relevant` holds, for each statement, the candidates that can matter to it.
    pub fn new(
        input: &'w Input<'w>,
        costs: &mut Costs<'_>,
        sized: &[SizedCandidate],
        relevant: &HashMap<usize, Set>,
        statements: &'w [WeightedStatement],
        writes: &'w Writes<'w>,
    ) -> SelectionInput<'w> {
        let table = |sized: &SizedCandidate| input.catalog.table(&sized.candidate.def.table);
        let tables: Vec<Option<&Table>> = sized.iter().map(table).collect();
        let mut concerned = vec![Concerned::default(); sized.len()];
        for (position, statement) in statements.iter().enumerate() {
            let planned = costs.planned(statement.query, &[]);
            let scans = planned.map_or(&[][..], |planned| &planned.scans);
            let is_found =
                |name: &str| scans.iter().any(|scan| scan.by_index && scan.relation == name);
            for at in &relevant[&statement.query] {
                concerned[*at].all.push(position);
                if tables[*at].is_some_and(|table| relations(table).any(is_found)) {
                    concerned[*at].beside.push(position);
                }
            }
        }
        let bundles = bundles(costs, relevant, statements);
        let observed = |statement: &WeightedStatement| {
            let query = &input.workload.queries[statement.query];
            statement.weight.max(query.total_us as f64)
        };
        // Of the log alone: what is advised and followed does not change it.
        let unseen_row_us = writes.unseen_row_us(damped(statements.iter().map(observed)));
        let rivals = rivals(sized);
        SelectionInput { input, statements, writes, unseen_row_us, concerned, rivals, bundles }
    }

    /// Without what no plan uses: a cost that falls by it is a cost that was estimated for another plan.
    fn used(&self, costs: &mut Costs<'_>, mut chosen: Set) -> Set {
        loop {
            let mut used: Vec<usize> = Vec::new();
            for statement in self.statements {
                used.extend(costs.used(statement.query, &chosen));
            }
            let before = chosen.len();
            chosen.retain(|at| used.contains(at));
            if chosen.len() == before {
                return chosen;
            }
        }
    }

    /// A selection at the price that belongs to the time of all statements.
    fn selection<'s, 'a>(
        &'s self,
        costs: &'s mut Costs<'a>,
        sized: &[SizedCandidate],
        budget: Budget,
        whole: f64,
    ) -> Selection<'s, 'a> {
        let prices = (whole, byte_price(self.input.catalog, whole));
        let statements = self.statements.to_vec();
        Selection::new(costs, statements, self.priced(sized), &self.bundles, budget, prices)
    }

    fn priced(&self, sized: &[SizedCandidate]) -> Vec<Priced> {
        let priced = |((sized, concerned), rivals): ((&SizedCandidate, &Concerned), &Set)| {
            let (SizedCandidate { candidate, rows, .. }, writes) = (sized, self.writes);
            let (mut saved_bytes, mut saved_us, mut is_rebuild) = (0.0, 0.0, false);
            for (old, bytes) in replaced(self.input.catalog, &candidate.def) {
                is_rebuild = true;
                saved_bytes += bytes;
                saved_us += writes.upkeep_us(&old, *rows);
            }
            let upkeep = writes.upkeep_us(&candidate.def, *rows);
            Priced {
                is_rebuild,
                size_bytes: sized.size_bytes,
                net_bytes: (sized.size_bytes - saved_bytes).max(0.0),
                upkeep,
                net_upkeep: (upkeep - saved_us).max(0.0),
                unseen_writes: if is_rebuild { 0.0 } else { self.unseen_row_us * rows },
                statements: concerned.all.clone(),
                beside: concerned.beside.clone(),
                rivals: rivals.clone(),
            }
        };
        sized.iter().zip(&self.concerned).zip(&self.rivals).map(priced).collect()
    }
}

/// The candidates that the plan of each statement uses together when all are there that can matter to it, each
/// set once.
pub fn bundles(
    costs: &mut Costs<'_>,
    relevant: &HashMap<usize, Set>,
    statements: &[WeightedStatement],
) -> Vec<Set> {
    let queries = statements.iter().map(|statement| statement.query);
    let used = queries.map(|query| costs.used(query, &relevant[&query]));
    let mut bundles: Vec<Set> =
        used.filter(|used| (2..=MOST_TOGETHER).contains(&used.len())).collect();
    bundles.sort_unstable();
    bundles.dedup();
    bundles
}

/// For each candidate, those that cover it or that it covers; ascending.
fn rivals(sized: &[SizedCandidate]) -> Vec<Set> {
    let mut alike: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, sized) in sized.iter().enumerate() {
        let IndexDef { table, method, predicate, keys, .. } = &sized.candidate.def;
        let first =
            keys.first().filter(|_| *method != AccessMethod::Gin).map(|key| &key.expression);
        alike.entry((table, method, predicate, first)).or_default().push(at);
    }
    let def = |at: &usize| &sized[*at].candidate.def;
    let mut rivals = vec![Set::new(); sized.len()];
    for (at, other) in alike
        .values()
        .flat_map(|all| all.iter().flat_map(|at| all.iter().map(move |other| (at, other))))
    {
        if at != other && (def(at).covers(def(other)) || def(other).covers(def(at))) {
            rivals[*at].push(*other);
        }
    }
    rivals
}

/// The price of a byte.
fn byte_price(catalog: &Catalog, whole: f64) -> f64 {
    let data: u64 = catalog.tables.iter().filter_map(|table| table.size_bytes).sum();
    if data > 0 { LEAST_SAVING_OF_FULL_INDEX * whole / data as f64 } else { 0.0 }
}

/// The existing indexes that an index would replace, with their size, bytes.
fn replaced<'c>(
    catalog: &'c Catalog,
    def: &'c IndexDef,
) -> impl Iterator<Item = (IndexDef, f64)> + 'c {
    let table = catalog.table(&def.table).into_iter();
    let old = table.flat_map(|table| &table.indexes);
    old.filter(|index| index.valid && def.replaces(index)).map(|index| {
        let own = IndexDef {
            keys: index.def.keys.clone(),
            include: index.def.include.clone(),
            ..def.clone()
        };
        (own, index.size_bytes.unwrap_or(0) as f64)
    })
}
