//! Improves a set step by step: one index more, one less, or one in place of others.

use std::collections::BinaryHeap;

use super::selection::{Change, Pinning, Selection};
use crate::advice::cost::what_if::Set;

/// Rounds of exchanging, at most. Each makes the whole better, and three are rarely needed.
const MOST_ROUNDS: usize = 8;

/// An index that could be added, by its position, with its gain for its size; ordered by that gain.
struct RankedOption {
    density: f64,
    option: usize,
}

impl Ord for RankedOption {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_gain = self.density.total_cmp(&other.density);
        by_gain.then(self.option.cmp(&other.option))
    }
}

impl PartialOrd for RankedOption {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RankedOption {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RankedOption {}

impl Selection<'_, '_> {
    /// Adds, drops and exchanges until nothing changes.
    pub(super) fn settle(&mut self) {
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

    /// Adds the candidate, or the bundle of them, with the most gain for what it takes up, as long as there is
    /// one. A gain that was worked out before something was chosen beside it is taken for an upper bound, and
    /// worked out anew only for the one in front: what is chosen meanwhile can leave less to gain.
    fn grow(&mut self) -> bool {
        let options = self.options();
        let mut promises: BinaryHeap<RankedOption> = (0..options.len())
            .map(|option| RankedOption { density: f64::INFINITY, option })
            .collect();
        let mut of_candidate = vec![Vec::new(); self.candidates.len()];
        for (option, added) in options.iter().enumerate() {
            added.iter().for_each(|at| of_candidate[*at].push(option));
        }
        let mut is_fresh = vec![false; options.len()];
        let mut grown = false;
        while let Some(RankedOption { option, .. }) = promises.pop() {
            let added = &options[option];
            let displaced = self.displaced(added);
            let change = Change { add: added, remove: &displaced };
            // Of a bundle of which a part has come meanwhile, the rest is an option of the next time.
            let is_part_there = added.iter().any(|at| self.is_chosen[*at]);
            if is_part_there || !self.is_allowed(change) {
                continue;
            }
            if is_fresh[option] {
                self.take(change);
                grown = true;
                let near = change.all().flat_map(|at| self.neighbours(at));
                let rivals = added.iter().flat_map(|at| self.candidates[*at].rivals.clone());
                near.chain(rivals)
                    .flat_map(|at| &of_candidate[at])
                    .for_each(|option| is_fresh[*option] = false);
                continue;
            }
            let gain = self.gain(change);
            is_fresh[option] = true;
            if gain > self.smallest_gain {
                let extent: f64 = added.iter().map(|at| self.extent(*at)).sum();
                promises.push(RankedOption { density: gain / extent, option });
            }
        }
        grown
    }

    /// Returns what could be added: each candidate alone, and the missing part of each bundle.
    fn options(&self) -> Vec<Set> {
        let is_missing = |at: &usize| !self.is_chosen[*at];
        let is_out = |at: &usize| self.held[*at] == Pinning::Out;
        let mut options: Vec<Set> = (0..self.candidates.len())
            .filter(|at| is_missing(at) && !is_out(at))
            .map(|at| vec![at])
            .collect();
        for bundle in self.bundles {
            let missing: Set = bundle.iter().copied().filter(is_missing).collect();
            let is_rival = |at: &usize| {
                self.candidates[*at].rivals.iter().any(|rival| missing.contains(rival))
            };
            if missing.len() > 1 && !missing.iter().any(|at| is_out(at) || is_rival(at)) {
                options.push(missing);
            }
        }
        options
    }

    /// Takes out what is not worth its price any more, the least useful first.
    fn drop_superfluous(&mut self) -> bool {
        let mut gains: Vec<(usize, f64)> = Vec::new();
        for candidate in self.chosen_and_free() {
            gains.push((candidate, self.gain(Change::remove(&candidate))));
        }
        let mut dropped = false;
        loop {
            let best = gains.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
            let Some((candidate, _)) = best.filter(|(_, gain)| *gain >= 0.0) else {
                return dropped;
            };
            self.take(Change::remove(&candidate));
            dropped = true;
            gains.retain(|(at, _)| *at != candidate);
            let neighbours = self.neighbours(candidate);
            for (at, gain) in &mut gains {
                if neighbours.binary_search(at).is_ok() {
                    *gain = self.gain(Change::remove(at));
                }
            }
        }
    }

    /// There is room for it, and it takes nothing away that is held in.
    fn is_allowed(&self, change: Change<'_>) -> bool {
        change.remove.iter().all(|at| self.held[*at] != Pinning::In) && self.fits(change)
    }

    /// Exchanges one index, and the rivals of the new one, for another wherever the whole falls by it.
    fn exchange(&mut self) -> bool {
        let mut exchanged = false;
        for old in self.chosen_and_free() {
            if !self.is_chosen[old] {
                continue;
            }
            let mut best: Option<(f64, usize, Set)> = None;
            for new in self.neighbours(old) {
                let removed = self.in_place_of(old, new);
                let change = Change { add: &[new], remove: &removed };
                if self.is_chosen[new] || self.held[new] == Pinning::Out || !self.is_allowed(change)
                {
                    continue;
                }
                let gain = self.gain(change);
                if gain > self.smallest_gain && best.as_ref().is_none_or(|(most, ..)| gain > *most)
                {
                    best = Some((gain, new, removed));
                }
            }
            if let Some((_, new, removed)) = best {
                self.take(Change { add: &[new], remove: &removed });
                exchanged = true;
            }
        }
        exchanged
    }

    /// The old one, and the rivals of the new one.
    fn in_place_of(&self, old: usize, new: usize) -> Set {
        let mut removed = self.displaced(&[new]);
        if let Err(place) = removed.binary_search(&old) {
            removed.insert(place, old);
        }
        removed
    }
}
