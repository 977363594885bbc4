//! Selects the candidates to create, all of them together.
//!
//! Greedily by benefit per byte, as Extend does (Schlosser, Kossmann and Boissier, ICDE 2019); then
//! indexes that others have made superfluous go, and each is exchanged for any that does better in its
//! place, until nothing changes. Where room is short, single indexes are held out or in for a while, which
//! leads on to sets that no one exchange reaches.

use std::collections::VecDeque;

use super::budget::{Budget, Priced, Taken};
use crate::advice::cost::charge::EACH_EXECUTION;
use crate::advice::cost::statement_weight::WeightedStatement;
use crate::advice::cost::what_if::{Costs, SMALLEST_CHANGE, Set};

/// The chosen indexes.
#[derive(Debug, Clone)]
pub struct Selected {
    /// By position, ascending.
    pub candidates: Set,
    /// Weight of each statement with them.
    pub left: Vec<f64>,
}

/// A change of a set: indexes added, removed, or exchanged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change<'c> {
    pub(super) add: &'c [usize],
    pub(super) remove: &'c [usize],
}

impl<'c> Change<'c> {
    fn add(candidates: &'c [usize]) -> Change<'c> {
        Change { add: candidates, remove: &[] }
    }

    pub(super) fn remove(candidate: &'c usize) -> Change<'c> {
        Change { add: &[], remove: std::slice::from_ref(candidate) }
    }

    pub(super) fn all(self) -> impl Iterator<Item = usize> {
        self.add.iter().chain(self.remove).copied()
    }
}

/// Whether a candidate is pinned for the time being.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pinning {
    Free,
    /// It stays in.
    In,
    /// It stays out.
    Out,
}

/// The selection at work.
pub struct Selection<'s, 'a> {
    costs: &'s mut Costs<'a>,
    statements: Vec<WeightedStatement>,
    pub(super) candidates: Vec<Priced>,
    budget: Budget,
    /// The price of a byte, in the units of [`WeightedStatement::weight`].
    byte_price: f64,
    /// Gains below this are within the error of the costs.
    pub(super) smallest_gain: f64,
    /// For each statement, the candidates that can matter to it, ascending.
    of_statement: Vec<Set>,
    /// Candidates that are added at once where not one by one.
    pub(super) bundles: &'s [Set],
    pub(super) is_chosen: Vec<bool>,
    pub(super) held: Vec<Pinning>,
    taken: Taken,
    /// Weight of each statement with what is chosen.
    now: Vec<f64>,
}

/// Gains below this part of the whole are within the error of the costs.
const SMALLEST_GAIN: f64 = 1e-5;
/// Part of itself that the cost of a statement has to fall by for an index that is there to be built anew, or for
/// one more beside an index that it uses. Less is neither worth the work, nor sure: what an index costs that is
/// there, and one that is not, differs.
const REBUILD_CHANGE: f64 = 0.5;
/// For one more index so much is enough whatever the part, in the planner's unit: twice what every execution takes.
const MUCH: f64 = 2.0 * EACH_EXECUTION;
/// No index is smaller, bytes.
const PAGE: f64 = 8_192.0;
/// Parts of the room that are filled for a first try.
const PARTS: [f64; 5] = [1.0, 0.9, 0.95, 1.1, 1.2];
/// Indexes that are reconsidered where room is short, at most.
const MOST_TRIED: usize = 64;

impl<'s, 'a> Selection<'s, 'a> {
    pub fn new(
        costs: &'s mut Costs<'a>,
        statements: Vec<WeightedStatement>,
        candidates: Vec<Priced>,
        bundles: &'s [Set],
        budget: Budget,
        (whole, byte_price): (f64, f64),
    ) -> Self {
        let mut of_statement = vec![Set::new(); statements.len()];
        for (at, candidate) in candidates.iter().enumerate() {
            candidate.statements.iter().for_each(|statement| of_statement[*statement].push(at));
        }
        let now: Vec<f64> = statements.iter().map(|statement| statement.weight).collect();
        Selection {
            costs,
            bundles,
            budget,
            byte_price,
            smallest_gain: whole * SMALLEST_GAIN,
            of_statement,
            is_chosen: vec![false; candidates.len()],
            held: vec![Pinning::Free; candidates.len()],
            taken: Taken::default(),
            now,
            statements,
            candidates,
        }
    }

    /// Adds indexes that are worth their size while there is room, starting from a set that is `known` to be
    /// good.
    pub fn from(mut self, known: &[usize]) -> Selected {
        self.set(known);
        self.shrink();
        self.settle();
        Selected { candidates: self.chosen(), left: self.now }
    }

    /// Returns `wanted` or, where it does not fit, the best set that does.
    pub fn of(mut self, wanted: &[usize]) -> Selected {
        self.set(wanted);
        if !self.fits(Change::default()) {
            self.squeeze();
            self.reconsider(wanted);
        }
        Selected { candidates: self.chosen(), left: self.now }
    }

    fn chosen(&self) -> Set {
        (0..self.candidates.len()).filter(|at| self.is_chosen[*at]).collect()
    }

    pub(super) fn chosen_and_free(&self) -> Set {
        let is_free = |at: &usize| self.is_chosen[*at] && self.held[*at] == Pinning::Free;
        (0..self.candidates.len()).filter(is_free).collect()
    }

    /// The best of the sets that one index after the other gives, for the room and for somewhat more or
    /// less of it.
    fn squeeze(&mut self) {
        let budget = self.budget;
        let mut best = (f64::INFINITY, Set::new());
        for part in PARTS {
            self.budget = budget.times(part);
            self.set(&[]);
            self.settle();
            self.budget = budget;
            self.fit(&mut best);
        }
        self.set(&best.1);
    }

    /// Makes what is chosen fit, and keeps it if it is better than the best so far.
    fn fit(&mut self, best: &mut (f64, Set)) {
        self.shrink();
        self.settle();
        if self.fits(Change::default()) && self.whole_now() < best.0 {
            *best = (self.whole_now(), self.chosen());
        }
    }

    /// Does without each index for a while, and has each of `others`, which are worth having where room is
    /// not short: the room that one leaves may be worth more to several together, and the other way round.
    fn reconsider(&mut self, others: &[usize]) {
        let mut untried = self.largest_first(others);
        for _ in 0..MOST_TRIED {
            let Some(candidate) = untried.pop_front() else { return };
            let best = (self.whole_now(), self.chosen());
            if self.is_chosen[candidate] {
                self.held[candidate] = Pinning::Out;
                self.take(Change::remove(&candidate));
            } else {
                self.held[candidate] = Pinning::In;
                let displaced = self.displaced(&[candidate]);
                self.take(Change { add: &[candidate], remove: &displaced });
                self.shrink();
            }
            self.settle();
            self.held[candidate] = Pinning::Free;
            let mut found = best.clone();
            self.fit(&mut found);
            if found.0 + self.smallest_gain < best.0 {
                untried = self.largest_first(others);
            } else {
                self.set(&best.1);
            }
        }
    }

    fn largest_first(&self, others: &[usize]) -> VecDeque<usize> {
        let mut largest = self.chosen();
        largest.extend(others.iter().filter(|at| !self.is_chosen[**at]));
        largest.sort_by(|a, b| self.extent(*b).total_cmp(&self.extent(*a)));
        largest.into()
    }

    /// Takes out what saves the least for what it takes up until the rest fits.
    fn shrink(&mut self) {
        while !self.fits(Change::default()) {
            let mut least: Option<(f64, usize)> = None;
            for candidate in self.chosen_and_free() {
                let saved = -self.gain(Change::remove(&candidate)) / self.extent(candidate);
                if least.is_none_or(|(known, _)| saved < known) {
                    least = Some((saved, candidate));
                }
            }
            let Some((_, candidate)) = least else { return };
            self.take(Change::remove(&candidate));
        }
    }

    /// Time of all statements and of the writes with what is chosen.
    fn whole_now(&self) -> f64 {
        self.now.iter().sum::<f64>() + self.taken.net_upkeep + self.taken.unseen_writes
    }

    /// Makes this what is chosen.
    fn set(&mut self, chosen: &[usize]) {
        for at in 0..self.candidates.len() {
            match (self.is_chosen[at], chosen.binary_search(&at).is_ok()) {
                (true, false) => self.take(Change::remove(&at)),
                (false, true) => self.take(Change::add(&[at])),
                _ => {}
            }
        }
    }

    fn taken_with(&self, change: Change<'_>) -> Taken {
        let of = |at: &usize| &self.candidates[*at];
        let added = change.add.iter().fold(self.taken, |taken, at| taken.with(of(at)));
        change.remove.iter().fold(added, |taken, at| taken.without(of(at)))
    }

    pub(super) fn fits(&self, change: Change<'_>) -> bool {
        self.budget.holds(self.taken_with(change))
    }

    /// The cost of a candidate, without its gain.
    fn price(&self, candidate: usize) -> f64 {
        let priced = &self.candidates[candidate];
        priced.net_upkeep + priced.unseen_writes + priced.net_bytes * self.byte_price
    }

    /// The share of the budget that a candidate uses; bytes without a budget.
    pub(super) fn extent(&self, candidate: usize) -> f64 {
        let priced = &self.candidates[candidate];
        let used = self.budget.used_by(priced);
        if used > 0.0 { used } else { priced.size_bytes.max(PAGE) }
    }

    /// Weight of a statement after a change.
    fn weight(&mut self, statement: usize, change: Change<'_>) -> f64 {
        let WeightedStatement { query, weight, cost, .. } = self.statements[statement];
        let relevant = self.of_statement[statement].iter().copied();
        let set: Set = relevant
            .filter(|at| match () {
                () if change.add.contains(at) => true,
                () if change.remove.contains(at) => false,
                () => self.is_chosen[*at],
            })
            .collect();
        match self.costs.cost(query, &set) {
            Some(with) if cost > 0.0 => weight * (with / cost).min(1.0),
            _ => weight,
        }
    }

    /// Rivals of what is added that have to go for it, ascending.
    pub(super) fn displaced(&self, add: &[usize]) -> Set {
        let rivals = add.iter().flat_map(|at| self.candidates[*at].rivals.iter().copied());
        let mut displaced: Set = rivals.filter(|at| self.is_chosen[*at]).collect();
        displaced.sort_unstable();
        displaced.dedup();
        displaced
    }

    /// Statements that a change can matter to, ascending.
    fn touched(&self, change: Change<'_>) -> Vec<usize> {
        let of = change.all().flat_map(|at| self.candidates[at].statements.iter().copied());
        let mut touched: Vec<usize> = of.collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Candidates that matter to a statement that this one matters to, ascending.
    pub(super) fn neighbours(&self, candidate: usize) -> Set {
        let statements = self.candidates[candidate].statements.iter();
        let mut neighbours: Set = statements
            .flat_map(|statement| self.of_statement[*statement].iter().copied())
            .collect();
        neighbours.sort_unstable();
        neighbours.dedup();
        neighbours
    }

    /// By how much a statement's weight, which is `whole` before or after, has to differ for a change to count.
    fn least_change(&self, statement: usize, change: Change<'_>, whole: f64) -> f64 {
        let WeightedStatement { weight, cost, least_change, .. } = self.statements[statement];
        let is_of = |kind: &dyn Fn(&Priced) -> bool| {
            let has = |of: &[usize]| of.iter().any(|at| kind(&self.candidates[*at]));
            match (has(change.add), has(change.remove)) {
                (true, false) => true,
                (false, true) => change.add.is_empty(),
                _ => false,
            }
        };
        let is_beside = |priced: &Priced| priced.beside.binary_search(&statement).is_ok();
        let own = match () {
            () if is_of(&|priced| priced.is_rebuild) => REBUILD_CHANGE * whole,
            () if is_of(&is_beside) => (MUCH * weight / cost).min(REBUILD_CHANGE * whole),
            () => 0.0,
        };
        own.max(SMALLEST_CHANGE * whole).max(least_change)
    }

    /// How much the whole falls by a change.
    pub(super) fn gain(&mut self, change: Change<'_>) -> f64 {
        let mut gain = 0.0;
        for statement in self.touched(change) {
            let (now, then) = (self.now[statement], self.weight(statement, change));
            if (now - then).abs() >= self.least_change(statement, change, now.max(then)) {
                gain += now - then;
            }
        }
        let price = |of: &[usize]| of.iter().map(|at| self.price(*at)).sum::<f64>();
        gain - price(change.add) + price(change.remove)
    }

    pub(super) fn take(&mut self, change: Change<'_>) {
        for statement in self.touched(change) {
            self.now[statement] = self.weight(statement, change);
        }
        self.taken = self.taken_with(change);
        change.add.iter().for_each(|at| self.is_chosen[*at] = true);
        change.remove.iter().for_each(|at| self.is_chosen[*at] = false);
    }
}
