//! Loops within one session: each execution of a child goes to the parent's execution before it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::episodes::Episode;
use super::find::{FEWEST_EXECUTIONS, FEWEST_KEYS, Loop, Owned, Search};
use crate::model::workload::timeline::SlotHash;

/// A parent is looked for this long before its child, microseconds.
const PARENT_WINDOW_US: i64 = 3_000_000;
/// How often an owner is looked up for an owner: a chain of lookups by key.
const LONGEST_CHAIN: usize = 3;
/// Executions of one statement with one set of values from which on it is asked for nothing.
const FEWEST_REPEATS: usize = 8;
/// Writes of single rows from which on they are a loop where no transaction holds them together.
const FEWEST_LOOSE_WRITES: usize = 15;
/// Pause of the application within one piece of work, microseconds. Where no transaction says what
/// belongs together, longer pauses are those of a poll, or of requests that follow one another.
const TIGHT_PAUSE_US: i64 = 2_000;
/// Share of the statements behind a parent that have to belong to the loop, where nothing else ties
/// the two together, percent.
const PURE_PCT: usize = 90;

/// The same where names or keys tie the two together, but no transaction does.
const ONE_PIECE_PCT: usize = 75;
/// Share of the rounds of such a loop that run the same statements, percent.
const REGULAR_PCT: usize = 60;

type Groups = BTreeMap<u32, Vec<u32>>;

/// Groups of executions that belong together, as far as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    /// The whole episode is one trace of the application.
    Trace,
    Transaction(u32),
    /// Statements without a pause between them.
    Run(u32),
}

/// One episode, by query.
struct View<'e> {
    episode: &'e Episode,
    by_query: BTreeMap<u32, Vec<u32>>,
    /// The queries of the episode whose rows could be the keys of each that was asked about.
    parents: HashMap<u32, Vec<u32>>,
    /// The parent's execution nearest before each that was asked about.
    nearest: HashMap<u32, Option<u32>>,
}

/// Executions of the parent since the child ran before. Requests that share a session through a
/// pooler each execute the parent, and only then the children.
fn parents_before(view: &View<'_>, parent: u32, child: u32, owner: u32) -> usize {
    let (owners, own) = (&view.by_query[&parent], &view.by_query[&child]);
    let last = own[..own.partition_point(|place| *place < owner)].last();
    let from = last.map_or(0, |last| owners.partition_point(|place| place < last));
    owners.partition_point(|place| *place <= owner) - from
}

impl Search<'_> {
    pub fn in_episode(&mut self, episode: &Episode, owned: &mut BTreeMap<(usize, usize), Owned>) {
        let mut by_query: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for place in &episode.places {
            by_query.entry(self.query(*place)).or_default().push(*place);
        }
        let children: Vec<u32> = by_query
            .iter()
            .filter(|(query, places)| {
                places.len() >= FEWEST_EXECUTIONS && !self.parts[**query as usize].keys.is_empty()
            })
            .map(|(query, _)| *query)
            .collect();
        let mut view = View { episode, by_query, parents: HashMap::new(), nearest: HashMap::new() };
        for child in children {
            let (loops, rest) = self.own(child, &mut view);
            let explained: usize = loops.values().chain(rest.values()).map(Vec::len).sum();
            let is_explained = explained * 2 >= view.by_query[&child].len();
            self.note(child, loops, rest, &view, owned);
            if !is_explained && self.parts[child as usize].is_read {
                self.guess(child, &view, owned);
            }
        }
    }

    /// The executions of a child by the execution they belong to: loops, and what is too short.
    fn own(&mut self, child: u32, view: &mut View<'_>) -> (Groups, Groups) {
        let places = view.by_query[&child].clone();
        let mut loops = Groups::new();
        let mut open = Groups::new();
        for place in places {
            if let Some(owner) = self.nearest(place, view) {
                open.entry(owner).or_default().push(place);
            }
        }
        let mut rest = Groups::new();
        for _ in 0..LONGEST_CHAIN {
            let mut lifted = Groups::new();
            for (owner, children) in open {
                if children.len() >= FEWEST_EXECUTIONS
                    && self.distinct_keys(child, &children) >= FEWEST_KEYS
                    && children.len() > 2 * parents_before(view, self.query(owner), child, owner)
                {
                    loops.insert(owner, children);
                    continue;
                }
                // One for each execution of another lookup, which may be in a loop itself.
                match self.nearest(owner, view) {
                    Some(above) => lifted.entry(above).or_default().extend(children),
                    None => {
                        rest.insert(owner, children);
                    }
                }
            }
            open = lifted;
        }
        rest.extend(open);
        loops.values_mut().for_each(|children| children.sort_unstable());
        (loops, rest)
    }

    /// The nearest execution before this one whose rows could be its keys.
    fn nearest(&mut self, place: u32, view: &mut View<'_>) -> Option<u32> {
        if let Some(known) = view.nearest.get(&place) {
            return *known;
        }
        let child = self.query(place);
        if !view.parents.contains_key(&child) {
            let is_child = !self.parts[child as usize].keys.is_empty();
            let queries = view.by_query.keys().copied().filter(|_| is_child);
            let parents = queries.filter(|parent| self.link(*parent, child).is_some()).collect();
            view.parents.insert(child, parents);
        }
        // Each row may be written in a transaction of its own.
        let is_write = self.parts[child as usize].is_write;
        let last_before = |parent: &u32| {
            let owners = &view.by_query[parent];
            let before = owners.partition_point(|owner| *owner < place);
            before.checked_sub(1).map(|at| owners[at])
        };
        let nearest = view.parents[&child]
            .iter()
            .filter_map(last_before)
            .filter(|owner| is_write || self.transactions.are_together(self.input, *owner, place))
            .max();
        view.nearest.insert(place, nearest);
        nearest
    }

    /// Adds what an episode shows of a child to what is known of it under each parent.
    fn note(
        &mut self,
        child: u32,
        loops: Groups,
        rest: Groups,
        view: &View<'_>,
        owned: &mut BTreeMap<(usize, usize), Owned>,
    ) {
        let mut followed: BTreeMap<u32, usize> = BTreeMap::new();
        for (owner, children) in loops {
            let parent = self.query(owner);
            *followed.entry(parent).or_default() += 1;
            let keys = self.distinct_keys(child, &children);
            let children = self.without_pause(owner, children);
            if children.len() < FEWEST_EXECUTIONS {
                continue;
            }
            let known = owned.entry((child as usize, parent as usize)).or_default();
            if self.is_of_one_piece(owner, &children, view) {
                known.loops.push(Loop { parent: Some(owner), children, keys });
            } else {
                known.mixed += 1;
            }
        }
        for (owner, children) in rest {
            let parent = self.query(owner);
            *followed.entry(parent).or_default() += 1;
            let known = owned.entry((child as usize, parent as usize)).or_default();
            known.short += 1;
            known.short_children += children.len();
        }
        // Executions of a parent that no child follows.
        for (parent, count) in followed {
            let known = owned.entry((child as usize, parent as usize)).or_default();
            known.short += view.by_query[&parent].len().saturating_sub(count);
        }
    }

    /// A transaction or a trace holds the loop together, or little else runs in between: a session
    /// that executes whatever comes has lookups behind every query, too.
    fn is_of_one_piece(&mut self, owner: u32, children: &[u32], view: &View<'_>) -> bool {
        let Some(last) = children.last() else { return false };
        let is_held = self.timeline()[owner as usize].group.is_trace()
            || (self.transactions.of(owner) != 0
                && self.transactions.of(owner) == self.transactions.of(*last));
        if is_held {
            return true;
        }
        let places = &view.episode.places;
        let from = places.partition_point(|place| *place <= owner);
        let to = places.partition_point(|place| place <= last);
        let run = &places[from.min(to)..to];
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for place in run {
            *counts.entry(self.query(*place)).or_default() += 1;
        }
        let (parent, child) = (self.query(owner), self.query(*last));
        let mut related = 0;
        for (query, count) in &counts {
            // What comes about as often belongs to the same rows; what looks up their rows, too.
            let as_often = count * 2 >= children.len() && count * 2 <= 3 * children.len();
            if as_often || self.link(child, *query).is_some() {
                related += count;
            }
        }
        let lookups: HashSet<u32> = counts
            .keys()
            .copied()
            .filter(|query| {
                *query == child
                    || self.link(parent, *query).is_some()
                    || self.link(child, *query).is_some()
            })
            .collect();
        related * 100 >= run.len() * ONE_PIECE_PCT && self.is_regular(run, &lookups)
    }

    /// Most rounds of a loop run the same statements between its lookups, or none.
    fn is_regular(&self, run: &[u32], lookups: &HashSet<u32>) -> bool {
        let mut rounds: HashMap<BTreeSet<u32>, usize> = HashMap::new();
        let mut between = BTreeSet::new();
        let mut count = 0;
        for place in run {
            let query = self.query(*place);
            if lookups.contains(&query) {
                *rounds.entry(std::mem::take(&mut between)).or_default() += 1;
                count += 1;
            } else {
                between.insert(query);
            }
        }
        let most = rounds.values().max().copied().unwrap_or(0);
        most * 100 >= count * REGULAR_PCT
    }

    /// Drops the queries after a long pause: they belong to another loop.
    fn without_pause(&self, owner: u32, mut children: Vec<u32>) -> Vec<u32> {
        let mut last = owner;
        let pause = children.iter().position(|child| {
            let pause_us = self.pause_us(last, *child);
            last = *child;
            pause_us > PARENT_WINDOW_US
        });
        children.truncate(pause.unwrap_or(children.len()));
        children
    }

    /// No name and no key ties the child to any parent. What is left is the order: a statement that
    /// gives rows, and at once nothing but lookups by other keys each time.
    fn guess(&self, child: u32, view: &View<'_>, owned: &mut BTreeMap<(usize, usize), Owned>) {
        let places = &view.episode.places;
        let own = &view.by_query[&child];
        let mut from = 0;
        while let Some(first) = own.get(from) {
            let at = places.partition_point(|place| place < first);
            let parent = places[..at].iter().rev().find(|place| {
                let part = &self.parts[self.query(**place) as usize];
                part.is_read || part.yields
            });
            let end = self.end_of_run(&places[at..], parent.map(|place| self.query(*place)));
            let run = &places[at..at + end];
            let children: Vec<u32> =
                run.iter().copied().filter(|place| self.query(*place) == child).collect();
            from += children.len().max(1);
            let Some(parent) = parent.filter(|parent| {
                self.parts[self.query(**parent) as usize].yields
                    && self.transactions.are_together(self.input, **parent, *first)
                    && self.pause_us(**parent, *first) <= PARENT_WINDOW_US
            }) else {
                continue;
            };
            let keys = self.distinct_keys(child, &children);
            if children.len() >= FEWEST_EXECUTIONS
                && keys >= FEWEST_KEYS
                && keys * 2 > children.len()
                && children.len() > 2 * parents_before(view, self.query(*parent), child, *parent)
                && self.is_pure(run, children.len())
            {
                let query = self.query(*parent) as usize;
                let known = owned.entry((child as usize, query)).or_default();
                known.loops.push(Loop { parent: Some(*parent), children, keys });
            }
        }
    }

    /// Length of the run that ends before the parent runs again, or a transaction ends.
    fn end_of_run(&self, places: &[u32], parent: Option<u32>) -> usize {
        let Some(first) = places.first() else { return 0 };
        let ends = |place: &u32| {
            Some(self.query(*place)) == parent
                || self.transactions.of(*place) != self.transactions.of(*first)
        };
        places.iter().position(ends).unwrap_or(places.len())
    }

    /// Nearly all statements of the run come about as often as the child.
    fn is_pure(&self, run: &[u32], children: usize) -> bool {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for place in run {
            *counts.entry(self.query(*place)).or_default() += 1;
        }
        let repeated: usize = counts.values().filter(|count| **count * 3 >= children).sum();
        repeated * 100 >= run.len() * PURE_PCT
    }

    /// Rows written one by one: in one transaction, or one after the other without a pause.
    pub fn rows_one_by_one(&self, episode: &Episode, writes: &mut BTreeMap<usize, Vec<Loop>>) {
        let mut units: BTreeMap<(Unit, u32), Vec<u32>> = BTreeMap::new();
        for (place, unit) in self.units(episode) {
            let query = self.query(place);
            if self.parts[query as usize].writes_one_row {
                units.entry((unit, query)).or_default().push(place);
            }
        }
        for ((unit, query), children) in units {
            let different: HashSet<&[SlotHash]> =
                children.iter().map(|place| self.slots(*place)).collect();
            let keys = different.len();
            let fewest = match unit {
                Unit::Run(_) => FEWEST_LOOSE_WRITES,
                Unit::Transaction(_) | Unit::Trace => FEWEST_EXECUTIONS,
            };
            if children.len() >= fewest && keys >= FEWEST_KEYS {
                let known = writes.entry(query as usize).or_default();
                known.push(Loop { parent: None, children, keys });
            }
        }
    }

    /// Reads with the same values, again and again in one unit of work.
    pub fn asked_again(&self, episode: &Episode, repeated: &mut BTreeMap<usize, Vec<Vec<u32>>>) {
        let mut same: BTreeMap<(Unit, u32, &[SlotHash]), Vec<u32>> = BTreeMap::new();
        for (place, unit) in self.units(episode) {
            let query = self.query(place);
            let slots = self.slots(place);
            let known = !slots.is_empty() && slots.iter().all(|hash| *hash != SlotHash::UNKNOWN);
            if self.parts[query as usize].is_read && known {
                same.entry((unit, query, slots)).or_default().push(place);
            }
        }
        for ((_, query, _), places) in same {
            if places.len() >= FEWEST_REPEATS {
                repeated.entry(query as usize).or_default().push(places);
            }
        }
    }

    /// The places of an episode, each with the unit of work it belongs to.
    fn units(&self, episode: &Episode) -> Vec<(u32, Unit)> {
        let mut run = 0;
        let mut last: Option<u32> = None;
        let mut units = Vec::with_capacity(episode.places.len());
        for place in &episode.places {
            if last.is_some_and(|last| self.pause_us(last, *place) > TIGHT_PAUSE_US) {
                run += 1;
            }
            last = Some(*place);
            let is_traced = self.timeline()[*place as usize].group.is_trace();
            units.push((
                *place,
                match self.transactions.of(*place) {
                    _ if is_traced => Unit::Trace,
                    0 => Unit::Run(run),
                    transaction => Unit::Transaction(transaction),
                },
            ));
        }
        units
    }
}
