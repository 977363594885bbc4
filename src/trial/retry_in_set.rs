//! Tries indexes that were slower alone beside those that stand.

use super::forecast::ForecastStep;
use super::outcome::{improves_set, slower_alone};
use super::procedure::{MOST_SETS, Procedure};
use super::run::transaction::Detail;
use crate::model::recommendation::{Recommendation, State};
use crate::model::workload::fingerprint::Fingerprint;
use crate::pg::error::PgError;

impl Procedure<'_, '_> {
    /// Tries beside what stands those that made a statement slower alone. They stand as well when each makes some
    /// statement faster than it is without them, and none slower.
    pub(super) fn beside(&mut self, recommendations: &mut [Recommendation]) -> Result<(), PgError> {
        let is = |at: &usize, state| recommendations[*at].state == state;
        let mut standing = self.proposed().to_vec();
        standing.retain(|at| is(at, State::Accepted));
        let mut doubtful = self.proposed().to_vec();
        doubtful.retain(|at| {
            is(at, State::Rejected) && self.slower_alone(&recommendations[*at]).is_some()
        });
        let mut displaced: Vec<usize> = Vec::new();
        for _ in 0..MOST_SETS {
            let mut members = [&doubtful[..], &standing].concat();
            members.sort_unstable();
            if doubtful.is_empty() || members.len() < 2 {
                break;
            }
            let what = "beside the others what was slower alone";
            let trial =
                self.hold((ForecastStep::Set, what), Detail::Tail, recommendations, &members)?;
            let first = standing.first().and_then(|at| self.single(&recommendations[*at].id));
            let base = self.set.as_ref().or(first);
            let gains: Vec<Option<Fingerprint>> = doubtful
                .iter()
                .map(|at| improves_set(&trial, base, &recommendations[*at].id))
                .collect();
            if gains.contains(&None) {
                let mut gains = gains.into_iter().map(|gain| gain.is_some());
                doubtful.retain(|_| gains.next().unwrap_or(false));
                continue;
            }
            let id = |at: &usize| recommendations[*at].id.as_str();
            let is_used =
                |at: &usize| trial.index_of(id(at)).is_some_and(|i| !i.used_by.is_empty());
            if standing.iter().all(is_used) {
                let gains: Vec<Fingerprint> = gains.into_iter().flatten().collect();
                for at in displaced {
                    let why = "beside the others no statement uses it";
                    recommendations[at].state = State::Rejected;
                    recommendations[at].why = Some(why.to_owned());
                }
                self.stand_beside(recommendations, &doubtful, &gains);
                self.set = Some(trial);
                return Ok(());
            }
            standing.retain(|at| {
                let stays = is_used(at);
                displaced.extend((!stays).then_some(*at));
                stays
            });
        }
        Ok(())
    }

    /// Accepts what was slower alone and is not beside the others, with what each makes faster there.
    fn stand_beside(
        &self,
        recommendations: &mut [Recommendation],
        doubtful: &[usize],
        gains: &[Fingerprint],
    ) {
        for (at, faster) in doubtful.iter().zip(gains) {
            let recommendation = &mut recommendations[*at];
            recommendation.why = self.slower_alone(recommendation).map(|slower| {
                format!("{faster} becomes faster by it beside the others; alone it makes {slower} slower")
            });
            recommendation.state = State::Accepted;
        }
    }

    /// The statement that is all that speaks against a recommendation that was tried alone.
    fn slower_alone(&self, recommendation: &Recommendation) -> Option<Fingerprint> {
        slower_alone(self.single(&recommendation.id)?, self.subject(recommendation))
    }
}
