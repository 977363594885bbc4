//! Which candidates are worth having, all of them together.
//!
//! Greedily by benefit per byte, as Extend does (Schlosser, Kossmann and Boissier, ICDE 2019); then
//! indexes that others have made superfluous go, and each is exchanged for any that does better in its
//! place, until nothing changes.

use super::costs::{Costs, Set};

/// What the user allows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Bytes of all new indexes together.
    pub budget_bytes: Option<u64>,
    pub max_indexes: Option<usize>,
}

/// A statement as the selection sees it.
#[derive(Debug, Clone)]
pub struct Weighed {
    /// Position in the workload.
    pub query: usize,
    /// What it takes now, in units that all statements share.
    pub weight: f64,
    /// Its cost with nothing added.
    pub cost: f64,
}

/// A candidate as the selection sees it.
#[derive(Debug, Clone)]
pub struct Priced {
    pub size_bytes: f64,
    /// What keeping it up costs, in the units of [`Weighed::weight`].
    pub upkeep: f64,
    /// Positions in the list of statements that it can matter to.
    pub statements: Vec<usize>,
}

/// The selection at work.
pub struct Selection<'s, 'a> {
    pub costs: &'s mut Costs<'a>,
    pub statements: Vec<Weighed>,
    pub candidates: Vec<Priced>,
    pub limits: Limits,
    /// What a byte costs, in the units of [`Weighed::weight`].
    pub byte_price: f64,
    chosen: Set,
    /// Weight of each statement with what is chosen.
    now: Vec<f64>,
}

/// Gains below this part of the whole weight are within the error of the costs.
const SMALLEST_GAIN: f64 = 1e-5;
/// A statement's cost that changes by less than this part of itself has not changed: the planner cannot
/// tell such plans apart.
const SMALLEST_CHANGE: f64 = 0.1;
/// Prices of a byte that are tried to meet a budget.
const PRICES: usize = 12;
/// Rounds of exchanging, at most. Each makes the whole better, and three are rarely needed.
const MOST_ROUNDS: usize = 8;

impl<'s, 'a> Selection<'s, 'a> {
    pub fn new(
        costs: &'s mut Costs<'a>,
        statements: Vec<Weighed>,
        candidates: Vec<Priced>,
        limits: Limits,
        byte_price: f64,
    ) -> Self {
        let now = statements.iter().map(|statement| statement.weight).collect();
        Selection { costs, statements, candidates, limits, byte_price, chosen: Set::new(), now }
    }

    /// Positions of the candidates to have.
    ///
    /// Where a budget is short, bytes are made dearer until what is worth having fits, and what is left
    /// over is filled: a price finds sets that taking one index after the other until the budget is used
    /// up does not (Lagrangian relaxation of the knapsack).
    pub fn run(mut self) -> Set {
        let budget_bytes = self.limits.budget_bytes.take();
        self.solve();
        self.limits.budget_bytes = budget_bytes;
        if !self.fits(&self.chosen) {
            self.squeeze();
        }
        self.chosen
    }

    /// Looks for the price of a byte at which what is worth having fits.
    fn squeeze(&mut self) {
        let (limits, price) = (self.limits, self.byte_price);
        let (mut low, mut high) = (price, None);
        // One after the other until the budget is used up, to begin with.
        self.solve();
        let mut best = (self.whole_now(), self.chosen.clone());
        for _ in 0..PRICES {
            self.byte_price = match high {
                Some(high) => f64::sqrt(low * high),
                None => (4.0 * low).max(f64::MIN_POSITIVE),
            };
            let tried = self.byte_price;
            self.limits.budget_bytes = None;
            self.solve();
            self.limits = limits;
            if self.fits(&self.chosen) {
                high = Some(tried);
                self.byte_price = price;
                self.settle();
                if self.whole_now() < best.0 {
                    best = (self.whole_now(), self.chosen.clone());
                }
            } else {
                low = tried;
            }
        }
        self.byte_price = price;
        self.chosen = best.1;
    }

    /// Time of all statements and of the writes with what is chosen.
    fn whole_now(&self) -> f64 {
        let upkeep: f64 = self.chosen.iter().map(|at| self.candidates[*at].upkeep).sum();
        self.now.iter().sum::<f64>() + upkeep
    }

    /// The best set at the present price, from nothing.
    fn solve(&mut self) {
        self.chosen.clear();
        self.now = self.statements.iter().map(|statement| statement.weight).collect();
        self.settle();
    }

    /// Adds, drops and exchanges until nothing changes.
    fn settle(&mut self) {
        self.grow();
        for _ in 0..MOST_ROUNDS {
            let dropped = self.drop_superfluous();
            let exchanged = self.exchange();
            let grown = self.grow();
            if !dropped && !exchanged && !grown {
                break;
            }
        }
        self.drop_superfluous();
    }

    fn whole(&self) -> f64 {
        self.statements.iter().map(|statement| statement.weight).sum()
    }

    fn bytes(&self, set: &[usize]) -> f64 {
        set.iter().map(|at| self.candidates[*at].size_bytes).sum()
    }

    fn fits(&self, set: &[usize]) -> bool {
        self.limits.max_indexes.is_none_or(|most| set.len() <= most)
            && self.limits.budget_bytes.is_none_or(|most| self.bytes(set) <= most as f64)
    }

    /// What having a candidate costs, whatever it gains.
    fn price(&self, candidate: usize) -> f64 {
        let priced = &self.candidates[candidate];
        priced.upkeep + priced.size_bytes * self.byte_price
    }

    fn weight(&mut self, statement: usize, set: &[usize]) -> f64 {
        let Weighed { query, weight, cost } = self.statements[statement];
        match self.costs.cost(query, set) {
            Some(with) if cost > 0.0 => weight * (with / cost).min(1.0),
            _ => weight,
        }
    }

    /// Statements that any of these candidates can matter to.
    fn touched(&self, candidates: &[usize]) -> Vec<usize> {
        let mut touched: Vec<usize> =
            candidates.iter().flat_map(|at| self.candidates[*at].statements.clone()).collect();
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// How much the whole falls when `set` takes the place of what is chosen, `changed` being the
    /// difference.
    fn gain(&mut self, set: &[usize], changed: &[usize]) -> f64 {
        let mut gain = 0.0;
        for statement in self.touched(changed) {
            let (now, then) = (self.now[statement], self.weight(statement, set));
            if (now - then).abs() >= SMALLEST_CHANGE * now.max(then) {
                gain += now - then;
            }
        }
        for at in changed {
            if set.contains(at) {
                gain -= self.price(*at);
            } else {
                gain += self.price(*at);
            }
        }
        gain
    }

    fn take(&mut self, set: Set, changed: &[usize]) {
        for statement in self.touched(changed) {
            self.now[statement] = self.weight(statement, &set);
        }
        self.chosen = set;
    }

    /// Adds the candidate with the most gain per byte, as long as there is one. A gain that was worked
    /// out earlier is taken for an upper bound, and worked out anew only for the one in front: what is
    /// chosen meanwhile can leave less to gain.
    fn grow(&mut self) -> bool {
        let smallest = self.whole() * SMALLEST_GAIN;
        let mut bounds: Vec<(usize, f64)> = (0..self.candidates.len())
            .filter(|at| !self.chosen.contains(at))
            .map(|at| (at, f64::INFINITY))
            .collect();
        let mut fresh: Vec<bool> = vec![false; self.candidates.len()];
        let mut grown = false;
        loop {
            let front = bounds.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
            let Some((candidate, bound)) = front else { break };
            if bound <= 0.0 {
                break;
            }
            let with = inserted(&self.chosen, candidate);
            if fresh[candidate] {
                bounds.retain(|(at, _)| *at != candidate);
                if self.fits(&with) {
                    self.take(with, &[candidate]);
                    fresh.fill(false);
                    grown = true;
                }
                continue;
            }
            let gain = self.gain(&with, &[candidate]);
            fresh[candidate] = true;
            let density = gain / self.candidates[candidate].size_bytes.max(8_192.0);
            for known in bounds.iter_mut().filter(|(at, _)| *at == candidate) {
                known.1 = if gain > smallest { density } else { 0.0 };
            }
        }
        grown
    }

    /// Takes out what is not worth its price any more, the least useful first.
    fn drop_superfluous(&mut self) -> bool {
        let mut dropped = false;
        loop {
            let mut best: Option<(f64, usize)> = None;
            for candidate in self.chosen.clone() {
                let gain = self.gain(&removed(&self.chosen, candidate), &[candidate]);
                if gain >= 0.0 && best.is_none_or(|(most, _)| gain > most) {
                    best = Some((gain, candidate));
                }
            }
            let Some((_, candidate)) = best else { return dropped };
            let without = removed(&self.chosen, candidate);
            self.take(without, &[candidate]);
            dropped = true;
        }
    }

    /// Exchanges one index for another wherever the whole falls by it.
    fn exchange(&mut self) -> bool {
        let smallest = self.whole() * SMALLEST_GAIN;
        let mut exchanged = false;
        for old in self.chosen.clone() {
            let mut best: Option<(f64, usize)> = None;
            for new in 0..self.candidates.len() {
                if self.chosen.contains(&new) || !self.shares_statements(old, new) {
                    continue;
                }
                let set = inserted(&removed(&self.chosen, old), new);
                if !self.fits(&set) {
                    continue;
                }
                let gain = self.gain(&set, &[old, new]);
                if gain > smallest && best.is_none_or(|(most, _)| gain > most) {
                    best = Some((gain, new));
                }
            }
            if let Some((_, new)) = best {
                let set = inserted(&removed(&self.chosen, old), new);
                self.take(set, &[old, new]);
                exchanged = true;
            }
        }
        exchanged
    }

    fn shares_statements(&self, a: usize, b: usize) -> bool {
        let other = &self.candidates[b].statements;
        self.candidates[a].statements.iter().any(|statement| other.contains(statement))
    }
}

fn inserted(set: &[usize], candidate: usize) -> Set {
    let mut with = set.to_vec();
    if let Err(at) = with.binary_search(&candidate) {
        with.insert(at, candidate);
    }
    with
}

fn removed(set: &[usize], candidate: usize) -> Set {
    set.iter().copied().filter(|at| *at != candidate).collect()
}
