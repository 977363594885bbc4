//! Compares what an index saves reads with what it costs the writes of its table, both measured.

use crate::model::recommendation::Recommendation;
use crate::model::trial::{QueryTrial, Trial, Verdict, WriteQuery, WriteTrial};
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::shape::{Scan, Shape, StatementKind};
use crate::model::workload::{Query, Workload};

/// Time in the whole workload, microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Balance {
    pub gained_us: f64,
    pub lost_us: f64,
}

/// A loss over the whole workload that is not worth a word, microseconds.
const LEAST_LOSS_US: f64 = 1_000.0;

/// Time of a block that a write touches, at least, microseconds: a third of what a row in a btree takes that touches
/// three.
const LEAST_BLOCK_US: f64 = 0.5;

/// The measurements of accepted recommendations.
pub struct WriteBalance<'b> {
    pub workload: &'b Workload,
    pub accepted: &'b [&'b Recommendation],
    /// The trial that proves a recommendation, by its id.
    pub proof: &'b dyn Fn(&str) -> Option<&'b Trial>,
    pub writes: &'b WriteTrial,
}

impl WriteBalance<'_> {
    /// The recommendation whose writes lose most beyond what its statements gain; `None` where all are worth what
    /// they cost.
    pub fn worst(&self) -> Option<(&str, Balance)> {
        let balances = self.accepted.iter().filter_map(|recommendation| {
            Some((recommendation.id.as_str(), self.balance(recommendation)?))
        });
        let at_a_loss =
            balances.filter(|(_, balance)| balance.lost_us - balance.gained_us > LEAST_LOSS_US);
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

    /// Returns the time that a reading statement saves. How much of what was stopped before its end is not known.
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

    /// Returns the least time that a write loses because of a recommendation: its share, where several affect it.
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
        query.calls as f64 * slowed_us(write) / sharers.max(1) as f64
    }

    fn query(&self, fingerprint: Fingerprint) -> Option<(&Query, &Shape)> {
        let query = self.workload.query(fingerprint)?;
        Some((query, query.shape.as_ref()?))
    }
}

/// Returns the least time that an execution of a write loses, microseconds: the lower end of the interval. Where
/// it writes more log or touches more blocks, that it costs is certain, and it is the change itself that counts;
/// and no less than the blocks take, as on a busy machine the time of both sides is mostly that of others.
fn slowed_us(write: &WriteQuery) -> f64 {
    let more_blocks = write.blocks_after.saturating_sub(write.blocks_before);
    let log = write.wal_before_bytes.zip(write.wal_after_bytes);
    let more_log = log.is_some_and(|(before, after)| 20 * after > 21 * before);
    let (low_pct, _) = write.interval_pct;
    let is_certain = more_log || more_blocks > 0;
    let pct = if is_certain { write.change_pct.max(low_pct) } else { low_pct };
    let by_time_us = write.before.mean_us() * pct.max(0.0) / 100.0;
    by_time_us.max(more_blocks as f64 * LEAST_BLOCK_US)
}

/// The write has to put something into the index: every row that is new, or one whose columns in it are set.
fn hangs_on(recommendation: &Recommendation, shape: &Shape, target: &Scan) -> bool {
    let index = recommendation.index.as_ref();
    index.is_some_and(|index| {
        shape.kind != StatementKind::Update || index.def.hangs_on(&target.written)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::index::IndexKey;
    use crate::model::index::{AccessMethod, IndexDef, NewIndex};
    use crate::model::name::TableName;
    use crate::model::recommendation::RecommendationKind;
    use crate::model::trial::{Arm, fixture};
    use crate::sql;

    const READ: &str = "SELECT b FROM t WHERE a = $1";
    const SET_B: &str = "UPDATE t SET b = $1 WHERE id = $2";
    const INSERT: &str = "INSERT INTO t (a, b) VALUES ($1, $2)";

    fn arm(latency_us: f64) -> Arm {
        Arm { rounds: vec![vec![latency_us]], timed_out: 0 }
    }

    fn write(number: u64, low_pct: f64) -> WriteQuery {
        WriteQuery {
            fingerprint: Fingerprint(number),
            before: arm(100.0),
            after: arm(100.0),
            change_pct: low_pct + 10.0,
            interval_pct: (low_pct, low_pct + 20.0),
            wal_before_bytes: None,
            wal_after_bytes: None,
            blocks_before: 3,
            blocks_after: 3,
            hot_before: None,
            hot_after: None,
        }
    }

    /// One index on each of `a` and `b`, of which the read uses the first and becomes faster by 60 µs a call.
    fn worst(
        calls: [u64; 3],
        writes: &[WriteQuery],
        timed_out: usize,
    ) -> Option<(String, Balance)> {
        let (catalog, _) =
            sql::dump::catalog::catalog("CREATE TABLE t (id int PRIMARY KEY, a int, b int)");
        let mut workload = Workload::default();
        for (number, (sql, calls)) in [READ, SET_B, INSERT].iter().zip(calls).enumerate() {
            workload.queries.push(Query {
                fingerprint: Fingerprint(number as u64),
                normalized: (*sql).to_owned(),
                calls,
                shape: sql::resolve::resolver::shape(sql, Some(&catalog)).ok(),
                ..Query::default()
            });
        }
        let table = TableName::new("public", "t");
        let on = |column: &str| {
            let def = IndexDef::on(&table, AccessMethod::Btree, vec![IndexKey::column(column)]);
            let index = Some(NewIndex { name: column.to_owned(), def });
            Recommendation {
                index,
                ..Recommendation::proposed(
                    column.to_owned(),
                    RecommendationKind::CreateIndex,
                    &table,
                )
            }
        };
        let recommendations = [on("a"), on("b")];
        let mut read = fixture::query(Fingerprint(0), 100.0, 40.0);
        read.before.timed_out = timed_out;
        let mut set = fixture::trial(&["a", "b"], vec![read]);
        set.indexes[1].used_by.clear();
        let writes = WriteTrial {
            rounds: 8,
            queries: writes.to_vec(),
            change_pct: None,
            interval_pct: None,
            control_interval_pct: None,
            own: Vec::new(),
            left_out: Vec::new(),
            failed: None,
            sequences: Vec::new(),
            dead_rows: 0,
        };
        let accepted: Vec<&Recommendation> = recommendations.iter().collect();
        let balance_of = WriteBalance {
            workload: &workload,
            accepted: &accepted,
            proof: &|_| Some(&set),
            writes: &writes,
        };
        balance_of.worst().map(|(id, balance)| (id.to_owned(), balance))
    }

    #[test]
    fn an_update_is_paid_by_the_index_that_holds_what_it_sets() {
        // What is only likely to be dearer is no loss.
        assert_eq!(worst([10, 10, 10], &[write(1, -1.0), write(2, 0.0)], 0), None);
        let (id, balance) = worst([10, 40, 0], &[write(1, 50.0)], 0).unwrap();
        assert_eq!((id.as_str(), balance), ("b", Balance { gained_us: 0.0, lost_us: 2_000.0 }));
        // Half a millisecond in all is no reason.
        assert_eq!(worst([10, 10, 0], &[write(1, 50.0)], 0), None);
    }

    #[test]
    fn every_index_pays_its_share_of_what_is_inserted() {
        // 100 calls of 100 µs, half as much again: 2,500 µs for each of the two. The read gains 600.
        let (id, balance) = worst([10, 0, 100], &[write(2, 50.0)], 0).unwrap();
        assert_eq!((id.as_str(), balance.lost_us), ("b", 2_500.0));
        let gained = worst([100, 0, 100], &[write(2, 50.0)], 0).unwrap();
        assert_eq!(gained.0, "b", "the other one gains 6,000");
    }

    #[test]
    fn what_never_ended_without_an_index_is_worth_any_write() {
        let writes = [write(2, 5_000.0)];
        let (id, _) = worst([1, 0, 1_000], &writes, 1).unwrap();
        assert_eq!(id, "b");
    }
}
