//! How far the figures of a run can be trusted, in sentences.

use super::lookup::{statement, trial_of_all};
use crate::model::run::{Run, RunQueryTrial};
use crate::report::words::{count, plural, short_statement};

/// Differences of a statement from itself from which on the machine was busy, percent.
const BUSY_PCT: f64 = 50.0;
/// Width of a statement in a sentence, characters.
const SQL_WIDTH: usize = 70;

pub(crate) fn trust(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    let all: Vec<&RunQueryTrial> = run.trials.iter().flat_map(|t| &t.queries).collect();
    let executions: u64 = all.iter().map(|query| query.before.n).sum();
    if executions > 0 {
        let place =
            run.target.as_ref().and_then(|t| t.server_version.as_deref()).unwrap_or("unknown");
        lines.push(format!(
            "Replayed {} executions before and as many after, alternating in random order, on PostgreSQL {place}, inside transactions that were rolled back.",
            count(executions)
        ));
        lines.push(noise(run));
        lines.extend(rows(&all));
        lines.extend(log_gaps(run));
    }
    if trial_of_all(run).is_some() {
        lines.push("Each change was measured alone and all accepted ones together; each was left out where another one could do its job. Figures of accepted changes are those of all together.".to_owned());
    } else if run.recommendations.iter().filter(|r| r.state == "accepted").count() > 1 {
        lines.push("Each change was measured alone. Two indexes of one table may make one another superfluous: apply them one at a time, and try again.".to_owned());
    }
    if run.target.as_ref().is_some_and(|t| t.origin == "live") && executions > 0 {
        lines.push("The figures are those of this database and this machine. Production has other data; gains grow with the table, and so may the remaining times.".to_owned());
    }
    let coverage = &run.coverage;
    if coverage.statements > 0 {
        lines.push(format!(
            "{} of {} executions were understood ({}).",
            count(coverage.understood),
            count(coverage.statements),
            crate::report::words::coverage_pct(coverage.understood, coverage.statements)
        ));
    }
    if run.recommendations.iter().any(|r| r.estimated.is_some()) {
        lines.push("Figures marked *estimated* are the planner's cost, not time.".to_owned());
    }
    lines.push("No literal values of statements are in this file.".to_owned());
    lines
}

/// The effect of the machine's noise on the results.
pub(super) fn noise(run: &Run) -> String {
    let noise = run.trials.iter().map(|trial| trial.noise_floor_pct).fold(0.0, f64::max);
    let all = || run.trials.iter().flat_map(|trial| &trial.queries);
    let by_work = all().filter(|query| query.judged_by == "work").count();
    let rest = format!(
        "{by_work} of {} verdicts rest on work (blocks, rows and plans), which is the same on a busy machine.",
        all().count()
    );
    format!("{}. {rest}", noise_words(noise))
}

/// How far a statement differed from itself, and what that means for times.
pub(crate) fn noise_words(noise_pct: f64) -> String {
    match noise_pct {
        busy if busy > BUSY_PCT => format!(
            "The machine was busy: the same statement run twice took up to {} as long, so that times are rough and time alone proves no smaller change",
            times(busy)
        ),
        quiet => format!(
            "The same statement run twice differed by up to {quiet:.0} %: time alone proves no smaller change"
        ),
    }
}

/// `1.8 times`, of a difference in percent.
fn times(percent: f64) -> String {
    let ratio = 1.0 + percent / 100.0;
    if ratio < 10.0 {
        format!("{ratio:.1} times")
    } else {
        format!("{} times", count(ratio as u64))
    }
}

fn rows(all: &[&RunQueryTrial]) -> Vec<String> {
    let same = all.iter().filter(|query| query.rows_identical == Some(true)).count();
    let mut lines = vec![match same == all.len() {
        true => "Every statement returned the same rows with and without the change.".to_owned(),
        false => format!(
            "{same} of {} statements returned the same rows with and without the change; the others say so where they stand.",
            all.len()
        ),
    }];
    let few = all.iter().filter(|query| query.before.n < 299).count();
    if few > 0 {
        lines.push(format!(
            "p99 needs 299 executions to be bounded; {} had fewer, and their p99 is close to the slowest execution seen.",
            plural(few, "statement", "statements")
        ));
    }
    lines
}

/// Statements whose latency in the log is far from that of the replay, each once.
pub(super) fn log_gaps(run: &Run) -> Vec<String> {
    let mut told: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for query in run.trials.iter().rev().flat_map(|trial| &trial.queries) {
        let Some(gap) = &query.log_gap else { continue };
        if !told.contains(&query.fingerprint.as_str()) {
            told.push(&query.fingerprint);
            let sql = short_statement(statement(run, &query.fingerprint), SQL_WIDTH);
            lines.push(format!("The log and the replay disagree about `{sql}`: {gap}."));
        }
    }
    lines
}
