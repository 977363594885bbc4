//! Tries every proposed index: each alone, all together, and each left out of the set.
//!
//! Before anything is executed, all are built together once and only plans are looked at: an index that no statement
//! uses beside the others needs no trial of its own. The rest is tried alone, the most valuable first. Then each of
//! what is not rejected is left out of the set in turn, and what does not pay beside the others is rejected. What is
//! left is tried together, so that what is accepted is exactly what was measured.
//! Last, those that only made some statement slower alone are tried beside what stands.

use super::config::{NewlyBuilt, TrialInput};
use super::forecast::{Forecast, ForecastStep, steps};
use super::log_gap::Origins;
use super::outcome::{Decision, TrialSubject, alone, in_set};
use super::plan::statements::{ReplayPlan, StatementPlanner, plan};
use super::run::transaction::{Detail, look_at_plans, try_indexes};
use super::run::work::{WorkChange, work_change};
use crate::model::name::TableName;
use crate::model::recommendation::{Recommendation, RecommendationKind, State};
use crate::model::trial::{QueryTrial, Trial, Verdict};
use crate::model::workload::fingerprint::Fingerprint;
use crate::pg::error::PgError;
use crate::stats::random::Random;

/// Times that the set is tried, at most. One is enough when all of it stands.
pub(super) const MOST_SETS: usize = 4;

/// How far the trials are.
pub enum TrialStep<'s> {
    /// A step begins; about so many seconds are left, this one included.
    Begin { what: &'s str, left_s: f64 },
    /// Rounds done, and to do.
    Rounds { done: usize, of: usize },
    /// A recommendation was judged, by this trial where it had one of its own.
    Judged { recommendation: &'s Recommendation, trial: Option<&'s Trial>, left_s: f64 },
    /// An intermediate result. Recommendations that were not tried yet, or not with the others, are undecided.
    SoFar { recommendations: &'s [Recommendation], trials: &'s [&'s Trial] },
}

/// The results of the trials.
pub struct TrialResults {
    /// Trials of single recommendations first, that of the resulting set last.
    pub trials: Vec<Trial>,
    /// Why not all of them were held: the user interrupted, or the server went away.
    pub stopped: Option<PgError>,
}

/// Holds the trials, and writes into the recommendations what came of them.
pub fn verify(
    case: &TrialInput<'_>,
    recommendations: &mut [Recommendation],
    tell: &mut dyn FnMut(TrialStep<'_>),
) -> TrialResults {
    let proposed = best_first(case, recommendations);
    let forecast = Forecast::new(steps(case, recommendations, &proposed));
    let mut procedure = Procedure {
        case,
        planner: StatementPlanner::default(),
        random: Random::new(case.target.effort.seed),
        origins: Origins::of(case.connection, &case.target.settings.user, case.workload),
        singles: Vec::new(),
        set: None,
        is_settled: false,
        used_in_set: Vec::new(),
        plans: None,
        proposed,
        forecast,
        tell,
    };
    let stopped = match procedure.indexes(recommendations) {
        Ok(()) => {
            let stopped = procedure.writes(recommendations).err();
            reject_with_what_they_require(recommendations);
            stopped
        }
        Err(error) => {
            procedure.leave_open(recommendations);
            Some(error)
        }
    };
    procedure.name_more_work(recommendations);
    let mut trials = procedure.singles;
    trials.extend(procedure.set);
    TrialResults { trials, stopped }
}

/// Places of the indexes that are proposed: those first whose statements take the most time that the planner expects
/// to go away.
fn best_first(case: &TrialInput<'_>, recommendations: &[Recommendation]) -> Vec<usize> {
    let is_proposed = |recommendation: &Recommendation| {
        recommendation.kind == RecommendationKind::CreateIndex
            && recommendation.state == State::Proposed
            && recommendation.index.is_some()
    };
    let mut proposed: Vec<usize> =
        (0..recommendations.len()).filter(|at| is_proposed(&recommendations[*at])).collect();
    let value = |recommendation: &Recommendation| -> f64 {
        let time_us = |served: &Fingerprint| {
            case.workload.query(*served).map_or(0.0, |query| query.total_us as f64)
        };
        let part = recommendation.estimated.map_or(1.0, |estimate| {
            1.0 - (estimate.cost_after / estimate.cost_before.max(f64::MIN_POSITIVE)).min(1.0)
        });
        recommendation.serves.iter().map(time_us).sum::<f64>() * part
    };
    let values: Vec<f64> = recommendations.iter().map(value).collect();
    proposed.sort_by(|a, b| values[*b].total_cmp(&values[*a]).then(a.cmp(b)));
    proposed
}

/// An index whose place no other one takes now stays where it is.
fn reject_with_what_they_require(recommendations: &mut [Recommendation]) {
    let rejected: Vec<String> = recommendations
        .iter()
        .filter(|recommendation| recommendation.state == State::Rejected)
        .map(|recommendation| recommendation.id.clone())
        .collect();
    for recommendation in recommendations {
        if let Some(required) = recommendation.requires.as_ref().filter(|id| rejected.contains(id))
        {
            recommendation.why = Some(format!("it requires {required}, which was rejected"));
            recommendation.state = State::Rejected;
        }
    }
}

pub(super) struct Procedure<'c, 'w> {
    pub(super) case: &'c TrialInput<'c>,
    planner: StatementPlanner,
    random: Random,
    origins: Origins,
    pub(super) singles: Vec<Trial>,
    /// The trial of all accepted recommendations, if there are several.
    pub(super) set: Option<Trial>,
    /// The accepted recommendations are final.
    is_settled: bool,
    /// Recommendations that a statement would use beside all others.
    used_in_set: Vec<String>,
    /// The last set whose plans were looked at.
    plans: Option<Trial>,
    /// Places of the indexes on trial, best first.
    proposed: Vec<usize>,
    pub(super) forecast: Forecast,
    pub(super) tell: &'w mut dyn FnMut(TrialStep<'_>),
}

impl<'c> Procedure<'c, '_> {
    /// Tries each alone, and what is not rejected together.
    fn indexes(&mut self, recommendations: &mut [Recommendation]) -> Result<(), PgError> {
        let members = self.each_alone(recommendations, self.proposed.clone())?;
        self.set = self.together(recommendations, members)?;
        self.is_settled = true;
        self.beside(recommendations)?;
        self.so_far(recommendations);
        Ok(())
    }

    /// Says of each recommendation how far it came before the trials were stopped. Without a set that stands
    /// nothing is accepted.
    fn leave_open(&self, recommendations: &mut [Recommendation]) {
        for at in &self.proposed {
            let recommendation = &recommendations[*at];
            let (state, why) = match recommendation.state {
                State::Proposed => self.alone(recommendation, true),
                state => (state, recommendation.why.clone()),
            };
            let open = |why: &str| (State::Undecided, Some(why.to_owned()));
            let decision = match (state, why) {
                (State::Accepted, _) if !self.is_settled => {
                    open("the trials were stopped before it was tried together with the others")
                }
                (State::Undecided, None) => open("the trials were stopped before this one"),
                decision => decision,
            };
            (recommendations[*at].state, recommendations[*at].why) = decision;
        }
    }

    /// A step of the trials begins.
    pub(super) fn begin(&mut self, step: ForecastStep, what: &str) {
        self.forecast.begin(step);
        (self.tell)(TrialStep::Begin { what, left_s: self.forecast.left_s() });
    }

    /// Tells of a recommendation that was judged, and of all that is known so far.
    pub(super) fn judged(&mut self, recommendations: &[Recommendation], at: usize) {
        self.forecast.end();
        let recommendation = &recommendations[at];
        let trial = self.singles.iter().find(|trial| trial.is_of(&recommendation.id));
        let left_s = self.forecast.left_s();
        (self.tell)(TrialStep::Judged { recommendation, trial, left_s });
        self.so_far(recommendations);
    }

    /// Tells what is known so far, as if the trials were stopped now.
    fn so_far(&mut self, recommendations: &[Recommendation]) {
        let mut now = recommendations.to_vec();
        self.leave_open(&mut now);
        let trials: Vec<&Trial> = self.singles.iter().chain(&self.set).collect();
        (self.tell)(TrialStep::SoFar { recommendations: &now, trials: &trials });
    }

    /// Tries each recommendation alone that a statement would use beside the others. Those that are
    /// worth trying together come back.
    fn each_alone(
        &mut self,
        recommendations: &mut [Recommendation],
        mut members: Vec<usize>,
    ) -> Result<Vec<usize>, PgError> {
        let plans = self.plans_together(recommendations, &members)?;
        let used = plans.iter().flat_map(|plans| &plans.indexes);
        let used = used.filter(|index| !index.used_by.is_empty());
        self.used_in_set = used.map(|index| index.recommendation.clone()).collect();
        let mut displaced = self.displaced(recommendations, &members, plans.as_ref());
        members.retain(|at| !displaced.contains(at));
        self.judge_alone(recommendations, &members)?;
        let tried = members.len();
        members.retain(|at| recommendations[*at].state != State::Rejected);
        if members.len() < tried {
            // What the rejected ones had displaced may be wanted after all.
            members.append(&mut displaced);
        }
        Ok(members)
    }

    /// Leaves out what does not pay beside the others, and tries the rest together until all of it stands. `None` where
    /// that is less than two.
    pub(super) fn together(
        &mut self,
        recommendations: &mut [Recommendation],
        mut members: Vec<usize>,
    ) -> Result<Option<Trial>, PgError> {
        self.thin_out(recommendations, &mut members)?;
        for _ in 0..MOST_SETS {
            if members.len() < 2 {
                break;
            }
            let what = (ForecastStep::Set, "the whole set");
            let trial = self.hold(what, Detail::Tail, recommendations, &members)?;
            self.forecast.end();
            let tried = members.len();
            for at in &members {
                if let Some(decision) = in_set(&trial, self.subject(&recommendations[*at])) {
                    set_decision(&mut recommendations[*at], decision);
                }
            }
            members.retain(|at| recommendations[*at].state == State::Accepted);
            if members.len() == tried {
                return Ok(Some(trial));
            }
        }
        // There is no set any more that proves anything: what is left has to stand alone, where one that came back
        // has not been tried yet.
        self.judge_alone(recommendations, &members)?;
        for at in members {
            self.show_tail(recommendations, at)?;
        }
        Ok(None)
    }

    /// Tries an accepted index again with the executions that p95 needs, where no set shows it.
    fn show_tail(
        &mut self,
        recommendations: &mut [Recommendation],
        at: usize,
    ) -> Result<(), PgError> {
        let id = recommendations[at].id.clone();
        let lacks_it = |query: &QueryTrial| query.is_improved() && query.p95.is_none();
        let is_wanted = recommendations[at].state == State::Accepted
            && self.single(&id).is_some_and(|single| single.queries.iter().any(lacks_it));
        if !is_wanted || self.proposed.len() < 2 {
            return Ok(());
        }
        let step = ForecastStep::Single(id.clone());
        let trial = self.hold((step, &id), Detail::Tail, recommendations, &[at])?;
        self.singles.retain(|single| !single.is_of(&id));
        self.singles.push(trial);
        self.judge_alone(recommendations, &[at])
    }

    /// Tries some recommendations together, on the statements that read their tables.
    pub(super) fn hold(
        &mut self,
        (step, what): (ForecastStep, &str),
        detail: Detail,
        recommendations: &[Recommendation],
        members: &[usize],
    ) -> Result<Trial, PgError> {
        self.begin(step, &format!("trying {what}"));
        let (changes, plan) = self.prepare(recommendations, members);
        let tell = &mut *self.tell;
        let target = self.case.target;
        let rounds = &mut |done, of| tell(TrialStep::Rounds { done, of });
        let mut trial = unless_stopped(try_indexes(target, &changes, plan, detail, rounds))?;
        self.origins.explain(&mut trial, self.case.workload, self.case.catalog);
        Ok(trial)
    }

    /// Returns the statements that use each index when all are present; `None` without a set.
    pub(super) fn plans_together(
        &mut self,
        recommendations: &[Recommendation],
        members: &[usize],
    ) -> Result<Option<Trial>, PgError> {
        if members.len() < 2 {
            return Ok(None);
        }
        let is_known = |plans: &&Trial| {
            let ids = members.iter().map(|at| &recommendations[*at].id);
            plans.recommendations.iter().eq(ids)
        };
        if let Some(known) = self.plans.as_ref().filter(is_known) {
            return Ok(Some(known.clone()));
        }
        self.begin(ForecastStep::Plans, "looking at the plans with the whole set");
        let (changes, plan) = self.prepare(recommendations, members);
        let plans = unless_stopped(look_at_plans(self.case.target, &changes, plan))?;
        self.forecast.end();
        self.plans = Some(plans.clone());
        Ok(Some(plans))
    }

    /// Returns the indexes that no statement uses when all are present, and records their outcome. Their fate is
    /// written down.
    pub(super) fn displaced(
        &mut self,
        recommendations: &mut [Recommendation],
        members: &[usize],
        plans: Option<&Trial>,
    ) -> Vec<usize> {
        let mut displaced = Vec::new();
        let Some(plans) = plans else { return displaced };
        for at in members {
            if let Some(mut decision) = in_set(plans, self.subject(&recommendations[*at])) {
                let other = self.same_beginning(recommendations, *at);
                if let (State::Rejected, Some(why), Some(other)) =
                    (decision.0, &mut decision.1, other)
                {
                    why.push_str(&format!("; {other} begins with the same column"));
                }
                set_decision(&mut recommendations[*at], decision);
                displaced.push(*at);
            }
        }
        displaced
    }

    /// Another proposed index with the same leading column, that a statement uses beside all others.
    fn same_beginning(&self, recommendations: &[Recommendation], at: usize) -> Option<String> {
        let first = |at: usize| {
            let plan = &recommendations[at].index.as_ref()?.def;
            Some((&plan.table, &plan.keys.first()?.expression))
        };
        let others = self.proposed.iter().filter(|other| **other != at);
        let same = others.filter(|other| first(**other) == first(at));
        let mut ids = same.map(|other| &recommendations[*other].id);
        ids.find(|id| self.used_in_set.contains(id)).cloned()
    }

    pub(super) fn prepare<'r>(
        &mut self,
        recommendations: &'r [Recommendation],
        members: &[usize],
    ) -> (Vec<NewlyBuilt<'r>>, ReplayPlan<'c>) {
        let changes = newly_built(recommendations, members);
        let mut tables: Vec<&TableName> =
            changes.iter().map(|change| &change.index.def.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let case = self.case;
        let plan = plan(
            case.connection,
            (case.target.callers, case.guard),
            &mut self.planner,
            case.workload,
            &tables,
            &mut self.random,
        );
        (changes, plan)
    }

    /// Decides about recommendations by what each did alone. Those without a trial of their own get one.
    pub(super) fn judge_alone(
        &mut self,
        recommendations: &mut [Recommendation],
        members: &[usize],
    ) -> Result<(), PgError> {
        for at in members {
            let id = recommendations[*at].id.clone();
            let is_untried = self.single(&id).is_none();
            if is_untried {
                let step = ForecastStep::Single(id.clone());
                // Of one of several, the set shows the tail.
                let detail = if self.proposed.len() > 1 { Detail::Median } else { Detail::Tail };
                let trial = self.hold((step, &id), detail, recommendations, &[*at])?;
                self.singles.push(trial);
            }
            let is_used_in_set = self.used_in_set.contains(&id);
            let decision = self.alone(&recommendations[*at], is_used_in_set);
            set_decision(&mut recommendations[*at], decision);
            if is_untried {
                self.judged(recommendations, *at);
            }
        }
        Ok(())
    }

    /// The fate of a recommendation by itself.
    pub(super) fn alone(&self, recommendation: &Recommendation, is_used_in_set: bool) -> Decision {
        match self.single(&recommendation.id) {
            Some(single) => alone(single, self.subject(recommendation), is_used_in_set),
            None => (State::Undecided, None),
        }
    }

    pub(super) fn single(&self, id: &str) -> Option<&Trial> {
        self.singles.iter().find(|single| single.is_of(id))
    }

    /// The trial that proves an accepted recommendation: that of the set, or its own.
    pub(super) fn proof(&self, id: &str) -> Option<&Trial> {
        let in_set = self.set.as_ref().filter(|set| set.index_of(id).is_some());
        in_set.or_else(|| self.single(id))
    }

    pub(super) fn subject<'m>(&'m self, recommendation: &'m Recommendation) -> TrialSubject<'m> {
        TrialSubject { workload: self.case.workload, recommendation }
    }

    pub(super) fn proposed(&self) -> &[usize] {
        &self.proposed
    }

    /// Names the statements that do a multiple of the work with an accepted index, although the clock did not show
    /// it.
    fn name_more_work(&self, recommendations: &mut [Recommendation]) {
        for recommendation in recommendations.iter_mut().filter(|r| r.state == State::Accepted) {
            let Some(trial) = self.proof(&recommendation.id) else { continue };
            let Some(index) = trial.index_of(&recommendation.id) else { continue };
            for query in &trial.queries {
                let is_more = index.used_by.contains(&query.fingerprint)
                    && query.verdict != Verdict::Regressed
                    && work_change(&query.work) == WorkChange::More;
                if let Some((before, after)) = query.work.mean().filter(|_| is_more) {
                    recommendation.cautions.push(format!(
                        "{} touches {} blocks and {} rows with it, {} and {} without; its time did not show that",
                        query.fingerprint, after.blocks, after.rows, before.blocks, before.rows
                    ));
                }
            }
        }
    }
}

pub(super) fn set_decision(recommendation: &mut Recommendation, (state, why): Decision) {
    recommendation.state = state;
    recommendation.why = why;
}

/// Fails if the user has interrupted the trial. A trial notes what goes wrong in it and goes on, so that one
/// which the user has stopped seems to have failed.
pub(super) fn unless_stopped<T>(trial: Result<T, PgError>) -> Result<T, PgError> {
    PgError::unless_interrupted()?;
    trial
}

pub(super) fn newly_built<'r>(
    recommendations: &'r [Recommendation],
    members: &[usize],
) -> Vec<NewlyBuilt<'r>> {
    members
        .iter()
        .filter_map(|at| {
            let Recommendation { id, index, .. } = &recommendations[*at];
            Some(NewlyBuilt { recommendation: id, index: index.as_ref()? })
        })
        .collect()
}
