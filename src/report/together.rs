//! The part of the handover about all accepted changes at once: the statements, and what writes pay.

use serde::Serialize;

use super::words::{bytes, change, interval, judged, milliseconds, pair, plural, ratio};
use crate::model::run::{Run, RunAlone, RunQueryTrial, RunTrial, RunWrites};

#[derive(Debug, Serialize)]
pub struct Together {
    pub lead: String,
    pub rows: Vec<TogetherRow>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct TogetherRow {
    pub sql: String,
    pub before: String,
    pub after: String,
    pub change: String,
    /// What the best of them did alone.
    pub alone: String,
    pub verdict: String,
}

/// What new indexes cost the writes.
#[derive(Debug, Serialize)]
pub struct WriteCost {
    pub lead: String,
    pub rows: Vec<WriteRow>,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct WriteRow {
    pub sql: String,
    pub before: String,
    pub after: String,
    pub change: String,
    pub wal: String,
    pub hot: String,
}

/// The trial of all accepted changes at once, where there was one.
pub(super) fn trial_of_all(run: &Run) -> Option<&RunTrial> {
    run.trials.iter().find(|trial| trial.recommendations.len() > 1 && trial.failed.is_none())
}

pub(super) fn together(run: &Run) -> Option<Together> {
    let trial = trial_of_all(run)?;
    let size = trial.size_bytes.map_or("unknown size".to_owned(), bytes);
    let rows = trial
        .queries
        .iter()
        .map(|query| TogetherRow {
            sql: statement(run, &query.fingerprint).to_owned(),
            before: judged(&query.before, query.quantile()),
            after: judged(&query.after, query.quantile()),
            change: format!(
                "{} ({})",
                change(query.change_pct),
                interval(query.interval_pct[0], query.interval_pct[1])
            ),
            alone: best_alone(query).map_or("–".to_owned(), |best| change(best.change_pct)),
            verdict: query.verdict.clone(),
        })
        .collect();
    let notes = trial.queries.iter().filter_map(|query| {
        let alone = query.slower_than_alone.as_ref()?;
        let sql = statement(run, &query.fingerprint);
        Some(format!("Slower with all of them than with {alone} alone: {sql}"))
    });
    Some(Together {
        lead: format!(
            "All {} accepted, built together ({size}, {}) and replayed in {}.",
            trial.recommendations.len(),
            milliseconds(trial.build_ms * 1e3),
            plural(trial.rounds as usize, "round", "rounds")
        ),
        rows,
        notes: notes.collect(),
    })
}

pub(super) fn write_cost(run: &Run) -> Option<WriteCost> {
    let writes = run.trials.iter().find_map(|trial| trial.writes.as_ref())?;
    let figure = |value: Option<f64>| value.map_or("–".to_owned(), milliseconds);
    let rows = writes
        .queries
        .iter()
        .map(|query| WriteRow {
            sql: statement(run, &query.fingerprint).to_owned(),
            before: figure(query.before.p50_us),
            after: figure(query.after.p50_us),
            change: format!(
                "{} ({})",
                change(query.change_pct),
                interval(query.interval_pct[0], query.interval_pct[1])
            ),
            wal: pair(query.wal_before_bytes, query.wal_after_bytes, bytes),
            hot: pair(query.hot_before, query.hot_after, ratio),
        })
        .collect();
    let mut notes: Vec<String> = writes
        .left_out
        .iter()
        .map(|left| format!("Not replayed: {}: {}", statement(run, &left.fingerprint), left.reason))
        .collect();
    notes.extend(writes.failed.iter().map(|why| format!("Could not be replayed: {why}")));
    Some(WriteCost { lead: write_lead(writes), rows, notes })
}

/// The overhead in one sentence.
pub(super) fn write_lead(writes: &RunWrites) -> String {
    match (writes.change_pct, writes.interval_pct, writes.control_interval_pct) {
        (Some(change_pct), Some([low, high]), control) => {
            let control = control.map_or(String::new(), |[low, high]| {
                format!("; against themselves {}", interval(low, high))
            });
            format!(
                "The writes of this workload take {} time in the server with the new indexes ({}{control}), finding their rows included.",
                change(change_pct),
                interval(low, high)
            )
        }
        _ if writes.left_out.is_empty() && writes.failed.is_none() => {
            "The workload has no write to the tables of the new indexes.".to_owned()
        }
        _ => "No write of this workload could be replayed.".to_owned(),
    }
}

/// The recommendation that did most for the statement by itself.
pub(super) fn best_alone(query: &RunQueryTrial) -> Option<&RunAlone> {
    query.alone.iter().min_by(|a, b| a.change_pct.total_cmp(&b.change_pct))
}

/// The text of a statement, or its fingerprint.
pub(super) fn statement<'r>(run: &'r Run, fingerprint: &'r str) -> &'r str {
    run.queries
        .iter()
        .find(|known| known.fingerprint == fingerprint)
        .map_or(fingerprint, |known| known.normalized.as_str())
}
