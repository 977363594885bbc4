//! The sessions of a trial: two without the change and one with it, on one snapshot.
//!
//! One session builds indexes in a transaction that it rolls back in the end. Only that session's
//! planner sees them; the other two go on without, on the same data and the same cache. If anything
//! dies, the server rolls back, and there is nothing to clean up.

use super::replay::{Executed, Prepared, REPLAY_SAVEPOINT, ReplayedArms, Session};
use crate::model::plan::Plan as ServerPlan;
use crate::model::trial::{TriedIndex, Unreplayed, Work, WorkPairs};
use crate::model::workload::Sample;
use crate::model::workload::fingerprint::Fingerprint;
use crate::pg::config::settings::Settings;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::planner::build_index::build;
use crate::pg::planner::explain;
use crate::sql::lex::identifier::quote_table;
use crate::sql::rewrite::for_replay::without_limit;
use crate::sql::rewrite::row_order::ties_decide_rows;
use crate::trial::config::{Effort, NewlyBuilt, TrialTarget};
use crate::trial::plan::pace::Pace;
use crate::trial::plan::statements::{PlannedStatement, ReplayedStatement};

/// Parameter sets that are explained with what they touch, of a statement whose execution takes less than so many
/// seconds in all arms together; of one that takes longer, one.
const EXPLAINED: [(f64, usize); 2] = [(QUICK_S, 8), (0.5, 3)];
/// Statements that take less in all arms together are repeated without asking, seconds.
const QUICK_S: f64 = 0.05;
/// Parameter sets whose plans are compared before anything is executed, a statement.
const PLANNED: usize = 8;

/// Places of statements that failed, ascending, with the reason.
type Failed = Vec<(usize, Unreplayed)>;

/// The sessions of one block. Dropping them rolls everything back.
pub(super) struct Block {
    pub before: Prepared,
    pub after: Prepared,
    pub control: Prepared,
    pub indexes: Vec<TriedIndex>,
    /// For each index, the names that plans call it by: its partitions have their own.
    names: Vec<Vec<String>>,
}

impl Block {
    /// Opens three sessions on one snapshot, one of them with the indexes. An index that cannot be built
    /// is named in [`Block::indexes`], and the others stand.
    ///
    /// # Errors
    /// When the server goes away, or the user interrupts.
    pub fn open(target: TrialTarget<'_>, changes: &[NewlyBuilt<'_>]) -> Result<Block, PgError> {
        let TrialTarget { settings, callers, effort, .. } = target;
        let after = connect(settings, effort)?;
        after.batch(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; SET LOCAL lock_timeout = {}",
            effort.lock_timeout_ms
        ))?;
        let snapshot: String = after.row("SELECT pg_export_snapshot()", &[])?.get(0);
        let reader = || -> Result<Prepared, PgError> {
            let connection = connect(settings, effort)?;
            connection.batch(&format!(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'"
            ))?;
            Ok(Prepared::new(connection))
        };
        let (before, control) = (reader()?, reader()?);
        let mut after = Prepared::new(after);
        let (indexes, names) = build_all(&mut after, callers.path(), changes)?;
        // From here on the session that holds the indexes may write no more than the others.
        after.connection.batch(&format!(
            "SET LOCAL statement_timeout = {}; SET TRANSACTION READ ONLY",
            effort.statement_timeout_ms
        ))?;
        for session in [&before, &after, &control] {
            session.connection.batch(&format!("SAVEPOINT {REPLAY_SAVEPOINT}"))?;
        }
        Ok(Block { before, after, control, indexes, names })
    }

    /// Ends the transactions of all sessions, so that the next block does not wait for this one's locks.
    ///
    /// # Errors
    /// The server's error.
    pub fn close(&self) -> Result<(), PgError> {
        for session in [&self.after, &self.before, &self.control] {
            session.connection.clean_up("ROLLBACK")?;
        }
        Ok(())
    }

    /// Executes every statement once in each arm, none of them longer than the limit of its place. Returns the
    /// time that each takes, and the statements that failed with the reason.
    ///
    /// # Errors
    /// When the server goes away, or the user interrupts.
    pub fn warm_up(
        &mut self,
        planned: &[PlannedStatement<'_>],
        limit_ms: impl Fn(usize) -> u64,
    ) -> Result<(Vec<Pace>, Failed), PgError> {
        let mut paces = Vec::new();
        let mut failed = Vec::new();
        for (at, planned) in planned.iter().enumerate() {
            let ReplayedStatement { caller, samples, .. } = &planned.replayed;
            let mut seconds = [0.0; 3];
            let mut stopped_ms = None;
            for (number, session) in
                [&mut self.before, &mut self.control, &mut self.after].into_iter().enumerate()
            {
                // What was stopped once would be again.
                if number == 1 && stopped_ms.is_some() {
                    seconds[1] = seconds[0];
                    continue;
                }
                let latency_us = match session.replay(caller, &samples[0], Some(limit_ms(at)))? {
                    Executed::Done(answer) => answer.latency_us,
                    Executed::Stopped(latency_us) if stopped_ms.is_none() => {
                        stopped_ms = Some(limit_ms(at));
                        latency_us
                    }
                    Executed::Stopped(_) => {
                        failed.push((at, Unreplayed::TooLong));
                        break;
                    }
                    Executed::Failed(why) => {
                        failed.push((at, Unreplayed::Unable(why)));
                        break;
                    }
                };
                seconds[number] = latency_us / 1e6;
            }
            let [before_s, control_s, after_s] = seconds;
            paces.push(Pace { without_s: before_s + control_s, with_s: after_s, stopped_ms });
        }
        Ok((paces, failed))
    }

    /// Returns `most` of the statements that read the tables: first the ones whose plan the change touches, then
    /// those with the longest time, so that what it slows down is seen as well.
    ///
    /// # Errors
    /// When the server goes away, or the user interrupts.
    pub fn pick<'w>(
        &mut self,
        planned: Vec<PlannedStatement<'w>>,
        most: usize,
        left_out: &mut Vec<(Fingerprint, Unreplayed)>,
    ) -> Result<Vec<PlannedStatement<'w>>, PgError> {
        let (mut changed, mut same) = (Vec::new(), Vec::new());
        for candidate in planned {
            let mut differs = false;
            let ReplayedStatement { caller, samples, .. } = &candidate.replayed;
            for sample in samples.iter().take(PLANNED) {
                let before = estimated(&mut self.before, caller, sample)?;
                let after = estimated(&mut self.after, caller, sample)?;
                // What cannot be planned fails when it is executed, and is left out there.
                differs |= matches!((before, after), (Ok(b), Ok(a)) if b.shape != a.shape);
                if differs {
                    break;
                }
            }
            if differs { changed.push(candidate) } else { same.push(candidate) }
        }
        changed.append(&mut same);
        for left in changed.drain(most.min(changed.len())..) {
            left_out.push((left.query.fingerprint, Unreplayed::LessTime));
        }
        Ok(changed)
    }

    /// Notes in [`Block::indexes`] which statements use each index, for any of their parameter sets.
    ///
    /// # Errors
    /// When the server goes away, or the user interrupts.
    pub fn note_use(&mut self, planned: &[PlannedStatement<'_>]) -> Result<(), PgError> {
        for planned in planned {
            let fingerprint = planned.query.fingerprint;
            let ReplayedStatement { caller, samples, .. } = &planned.replayed;
            for sample in samples {
                if self.indexes.iter().all(|index| index.used_by.contains(&fingerprint)) {
                    break;
                }
                let Ok(plan) = estimated(&mut self.after, caller, sample)? else { continue };
                for (index, names) in self.indexes.iter_mut().zip(&self.names) {
                    let used = names.iter().any(|name| plan.indexes.contains(name));
                    if used && !index.used_by.contains(&fingerprint) {
                        index.used_by.push(fingerprint);
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes fresh sessions know the statements: the quick ones are executed, and the slow ones, for
    /// which the first time is no matter, planned. `seconds` is what one execution of each takes.
    ///
    /// # Errors
    /// When the server goes away, or the user interrupts.
    pub fn warm_up_again(
        &mut self,
        planned: &[PlannedStatement<'_>],
        seconds: &[f64],
    ) -> Result<(), PgError> {
        for (planned, own_s) in planned.iter().zip(seconds) {
            let ReplayedStatement { caller, samples, .. } = &planned.replayed;
            let sample = &samples[0];
            for session in [&mut self.before, &mut self.control, &mut self.after] {
                // What failed the first time is not here; what fails now fails in its round.
                let _ = match *own_s < QUICK_S {
                    true => {
                        in_savepoint(session, |session| session.execute(caller, sample).map(drop))?
                    }
                    false => estimated(session, caller, sample)?.map(drop),
                };
            }
        }
        Ok(())
    }

    /// Plans of each statement without and with the change, and what executions touch. `seconds` is what one
    /// execution of each takes in all arms.
    ///
    /// # Errors
    /// When the server goes away, or the user interrupts.
    pub fn explain_all(
        &mut self,
        queries: &[ReplayedStatement],
        seconds: &[f64],
    ) -> Result<Vec<ExplainedStatement>, PgError> {
        queries.iter().zip(seconds).map(|(query, own_s)| self.explain(query, *own_s)).collect()
    }

    fn explain(
        &mut self,
        query: &ReplayedStatement,
        own_s: f64,
    ) -> Result<ExplainedStatement, PgError> {
        let caller = &query.caller;
        let mut changed = Vec::new();
        for sample in &query.samples {
            let before = estimated(&mut self.before, caller, sample)?;
            let after = estimated(&mut self.after, caller, sample)?;
            changed.push(matches!((before, after), (Ok(b), Ok(a)) if b.nodes != a.nodes));
        }
        let most =
            EXPLAINED.iter().find(|(less_s, _)| own_s < *less_s).map_or(1, |(_, most)| *most);
        let chosen = representative(&changed, most);
        let same_nodes = !changed.contains(&true);
        let mut explained = ExplainedStatement {
            work: WorkPairs { pairs: Vec::new(), same_nodes },
            ..ExplainedStatement::default()
        };
        for at in &chosen {
            // Of one that is stopped before its end, only the plan can be had.
            if query.limit_ms.is_some() {
                break;
            }
            let sample = &query.samples[*at];
            let executed =
                |session: &mut Prepared| explain::executed(&session.connection, caller, sample);
            let before = in_savepoint(&mut self.before, executed)?;
            let after = in_savepoint(&mut self.after, executed)?;
            let (Ok(before), Ok(after)) = (before, after) else { continue };
            explained.work.pairs.extend(work_of(&before).zip(work_of(&after)));
            if explained.work.pairs.len() == 1 {
                (explained.before, explained.after) = (before, after);
            }
        }
        if explained.work.pairs.is_empty() {
            let first = &query.samples[chosen[0]];
            explained.before = estimated(&mut self.before, caller, first)?.unwrap_or_default();
            explained.after = estimated(&mut self.after, caller, first)?.unwrap_or_default();
        }
        Ok(explained)
    }

    /// Same rows with and without the change; `None` where that is not known. Under a `LIMIT` whose order leaves
    /// ties, other rows may be right as well: then the statement without its limit has to agree. Where ties decide
    /// about rows in another way, nothing is known.
    ///
    /// # Errors
    /// When the server goes away, or the user interrupts.
    pub fn rows_identical(
        &mut self,
        query: &ReplayedStatement,
        outcome: &ReplayedArms,
    ) -> Result<Option<bool>, PgError> {
        if outcome.unsteady || outcome.compared == 0 {
            return Ok(None);
        }
        let Some(at) = outcome.differing.first() else { return Ok(Some(true)) };
        let sample = &query.samples[*at];
        if ties_decide_rows(&sample.text) {
            return Ok(None);
        }
        let Some(text) = without_limit(&sample.text) else { return Ok(Some(false)) };
        let whole = Sample { text: text.into(), parameters: sample.parameters.clone() };
        let before = self.before.replay(&query.caller, &whole, query.limit_ms)?;
        let after = self.after.replay(&query.caller, &whole, query.limit_ms)?;
        Ok(match (before, after) {
            (Executed::Done(before), Executed::Done(after)) => {
                Some((before.rows, before.digest) == (after.rows, after.digest))
            }
            _ => None,
        })
    }
}

/// Does something that a statement of the workload may fail at: a failed statement aborts the
/// transaction, and with it the indexes, so it stands in a savepoint.
///
/// # Errors
/// When the server goes away, or the user interrupts.
pub(crate) fn in_savepoint<T>(
    session: &mut Prepared,
    work: impl FnOnce(&mut Prepared) -> Result<T, PgError>,
) -> Result<Result<T, String>, PgError> {
    session.connection.control("SAVEPOINT pgassay")?;
    match work(session) {
        Ok(done) => {
            session.connection.control("RELEASE SAVEPOINT pgassay")?;
            Ok(Ok(done))
        }
        Err(error) if matches!(error.kind, PgErrorKind::Interrupted | PgErrorKind::Connection) => {
            Err(error)
        }
        Err(error) => {
            session.connection.control("ROLLBACK TO SAVEPOINT pgassay")?;
            Ok(Err(error.to_string()))
        }
    }
}

/// The plan of one execution; the reason where the server makes none.
fn estimated(
    session: &mut Prepared,
    caller: &Caller,
    sample: &Sample,
) -> Result<Result<ServerPlan, String>, PgError> {
    match explain::estimated(&session.connection, caller, sample) {
        Ok(plan) => Ok(Ok(plan)),
        Err(error) if error.kind != PgErrorKind::Statement => Err(error),
        Err(error) => {
            session.go_back()?;
            Ok(Err(error.to_string()))
        }
    }
}

/// Builds the indexes in the open transaction of a session. One that fails is named with its reason.
///
/// # Errors
/// When the server goes away, or the user interrupts.
pub(crate) fn build_all(
    session: &mut Prepared,
    path: &Caller,
    changes: &[NewlyBuilt<'_>],
) -> Result<(Vec<TriedIndex>, Vec<Vec<String>>), PgError> {
    let (mut indexes, mut names) = (Vec::new(), Vec::new());
    // A build takes as long as it takes; executions have their limit back afterwards.
    session.connection.batch("SET LOCAL statement_timeout = 0")?;
    for change in changes {
        let mut tried = TriedIndex {
            recommendation: change.recommendation.to_owned(),
            name: change.index.name.clone(),
            build_ms: 0.0,
            size_bytes: None,
            used_by: Vec::new(),
            failed: None,
        };
        let index = change.index;
        let made = |session: &mut Prepared| {
            let connection = &session.connection;
            connection.without_limit(|| build(connection, path, &index.def, &index.name))
        };
        match in_savepoint(session, made)? {
            Ok(built) => {
                tried.build_ms = built.build_ms;
                tried.size_bytes = Some(built.size_bytes);
                names.push(built.names);
            }
            Err(why) => {
                tried.failed = Some(why);
                names.push(Vec::new());
            }
        }
        indexes.push(tried);
    }
    // An expression has no statistics until its index is analyzed.
    for change in changes {
        if change.index.def.keys.iter().any(|key| !key.is_column) {
            let analyze = format!("ANALYZE {}", quote_table(&change.index.def.table));
            let _ = in_savepoint(session, |session| {
                session.connection.without_limit(|| session.connection.batch(&analyze))
            })?;
        }
    }
    Ok((indexes, names))
}

/// Plans of one statement without and with the change, and what executions touched.
#[derive(Debug, Clone, Default)]
pub(super) struct ExplainedStatement {
    pub before: ServerPlan,
    pub after: ServerPlan,
    pub work: WorkPairs,
}

/// Returns the work of an execution; `None` where the plan was not executed.
pub(crate) fn work_of(plan: &ServerPlan) -> Option<Work> {
    let blocks = plan.buffers? + plan.temp_blocks.unwrap_or(0);
    Some(Work { blocks, rows: plan.rows_scanned.unwrap_or(0) })
}

/// Places of at most `most` parameter sets: those whose plan changed in the share that they have of all, and one at
/// least where there is any; those come first.
fn representative(changed: &[bool], most: usize) -> Vec<usize> {
    let places = |is: bool| (0..changed.len()).filter(move |at| changed[*at] == is);
    let all_changed = places(true).count();
    let share = (most * all_changed + changed.len() / 2) / changed.len().max(1);
    let few = share.clamp(usize::from(all_changed > 0), most);
    let chosen: Vec<usize> = places(true).take(few).collect();
    let rest = most - chosen.len();
    chosen.into_iter().chain(places(false).take(rest)).collect()
}

/// A session that cannot write until it is told otherwise, and that plans for the values at hand.
///
/// # Errors
/// The server's error.
pub(crate) fn connect(settings: &Settings, effort: Effort) -> Result<Connection, PgError> {
    let connection = Connection::open(settings)?;
    connection.read_only(effort.statement_timeout_ms, effort.lock_timeout_ms)?;
    // Plans for the values at hand, as for statements that are not prepared; otherwise the sixth
    // execution may switch to a generic plan in one arm and not in another.
    // A scan of a large table that begins where another one is would stop elsewhere each time.
    connection.batch("SET plan_cache_mode = force_custom_plan; SET synchronize_seqscans = off")?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::representative;

    #[test]
    fn the_parameter_sets_that_are_explained_have_the_share_of_those_whose_plan_changed() {
        assert_eq!(representative(&[false; 3], 8), [0, 1, 2]);
        assert_eq!(representative(&[false, false, true, false], 2), [2, 0]);
        assert_eq!(representative(&[true, true, true, false], 4), [0, 1, 2, 3]);
        assert_eq!(representative(&[false, true, false, true], 1), [1]);
        let mut mostly_changed = vec![true; 30];
        mostly_changed.extend([false; 10]);
        assert_eq!(representative(&mostly_changed, 8), [0, 1, 2, 3, 4, 5, 30, 31]);
    }
}
