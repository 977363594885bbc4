//! Decides about recommendations by their trials.

use crate::model::recommendation::{Recommendation, State};
use crate::model::trial::{Evidence, QueryTrial, Trial, Unreplayed, Verdict};
use crate::model::workload::Workload;
use crate::model::workload::fingerprint::Fingerprint;

/// The greatest loss of statements, as a part of the gain of others, that does not reject an index.
const LOSS_FOR_GAIN: f64 = 0.05;

/// A fate with its reason.
pub type Decision = (State, Option<String>);

/// The statements that a recommendation was tried for, and which of them read its table.
#[derive(Clone, Copy)]
pub struct TrialSubject<'m> {
    pub workload: &'m Workload,
    pub recommendation: &'m Recommendation,
}

impl TrialSubject<'_> {
    /// Statements that read the table and could not be replayed for another reason than time.
    fn unseen(&self, trial: &Trial) -> usize {
        let reads = |fingerprint: &Fingerprint| {
            let query = self.workload.query(*fingerprint);
            let shape = query.and_then(|query| query.shape.as_ref());
            shape.is_some_and(|shape| {
                shape
                    .scans
                    .iter()
                    .any(|scan| Some(&scan.table) == self.recommendation.table.as_ref())
            })
        };
        let missed = |(fingerprint, why): &&(Fingerprint, Unreplayed)| {
            matches!(why, Unreplayed::Unable(_)) && reads(fingerprint)
        };
        trial.left_out.iter().filter(missed).count()
    }

    fn time_us(&self, fingerprint: Fingerprint) -> f64 {
        self.workload.query(fingerprint).map_or(0.0, |known| known.total_us as f64)
    }
}

fn rejected(why: impl Into<String>) -> Decision {
    (State::Rejected, Some(why.into()))
}

fn undecided(why: impl Into<String>) -> Decision {
    (State::Undecided, Some(why.into()))
}

/// Decides on one recommendation by the trial of it alone. `is_used_in_set` tells that some statement uses it
/// beside the others, as those of `a = 1 OR b = 2` are used together or not at all.
pub fn alone(trial: &Trial, subject: TrialSubject<'_>, is_used_in_set: bool) -> Decision {
    if let Some(why) = &trial.failed {
        return undecided(format!("the trial could not be held: {why}"));
    }
    if let Some(decision) = unused(trial, subject, "no statement used it") {
        return if is_used_in_set { undecided("alone no statement used it") } else { decision };
    }
    let touched = touched(trial, &subject.recommendation.id);
    if let Some(decision) = harm(&touched, subject).or_else(|| may_harm(trial, subject)) {
        return decision;
    }
    if let Some(improved) = touched.iter().find(|query| query.is_improved()) {
        let slower = touched.iter().find(|query| query.verdict == Verdict::Regressed);
        let note = slower.map(|slower| {
            format!(
                "{} becomes slower by it, which is little beside what {} gains",
                slower.fingerprint, improved.fingerprint
            )
        });
        return (State::Accepted, note);
    }
    let users = trial.index_of(&subject.recommendation.id).map(|index| &index.used_by);
    let replayed = |user: &Fingerprint| trial.query(*user).is_some();
    if users.is_some_and(|users| !users.iter().any(replayed)) {
        return undecided(
            "the statements that use it take too long; --time-budget gives more time",
        );
    }
    if touched.iter().all(|query| query.verdict == Verdict::Unchanged) {
        let why = "the statements that use it do as much work and take as long without it";
        return if is_used_in_set { undecided(why) } else { rejected(why) };
    }
    undecided("no statement became measurably faster")
}

/// The statements that an index may have changed: those that use it, and those that were planned another way.
fn touched<'t>(trial: &'t Trial, id: &str) -> Vec<&'t QueryTrial> {
    let index = trial.index_of(id);
    let is_touched = |query: &&QueryTrial| {
        index.is_some_and(|index| index.used_by.contains(&query.fingerprint))
            || !query.work.same_nodes
            || query.plan_before.shape != query.plan_after.shape
    };
    trial.queries.iter().filter(is_touched).collect()
}

/// Nothing speaks against it but that some statement became slower by it alone, where the planner had nothing
/// better: beside others it may take another way. Comes with that statement.
pub fn slower_alone(trial: &Trial, subject: TrialSubject<'_>) -> Option<Fingerprint> {
    let touched = touched(trial, &subject.recommendation.id);
    let same_rows = touched.iter().all(|query| query.rows_identical != Some(false));
    let is_slow = trial.failed.is_none() && same_rows && harm(&touched, subject).is_some();
    let slower = touched.iter().find(|query| query.verdict == Verdict::Regressed);
    slower.filter(|_| is_slow).map(|query| query.fingerprint)
}

/// Decides on a recommendation beside a set that was tried without it: accepted if it makes a statement faster
/// there and none slower. `without` is the trial of that set.
pub fn improves_set(with: &Trial, without: Option<&Trial>, id: &str) -> Option<Fingerprint> {
    let index = with.index_of(id)?;
    let mut gained = None;
    for query in with.queries.iter().filter(|query| index.used_by.contains(&query.fingerprint)) {
        let other = without.and_then(|without| without.query(query.fingerprint));
        let is_slower = other.is_some_and(|other| query.is_slower_than(other));
        if is_slower || query.verdict == Verdict::Regressed || query.rows_identical == Some(false) {
            return None;
        }
        let is_faster = query.verdict == Verdict::Improved
            && other.is_none_or(|other| other.is_slower_than(query));
        gained = gained.or(is_faster.then_some(query.fingerprint));
    }
    gained
}

/// Decides on one recommendation by the trial of a set: `None` where nothing speaks against it.
pub fn in_set(trial: &Trial, subject: TrialSubject<'_>) -> Option<Decision> {
    let index = trial.index_of(&subject.recommendation.id)?;
    if let Some(why) = &index.failed {
        return Some(undecided(format!("the trial could not be held: {why}")));
    }
    if trial.failed.is_some() {
        return None;
    }
    if let Some(decision) = unused(trial, subject, "beside the others no statement uses it") {
        return Some(decision);
    }
    let using: Vec<&QueryTrial> =
        trial.queries.iter().filter(|query| index.used_by.contains(&query.fingerprint)).collect();
    harm(&using, subject).or_else(|| may_harm(trial, subject))
}

/// No statement uses it, in the words `why`; not so sure where some could not even be planned.
fn unused(trial: &Trial, subject: TrialSubject<'_>, why: &str) -> Option<Decision> {
    trial.index_of(&subject.recommendation.id)?.used_by.is_empty().then(|| {
        match subject.unseen(trial) {
            0 => rejected(why),
            unseen => undecided(format!(
                "{why}, of those that could be replayed; {unseen} that read the table could not"
            )),
        }
    })
}

/// A statement that uses it took a multiple of its time when it was executed once, and there was no time to be sure.
fn may_harm(trial: &Trial, subject: TrialSubject<'_>) -> Option<Decision> {
    let used_by = &trial.index_of(&subject.recommendation.id)?.used_by;
    let slower = |(fingerprint, why): &&(Fingerprint, Unreplayed)| {
        *why == Unreplayed::SlowerOnce && used_by.contains(fingerprint)
    };
    let (fingerprint, _) = trial.left_out.iter().find(slower)?;
    Some(undecided(format!(
        "executed once, {fingerprint} took a multiple of its time with it; --time-budget gives more to be sure"
    )))
}

/// Other rows, or more time lost than a little of what is gained. How much is lost is not known of what was stopped
/// before its end.
fn harm(queries: &[&QueryTrial], subject: TrialSubject<'_>) -> Option<Decision> {
    if queries.iter().any(|query| query.rows_identical == Some(false)) {
        return Some(rejected("a statement returned other rows with it"));
    }
    let regressed = queries.iter().find(|query| query.verdict == Verdict::Regressed)?;
    let (mut gained_us, mut lost_us) = (0.0, 0.0);
    for query in queries {
        let (time_us, change) = (subject.time_us(query.fingerprint), change(query));
        match query.verdict {
            Verdict::Improved => gained_us -= time_us * change.min(0.0),
            Verdict::Regressed => lost_us += time_us * change.max(0.0),
            _ => {}
        }
    }
    let is_endless =
        queries.iter().any(|q| q.verdict == Verdict::Regressed && q.after.timed_out > 0);
    (is_endless || lost_us >= LOSS_FOR_GAIN * gained_us)
        .then(|| rejected(format!("a statement became slower with it: {}", regressed.fingerprint)))
}

/// Change of the latency of an execution, as a part of it: of the median, or of the mean where only the tail moved.
fn change(query: &QueryTrial) -> f64 {
    let (before_us, after_us) = match query.judged_by {
        Evidence::Tail => (query.before.mean_us(), query.after.mean_us()),
        _ => (query.before.median_us().unwrap_or(0.0), query.after.median_us().unwrap_or(0.0)),
    };
    if before_us > 0.0 { after_us / before_us - 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trial::fixture;

    /// A trial of these together, in which the only statement changed by so much and used all of them.
    fn tried(ids: &[&str], change_pct: f64) -> Trial {
        fixture::trial(ids, vec![fixture::query(Fingerprint(1), 100.0, 100.0 + change_pct)])
    }

    #[test]
    fn what_an_index_that_is_not_used_cannot_do_is_neither_gain_nor_harm() {
        use crate::model::name::TableName;
        use crate::model::recommendation::RecommendationKind;
        let table = TableName::new("public", "games");
        let recommendation =
            Recommendation::proposed("first".to_owned(), RecommendationKind::CreateIndex, &table);
        let workload = Workload::default();
        let subject = TrialSubject { workload: &workload, recommendation: &recommendation };
        for change_pct in [-90.0, 90.0] {
            let mut trial = tried(&["first"], change_pct);
            trial.indexes[0].used_by.clear();
            trial.queries[0].work.same_nodes = true;
            let (state, why) = alone(&trial, subject, false);
            assert_eq!((state, why.as_deref()), (State::Rejected, Some("no statement used it")));
        }
    }

    #[test]
    fn what_joins_a_set_makes_something_faster_there_and_nothing_slower() {
        let without = tried(&["first"], -50.0);
        for (with_pct, joins) in [(-80.0, true), (-52.0, false), (-20.0, false)] {
            let with = tried(&["first", "second"], with_pct);
            assert_eq!(
                improves_set(&with, Some(&without), "second").is_some(),
                joins,
                "{with_pct}"
            );
        }
        // Where nothing else stands it is held against the time before.
        let with = tried(&["first", "second"], -20.0);
        assert!(improves_set(&with, None, "second").is_some());
        let mut unused = tried(&["first", "second"], -80.0);
        unused.indexes[1].used_by.clear();
        assert_eq!(improves_set(&unused, Some(&without), "second"), None);
    }

    #[test]
    fn what_may_make_a_statement_endless_is_never_accepted() {
        use crate::model::name::TableName;
        use crate::model::recommendation::RecommendationKind;
        let games = TableName::new("public", "games");
        let recommendation =
            Recommendation::proposed("first".to_owned(), RecommendationKind::CreateIndex, &games);
        let workload = Workload::default();
        let subject = TrialSubject { workload: &workload, recommendation: &recommendation };
        let mut trial = tried(&["first"], -90.0);
        assert_eq!(alone(&trial, subject, true).0, State::Accepted);
        let other = Fingerprint(2);
        trial.left_out.push((other, Unreplayed::SlowerOnce));
        assert_eq!(alone(&trial, subject, true).0, State::Accepted, "it is not of this index");
        trial.indexes[0].used_by.push(other);
        assert_eq!(alone(&trial, subject, true).0, State::Undecided);
        assert!(in_set(&trial, subject).is_some());
        // What was stopped with it loses more than is known.
        let mut endless = tried(&["first"], 1_900.0).queries.remove(0);
        endless.fingerprint = other;
        endless.verdict = Verdict::Regressed;
        endless.after.timed_out = 8;
        trial.left_out.clear();
        trial.queries.push(endless);
        assert_eq!(alone(&trial, subject, true).0, State::Rejected);
    }
}
