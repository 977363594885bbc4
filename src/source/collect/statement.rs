//! One distinct statement while it is collected.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::roles::{RoleKeys, Users};
use super::settings;
use crate::model::workload::duration::Durations;
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::values::{MOST_VALUES, Values};
use crate::model::workload::{ObservedPlan, Query, Sample};
use crate::source::message::database::Database;

/// The counters of a statement in `pg_stat_statements`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CountedCalls {
    pub calls: u64,
    pub total_us: u64,
    pub rows: u64,
    /// Shared blocks hit and read; `None` in exports without them.
    pub blocks: Option<u64>,
}

/// The kinds of statements that collecting distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementClass {
    /// Reads or writes rows.
    Data,
    /// Begins or ends a transaction.
    Transaction,
    /// Settings, cursors, DDL and the like.
    Utility,
    /// No statement: a setting with its values.
    Setting,
}

impl StatementClass {
    pub fn of(normalized: &str) -> StatementClass {
        if settings::is_key(normalized) {
            return StatementClass::Setting;
        }
        let verb = normalized.split([' ', '(']).next().unwrap_or("");
        match verb {
            "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH" | "MERGE" | "VALUES" | "TABLE" => {
                StatementClass::Data
            }
            "" if normalized.starts_with('(') => StatementClass::Data,
            "BEGIN" | "COMMIT" | "END" | "start" | "abort" => StatementClass::Transaction,
            "ROLLBACK" if !normalized.starts_with("ROLLBACK TO") => StatementClass::Transaction,
            _ => StatementClass::Utility,
        }
    }
}

/// How much is kept of each statement: less where there are many, so that memory is bounded by what
/// a hundred thousand statements need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementLimits {
    /// Executions kept for replay.
    pub samples: usize,
    /// Distinct values kept for each literal position.
    pub values: usize,
}

impl StatementLimits {
    pub fn for_statements(count: usize) -> StatementLimits {
        match count {
            0..=2_000 => StatementLimits { samples: 64, values: MOST_VALUES },
            2_001..=8_000 => StatementLimits { samples: 16, values: MOST_VALUES },
            8_001..=32_000 => StatementLimits { samples: 4, values: 8 },
            _ => StatementLimits { samples: 2, values: 4 },
        }
    }
}

#[derive(Debug, Clone)]
pub struct Statement {
    pub fingerprint: Fingerprint,
    pub database: Database,
    pub normalized: String,
    pub class: StatementClass,
    /// Its executions may give values to settings of the application.
    pub may_assign: bool,
    pub queryid: Option<i64>,
    pub durations: Durations,
    pub logged_calls: u64,
    pub counted: CountedCalls,
    /// The executions with the smallest ranks: the same whatever the order of reading.
    pub samples: Vec<(u64, Sample)>,
    /// Rank, time and session of the samples, by rank.
    pub places: Vec<(u64, i64, u32)>,
    pub slots: Vec<Values>,
    /// Executions that `auto_explain` logged, and the plan of the slowest.
    pub planned: Durations,
    pub plan: Option<ObservedPlan>,
    pub role_keys: RoleKeys,
}

impl Statement {
    pub fn new(
        fingerprint: Fingerprint,
        database: Database,
        normalized: &str,
        slots: usize,
    ) -> Statement {
        Statement {
            fingerprint,
            database,
            normalized: normalized.to_owned(),
            class: StatementClass::of(normalized),
            may_assign: settings::may_assign(normalized),
            queryid: None,
            durations: Durations::new(),
            logged_calls: 0,
            counted: CountedCalls::default(),
            samples: Vec::new(),
            places: Vec::new(),
            slots: vec![Values::default(); slots],
            planned: Durations::new(),
            plan: None,
            role_keys: RoleKeys::default(),
        }
    }

    /// The server's identifier; of several, the smallest.
    pub fn note_queryid(&mut self, queryid: Option<i64>) {
        self.queryid = match (self.queryid, queryid) {
            (Some(known), Some(new)) => Some(known.min(new)),
            (known, new) => known.or(new),
        };
    }

    /// Keeps the plan of the slowest execution.
    pub fn note_plan(&mut self, plan: ObservedPlan) {
        self.planned.record(plan.duration_us);
        self.keep_plan(Some(plan));
    }

    fn keep_plan(&mut self, plan: Option<ObservedPlan>) {
        self.plan = self.plan.take().max(plan);
    }

    pub fn count(&mut self, counted: &CountedCalls) {
        // Exports are files, and files can say anything.
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.counted.calls, counted.calls);
        add(&mut self.counted.total_us, counted.total_us);
        add(&mut self.counted.rows, counted.rows);
        if let Some(blocks) = counted.blocks {
            add(self.counted.blocks.get_or_insert(0), blocks);
        }
    }

    pub fn wants_sample(&self, rank: u64, limits: StatementLimits) -> bool {
        self.class == StatementClass::Data
            && (self.samples.len() < limits.samples
                || self.samples.last().is_some_and(|(last, _)| rank < *last))
    }

    pub fn keep_sample(&mut self, rank: u64, mut sample: Sample, limits: StatementLimits) {
        let shared = self.samples.iter().find(|(_, known)| known.text == sample.text);
        if let Some((_, known)) = shared {
            sample.text = Arc::clone(&known.text);
        }
        let new = (rank, sample);
        let place = self.samples.partition_point(|known| *known < new);
        self.samples.insert(place, new);
        self.samples.truncate(limits.samples);
        self.keep_places();
    }

    /// Notes when and where the sample of a rank was executed.
    pub fn note_place(&mut self, rank: u64, (at_us, session): (i64, u32)) {
        if let Err(place) = self.places.binary_search_by_key(&rank, |own| own.0) {
            self.places.insert(place, (rank, at_us, session));
        }
    }

    fn place(&self, rank: u64) -> Option<(i64, u32)> {
        let at = self.places.binary_search_by_key(&rank, |own| own.0).ok()?;
        Some((self.places[at].1, self.places[at].2))
    }

    /// Lets go the places of samples that are gone.
    fn keep_places(&mut self) {
        let last = self.samples.last().map(|(rank, _)| *rank);
        self.places.retain(|own| last.is_some_and(|last| own.0 <= last));
    }

    /// Keeps no more than there is room for.
    pub fn shrink(&mut self, limits: StatementLimits) {
        self.samples.truncate(limits.samples);
        self.samples.shrink_to_fit();
        self.keep_places();
        self.slots.iter_mut().for_each(|slot| slot.shrink(limits.values));
    }

    pub fn merge(&mut self, other: Statement, limits: StatementLimits) {
        self.note_queryid(other.queryid);
        self.durations.merge(&other.durations);
        self.logged_calls = self.logged_calls.saturating_add(other.logged_calls);
        self.count(&other.counted);
        self.planned.merge(&other.planned);
        self.keep_plan(other.plan);
        other.role_keys.each().iter().for_each(|role_key| self.role_keys.note(*role_key));
        for (rank, sample) in other.samples {
            if self.wants_sample(rank, limits) {
                let place = other.places.iter().find(|own| own.0 == rank);
                place.into_iter().for_each(|own| self.note_place(rank, (own.1, own.2)));
                self.keep_sample(rank, sample, limits);
            }
        }
        for (slot, theirs) in self.slots.iter_mut().zip(other.slots) {
            slot.merge(theirs, limits.values);
        }
    }

    /// Executions that were logged or counted.
    pub fn is_executed(&self) -> bool {
        self.logged_calls > 0 || self.counted.calls > 0
    }

    /// Takes the executions from what `auto_explain` wrote, where nothing else did.
    pub fn count_planned(&mut self) {
        self.logged_calls = self.planned.count();
        self.durations = std::mem::take(&mut self.planned);
    }

    /// Calls, and their time in microseconds. Counters of the server cover more than a log, or the log
    /// covers what the counters lost: the source that saw more calls gives both.
    pub fn observed(&self) -> (u64, u64) {
        if self.counted.calls > self.logged_calls {
            (self.counted.calls, self.counted.total_us)
        } else {
            (self.logged_calls, self.durations.total_us())
        }
    }

    pub fn finish(self, users: &Users) -> Query {
        let (calls, total_us) = self.observed();
        let counted = self.counted.calls > 0;
        let ranks = self.samples.iter().map(|(rank, _)| *rank);
        let sample_places = ranks.map(|rank| self.place(rank)).collect();
        let scale = |value: u64| {
            // Rows and blocks are only counted by the server; they are shown for our number of calls.
            (u128::from(value) * u128::from(calls) / u128::from(self.counted.calls.max(1))) as u64
        };
        Query {
            fingerprint: self.fingerprint,
            queryid: self.queryid,
            normalized: self.normalized,
            calls,
            total_us,
            durations: self.durations,
            rows: counted.then(|| scale(self.counted.rows)),
            blocks: self.counted.blocks.map(scale),
            sample_places,
            samples: self.samples.into_iter().map(|(_, sample)| sample).collect(),
            slots: self.slots,
            plan: self.plan,
            users: self.role_keys.users(users),
            shape: None,
            spellings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_by_the_first_word() {
        assert_eq!(
            StatementClass::of("(SELECT a FROM t) UNION SELECT b FROM u"),
            StatementClass::Data
        );
        assert_eq!(StatementClass::of("ROLLBACK"), StatementClass::Transaction);
        assert_eq!(StatementClass::of("ROLLBACK TO $1"), StatementClass::Utility);
        assert_eq!(StatementClass::of("SET x = $1"), StatementClass::Utility);
    }
}
