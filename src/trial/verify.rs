//! Every proposed index on trial: each alone, and all together.
//!
//! Before anything is executed, all are built together once and only plans are looked at: an index that
//! no statement uses beside the others needs no trial of its own. Then each of the rest is tried alone,
//! and those that stand are tried together. What does not stand there leaves the set, and the rest is
//! tried again, until what is accepted is exactly what was tried together. Last, those that only made some
//! statement slower alone are tried beside what stands.

use super::decide::{
    Fate, Matter, alone, in_set, is_missed, others_used, proved_by_set, superfluous,
};
use super::plan::{Plan, Planner, plan};
use super::stage::{Case, NewlyBuilt};
use super::transaction::{look_at_plans, try_indexes};
use crate::model::fingerprint::Fingerprint;
use crate::model::name::TableName;
use crate::model::recommendation::{Kind, Recommendation, State};
use crate::model::trial::Trial;
use crate::pg::error::PgError;
use crate::stats::random::Random;

/// Times that the set is tried, at most. One is enough when all of it stands.
pub(super) const MOST_SETS: usize = 4;

/// How far the trials are.
#[derive(Debug, Clone, Copy)]
pub enum Step<'s> {
    /// A trial begins.
    Begin(&'s str),
    /// Rounds done, and to do.
    Rounds { done: usize, of: usize },
}

/// What came of the trials.
pub struct Held {
    /// Those of single recommendations come first, that of the set they make last.
    pub trials: Vec<Trial>,
    /// Why not all of them were held: the user interrupted, or the server went away.
    pub stopped: Option<PgError>,
}

/// Holds the trials, and writes into the recommendations what came of them.
pub fn verify(
    case: &Case<'_>,
    recommendations: &mut [Recommendation],
    tell: &mut dyn FnMut(Step<'_>),
) -> Held {
    let mut court = Court {
        case,
        planner: Planner::default(),
        random: Random::new(case.stage.effort.seed),
        singles: Vec::new(),
        set: None,
        is_settled: false,
        used_in_set: Vec::new(),
        tell,
    };
    let proposed: Vec<usize> = (0..recommendations.len())
        .filter(|at| {
            let recommendation = &recommendations[*at];
            recommendation.kind == Kind::CreateIndex
                && recommendation.state == State::Proposed
                && recommendation.index.is_some()
        })
        .collect();
    let stopped = match court.indexes(recommendations, &proposed) {
        Ok(()) => {
            let stopped = court.writes(recommendations).err();
            fall_with_what_they_require(recommendations);
            stopped
        }
        Err(error) => {
            court.leave_open(recommendations, &proposed);
            Some(error)
        }
    };
    let mut trials = court.singles;
    trials.extend(court.set);
    Held { trials, stopped }
}

/// An index whose place no other one takes now stays where it is.
fn fall_with_what_they_require(recommendations: &mut [Recommendation]) {
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

pub(super) struct Court<'c, 'w> {
    pub(super) case: &'c Case<'c>,
    planner: Planner,
    random: Random,
    pub(super) singles: Vec<Trial>,
    /// Of all that are accepted, where those are several.
    pub(super) set: Option<Trial>,
    /// What is accepted stands, whatever else is tried.
    is_settled: bool,
    /// Recommendations that a statement would use beside all others.
    used_in_set: Vec<String>,
    pub(super) tell: &'w mut dyn FnMut(Step<'_>),
}

impl<'c> Court<'c, '_> {
    /// Tries each alone, and what stands together.
    fn indexes(
        &mut self,
        recommendations: &mut [Recommendation],
        proposed: &[usize],
    ) -> Result<(), PgError> {
        let members = self.each_alone(recommendations, proposed.to_vec())?;
        self.set = self.together(recommendations, members)?;
        self.is_settled = true;
        self.beside(recommendations, proposed)
    }

    /// Says of each recommendation how far it came before the trials were stopped. Without a set that stands
    /// nothing is accepted.
    fn leave_open(&self, recommendations: &mut [Recommendation], proposed: &[usize]) {
        for at in proposed {
            let recommendation = &recommendations[*at];
            let (state, why) = match recommendation.state {
                State::Proposed => self.alone(recommendation, None),
                state => (state, recommendation.why.clone()),
            };
            let open = |why: &str| (State::Undecided, Some(why.to_owned()));
            let fate = match (state, why) {
                (State::Accepted, _) if !self.is_settled => {
                    open("the trials were stopped before it was tried together with the others")
                }
                (State::Undecided, None) => open("the trials were stopped before this one"),
                fate => fate,
            };
            (recommendations[*at].state, recommendations[*at].why) = fate;
        }
    }

    /// Tries each recommendation alone that a statement would use beside the others. Those that are
    /// worth trying together come back.
    fn each_alone(
        &mut self,
        recommendations: &mut [Recommendation],
        mut members: Vec<usize>,
    ) -> Result<Vec<usize>, PgError> {
        let mut displaced = self.displaced(recommendations, &members)?;
        members.retain(|at| !displaced.contains(at));
        self.judge(recommendations, &members, None)?;
        let tried = members.len();
        members.retain(|at| recommendations[*at].state != State::Rejected);
        if members.len() < tried {
            // What the rejected ones had displaced may be wanted after all.
            members.append(&mut displaced);
            members.sort_unstable();
        }
        Ok(members)
    }

    /// Tries what is left together, until all of it stands and nothing in it is superfluous. `None` where
    /// that is less than two.
    pub(super) fn together(
        &mut self,
        recommendations: &mut [Recommendation],
        mut members: Vec<usize>,
    ) -> Result<Option<Trial>, PgError> {
        let mut larger: Option<(Trial, Vec<usize>)> = None;
        for number in 1..=MOST_SETS {
            if members.len() < 2 {
                break;
            }
            let trial = self.hold("the whole set", recommendations, &members, None)?;
            self.judge(recommendations, &members, Some(&trial))?;
            let tried = members.len();
            members.retain(|at| recommendations[*at].state == State::Accepted);
            if members.len() < tried {
                continue;
            }
            if let Some((trial, taken_out)) =
                larger.take_if(|(other, _)| trial.is_slower_than(other))
            {
                // They were not superfluous after all.
                for at in taken_out {
                    recommendations[at].state = State::Accepted;
                    recommendations[at].why = None;
                }
                return Ok(Some(trial));
            }
            let taken_out = self.take_out(recommendations, &mut members, &trial);
            if !taken_out.is_empty() {
                larger = Some((trial, taken_out));
                continue;
            }
            let is_last = number == MOST_SETS;
            if is_last || !self.leave_out_unmissed(recommendations, &mut members, &trial)? {
                return Ok(Some(trial));
            }
        }
        // There is no set any more that proves anything: what is left has to stand alone, where one that came back
        // has not been tried yet.
        self.judge(recommendations, &members, None)?;
        Ok(None)
    }

    /// Rejects the members of a set that others make superfluous.
    fn take_out(
        &self,
        recommendations: &mut [Recommendation],
        members: &mut Vec<usize>,
        set: &Trial,
    ) -> Vec<usize> {
        let mut taken_out = Vec::new();
        loop {
            let ids: Vec<&str> =
                members.iter().map(|at| recommendations[*at].id.as_str()).collect();
            let Some((id, by)) = superfluous(set, &self.singles, &ids) else { return taken_out };
            let Some(place) = members.iter().position(|at| recommendations[*at].id == id) else {
                return taken_out;
            };
            let at = members.remove(place);
            recommendations[at].state = State::Rejected;
            recommendations[at].why = Some(format!("its statements are as fast with {by} alone"));
            taken_out.push(at);
        }
    }

    /// Of what only the set proves, leaves out what its statements do not miss: where several indexes make a
    /// statement faster together, one of them may do nothing for it but stand in its plan. Returns whether there was any.
    fn leave_out_unmissed(
        &mut self,
        recommendations: &mut [Recommendation],
        members: &mut Vec<usize>,
        set: &Trial,
    ) -> Result<bool, PgError> {
        let before = members.len();
        for at in members.clone() {
            let recommendation = &recommendations[at];
            let id = recommendation.id.clone();
            let Some(single) = self.single(&id) else { continue };
            if alone(single, self.matter(recommendation), true).0 == State::Accepted {
                continue;
            }
            let statements = proved_by_set(set, &id, &self.singles);
            let used = others_used(set, &statements, &id);
            let mut others = members.clone();
            others.retain(|other| used.contains(&recommendations[*other].id.as_str()));
            // One other by itself was tried already, and was slower.
            if others.len() < 2 {
                continue;
            }
            let what = format!("the set without {id}");
            let without = self.hold(&what, recommendations, &others, Some(&statements))?;
            if without.failed.is_none() && !is_missed(set, &without, &statements) {
                let recommendation = &mut recommendations[at];
                recommendation.state = State::Undecided;
                recommendation.why = Some(format!(
                    "{} is as fast beside the others without it",
                    statements.first().map_or(String::new(), Fingerprint::to_string)
                ));
                members.retain(|member| *member != at);
            }
        }
        Ok(members.len() < before)
    }

    /// Tries some recommendations together, on all statements that read their tables or `only` on some.
    pub(super) fn hold(
        &mut self,
        what: &str,
        recommendations: &[Recommendation],
        members: &[usize],
        only: Option<&[Fingerprint]>,
    ) -> Result<Trial, PgError> {
        let (changes, mut plan) = self.prepare(recommendations, members);
        plan.queries
            .retain(|planned| only.is_none_or(|only| only.contains(&planned.query.fingerprint)));
        (self.tell)(Step::Begin(&format!("trying {what}")));
        let tell = &mut *self.tell;
        let stage = self.case.stage;
        whole(try_indexes(stage, &changes, plan, &mut |done, of| tell(Step::Rounds { done, of })))
    }

    /// Those that no statement uses when all are there. Their fate is written down; without a set there
    /// are none.
    fn displaced(
        &mut self,
        recommendations: &mut [Recommendation],
        members: &[usize],
    ) -> Result<Vec<usize>, PgError> {
        let mut displaced = Vec::new();
        if members.len() < 2 {
            return Ok(displaced);
        }
        (self.tell)(Step::Begin("looking at the plans with the whole set"));
        let (changes, plan) = self.prepare(recommendations, members);
        let trial = whole(look_at_plans(self.case.stage, &changes, plan))?;
        let used = trial.indexes.iter().filter(|index| !index.used_by.is_empty());
        self.used_in_set.extend(used.map(|index| index.recommendation.clone()));
        for at in members {
            if let Some((state, why)) = in_set(&trial, self.matter(&recommendations[*at])) {
                recommendations[*at].state = state;
                recommendations[*at].why = why;
                displaced.push(*at);
            }
        }
        Ok(displaced)
    }

    fn prepare<'r>(
        &mut self,
        recommendations: &'r [Recommendation],
        members: &[usize],
    ) -> (Vec<NewlyBuilt<'r>>, Plan<'c>) {
        let changes = newly_built(recommendations, members);
        let mut tables: Vec<&TableName> =
            changes.iter().map(|change| &change.index.plan.table).collect();
        tables.sort_unstable();
        tables.dedup();
        let case = self.case;
        let plan = plan(
            case.connection,
            &mut self.planner,
            case.workload,
            case.shapes,
            &tables,
            &mut self.random,
        );
        (changes, plan)
    }

    /// Decides about recommendations by what each did alone, and by what it did in the set they make.
    fn judge(
        &mut self,
        recommendations: &mut [Recommendation],
        members: &[usize],
        set: Option<&Trial>,
    ) -> Result<(), PgError> {
        let mut fates: Vec<Option<Fate>> = Vec::new();
        for at in members {
            let fate = set.and_then(|set| in_set(set, self.matter(&recommendations[*at])));
            if fate.is_none() && self.is_untried(&recommendations[*at].id) {
                let trial = self.hold(&recommendations[*at].id, recommendations, &[*at], None)?;
                self.singles.push(trial);
            }
            fates.push(fate);
        }
        for (at, fate) in members.iter().zip(fates) {
            let (state, why) = fate.unwrap_or_else(|| self.alone(&recommendations[*at], set));
            recommendations[*at].state = state;
            recommendations[*at].why = why;
        }
        Ok(())
    }

    /// The fate of a recommendation by itself, or by what it did in the set.
    fn alone(&self, recommendation: &Recommendation, set: Option<&Trial>) -> Fate {
        let id = &recommendation.id;
        let Some(single) = self.single(id) else { return (State::Undecided, None) };
        let fate = alone(single, self.matter(recommendation), self.used_in_set.contains(id));
        if fate.0 == State::Accepted {
            return fate;
        }
        let proved = set.map_or(Vec::new(), |set| proved_by_set(set, id, &self.singles));
        match proved.first() {
            Some(statement) => {
                let why = format!("{statement} becomes faster by it together with the others");
                (State::Accepted, Some(why))
            }
            None => fate,
        }
    }

    fn is_untried(&self, id: &str) -> bool {
        self.single(id).is_none()
    }

    pub(super) fn single(&self, id: &str) -> Option<&Trial> {
        self.singles.iter().find(|single| single.recommendations == [id])
    }

    pub(super) fn matter<'m>(&'m self, recommendation: &'m Recommendation) -> Matter<'m> {
        let Case { workload, shapes, .. } = *self.case;
        Matter { workload, shapes, recommendation }
    }
}

/// What was not cut short. A trial notes what goes wrong in it and goes on, so that one which the user has stopped
/// seems to have failed.
pub(super) fn whole<T>(trial: Result<T, PgError>) -> Result<T, PgError> {
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
