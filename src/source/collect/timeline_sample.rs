//! The timeline while it is collected: all executions of as many time windows as fit.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use crate::model::workload::timeline::{Execution, SlotHash, Timeline};

/// Executions kept: about 12 MB, and the search for loops in them takes a tenth of a second.
const MOST: usize = 1 << 18;
/// Executions gathered beyond that before some are let go.
const SLACK: usize = MOST / 4;
/// Length of the stretches that are kept or left out whole, microseconds. A loop takes milliseconds,
/// so hardly any is cut.
const WINDOW_US: i64 = 4_000_000;

/// Executions of whole windows of time, chosen by a hash of the window, so that what is kept does not
/// depend on the order of reading: the windows with the smallest hashes that fit.
#[derive(Debug)]
pub struct Sampled {
    executions: Vec<Execution>,
    slots: Vec<SlotHash>,
    seen: u64,
    /// Windows from this hash on are left out.
    limit: u64,
    /// The window asked for last, and whether it is kept.
    last: Option<(i64, bool)>,
}

impl Default for Sampled {
    fn default() -> Self {
        Sampled { executions: Vec::new(), slots: Vec::new(), seen: 0, limit: u64::MAX, last: None }
    }
}

fn window_hash(at_us: i64) -> u64 {
    xxh3_64(&at_us.div_euclid(WINDOW_US).to_le_bytes()) >> 1
}

impl Sampled {
    /// Whether an execution at this time is to be kept. Counts it.
    pub fn wants(&mut self, at_us: i64) -> bool {
        self.seen += 1;
        let window = at_us.div_euclid(WINDOW_US);
        match self.last {
            Some((known, kept)) if known == window => kept,
            _ => {
                let kept = window_hash(at_us) < self.limit;
                self.last = Some((window, kept));
                kept
            }
        }
    }

    /// An event at this time is kept beside the executions.
    pub fn keeps(&self, at_us: i64) -> bool {
        window_hash(at_us) < self.limit
    }

    pub fn push(&mut self, mut execution: Execution, slots: &[SlotHash]) {
        execution.slots_start = self.slots.len() as u32;
        self.slots.extend_from_slice(slots);
        self.executions.push(execution);
    }

    /// There is more than the slack allows.
    pub fn is_full(&self) -> bool {
        self.executions.len() >= MOST + SLACK
    }

    /// Lets go what does not fit. `positions` says how many slots a query has.
    pub fn prune(&mut self, positions: impl Fn(u32) -> usize) {
        if self.executions.len() <= MOST {
            return;
        }
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for execution in &self.executions {
            *counts.entry(window_hash(execution.at_us)).or_default() += 1;
        }
        let mut windows: Vec<(u64, usize)> = counts.into_iter().collect();
        windows.sort_unstable();
        let mut fits = 0;
        for (place, (hash, count)) in windows.iter().enumerate() {
            fits += count;
            if fits > MOST && place > 0 {
                self.limit = *hash;
                break;
            }
        }
        self.last = None;
        let limit = self.limit;
        self.executions.retain(|execution| window_hash(execution.at_us) < limit);
        if self.executions.len() > MOST {
            // One window alone is too much: its first part stays.
            self.executions.sort_unstable_by_key(|execution| (execution.at_us, execution.order));
            self.executions.truncate(MOST);
        }
        self.repack(positions);
    }

    fn repack(&mut self, positions: impl Fn(u32) -> usize) {
        let mut slots = Vec::with_capacity(self.executions.len() * 2);
        for execution in &mut self.executions {
            let start = execution.slots_start as usize;
            execution.slots_start = slots.len() as u32;
            let end = start + positions(execution.query);
            slots.extend_from_slice(self.slots.get(start..end).unwrap_or(&[]));
        }
        self.slots = slots;
    }

    /// Takes over what another gathered; `query` gives our number of its queries.
    pub fn merge(&mut self, other: Sampled, query: impl Fn(u32) -> u32) {
        self.seen = self.seen.saturating_add(other.seen);
        self.limit = self.limit.min(other.limit);
        self.last = None;
        let offset = self.slots.len() as u32;
        self.slots.extend(other.slots);
        self.executions.extend(other.executions.into_iter().map(|execution| Execution {
            slots_start: execution.slots_start + offset,
            query: query(execution.query),
            ..execution
        }));
        let limit = self.limit;
        self.executions.retain(|execution| window_hash(execution.at_us) < limit);
    }

    /// Gives queries other numbers, and lets go the executions of those that have none any more.
    pub fn renumber(&mut self, query: impl Fn(u32) -> Option<u32>) {
        let before = self.executions.len() as u128;
        self.executions.retain_mut(|execution| match query(execution.query) {
            Some(number) => {
                execution.query = number;
                true
            }
            None => false,
        });
        // Of those that did not fit, as many are taken to be gone with them.
        let after = self.executions.len() as u128;
        self.seen = (u128::from(self.seen) * after).checked_div(before).unwrap_or(0) as u64;
    }

    /// Executions by time, and their slots, once everything fits.
    pub fn in_order(&mut self, positions: impl Fn(u32) -> usize) -> (Vec<Execution>, &[SlotHash]) {
        self.prune(positions);
        let mut executions = self.executions.clone();
        executions.sort_unstable_by_key(|execution| (execution.at_us, execution.order));
        (executions, &self.slots)
    }

    /// Executions seen, and the hash from which on windows are left out.
    pub fn limits(&self) -> (u64, u64) {
        (self.seen, self.limit)
    }

    pub fn set_limits(&mut self, (seen, limit): (u64, u64)) {
        self.seen = seen;
        self.limit = limit;
        self.last = None;
    }

    /// The timeline in order; `query` gives the final number of a query.
    pub fn finish(
        mut self,
        positions: impl Fn(u32) -> usize,
        query: impl Fn(u32) -> u32,
    ) -> Timeline {
        self.prune(positions);
        for execution in &mut self.executions {
            execution.query = query(execution.query);
        }
        self.executions.sort_unstable_by_key(|execution| (execution.at_us, execution.order));
        Timeline {
            executions: self.executions,
            slots: self.slots,
            assignments: Vec::new(),
            seen: self.seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::timeline::Group;

    fn gathered(seconds: std::ops::Range<i64>, a_second: i64) -> Sampled {
        let mut sampled = Sampled::default();
        for n in seconds.start * a_second..seconds.end * a_second {
            let at_us = n * 1_000_000 / a_second;
            if sampled.wants(at_us) {
                let execution = Execution {
                    at_us,
                    order: n as u64,
                    duration_us: 1,
                    query: 0,
                    role_key: 0,
                    session: 0,
                    application: 0,
                    group: Group::UNKNOWN,
                    slots_start: 0,
                };
                sampled.push(execution, &[SlotHash(n as u32)]);
            }
            if sampled.is_full() {
                sampled.prune(|_| 1);
            }
        }
        sampled
    }

    #[test]
    fn what_is_kept_does_not_depend_on_how_the_reading_was_split() {
        let whole = gathered(0..900, 1_500).finish(|_| 1, |q| q);
        for cut in [100, 450, 899] {
            let mut late = gathered(cut..900, 1_500);
            late.merge(gathered(0..cut, 1_500), |q| q);
            let merged = late.finish(|_| 1, |q| q);
            assert_eq!(merged.executions.len(), whole.executions.len());
            let values = |timeline: &Timeline| -> Vec<SlotHash> {
                timeline.executions.iter().map(|e| timeline.slots(e, 1)[0]).collect()
            };
            assert_eq!(values(&merged), values(&whole));
        }
        assert!(whole.executions.len() <= MOST && whole.executions.len() > MOST * 9 / 10);
        assert_eq!(whole.seen, 1_350_000);
    }

    #[test]
    fn a_burst_in_one_window_keeps_its_beginning() {
        let burst = gathered(0..1, 1_000_000).finish(|_| 1, |q| q);
        assert_eq!(burst.executions.len(), MOST);
        assert_eq!(burst.executions[0].order, 0);
    }
}
