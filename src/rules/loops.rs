//! Loops in the timeline: statements that ran once for each row of an earlier answer, wrote row by
//! row, or asked the same again and again.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Input;
use super::episodes::{Episode, Transactions, cut, writes};
use super::links::{Joins, KeySlot, key_slots, link, yields_rows};
use crate::model::shape::StatementKind;
use crate::model::timeline::{Execution, SlotHash};

/// Executions from which on a repetition is a loop. Sentry and others draw the line here, too: below
/// it the time lost is not worth a change.
pub const FEWEST_EXECUTIONS: usize = 5;
/// Different keys from which on a repetition walks over rows and does not merely poll.
const FEWEST_KEYS: usize = 3;
/// Executions of one statement with one set of values from which on it is asked for nothing.
const FEWEST_REPEATS: usize = 8;
/// A parent is looked for this long before its first child, microseconds.
const PARENT_WINDOW_US: i64 = 3_000_000;
/// Pause between children of a loop that is spread over several sessions, microseconds.
const SPREAD_PAUSE_US: i64 = 100_000;
/// Executions of a child, and executions before each, that are looked at to find parents in other
/// sessions.
const PROBES: usize = 32;
const LOOK_BACK: usize = 200;

/// One walk over rows.
#[derive(Debug, Clone)]
pub struct Loop {
    /// Place of the parent's execution in the timeline.
    pub parent: Option<u32>,
    /// Places of the children's executions.
    pub children: Vec<u32>,
    /// Different keys.
    pub keys: usize,
}

/// All loops of one statement under one parent.
#[derive(Debug, Clone)]
pub struct Found {
    /// Number of the query that is repeated.
    pub child: usize,
    pub parent: Option<Parent>,
    pub loops: Vec<Loop>,
}

#[derive(Debug, Clone)]
pub struct Parent {
    pub query: usize,
    pub slot: KeySlot,
    /// In words, why its rows could be the keys.
    pub why: String,
}

/// A statement that was asked again with the same values.
#[derive(Debug, Clone)]
pub struct Repeated {
    pub query: usize,
    /// Places in the timeline, one list for each unit of work.
    pub units: Vec<Vec<u32>>,
}

#[derive(Debug, Default)]
pub struct Loops {
    pub reads: Vec<Found>,
    pub writes: Vec<Found>,
    pub repeated: Vec<Repeated>,
}

impl Found {
    pub fn executions(&self) -> usize {
        self.loops.iter().map(|l| l.children.len()).sum()
    }
}

/// What a statement can be in a loop.
struct Part {
    is_read: bool,
    is_write: bool,
    keys: Vec<KeySlot>,
    /// It can return several rows.
    yields: bool,
}

impl Part {
    fn of(input: &Input<'_>, query: usize) -> Part {
        let Some(shape) = &input.shapes[query] else {
            return Part { is_read: false, is_write: false, keys: Vec::new(), yields: false };
        };
        let mut keys = key_slots(shape);
        // A long list is eager loading by parts.
        keys.retain(|slot| {
            let values = input.workload.queries[query].slots.get(usize::from(slot.number) - 1);
            values.and_then(|values| values.mean_elements()).is_none_or(|mean| mean <= 10.0)
        });
        Part {
            is_read: shape.kind == StatementKind::Select
                && !shape.locks_rows
                && !shape.scans.is_empty(),
            is_write: writes(shape.kind),
            keys,
            yields: yields_rows(shape, input.catalog),
        }
    }
}

/// Finds all loops.
pub fn find(input: &Input<'_>) -> Loops {
    let (episodes, transactions) = cut(input);
    let mut search = Search {
        input,
        parts: (0..input.shapes.len()).map(|query| Part::of(input, query)).collect(),
        joins: Joins::new(input),
        links: HashMap::new(),
        transactions,
    };
    let mut reads: BTreeMap<(usize, usize), Owned> = BTreeMap::new();
    let mut inserts: BTreeMap<usize, Vec<Loop>> = BTreeMap::new();
    let mut repeated: BTreeMap<usize, Vec<Vec<u32>>> = BTreeMap::new();
    for episode in &episodes {
        search.in_episode(episode, &mut reads);
        search.rows_one_by_one(episode, &mut inserts);
        search.asked_again(episode, &mut repeated);
    }
    search.spread(&mut reads);
    let mut loops = search.best(reads);
    for (child, found) in inserts {
        if !loops.writes.iter().any(|known| known.child == child) {
            loops.writes.push(Found { child, parent: None, loops: found });
        }
    }
    loops.repeated =
        repeated.into_iter().map(|(query, units)| Repeated { query, units }).collect();
    loops
}

/// Executions of a child by the execution of a parent that they follow.
#[derive(Default)]
struct Owned {
    loops: Vec<Loop>,
    /// Parent's executions that few children follow, and those children.
    short: usize,
    short_children: usize,
}

impl Owned {
    /// More long runs than statements in any order would show: of the runs that are short, one learns
    /// how likely a run goes on, and so how many would be long by chance.
    fn is_beyond_chance(&self) -> bool {
        let long: usize = self.loops.iter().map(|l| l.children.len()).sum();
        if long >= self.short_children {
            return true;
        }
        let mean = self.short_children as f64 / self.short.max(1) as f64;
        let goes_on = mean / (1.0 + mean);
        let by_chance = self.short as f64 * goes_on.powi(FEWEST_EXECUTIONS as i32);
        self.loops.len() as f64 >= 3.0 + 3.0 * by_chance
    }
}

struct Search<'a> {
    input: &'a Input<'a>,
    parts: Vec<Part>,
    joins: Joins<'a>,
    /// How rows of a parent could give keys to a child, for the pairs that were asked about.
    links: HashMap<(u32, u32), Option<(KeySlot, String)>>,
    transactions: Transactions,
}

impl<'a> Search<'a> {
    fn timeline(&self) -> &'a [Execution] {
        &self.input.workload.timeline.executions
    }

    fn slots(&self, place: u32) -> &'a [SlotHash] {
        let execution = &self.timeline()[place as usize];
        let positions = self.input.workload.queries[execution.query as usize].slots.len();
        self.input.workload.timeline.slots(execution, positions)
    }

    fn link(&mut self, parent: u32, child: u32) -> Option<&(KeySlot, String)> {
        let (input, joins, parts) = (self.input, &self.joins, &self.parts);
        self.links
            .entry((parent, child))
            .or_insert_with(|| {
                if parent == child || !parts[parent as usize].yields {
                    return None;
                }
                let shape = |at: u32| input.shapes[at as usize].as_ref();
                let (above, below) = (shape(parent)?, shape(child)?);
                parts[child as usize].keys.iter().find_map(|slot| {
                    let why = link(above, below, slot, joins, input.catalog)?;
                    Some((slot.clone(), why))
                })
            })
            .as_ref()
    }

    /// Loops within one episode.
    fn in_episode(&mut self, episode: &Episode, reads: &mut BTreeMap<(usize, usize), Owned>) {
        let mut by_query: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for place in &episode.places {
            by_query.entry(self.timeline()[*place as usize].query).or_default().push(*place);
        }
        for (child, places) in &by_query {
            let part = &self.parts[*child as usize];
            if places.len() < FEWEST_EXECUTIONS || part.keys.is_empty() {
                continue;
            }
            for (parent, owners) in &by_query {
                let Some((slot, _)) = self.link(*parent, *child) else { continue };
                let slot = slot.clone();
                let owned = reads.entry((*child as usize, *parent as usize)).or_default();
                self.own(owners, places, &slot, owned);
            }
        }
    }

    /// Gives each child's execution to the parent's execution before it.
    fn own(&self, owners: &[u32], places: &[u32], slot: &KeySlot, owned: &mut Owned) {
        let timeline = self.timeline();
        let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for place in places {
            let before = owners.partition_point(|owner| owner < place);
            let Some(owner) = before.checked_sub(1).map(|at| owners[at]) else { continue };
            if !self.transactions.are_together(self.input, owner, *place) {
                continue;
            }
            let last = groups.get(&owner).and_then(|group| group.last()).copied().unwrap_or(owner);
            let gap_us = timeline[*place as usize].at_us - timeline[last as usize].at_us;
            if gap_us <= PARENT_WINDOW_US {
                groups.entry(owner).or_default().push(*place);
            }
        }
        owned.short += owners.len() - groups.len();
        for (owner, children) in groups {
            let keys = self.keys(&children, slot);
            if children.len() >= FEWEST_EXECUTIONS && keys >= FEWEST_KEYS {
                owned.loops.push(Loop { parent: Some(owner), children, keys });
            } else {
                owned.short += 1;
                owned.short_children += children.len();
            }
        }
    }

    /// Different values at a slot.
    fn keys(&self, places: &[u32], slot: &KeySlot) -> usize {
        let keys: HashSet<SlotHash> = places
            .iter()
            .filter_map(|place| self.slots(*place).get(usize::from(slot.number) - 1).copied())
            .filter(|hash| hash.is_scalar() || hash.is_list())
            .collect();
        keys.len()
    }

    /// Writes of single rows in one transaction, whatever came before.
    fn rows_one_by_one(&self, episode: &Episode, inserts: &mut BTreeMap<usize, Vec<Loop>>) {
        let mut units: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for place in &episode.places {
            let query = self.timeline()[*place as usize].query;
            if self.parts[query as usize].is_write
                && self.transactions.of(*place) != 0
            {
                units.entry((self.transactions.of(*place), query)).or_default().push(*place);
            }
        }
        for ((_, query), places) in units {
            if places.len() < FEWEST_EXECUTIONS {
                continue;
            }
            let different: HashSet<&[SlotHash]> =
                places.iter().map(|place| self.slots(*place)).collect();
            if different.len() >= FEWEST_KEYS {
                let keys = different.len();
                inserts.entry(query as usize).or_default().push(Loop {
                    parent: None,
                    children: places,
                    keys,
                });
            }
        }
    }

    /// Reads with the same values, again and again in one unit of work.
    fn asked_again(&self, episode: &Episode, repeated: &mut BTreeMap<usize, Vec<Vec<u32>>>) {
        let mut same: BTreeMap<(u32, u32, &[SlotHash]), Vec<u32>> = BTreeMap::new();
        for place in &episode.places {
            let query = self.timeline()[*place as usize].query;
            let slots = self.slots(*place);
            let known = !slots.is_empty() && slots.iter().all(|hash| *hash != SlotHash::UNKNOWN);
            if self.parts[query as usize].is_read && known {
                let unit = self.transactions.of(*place);
                same.entry((unit, query, slots)).or_default().push(*place);
            }
        }
        for ((_, query, _), places) in same {
            if places.len() >= FEWEST_REPEATS {
                repeated.entry(query as usize).or_default().push(places);
            }
        }
    }

    /// Loops whose children ran in other sessions than their parent: pools and concurrent code.
    fn spread(&mut self, reads: &mut BTreeMap<(usize, usize), Owned>) {
        let explained: HashSet<usize> = reads
            .iter()
            .filter(|(_, owned)| !owned.loops.is_empty() && owned.is_beyond_chance())
            .map(|((child, _), _)| *child)
            .collect();
        let mut places: HashMap<u32, Vec<u32>> = HashMap::new();
        for (place, execution) in self.timeline().iter().enumerate() {
            places.entry(execution.query).or_default().push(place as u32);
        }
        let mut children: Vec<u32> = places
            .iter()
            .filter(|(query, own)| {
                let part = &self.parts[**query as usize];
                own.len() >= FEWEST_EXECUTIONS
                    && part.is_read
                    && !part.keys.is_empty()
                    && !explained.contains(&(**query as usize))
            })
            .map(|(query, _)| *query)
            .collect();
        children.sort_unstable();
        for child in children {
            let own = &places[&child];
            for parent in self.before(own) {
                let Some((slot, _)) = self.link(parent, child) else { continue };
                let slot = slot.clone();
                let mut owned = Owned::default();
                self.own_across(&places[&parent], own, &slot, &mut owned);
                // Of statements that come in any order, some follow one another by chance.
                let in_loops: usize = owned.loops.iter().map(|l| l.children.len()).sum();
                if in_loops * 2 >= own.len() {
                    reads.insert((child as usize, parent as usize), owned);
                }
            }
        }
    }

    /// Statements that yield rows and ran shortly before some of these executions.
    fn before(&self, own: &[u32]) -> Vec<u32> {
        let timeline = self.timeline();
        let step = own.len().div_ceil(PROBES).max(1);
        let mut found: Vec<u32> = Vec::new();
        for place in own.iter().step_by(step) {
            let at = &timeline[*place as usize];
            let earlier = timeline[..*place as usize].iter().rev().take(LOOK_BACK);
            for execution in earlier.take_while(|e| at.at_us - e.at_us <= PARENT_WINDOW_US) {
                if execution.lane == at.lane
                    && self.parts[execution.query as usize].yields
                    && !found.contains(&execution.query)
                {
                    found.push(execution.query);
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// As [`Search::own`], over all sessions of a lane.
    fn own_across(&self, owners: &[u32], places: &[u32], slot: &KeySlot, owned: &mut Owned) {
        let timeline = self.timeline();
        let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for place in places {
            let at = &timeline[*place as usize];
            let before = owners.partition_point(|owner| owner < place);
            let owner = owners[..before].iter().rev().take(LOOK_BACK).find(|owner| {
                let parent = &timeline[**owner as usize];
                parent.lane == at.lane && !(parent.group.is_trace() && parent.group != at.group)
            });
            let Some(owner) = owner else { continue };
            let last = groups.get(owner).and_then(|group| group.last()).copied().unwrap_or(*owner);
            if at.at_us - timeline[last as usize].at_us <= SPREAD_PAUSE_US {
                groups.entry(*owner).or_default().push(*place);
            }
        }
        for (owner, children) in groups {
            let keys = self.keys(&children, slot);
            if children.len() >= FEWEST_EXECUTIONS && keys >= FEWEST_KEYS {
                owned.loops.push(Loop { parent: Some(owner), children, keys });
            }
        }
    }

    /// The parent that explains most executions of a child; of two, the one that ran closer to them.
    fn best(&mut self, reads: BTreeMap<(usize, usize), Owned>) -> Loops {
        let timeline = self.timeline();
        let mut best: BTreeMap<usize, (Found, (usize, i64))> = BTreeMap::new();
        for ((child, parent), owned) in reads {
            if owned.loops.is_empty() || !owned.is_beyond_chance() {
                continue;
            }
            let Some((slot, why)) = self.link(parent as u32, child as u32).cloned() else {
                continue;
            };
            let distance: i64 = owned
                .loops
                .iter()
                .filter_map(|l| Some((l.parent?, l.children.first()?)))
                .map(|(owner, first)| {
                    timeline[*first as usize].at_us - timeline[owner as usize].at_us
                })
                .sum();
            let parent = Some(Parent { query: parent, slot, why });
            let found = Found { child, parent, loops: owned.loops };
            let mean = -(distance / found.loops.len().max(1) as i64);
            let rank = (found.executions(), mean);
            if best.get(&child).is_none_or(|(_, known)| rank > *known) {
                best.insert(child, (found, rank));
            }
        }
        let mut loops = Loops::default();
        for (found, _) in best.into_values() {
            let part = &self.parts[found.child];
            if part.is_read {
                loops.reads.push(found);
            } else if part.is_write {
                loops.writes.push(found);
            }
        }
        loops
    }
}
