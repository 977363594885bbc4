//! The cost of each statement with a set of candidates, with as few planner calls as possible.
//!
//! A planner that was offered a set and used some of it would have chosen the same plan from any set in
//! between; so one answer is good for all of them (the cache of Chaudhuri and Narasayya's AutoAdmin,
//! VLDB 1997, and of INUM, Papadomanolakis et al., VLDB 2007, without their approximations).

use std::collections::HashMap;

use super::charge::charged;
use super::scan_model::{IndexScanModel, ModelledCost};
use crate::model::index::IndexDef;
use crate::model::whatif::{PlanCost, Statistics, WhatIf};
use crate::model::workload::Workload;
use crate::model::workload::shape::Shape;

/// Layers of used indexes that are set aside for one statement, at most: an index that only comes up after so many
/// would never be chosen for it.
const MOST_EXCLUSIONS: usize = 8;

/// Planner calls after which only known answers are used: a minute or two of waiting.
const MOST_QUESTIONS: u64 = 25_000;

/// Costs within this factor count as equal in the selection: the planner's own error is larger.
const NEAR_ENOUGH: f64 = 1.03;

/// A cost that changes by less than this share counts as unchanged: the planner cannot tell such plans apart.
pub const SMALLEST_CHANGE: f64 = 0.1;

/// A set of candidates, by position, ascending.
pub type Set = Vec<usize>;

/// One answer of the planner: with `offered` it used `used`.
struct Answer {
    offered: Set,
    used: Set,
    planned: PlanCost,
}

impl Answer {
    /// The planner would give the same answer for this set.
    fn is_good_for(&self, offered: &[usize]) -> bool {
        is_subset(&self.used, offered) && is_subset(offered, &self.offered)
    }
}

/// The precision that an answer needs.
#[derive(Debug, Clone, Copy)]
enum Precision {
    /// As the planner would give it.
    Exact,
    /// Up to [`NEAR_ENOUGH`] of its cost.
    Near,
}

/// The cheapest known plan that `offered` makes possible. The planner's answer could only be cheaper.
fn possible(given: &[Answer], offered: &[usize]) -> Option<usize> {
    let answers = given.iter().enumerate();
    answers
        .filter(|(_, answer)| is_subset(&answer.used, offered))
        .min_by(|(_, a), (_, b)| charged(&a.planned).total_cmp(&charged(&b.planned)))
        .map(|(at, _)| at)
}

/// The same, where no plan can be much cheaper: none was with all of `offered` and more.
fn near(given: &[Answer], offered: &[usize]) -> Option<usize> {
    let at = possible(given, offered)?;
    let most = charged(&given[at].planned);
    let wider = given.iter().filter(|answer| is_subset(offered, &answer.offered));
    let least = wider.map(|answer| charged(&answer.planned)).max_by(f64::total_cmp)?;
    (most <= least * NEAR_ENOUGH).then_some(at)
}

/// Costs of the statements of a workload under sets of candidates.
pub struct Costs<'a> {
    workload: &'a Workload,
    plans: Vec<IndexDef>,
    /// For each candidate, whether the planner can be offered it.
    offered: Vec<bool>,
    /// For each statement, the candidates that can matter to it.
    relevant: HashMap<usize, Set>,
    /// Candidates equivalent to another for a statement; only the representative is planned.
    leaders: HashMap<usize, HashMap<usize, usize>>,
    answers: HashMap<usize, Vec<Answer>>,
    /// For each precision and statement, the known answer for a set that was offered.
    known: [HashMap<usize, HashMap<Set, usize>>; 2],
    /// For a statement and a candidate, the substitutes that the planner is shown.
    substitutes: HashMap<(usize, usize), Vec<IndexDef>>,
    /// For each statement, the candidates that are modelled for it; ascending.
    models: HashMap<usize, Vec<(usize, IndexScanModel)>>,
    /// Statements that cannot be planned, with the reason.
    pub failed: HashMap<usize, String>,
    whatif: &'a mut dyn WhatIf,
}

impl<'a> Costs<'a> {
    pub fn new(workload: &'a Workload, plans: Vec<IndexDef>, whatif: &'a mut dyn WhatIf) -> Self {
        Costs {
            workload,
            offered: vec![false; plans.len()],
            plans,
            relevant: HashMap::new(),
            leaders: HashMap::new(),
            answers: HashMap::new(),
            known: Default::default(),
            substitutes: HashMap::new(),
            models: HashMap::new(),
            failed: HashMap::new(),
            whatif,
        }
    }

    /// Statistics of the planner's server.
    pub fn statistics(&mut self) -> &mut dyn Statistics {
        self.whatif.statistics()
    }

    /// Checks which candidates the planner can be shown, and returns the others with the reason.
    pub fn check(&mut self) -> Vec<(usize, String)> {
        let mut refused = Vec::new();
        for (at, plan) in self.plans.iter().enumerate() {
            match self.whatif.check(plan) {
                Ok(()) => self.offered[at] = true,
                Err(why) => refused.push((at, why)),
            }
        }
        refused
    }

    /// Why the planner would not see a candidate in this statement; `None` where it would.
    pub fn hidden_reason(&self, candidate: usize, shape: &Shape) -> Option<String> {
        self.whatif.sees(&self.plans[candidate], shape).err()
    }

    /// The planner can be shown this index.
    pub fn can_show(&mut self, index: &IndexDef) -> bool {
        self.whatif.check(index).is_ok()
    }

    /// Sets the substitutes of a candidate that the planner would not see in a statement.
    pub fn with_substitutes(&mut self, query: usize, candidate: usize, indexes: Vec<IndexDef>) {
        self.substitutes.insert((query, candidate), indexes);
    }

    /// Sets the candidates that can matter to a statement; ascending.
    pub fn concerns(&mut self, query: usize, candidates: Set) {
        self.relevant.insert(query, candidates);
    }

    /// Sets the model of a candidate that the planner cannot be shown for a statement.
    pub fn with_model(&mut self, query: usize, candidate: usize, model: IndexScanModel) {
        let models = self.models.entry(query).or_default();
        match models.binary_search_by_key(&candidate, |(at, _)| *at) {
            Ok(place) => models[place].1 = model,
            Err(place) => models.insert(place, (candidate, model)),
        }
    }

    fn model(&self, query: usize, candidate: usize) -> Option<&IndexScanModel> {
        let models = self.models.get(&query)?;
        let place = models.binary_search_by_key(&candidate, |(at, _)| *at).ok()?;
        Some(&models[place].1)
    }

    /// The candidate has a model or was built for this statement.
    pub fn has_model(&self, query: usize, candidate: usize) -> bool {
        self.model(query, candidate).is_some()
    }

    /// The candidate has a model for this statement, and was not built.
    pub fn is_modelled(&self, query: usize, candidate: usize) -> bool {
        self.model(query, candidate).is_some_and(IndexScanModel::is_modelled)
    }

    /// The plan of a statement with those of `set` that can matter to it.
    pub fn planned(&mut self, query: usize, set: &[usize]) -> Option<&PlanCost> {
        self.answer(query, set, Precision::Exact).map(|answer| &answer.planned)
    }

    /// The planner's answer for `set`, known already or asked for.
    fn answer(&mut self, query: usize, set: &[usize], precision: Precision) -> Option<&Answer> {
        if self.failed.contains_key(&query) {
            return None;
        }
        let relevant = self.relevant.get(&query).map_or(&[][..], Vec::as_slice);
        let offered = self.offer(query, relevant, set);
        let known = self.known[precision as usize].entry(query).or_default();
        let at = match known.get(&offered) {
            Some(at) => *at,
            None => self.look_up(query, offered, precision)?,
        };
        self.answers.get(&query).map(|answers| &answers[at])
    }

    fn look_up(&mut self, query: usize, offered: Set, precision: Precision) -> Option<usize> {
        let given = self.answers.get(&query).map_or(&[][..], Vec::as_slice);
        let is_over = self.whatif.asked() >= MOST_QUESTIONS;
        let same = given.iter().position(|answer| answer.is_good_for(&offered));
        let other = || match precision {
            _ if is_over => possible(given, &offered),
            Precision::Near => near(given, &offered),
            Precision::Exact => None,
        };
        let at = match same.or_else(other) {
            Some(at) => at,
            None => self.ask(query, &offered)?,
        };
        self.known[precision as usize].entry(query).or_default().insert(offered, at);
        Some(at)
    }

    /// The part of a set that the planner is shown for a statement.
    fn offer(&self, query: usize, relevant: &[usize], set: &[usize]) -> Set {
        let matters = |at: &usize| {
            self.offered[*at] && relevant.binary_search(at).is_ok() && !self.has_model(query, *at)
        };
        let mut offered: Set =
            set.iter().filter(|at| matters(at)).map(|at| self.leader(query, *at)).collect();
        offered.sort_unstable();
        offered.dedup();
        offered
    }

    /// The representative that is planned in place of this candidate.
    fn leader(&self, query: usize, at: usize) -> usize {
        self.leaders.get(&query).and_then(|of| of.get(&at)).copied().unwrap_or(at)
    }

    /// Asks the planner, and returns the position of its answer.
    fn ask(&mut self, query: usize, offered: &[usize]) -> Option<usize> {
        let shown = |at: &usize| {
            let at = *at;
            let own = std::slice::from_ref(&self.plans[at]);
            let shown = self.substitutes.get(&(query, at)).map_or(own, Vec::as_slice);
            shown.iter().map(move |index| (at, index))
        };
        let (stands_for, plans): (Vec<usize>, Vec<&IndexDef>) =
            offered.iter().flat_map(shown).unzip();
        match self.whatif.plan(&self.workload.queries[query], &plans) {
            Ok(planned) => {
                let mut used: Vec<usize> = planned.used.iter().map(|at| stands_for[*at]).collect();
                used.dedup();
                let answers = self.answers.entry(query).or_default();
                answers.push(Answer { offered: offered.to_vec(), used, planned });
                Some(answers.len() - 1)
            }
            Err(why) => {
                self.failed.insert(query, why);
                None
            }
        }
    }

    /// Returns the candidates that a statement may use.
    ///
    /// All of `tested` are offered, those that the plan uses are set aside, and the rest is offered again until none
    /// of it is used. So a few planner calls find the useful ones among hundreds, the best first. Where all of the rest
    /// together change next to nothing, none of it is kept. Those of the rest that are in `bare`, ascending, are also
    /// planned one by one. Each of the `followers` stays with its representative.
    pub fn narrow(
        &mut self,
        query: usize,
        tested: &[usize],
        bare: &[usize],
        followers: &[(usize, usize)],
    ) -> Set {
        let has_model = |at: &usize| self.has_model(query, *at);
        let (mut kept, mut rest): (Set, Set) = tested.iter().partition(|at| has_model(at));
        let nothing = self.planned(query, &[]).map_or(f64::INFINITY, charged);
        for _ in 0..MOST_EXCLUSIONS {
            let used = self.used(query, &rest);
            let with = self.planned(query, &rest).map_or(f64::INFINITY, charged);
            if used.is_empty() || with > nothing * (1.0 - SMALLEST_CHANGE) {
                rest.clear();
                break;
            }
            rest.retain(|at| !used.contains(at));
            kept.extend(used);
        }
        // Small indexes come up late, behind those that carry more columns.
        for at in rest.into_iter().filter(|at| bare.binary_search(at).is_ok()) {
            if self.used(query, &[at]).contains(&at) {
                kept.push(at);
            }
        }
        let behind: HashMap<usize, usize> =
            followers.iter().filter(|(_, leader)| kept.contains(leader)).copied().collect();
        kept.extend(behind.keys());
        self.leaders.insert(query, behind);
        kept.sort_unstable();
        self.relevant.insert(query, kept.clone());
        kept
    }

    /// The cost of an execution (`charged`); `None` where the statement cannot be planned.
    pub fn cost(&mut self, query: usize, set: &[usize]) -> Option<f64> {
        let has_looks = self.models.contains_key(&query);
        let answer = self.answer(query, set, Precision::Near)?;
        let planned = charged(&answer.planned);
        if !has_looks {
            return Some(planned);
        }
        let plan = answer.planned.clone();
        let best = self.best_model(query, set, &plan);
        Some(best.map_or(planned, |(_, looked)| looked.charged.min(planned)))
    }

    /// The planner's cost, from hypothetical and built indexes, without any model.
    pub fn plain_cost(&mut self, query: usize, set: &[usize]) -> Option<f64> {
        let planned = self.planned(query, set)?.cost;
        let built = set.iter().filter_map(|at| self.model(query, *at)?.cost());
        Some(built.fold(planned, f64::min))
    }

    /// The lowest cost of a statement that was found with any set.
    pub fn least(&self, query: usize) -> Option<f64> {
        let answers = || self.answers.get(&query).into_iter().flatten();
        let planned = answers().map(|answer| charged(&answer.planned));
        let models = self.models.get(&query).into_iter().flatten();
        let looked = models.flat_map(|(_, model)| {
            answers().filter_map(|answer| Some(model.charged(&answer.planned)?.charged))
        });
        planned.chain(looked).min_by(f64::total_cmp)
    }

    /// The modelled candidate of `set` with the lowest cost.
    fn best_model(
        &self,
        query: usize,
        set: &[usize],
        plan: &PlanCost,
    ) -> Option<(usize, ModelledCost)> {
        set.iter()
            .filter_map(|at| Some((*at, self.model(query, *at)?.charged(plan)?)))
            .min_by(|a, b| a.1.charged.total_cmp(&b.1.charged))
    }

    /// The candidates of `set` that the plan uses, modelled ones included.
    pub fn used(&mut self, query: usize, set: &[usize]) -> Set {
        let Some(answer) = self.answer(query, set, Precision::Exact) else { return Set::new() };
        let (plan, mut used) = (answer.planned.clone(), answer.used.clone());
        let best = self.best_model(query, set, &plan);
        let best = best.filter(|(_, looked)| looked.charged < charged(&plan));
        if let Some((at, looked)) = best {
            // Instead of what else there is on its table.
            let table = &self.plans[at].table;
            used.retain(|other| !looked.is_alone && self.plans[*other].table != *table);
        }
        // Of several that stand behind the same one, it is the first.
        let own = |leader: &usize| {
            let is_it = |at: &&usize| self.leader(query, **at) == *leader;
            set.iter().find(is_it).copied().unwrap_or(*leader)
        };
        let mut used: Set = used.iter().map(own).collect();
        used.extend(best.map(|(at, _)| at));
        used.sort_unstable();
        used
    }
}

/// Every element of `small` is in `large`; both ascending.
fn is_subset(small: &[usize], large: &[usize]) -> bool {
    small.iter().all(|at| large.binary_search(at).is_ok())
}
