//! Loops that are spread over several sessions: pools and concurrent code.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::find::{FEWEST_EXECUTIONS, FEWEST_KEYS, Loop, Owned, Search};
use crate::model::workload::timeline::Execution;

/// Pause between children, microseconds. Concurrent code sends all of them at once.
const PAUSE_US: i64 = 100_000;
/// A parent is looked for this long before its children, microseconds.
const PARENT_WINDOW_US: i64 = 3_000_000;
/// Executions of a child that are looked at to find parents, and executions before each.
const PROBES: usize = 32;
const LOOK_BACK: usize = 200;
/// How many times their usual rate executions come in a loop.
const BURST: f64 = 2.0;

impl Search<'_> {
    pub fn spread(&mut self, owned: &mut BTreeMap<(usize, usize), Owned>) {
        let explained: HashSet<usize> = owned
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
            let mut owners: Vec<u32> = Vec::new();
            for parent in self.before(own) {
                if self.link(parent, child).is_some() {
                    owners.extend(&places[&parent]);
                }
            }
            owners.sort_unstable();
            let mut loops = self.own_across(child, &owners, own);
            loops.values_mut().for_each(|found| found.retain(|l| self.is_a_burst(l, own)));
            loops.retain(|_, found| !found.is_empty());
            // Of statements that come in any order, some follow one another by chance.
            let in_loops: usize = loops.values().flatten().map(|l| l.children.len()).sum();
            if in_loops * 2 >= own.len() {
                for (parent, loops) in loops {
                    let found = Owned { loops, ..Owned::default() };
                    owned.insert((child as usize, parent as usize), found);
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
                if execution.role_key == at.role_key
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

    /// Gives each execution of a child to the last execution of any parent before it, in the same
    /// role key (database and user). The loops, by parent.
    fn own_across(&self, child: u32, owners: &[u32], places: &[u32]) -> BTreeMap<u32, Vec<Loop>> {
        let timeline = self.timeline();
        let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for place in places {
            let at = &timeline[*place as usize];
            let before = owners.partition_point(|owner| owner < place);
            let mut earlier = owners[..before].iter().rev().take(LOOK_BACK);
            let owner = earlier.find(|owner| could_own(&timeline[**owner as usize], at));
            let Some(owner) = owner else { continue };
            let last = groups.get(owner).and_then(|group| group.last()).copied().unwrap_or(*owner);
            if at.at_us - timeline[last as usize].at_us <= PAUSE_US {
                groups.entry(*owner).or_default().push(*place);
            }
        }
        let mut loops: BTreeMap<u32, Vec<Loop>> = BTreeMap::new();
        for (owner, children) in groups {
            let keys = self.distinct_keys(child, &children);
            // Requests that run side by side each execute the parent, too.
            let parents = self.parents_around(owners, owner, &children);
            if children.len() >= FEWEST_EXECUTIONS
                && children.len() > 2 * parents
                && keys >= FEWEST_KEYS
            {
                let found = loops.entry(self.query(owner)).or_default();
                found.push(Loop { parent: Some(owner), children, keys });
            }
        }
        loops
    }

    /// More executions than would come in this time anyway, by their rate in the rest of the log.
    fn is_a_burst(&self, found: &Loop, own: &[u32]) -> bool {
        let at_us = |place: &u32| self.timeline()[*place as usize].at_us;
        let (Some(first), Some(last)) = (own.first(), own.last()) else { return false };
        let (Some(parent), Some(end)) = (found.parent, found.children.last()) else { return false };
        let span_us = (at_us(end) - at_us(&parent)).max(1) as f64;
        let rest_us = (at_us(last) - at_us(first)) as f64 - span_us;
        let others = own.len() - found.children.len();
        if others == 0 || rest_us <= 0.0 {
            return true;
        }
        found.children.len() as f64 >= BURST * span_us * others as f64 / rest_us
    }

    /// Executions of the parent from shortly before this one to the last of the children.
    fn parents_around(&self, owners: &[u32], owner: u32, children: &[u32]) -> usize {
        let timeline = self.timeline();
        let parent = &timeline[owner as usize];
        let from_us = parent.at_us - PAUSE_US;
        let last = children.last().copied().unwrap_or(owner);
        let from = owners.partition_point(|place| timeline[*place as usize].at_us < from_us);
        let to = owners.partition_point(|place| *place <= last);
        let same = |place: &&u32| {
            let other = &timeline[**place as usize];
            other.role_key == parent.role_key && other.query == parent.query
        };
        owners[from.min(to)..to].iter().filter(same).count()
    }
}

fn could_own(parent: &Execution, child: &Execution) -> bool {
    parent.role_key == child.role_key && !(parent.group.is_trace() && parent.group != child.group)
}
