//! What an index gains its statements beside what it loses the writes of its table, both measured.

use crate::model::fingerprint::Fingerprint;
use crate::model::recommendation::Recommendation;
use crate::model::shape::{Scan, Shape, StatementKind};
use crate::model::trial::{QueryTrial, Trial, Verdict, WriteQuery, WriteTrial};
use crate::model::workload::{Query, Workload};

/// Time in the whole workload, microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    pub gained_us: f64,
    pub lost_us: f64,
}

/// What was measured of accepted recommendations.
pub struct Books<'b> {
    pub workload: &'b Workload,
    pub shapes: &'b [Option<Shape>],
    pub accepted: &'b [&'b Recommendation],
    /// The trial that proves a recommendation, by its id.
    pub proof: &'b dyn Fn(&str) -> Option<&'b Trial>,
    pub writes: &'b WriteTrial,
}

impl Books<'_> {
    /// The recommendation whose writes lose most beyond what its statements gain; `None` where all are worth what
    /// they cost.
    pub fn worst(&self) -> Option<(&str, Balance)> {
        let balances = self.accepted.iter().filter_map(|recommendation| {
            Some((recommendation.id.as_str(), self.balance(recommendation)?))
        });
        let at_a_loss = balances.filter(|(_, balance)| balance.lost_us > balance.gained_us);
        at_a_loss.max_by(|(_, a), (_, b)| {
            (a.lost_us - a.gained_us).total_cmp(&(b.lost_us - b.gained_us))
        })
    }

    fn balance(&self, recommendation: &Recommendation) -> Option<Balance> {
        let trial = (self.proof)(&recommendation.id)?;
        let used_by = &trial.index_of(&recommendation.id)?.used_by;
        let using = trial.queries.iter().filter(|query| used_by.contains(&query.fingerprint));
        let measured_us: f64 = using.map(|query| self.gained_us(query)).sum();
        // What was not replayed gains all of its time, for all that is known.
        let unseen = trial.left_out.iter().filter_map(|(fingerprint, _)| self.query(*fingerprint));
        let unseen = unseen.filter(|(_, shape)| {
            shape.scans.iter().any(|scan| Some(&scan.table) == recommendation.table.as_ref())
        });
        let unseen_us: f64 = unseen.map(|(query, _)| query.total_us as f64).sum();
        let lost = self.writes.queries.iter().map(|query| self.lost_us(query, recommendation));
        Some(Balance { gained_us: measured_us + unseen_us, lost_us: lost.sum() })
    }

    /// What a statement that is read takes less. How much of what was stopped before its end is not known.
    fn gained_us(&self, trial: &QueryTrial) -> f64 {
        let Some((query, _)) = self.query(trial.fingerprint) else { return 0.0 };
        match trial.verdict {
            Verdict::Improved if trial.before.timed_out > 0 => f64::INFINITY,
            Verdict::Improved | Verdict::Regressed => {
                query.calls as f64 * (trial.before.mean_us() - trial.after.mean_us())
            }
            _ => 0.0,
        }
    }

    /// What a write takes more at least because of a recommendation: its share, where several have to do with it.
    fn lost_us(&self, write: &WriteQuery, recommendation: &Recommendation) -> f64 {
        let Some((query, shape)) = self.query(write.fingerprint) else { return 0.0 };
        let Some(target) = shape.scans.iter().find(|scan| scan.target) else { return 0.0 };
        let is_of_table = |r: &Recommendation| r.table.as_ref() == Some(&target.table);
        let of_table = || self.accepted.iter().filter(|r| is_of_table(r));
        let hang_on_it = of_table().filter(|r| hangs_on(r, shape, target)).count();
        let is_concerned = hang_on_it == 0 || hangs_on(recommendation, shape, target);
        if !is_of_table(recommendation) || !is_concerned {
            return 0.0;
        }
        let sharers = if hang_on_it > 0 { hang_on_it } else { of_table().count() };
        let (low_pct, _) = write.interval_pct;
        let part = low_pct.max(0.0) / 100.0 / sharers.max(1) as f64;
        query.calls as f64 * write.before.mean_us() * part
    }

    fn query(&self, fingerprint: Fingerprint) -> Option<(&Query, &Shape)> {
        let at = self.workload.queries.iter().position(|q| q.fingerprint == fingerprint)?;
        Some((&self.workload.queries[at], self.shapes.get(at)?.as_ref()?))
    }
}

/// The write has to put something into the index: every row that is new, or one whose columns in it are set.
fn hangs_on(recommendation: &Recommendation, shape: &Shape, target: &Scan) -> bool {
    let index = recommendation.index.as_ref();
    index.is_some_and(|index| {
        shape.kind != StatementKind::Update || index.plan.hangs_on(&target.written)
    })
}
