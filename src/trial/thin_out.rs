//! Rejects what does not pay beside the others, by leaving each index out of the set.

use super::forecast::ForecastStep;
use super::leave_one_out::{LeftOut, LeftOutOutcome, Pays, leave_one_out};
use super::outcome::Decision;
use super::plan::statements::PlannedStatement;
use super::procedure::{Procedure, TrialStep, newly_built, set_decision, unless_stopped};
use super::run::transaction::MOST_REPLAYED;
use crate::model::name::TableName;
use crate::model::recommendation::{Recommendation, State};
use crate::model::trial::{Trial, WithoutQuery};
use crate::model::workload::fingerprint::Fingerprint;
use crate::pg::error::PgError;

impl Procedure<'_, '_> {
    /// Leaves each member of a set out that another one could stand in for. What pays beside the others is accepted,
    /// what does not is rejected; of those the least valuable first, as the others may pay without it. Those that are
    /// accepted stay members.
    pub(super) fn thin_out(
        &mut self,
        recommendations: &mut [Recommendation],
        members: &mut Vec<usize>,
    ) -> Result<(), PgError> {
        let Some(plans) = self.plans_together(recommendations, members)? else { return Ok(()) };
        let displaced = self.displaced(recommendations, members, Some(&plans));
        members.retain(|at| !displaced.contains(at));
        let (mut open, alone): (Vec<usize>, Vec<usize>) = members
            .iter()
            .partition(|at| self.has_substitutes(recommendations, **at, members, &plans));
        // Those that nothing can stand in for do beside the others what they do alone.
        self.judge_alone(recommendations, &alone)?;
        for at in alone {
            let decision = self.alone(&recommendations[at], false);
            set_decision(&mut recommendations[at], decision);
        }
        let mut standing = members.clone();
        while !open.is_empty() {
            let outcomes = self.left_out(recommendations, &standing, &open, &plans)?;
            let mut least: Option<(f64, usize)> = None;
            let mut unpaid = Vec::new();
            for (at, outcome) in open.iter().zip(outcomes) {
                let recommendation = &mut recommendations[*at];
                let (worth_us, decision) = decide_beside(recommendation, &outcome, |query| {
                    query.saved_us() * self.case.workload.calls(query.fingerprint) as f64
                });
                let pays = decision.0 == State::Accepted;
                set_decision(recommendation, decision);
                recommendation.without = Some(outcome.without);
                if pays {
                    continue;
                }
                unpaid.push(*at);
                if least.is_none_or(|(known_us, _)| worth_us < known_us) {
                    least = Some((worth_us, *at));
                }
            }
            let Some((_, least)) = least else { break };
            standing.retain(|at| *at != least);
            self.judged(recommendations, least);
            // Without it the others may pay: they are tried again.
            unpaid.retain(|at| *at != least);
            open = unpaid;
        }
        members.retain(|at| recommendations[*at].state == State::Accepted);
        Ok(())
    }

    /// A statement that uses the index reads a table of another member: without the index it may use that one.
    fn has_substitutes(
        &self,
        recommendations: &[Recommendation],
        at: usize,
        members: &[usize],
        plans: &Trial,
    ) -> bool {
        let Some(index) = plans.index_of(&recommendations[at].id) else { return false };
        let understood = self.case.workload.understood();
        let tables = understood.filter_map(|(query, shape)| {
            index.used_by.contains(&query.fingerprint).then_some(shape)
        });
        let tables: Vec<&TableName> =
            tables.flat_map(|shape| shape.scans.iter().map(|scan| &scan.table)).collect();
        members.iter().filter(|other| **other != at).any(|other| {
            recommendations[*other].table.as_ref().is_some_and(|table| tables.contains(&table))
        })
    }

    /// Leaves each of `open` out of what stands.
    fn left_out(
        &mut self,
        recommendations: &[Recommendation],
        standing: &[usize],
        open: &[usize],
        plans: &Trial,
    ) -> Result<Vec<LeftOutOutcome>, PgError> {
        self.begin(ForecastStep::LeaveOneOut, "leaving each out of the set");
        let (_, plan) = self.prepare(recommendations, standing);
        let others: Vec<usize> = standing.iter().copied().filter(|at| !open.contains(at)).collect();
        let others = newly_built(recommendations, &others);
        let left_out: Vec<LeftOut<'_, '_>> = open
            .iter()
            .filter_map(|at| {
                let change = newly_built(recommendations, &[*at]).pop()?;
                let used_by = &plans.index_of(&recommendations[*at].id)?.used_by;
                let uses =
                    |planned: &&PlannedStatement<'_>| used_by.contains(&planned.query.fingerprint);
                let statements: Vec<&PlannedStatement<'_>> =
                    plan.queries.iter().filter(uses).take(MOST_REPLAYED).collect();
                let latencies_us = statements
                    .iter()
                    .map(|planned| self.shortest_median_us(planned.query.fingerprint))
                    .collect();
                Some(LeftOut { change, statements, latencies_us })
            })
            .collect();
        let workload = self.case.workload;
        let calls = |fingerprint: Fingerprint| workload.calls(fingerprint);
        let tell = &mut *self.tell;
        let of = left_out.len();
        let outcomes = unless_stopped(leave_one_out(
            self.case.target,
            &others,
            &left_out,
            (workload.total_us() as f64, &calls),
            &mut |done| tell(TrialStep::Rounds { done, of }),
        ));
        self.forecast.end();
        outcomes
    }

    /// The shortest median that a statement had with one of the indexes, microseconds; zero where none was tried on it.
    fn shortest_median_us(&self, fingerprint: Fingerprint) -> f64 {
        let tried = self.singles.iter().filter_map(|single| single.query(fingerprint));
        let medians = tried.filter_map(|query| query.after.median_us());
        medians.min_by(f64::total_cmp).unwrap_or(0.0)
    }
}

/// Decides on an index by the measurements without it, and returns its worth.
fn decide_beside(
    recommendation: &Recommendation,
    outcome: &LeftOutOutcome,
    worth_us: impl Fn(&WithoutQuery) -> f64,
) -> (f64, Decision) {
    let worth: f64 = outcome.without.queries.iter().map(worth_us).sum();
    let decision = match &outcome.pays {
        Pays::Yes(_) if recommendation.state == State::Accepted => {
            (State::Accepted, recommendation.why.clone())
        }
        Pays::Yes(fingerprint) => {
            let why = format!("{fingerprint} becomes faster by it together with the others");
            (State::Accepted, Some(why))
        }
        Pays::No => (State::Rejected, Some(why_not(outcome))),
        Pays::Unclear => {
            let why = "beside the others the time that it saves could not be told from noise";
            (State::Undecided, Some(why.to_owned()))
        }
        Pays::Failed(why) => {
            (State::Undecided, Some(format!("it could not be left out of the set: {why}")))
        }
    };
    (worth, decision)
}

/// Why an index does not pay beside the others, with the figures of the statement that misses it most.
fn why_not(outcome: &LeftOutOutcome) -> String {
    let served_by = &outcome.without.served_by;
    let job = match &served_by[..] {
        [] => "its statements do as well without it".to_owned(),
        [one] => format!("{one} does its job"),
        several => format!("{} do its job", several.join(" and ")),
    };
    let most = outcome.without.queries.iter().max_by(|a, b| a.saved_us().total_cmp(&b.saved_us()));
    let figures = most.and_then(|query| {
        let (without, with) = query.work.mean()?;
        let blocks = match without.blocks == with.blocks {
            true => format!("{} blocks with it and without", with.blocks),
            false => format!("{} blocks without it and {} with it", without.blocks, with.blocks),
        };
        let median = |us: Option<f64>| us.map(|us| format!("{:.3}", us / 1e3));
        let times = median(query.without.median_us())
            .zip(median(query.with.median_us()))
            .map_or(String::new(), |(without, with)| format!(", {without} and {with} ms"));
        Some(format!(": {} touches {blocks}{times}", query.fingerprint))
    });
    job + &figures.unwrap_or_default()
}
