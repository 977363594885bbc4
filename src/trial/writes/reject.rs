//! Rejects accepted indexes that cost the writes more than they save.

use super::balance::{Balance, WriteBalance};
use super::measure::try_writes;
use crate::model::recommendation::{Recommendation, State};
use crate::model::trial::{Trial, WriteTrial};
use crate::pg::error::PgError;
use crate::trial::forecast::ForecastStep;
use crate::trial::procedure::{MOST_SETS, Procedure, TrialStep, newly_built, unless_stopped};

impl Procedure<'_, '_> {
    /// Measures the cost of all accepted indexes to writes, where that was asked for, and adds it to the trial of
    /// the set. One that costs more than it gains is taken out, and the rest tried again.
    pub(crate) fn writes(&mut self, recommendations: &mut [Recommendation]) -> Result<(), PgError> {
        if !self.case.with_writes {
            return Ok(());
        }
        for number in 1..=MOST_SETS {
            let mut accepted: Vec<usize> = (0..recommendations.len())
                .filter(|at| recommendations[*at].state == State::Accepted)
                .collect();
            if accepted.is_empty() {
                break;
            }
            self.begin(ForecastStep::Writes, "replaying the writes");
            let changes = newly_built(recommendations, &accepted);
            let tell = &mut *self.tell;
            let step = &mut |done, of| tell(TrialStep::Rounds { done, of });
            let writes = unless_stopped(try_writes(self.case, &changes, step))?;
            let worst = self.worst(recommendations, &accepted, &writes);
            if let Some((at, balance)) = worst.filter(|_| number < MOST_SETS) {
                accepted.retain(|other| *other != at);
                recommendations[at].state = State::Rejected;
                recommendations[at].why = Some(words(balance));
                self.set = self.together(recommendations, accepted)?;
                continue;
            }
            let only = |single: &&mut Trial| {
                let is = |at: &usize| single.recommendations == [recommendations[*at].id.clone()];
                accepted.iter().any(is)
            };
            if let Some(proof) = self.set.as_mut().or_else(|| self.singles.iter_mut().find(only)) {
                proof.writes = Some(writes);
            }
            break;
        }
        Ok(())
    }

    /// Returns the accepted index whose gain is least beside its cost to writes, if the cost is greater.
    fn worst(
        &self,
        recommendations: &[Recommendation],
        accepted: &[usize],
        writes: &WriteTrial,
    ) -> Option<(usize, Balance)> {
        let workload = self.case.workload;
        let all: Vec<&Recommendation> = accepted.iter().map(|at| &recommendations[*at]).collect();
        let proof = |id: &str| self.proof(id);
        let balance_of = WriteBalance { workload, accepted: &all, proof: &proof, writes };
        let (id, balance) = balance_of.worst()?;
        let at = accepted.iter().find(|at| recommendations[**at].id == id)?;
        Some((*at, balance))
    }
}

fn words(balance: Balance) -> String {
    let ms = |us: f64| format!("{:.0} ms", us / 1e3);
    format!(
        "writes lose {} and reads gain {} (measured)",
        ms(balance.lost_us),
        ms(balance.gained_us)
    )
}
