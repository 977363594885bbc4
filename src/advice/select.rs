//! Which candidates are worth having, all of them together.
//!
//! Greedily by benefit per byte, as Extend does (Schlosser, Kossmann and Boissier, ICDE 2019); then
//! indexes that others have made superfluous go, and each is exchanged for any that does better in its
//! place, until nothing changes.

use super::Limits;
use super::costs::{Costs, Set};

/// Room for all new indexes together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Room {
    pub bytes: Option<f64>,
    pub indexes: Option<usize>,
    /// In the units of [`Priced::upkeep`].
    pub upkeep: Option<f64>,
}

impl Room {
    /// The room that limits leave where all writes take `writes_us` now.
    pub fn of(limits: Limits, writes_us: f64) -> Room {
        Room {
            bytes: limits.budget_bytes.map(|bytes| bytes as f64),
            indexes: limits.max_indexes,
            upkeep: limits.max_write_overhead_pct.map(|pct| writes_us * pct / 100.0),
        }
    }

    /// What an index uses of the room, as parts of what there is of each kind.
    fn used_by(&self, priced: &Priced) -> f64 {
        let part = |use_: f64, room: Option<f64>| room.map_or(0.0, |room| use_ / room.max(1e-9));
        part(priced.size_bytes, self.bytes) + part(priced.upkeep, self.upkeep)
    }
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
    /// The same, less the indexes whose place it takes.
    pub net_bytes: f64,
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
    pub room: Room,
    /// What a byte costs, in the units of [`Weighed::weight`].
    pub byte_price: f64,
    /// What all of the room together costs, in the same units: nothing, unless it is short.
    room_price: f64,
    /// Bytes and upkeep have to stay within the room.
    is_limited: bool,
    chosen: Set,
    /// Weight of each statement with what is chosen.
    now: Vec<f64>,
}

/// Gains below this part of the whole weight are within the error of the costs.
const SMALLEST_GAIN: f64 = 1e-5;
/// A statement's cost that changes by less than this part of itself has not changed: the planner cannot
/// tell such plans apart.
const SMALLEST_CHANGE: f64 = 0.1;
/// No index is smaller, bytes.
const PAGE: f64 = 8_192.0;
/// Prices of the room that are tried to meet the limits.
const PRICES: usize = 12;
/// Rounds of exchanging, at most. Each makes the whole better, and three are rarely needed.
const MOST_ROUNDS: usize = 8;

impl<'s, 'a> Selection<'s, 'a> {
    pub fn new(
        costs: &'s mut Costs<'a>,
        statements: Vec<Weighed>,
        candidates: Vec<Priced>,
        room: Room,
        byte_price: f64,
    ) -> Self {
        let now = statements.iter().map(|statement| statement.weight).collect();
        Selection {
            costs,
            statements,
            candidates,
            room,
            byte_price,
            room_price: 0.0,
            is_limited: false,
            chosen: Set::new(),
            now,
        }
    }

    /// Positions of the candidates to have.
    ///
    /// Where room is short, it is made dearer until what is worth having fits, and what is left over is
    /// filled: a price finds sets that taking one index after the other until the room is used up does not
    /// (Lagrangian relaxation of the knapsack).
    pub fn run(mut self) -> Set {
        self.solve();
        self.is_limited = true;
        if !self.fits(&self.chosen) {
            self.squeeze();
        }
        self.chosen
    }

    /// Looks for the price of the room at which what is worth having fits.
    fn squeeze(&mut self) {
        let room = self.room;
        // What the room would cost at the prices that hold without limits.
        let usual = self.byte_price * room.bytes.unwrap_or(0.0) + room.upkeep.unwrap_or(0.0);
        let (mut low, mut high) = (usual.max(f64::MIN_POSITIVE), None);
        // One after the other until the room is used up, to begin with.
        self.solve();
        let mut best = (self.whole_now(), self.chosen.clone());
        for _ in 0..PRICES {
            let tried = match high {
                Some(high) => f64::sqrt(low * high),
                None => 4.0 * low,
            };
            (self.room_price, self.is_limited) = (tried, false);
            self.solve();
            (self.room_price, self.is_limited) = (0.0, true);
            if self.fits(&self.chosen) {
                high = Some(tried);
                self.settle();
                if self.whole_now() < best.0 {
                    best = (self.whole_now(), self.chosen.clone());
                }
            } else {
                low = tried;
            }
        }
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

    fn fits(&self, set: &[usize]) -> bool {
        let sum = |of: fn(&Priced) -> f64| set.iter().map(|at| of(&self.candidates[*at])).sum();
        let within = |used: f64, room: Option<f64>| room.is_none_or(|room| used <= room);
        self.room.indexes.is_none_or(|most| set.len() <= most)
            && (!self.is_limited
                || within(sum(|priced| priced.size_bytes), self.room.bytes)
                    && within(sum(|priced| priced.upkeep), self.room.upkeep))
    }

    /// What having a candidate costs, whatever it gains.
    fn price(&self, candidate: usize) -> f64 {
        let priced = &self.candidates[candidate];
        let dear = match self.room_price > 0.0 {
            true => self.room_price * self.room.used_by(priced),
            false => 0.0,
        };
        priced.upkeep + priced.net_bytes * self.byte_price + dear
    }

    /// What a candidate takes up: of the room where that is limited, else bytes.
    fn extent(&self, candidate: usize) -> f64 {
        let priced = &self.candidates[candidate];
        let used = if self.is_limited { self.room.used_by(priced) } else { 0.0 };
        if used > 0.0 { used } else { priced.size_bytes.max(PAGE) }
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

    /// Adds the candidate with the most gain for what it takes up, as long as there is one. A gain that was worked
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
            let density = gain / self.extent(candidate);
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
