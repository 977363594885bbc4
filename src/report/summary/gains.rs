//! What each statement gains with all accepted changes, and the sum over the workload.

use serde::Serialize;

use super::lookup::{statement, trial_of_all};
use crate::model::run::{Run, RunAlone, RunArm, RunQueryTrial, RunRecommendation};
use crate::report::words::{
    before_after, blocks, bytes, change_within, milliseconds, plural, share,
};

#[derive(Debug, Serialize)]
pub struct Gains {
    pub lead: String,
    pub rows: Vec<GainRow>,
    /// Sum of the column *Saved*.
    pub total: String,
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct GainRow {
    pub sql: String,
    /// Share of the time of the workload.
    pub share: String,
    pub medians: String,
    pub times: String,
    pub change: String,
    pub blocks: String,
    pub verdict: String,
    /// Share × (1 − median after ÷ median before).
    pub saved: String,
}

/// A statement that was replayed with what is accepted.
struct Gain<'r> {
    query: &'r RunQueryTrial,
    share_pct: f64,
    /// Percent of the time of the workload, to one decimal, as it is printed.
    saved_pct: f64,
}

/// Percent of the time of the workload that the accepted changes save: the sum of what is printed in the rows.
pub(crate) fn saved_pct(run: &Run) -> f64 {
    total_pct(&gains_of(run))
}

fn total_pct(gains: &[Gain<'_>]) -> f64 {
    gains.iter().map(|gain| gain.saved_pct).sum()
}

/// Statements of the trial of all accepted changes; without one, those of each accepted change.
fn gains_of(run: &Run) -> Vec<Gain<'_>> {
    let accepted: Vec<&RunRecommendation> =
        run.recommendations.iter().filter(|r| r.state == "accepted").collect();
    let queries: Vec<&RunQueryTrial> = match trial_of_all(run) {
        Some(all) => all.queries.iter().collect(),
        None => run
            .trials
            .iter()
            .filter(|trial| accepted.iter().any(|own| trial.recommendations == [own.id.clone()]))
            .flat_map(|trial| &trial.queries)
            .collect(),
    };
    let mut gains: Vec<Gain<'_>> = queries
        .into_iter()
        .map(|query| {
            let known = run.queries.iter().find(|known| known.fingerprint == query.fingerprint);
            let share_pct = known.map_or(0.0, |known| known.share_pct);
            let saved_pct = match query.verdict.as_str() {
                "improved" | "regressed" => share_pct * saved_part(query),
                _ => 0.0,
            };
            Gain { query, share_pct, saved_pct: (10.0 * saved_pct).round() / 10.0 }
        })
        .collect();
    gains.sort_by(|a, b| b.saved_pct.total_cmp(&a.saved_pct));
    gains
}

/// The part of its time that a statement saves, by the medians.
fn saved_part(query: &RunQueryTrial) -> f64 {
    let median = |arm: &RunArm| arm.p50_us.filter(|us| *us > 0.0);
    let medians = median(&query.before).zip(median(&query.after));
    medians.map_or(0.0, |(before, after)| 1.0 - after / before)
}

pub(crate) fn gains(run: &Run) -> Option<Gains> {
    let gains = gains_of(run);
    if gains.is_empty() {
        return None;
    }
    let rows = gains
        .iter()
        .map(|gain| {
            let query = gain.query;
            GainRow {
                sql: statement(run, &query.fingerprint).to_owned(),
                share: share(gain.share_pct),
                medians: before_after(&query.before, &query.after, "p50").replace(" (p50)", ""),
                times: before_after(&query.before, &query.after, "p95"),
                change: change_within(query.change_pct, query.interval_pct),
                blocks: blocks(query.work.as_ref()),
                verdict: query.verdict.clone(),
                saved: share(gain.saved_pct),
            }
        })
        .collect();
    let slower = gains.iter().filter_map(|gain| {
        let alone = gain.query.slower_than_alone.as_ref()?;
        let sql = statement(run, &gain.query.fingerprint);
        Some(format!("Slower with all of them than with {alone} alone: {sql}"))
    });
    let lead = match trial_of_all(run) {
        Some(all) => {
            let size = all.size_bytes.map_or("unknown size".to_owned(), bytes);
            format!(
                "All {} accepted changes were built together ({size} of disk, {} to build) and replayed in {}.",
                all.recommendations.len(),
                milliseconds(all.build_ms * 1e3),
                plural(all.rounds as usize, "round", "rounds")
            )
        }
        None => "Each accepted change was replayed by itself.".to_owned(),
    };
    Some(Gains { lead, rows, total: share(total_pct(&gains)), notes: slower.collect() })
}

/// The recommendation that did most for the statement by itself.
pub(crate) fn best_alone(query: &RunQueryTrial) -> Option<&RunAlone> {
    query.alone.iter().min_by(|a, b| a.change_pct.total_cmp(&b.change_pct))
}

/// p95 of the statements that the accepted changes concern, before and after: their texts and microseconds.
pub(crate) fn p95_pairs(run: &Run) -> Vec<(&str, [f64; 2])> {
    let pairs = gains_of(run).into_iter().filter(|gain| gain.query.verdict == "improved");
    pairs
        .filter_map(|gain| {
            let Gain { query, .. } = gain;
            let pair = [query.before.p95_us?, query.after.p95_us?];
            Some((statement(run, &query.fingerprint), pair))
        })
        .collect()
}
