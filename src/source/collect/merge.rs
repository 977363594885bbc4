//! Merges collectors, narrows them to one database, and finishes them.

use std::collections::BTreeMap;

use super::captured_catalog::Captured;
use super::collector::Collector;
use super::literal_map::Known;
use super::open_ends::ChunkEnds;
use super::settings;
use super::statement::Statement;
use crate::model::workload::timeline::{Execution, SlotHash, Timeline};
use crate::model::workload::values::Values;
use crate::model::workload::{Coverage, Query, Setting, Workload};
use crate::source::message::database::{Database, Share};

/// Everything in a collector, in canonical order but for the numbers of the statements.
pub struct Parts<'c> {
    pub statements: &'c [Statement],
    pub executions: Vec<Execution>,
    pub slots: &'c [SlotHash],
    pub executions_seen: u64,
    pub windows_below: u64,
    pub window: Option<(i64, i64)>,
    pub databases: Vec<&'c str>,
    /// Role keys with their users.
    pub users: Vec<(u32, &'c str)>,
    pub applications: Vec<&'c str>,
    pub coverage: &'c Coverage,
    pub stretches: Vec<ChunkEnds>,
    pub catalog: Option<&'c Captured>,
}

/// Takes the values of settings out of the executions. `rest` are what follows the `executed` queries.
fn settings_of(
    timeline: &mut Timeline,
    executed: usize,
    rest: &mut [(usize, Query)],
) -> Vec<Setting> {
    let mut settings = Vec::new();
    let places: Vec<Option<u32>> = rest
        .iter()
        .map(|(_, query)| {
            let (name, member) = settings::parts(&query.normalized)?;
            let kept = query.slots.iter().flat_map(Values::kept);
            let examples = kept.map(|kept| kept.value.clone()).collect();
            settings.push(Setting { name, member, examples });
            Some(settings.len() as u32 - 1)
        })
        .collect();
    let mut assignments = Vec::new();
    timeline.executions.retain(|execution| {
        let Some(beyond) = (execution.query as usize).checked_sub(executed) else { return true };
        let place = places.get(beyond).copied().flatten();
        assignments.extend(place.map(|query| Execution { query, ..*execution }));
        false
    });
    timeline.assignments = assignments;
    settings
}

impl Collector {
    /// Joins stretches that follow one another.
    pub(super) fn join_stretches(&mut self, follows: impl Fn(&ChunkEnds, &ChunkEnds) -> bool) {
        let mut stretches = std::mem::take(&mut self.stretches);
        stretches.sort_by_key(ChunkEnds::order);
        // What two of them settle may be what a third waits for.
        loop {
            let before = stretches.len();
            let mut joined: Vec<ChunkEnds> = Vec::new();
            for next in stretches {
                match joined.last_mut() {
                    Some(last) if follows(last, &next) => {
                        last.join(next, &mut |event| self.event(event))
                    }
                    _ => joined.push(next),
                }
            }
            joined.iter_mut().for_each(ChunkEnds::tidy);
            stretches = joined;
            if stretches.len() == before {
                break;
            }
        }
        self.stretches = stretches;
    }

    /// Takes over what another collector gathered.
    pub fn merge(&mut self, other: Collector) {
        let before = self.statements.len();
        let numbers: Vec<u32> = other.statements.into_iter().map(|s| self.add(s)).collect();
        self.make_room(before);
        self.timeline.merge(other.timeline, |query| numbers[query as usize]);
        let statements = &self.statements;
        self.timeline.prune(|query| statements[query as usize].slots.len());
        self.window = match (self.window, other.window) {
            (Some(ours), Some(theirs)) => Some((ours.0.min(theirs.0), ours.1.max(theirs.1))),
            (ours, theirs) => ours.or(theirs),
        };
        self.stretches.extend(other.stretches);
        self.catalog = self.catalog.take().max(other.catalog);
        self.coverage.merge(other.coverage);
        self.skips.merge(other.skips);
        self.databases.merge(other.databases);
        self.users.merge(other.users);
        self.applications.merge(other.applications);
    }

    /// Executions on each database that a source names, and on all.
    pub fn shares(&self) -> (BTreeMap<&str, Share>, Share) {
        let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
        let mut all = Share::default();
        for statement in &self.statements {
            let (executions, total_us) = statement.observed();
            all.add(executions, total_us);
            if let Some(name) = self.databases.of(statement.database) {
                shares.entry(name).or_default().add(executions, total_us);
            }
        }
        (shares, all)
    }

    /// Lets go what ran on these databases; it stands in the coverage.
    pub fn leave_out(&mut self, names: &[String]) {
        if names.is_empty() {
            return;
        }
        let databases: Vec<Database> =
            names.iter().map(|name| Database::named(name.as_bytes())).collect();
        let is_kept = |of: Database| !databases.contains(&of);
        let before = self.executions();
        databases.iter().for_each(|database| self.databases.forget(*database));
        self.regroup(|of| is_kept(of).then_some(of));
        let loose: u64 = self.stretches.iter_mut().map(|s| s.keep_databases(is_kept)).sum();
        let gone = before - self.executions() + loose;
        self.coverage.statements = self.coverage.statements.saturating_sub(gone);
        if let Some(first) = names.first().filter(|_| gone > 0) {
            self.coverage.skip("statement of another database", gone, || first.clone());
        }
    }

    /// Gives each statement the database that `of` says, and lets go those for which it says none.
    fn regroup(&mut self, of: impl Fn(Database) -> Option<Database>) {
        let statements = std::mem::take(&mut self.statements);
        self.index.clear();
        self.known = Known::default();
        let numbers: Vec<Option<u32>> = statements
            .into_iter()
            .map(|mut statement| {
                statement.database = of(statement.database)?;
                Some(self.add(statement))
            })
            .collect();
        self.timeline.renumber(|query| numbers[query as usize]);
    }

    /// Everything, for a capture.
    pub(crate) fn parts(&mut self) -> Parts<'_> {
        self.join_stretches(ChunkEnds::is_next);
        let stretches = std::mem::take(&mut self.stretches);
        let statements = &self.statements;
        let positions = |query: u32| statements[query as usize].slots.len();
        self.timeline.prune(positions);
        let (executions_seen, windows_below) = self.timeline.limits();
        let (executions, slots) = self.timeline.in_order(positions);
        Parts {
            statements,
            executions,
            slots,
            executions_seen,
            windows_below,
            window: self.window,
            databases: self.databases.sorted(),
            users: self.users.each(),
            applications: self.applications.names(),
            coverage: &self.coverage,
            stretches,
            catalog: self.catalog.as_ref(),
        }
    }

    /// Takes a statement of a capture.
    pub(crate) fn adopt(&mut self, statement: Statement) {
        let at = self.statements.len() as u32;
        self.index.insert((statement.fingerprint, statement.database), at);
        self.statements.push(statement);
    }

    pub(crate) fn adopt_execution(&mut self, execution: Execution, slots: &[SlotHash]) {
        self.timeline.push(execution, slots);
    }

    pub(crate) fn adopt_rest(
        &mut self,
        window: Option<(i64, i64)>,
        limits: (u64, u64),
        (lines, statements, skipped): (u64, u64, Vec<(String, u64)>),
        stretches: Vec<ChunkEnds>,
        catalog: Option<Captured>,
    ) {
        self.window = window;
        self.timeline.set_limits(limits);
        self.coverage.lines = lines;
        self.coverage.statements = statements;
        for (reason, count) in skipped {
            self.skip(&reason, count, || "in the capture".to_owned());
        }
        self.stretches = stretches;
        self.catalog = catalog;
    }

    /// Nothing more is read: counts what was still open.
    pub fn settle(&mut self) {
        self.join_stretches(|_, _| true);
        let stretches = std::mem::take(&mut self.stretches);
        stretches.into_iter().for_each(|chunk| chunk.close(&mut |event| self.event(event)));
        if !self.statements.iter().any(Statement::is_executed) {
            self.statements.iter_mut().for_each(Statement::count_planned);
        }
    }

    /// The workload: queries by time, executions in order.
    pub fn finish(mut self) -> Workload {
        self.settle();
        // What is still here is taken as of one database.
        self.regroup(|_| Some(Database::UNKNOWN));
        let mut ranked: Vec<(usize, Query)> =
            self.statements.into_iter().map(|s| s.finish(&self.users)).enumerate().collect();
        ranked.sort_by(|(_, a), (_, b)| {
            let key = |query: &Query| (query.calls > 0, query.total_us, query.calls);
            key(b).cmp(&key(a)).then(a.fingerprint.cmp(&b.fingerprint))
        });
        let mut position = vec![0u32; ranked.len()];
        let mut slots = vec![0usize; ranked.len()];
        for (new, (old, query)) in ranked.iter().enumerate() {
            position[*old] = new as u32;
            slots[*old] = query.slots.len();
        }
        let mut timeline =
            self.timeline.finish(|old| slots[old as usize], |old| position[old as usize]);
        // By time, then calls: those of which only a plan was seen come last.
        let executed = ranked.partition_point(|(_, query)| query.calls > 0);
        let mut rest = ranked.split_off(executed);
        let queries: Vec<Query> = ranked.into_iter().map(|(_, query)| query).collect();
        let settings = settings_of(&mut timeline, executed, &mut rest);
        let mut coverage = self.coverage;
        // Both a log and the counters may have seen an execution; it is counted once.
        coverage.statements =
            queries.iter().fold(0, |sum: u64, query| sum.saturating_add(query.calls));
        let mut warnings = Vec::new();
        if timeline.seen > timeline.executions.len() as u64 {
            warnings.push(format!(
                "loops were searched for in {} of {} executions: a sample of time windows",
                timeline.executions.len(),
                timeline.seen
            ));
        }
        Workload {
            queries,
            timeline,
            settings,
            roles: self
                .users
                .each()
                .into_iter()
                .map(|(key, name)| (key, name.to_owned()))
                .collect(),
            applications: self.applications.by_hash(),
            window: self.window,
            coverage,
            warnings,
            total_us: Default::default(),
        }
    }
}
