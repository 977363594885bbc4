//! Loops in the timeline: statements that ran once for each row of an earlier answer, wrote row by
//! row, or asked the same again and again.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::episodes::{Transactions, cut, writes};
use super::key_origin::{Joins, KeySlot, key_slots, link, yields_rows};
use crate::model::workload::Workload;
use crate::model::workload::shape::{Operator, Shape, StatementKind};
use crate::model::workload::timeline::{Execution, SlotHash};
use crate::rules::observed::Observed;

/// Executions from which on a repetition is a loop. Sentry and others draw the line here, too: below
/// it the time lost is not worth a change.
pub const FEWEST_EXECUTIONS: usize = 5;
/// Different keys from which on a repetition walks over rows and does not merely poll.
pub const FEWEST_KEYS: usize = 3;
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
pub struct StatementLoops {
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
    /// Nothing but the order of executions ties the two together.
    pub is_guess: bool,
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
    pub reads: Vec<StatementLoops>,
    pub writes: Vec<StatementLoops>,
    pub repeated: Vec<Repeated>,
    /// The explicit transactions that the timeline was cut by.
    pub transactions: Transactions,
}

impl StatementLoops {
    pub fn executions(&self) -> usize {
        self.loops.iter().map(|l| l.children.len()).sum()
    }

    /// A parameter has several values within one loop. One that the log does not have counts as another one for
    /// each execution if `is_unknown_another` is set.
    pub fn varies(&self, workload: &Workload, slot: u16, is_unknown_another: bool) -> bool {
        let positions = workload.queries[self.child].slots.len();
        let of = |place: &u32| -> Option<SlotHash> {
            let execution = &workload.timeline.executions[*place as usize];
            let at = usize::from(slot).checked_sub(1)?;
            workload.timeline.slots(execution, positions).get(at).copied()
        };
        self.loops.iter().any(|own| {
            let mut values =
                own.children.iter().map(|place| of(place).unwrap_or(SlotHash::UNKNOWN));
            let first = values.next();
            let is_other = |value: SlotHash| Some(value) != first;
            is_unknown_another && first == Some(SlotHash::UNKNOWN) || values.any(is_other)
        })
    }
}

/// Properties of a statement that loop detection uses.
#[derive(Default)]
pub(super) struct StatementTraits {
    pub is_read: bool,
    pub is_write: bool,
    /// It writes one row, or those of one key.
    pub writes_one_row: bool,
    pub keys: Vec<KeySlot>,
    /// It can return several rows.
    pub yields: bool,
}

impl StatementTraits {
    fn of(input: Observed<'_>, query: usize) -> StatementTraits {
        let Some(shape) = input.workload.shape(query) else {
            return StatementTraits::default();
        };
        let mut keys = key_slots(shape);
        // A long list is eager loading by parts.
        keys.retain(|slot| {
            let values = input.workload.queries[query].slots.get(usize::from(slot.number) - 1);
            values.and_then(|values| values.mean_elements()).is_none_or(|mean| mean <= 10.0)
        });
        StatementTraits {
            is_read: shape.kind == StatementKind::Select
                && !shape.locks_rows
                && reads_user_tables(shape),
            is_write: writes(shape.kind),
            writes_one_row: writes_one_row(input, query, shape),
            keys,
            yields: (reads_user_tables(shape) && yields_rows(shape, input.catalog))
                || reads_user_function(shape),
        }
    }
}

/// Rows of a function that is not one of the server's own about itself.
fn reads_user_function(shape: &Shape) -> bool {
    let is_system = |name: &String| {
        ["pg_", "current_", "version", "set_config", "inet_", "txid_", "now"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    shape.reads_function
        && shape.scans.is_empty()
        && !shape.single_row
        && !shape.functions.iter().all(is_system)
}

/// An `INSERT` of one row of values, or an `UPDATE` or `DELETE` by a single key.
fn writes_one_row(input: Observed<'_>, query: usize, shape: &Shape) -> bool {
    let lists = input.workload.queries[query].slots.iter().map(|slot| slot.lists).max();
    let Some(target) = shape.scans.iter().find(|scan| scan.target) else { return false };
    match shape.kind {
        StatementKind::Insert => shape.single_row && lists.unwrap_or(0) == 0,
        kind => {
            writes(kind) && target.filters.iter().any(|filter| filter.operator == Operator::Equal)
        }
    }
}

/// Drivers ask the system catalogs on their own account.
fn reads_user_tables(shape: &Shape) -> bool {
    let is_system = |name: &crate::model::name::TableName| {
        matches!(name.schema.as_str(), "pg_catalog" | "information_schema")
            || name.name.starts_with("pg_")
    };
    shape.scans.iter().any(|scan| !is_system(&scan.table))
}

/// Finds all loops.
pub fn find(input: Observed<'_>) -> Loops {
    let (episodes, transactions) = cut(input);
    let mut search = Search {
        input,
        parts: (0..input.workload.queries.len())
            .map(|query| StatementTraits::of(input, query))
            .collect(),
        joins: Joins::new(input),
        links: HashMap::new(),
        transactions,
        runs: runs(input),
    };
    let mut owned: BTreeMap<(usize, usize), Owned> = BTreeMap::new();
    let mut writes: BTreeMap<usize, Vec<Loop>> = BTreeMap::new();
    let mut repeated: BTreeMap<usize, Vec<Vec<u32>>> = BTreeMap::new();
    for episode in &episodes {
        search.in_episode(episode, &mut owned);
        search.rows_one_by_one(episode, &mut writes);
        search.asked_again(episode, &mut repeated);
    }
    search.spread(&mut owned);
    let mut loops = search.best(owned);
    for (child, found) in writes {
        if !loops.writes.iter().any(|known| known.child == child) {
            loops.writes.push(StatementLoops { child, parent: None, loops: found });
        }
    }
    loops.transactions = search.transactions;
    loops.repeated = repeated.into_iter().map(|(query, units)| Repeated { query, units }).collect();
    loops
}

fn runs(input: Observed<'_>) -> Vec<usize> {
    let mut runs = vec![0; input.workload.queries.len()];
    for execution in &input.workload.timeline.executions {
        runs[execution.query as usize] += 1;
    }
    runs
}

/// Executions of a child by the execution of a parent that they follow.
#[derive(Default)]
pub(super) struct Owned {
    pub loops: Vec<Loop>,
    /// Parent's executions that few children follow, and those children.
    pub short: usize,
    pub short_children: usize,
    /// Parent's executions that many children follow, with as much else in between.
    pub mixed: usize,
}

impl Owned {
    /// More long runs than statements in any order would show: of the runs that are short, one learns
    /// how likely a run goes on, and so how many would be long by chance.
    pub fn is_beyond_chance(&self) -> bool {
        if self.mixed * 3 > self.loops.len() {
            return false;
        }
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

pub(super) struct Search<'a> {
    pub input: Observed<'a>,
    pub parts: Vec<StatementTraits>,
    joins: Joins<'a>,
    /// How rows of a parent could give keys to a child, for the pairs that were asked about.
    links: HashMap<(u32, u32), Option<(KeySlot, String)>>,
    pub transactions: Transactions,
    /// Executions of each query in the timeline.
    runs: Vec<usize>,
}

impl<'a> Search<'a> {
    pub fn timeline(&self) -> &'a [Execution] {
        &self.input.workload.timeline.executions
    }

    pub fn query(&self, place: u32) -> u32 {
        self.timeline()[place as usize].query
    }

    pub fn slots(&self, place: u32) -> &'a [SlotHash] {
        let execution = &self.timeline()[place as usize];
        let positions = self.input.workload.queries[execution.query as usize].slots.len();
        self.input.workload.timeline.slots(execution, positions)
    }

    pub fn link(&mut self, parent: u32, child: u32) -> Option<&(KeySlot, String)> {
        let (input, joins, parts) = (self.input, &self.joins, &self.parts);
        self.links
            .entry((parent, child))
            .or_insert_with(|| {
                if parent == child || !parts[parent as usize].yields {
                    return None;
                }
                let shape = |at: u32| input.workload.shape(at as usize);
                let (above, below) = (shape(parent)?, shape(child)?);
                parts[child as usize].keys.iter().find_map(|slot| {
                    let why = link(above, below, slot, joins, input.catalog)?;
                    Some((slot.clone(), why))
                })
            })
            .as_ref()
    }

    /// Different values at the slot that varies most. Values that the log does not have count as
    /// different: a server can be told not to write them.
    pub fn distinct_keys(&self, child: u32, places: &[u32]) -> usize {
        let keys = self.parts[child as usize].keys.iter();
        let distinct = keys.map(|slot| {
            let values: HashSet<SlotHash> = places
                .iter()
                .filter_map(|place| self.slots(*place).get(usize::from(slot.number) - 1).copied())
                .filter(|hash| hash.is_scalar() || hash.is_list())
                .collect();
            let slot = usize::from(slot.number) - 1;
            let unknown = |place: &&u32| self.slots(**place).get(slot) == Some(&SlotHash::UNKNOWN);
            values.len() + places.iter().filter(unknown).count()
        });
        distinct.max().unwrap_or(0)
    }

    /// Pause of the application between an execution and the one before it, microseconds.
    pub fn pause_us(&self, earlier: u32, later: u32) -> i64 {
        let (a, b) = (&self.timeline()[earlier as usize], &self.timeline()[later as usize]);
        b.at_us - i64::from(b.duration_us) - a.at_us
    }

    /// The parent that explains most executions of a child; of two, the one that ran closer to them.
    fn best(&mut self, owned: BTreeMap<(usize, usize), Owned>) -> Loops {
        let mut best: BTreeMap<usize, (StatementLoops, (bool, usize, i64))> = BTreeMap::new();
        for ((child, parent), owned) in owned {
            if owned.loops.is_empty() || !owned.is_beyond_chance() {
                continue;
            }
            let linked = self.link(parent as u32, child as u32).cloned();
            let is_guess = linked.is_none();
            // Eager loading asks once for each answer of its parent, in whatever session.
            let takes_lists = self.input.workload.queries[child].slots.iter().any(|s| s.lists > 0);
            // The same code does the same each time.
            if is_guess && 2 * owned.loops.len() < self.runs[parent] {
                continue;
            }
            if (is_guess || takes_lists) && self.runs[child] <= 2 * self.runs[parent] {
                continue;
            }
            let Some((slot, why)) = linked.or_else(|| {
                let slot = self.parts[child].keys.first()?.clone();
                Some((slot, "the order of executions alone".to_owned()))
            }) else {
                continue;
            };
            let distance: i64 = owned
                .loops
                .iter()
                .filter_map(|l| Some(self.pause_us(l.parent?, *l.children.first()?)))
                .sum();
            let mean = -(distance / owned.loops.len().max(1) as i64);
            let parent = Some(Parent { query: parent, slot, why, is_guess });
            let found = StatementLoops { child, parent, loops: owned.loops };
            let rank = (!is_guess, found.executions(), mean);
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
