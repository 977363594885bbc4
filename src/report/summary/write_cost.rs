//! What new indexes cost the writes of the workload.

use serde::Serialize;

use super::lookup::statement;
use crate::model::run::{Run, RunWrites};
use crate::report::words::{bytes, change, change_within, interval, milliseconds, pair, ratio};

/// The cost of new indexes for the writes.
#[derive(Debug, Serialize)]
pub struct WriteCost {
    pub lead: String,
    pub rows: Vec<WriteRow>,
    /// Each index by itself.
    pub own: Vec<OwnRow>,
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

#[derive(Debug, Serialize)]
pub struct OwnRow {
    pub recommendation: String,
    pub change: String,
    pub wal: String,
}

pub(crate) fn write_cost(run: &Run) -> Option<WriteCost> {
    let writes = run.trials.iter().find_map(|trial| trial.writes.as_ref())?;
    let figure = |value: Option<f64>| value.map_or("–".to_owned(), milliseconds);
    let rows = writes
        .queries
        .iter()
        .map(|query| WriteRow {
            sql: statement(run, &query.fingerprint).to_owned(),
            before: figure(query.before.p50_us),
            after: figure(query.after.p50_us),
            change: change_within(query.change_pct, query.interval_pct),
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
    let own = writes.own.iter().map(|own| OwnRow {
        recommendation: own.recommendation.clone(),
        change: change_within(own.change_pct, own.interval_pct),
        wal: pair(own.wal_before_bytes, own.wal_after_bytes, bytes),
    });
    Some(WriteCost { lead: write_lead(writes), rows, own: own.collect(), notes })
}

/// The overhead in one sentence.
pub(crate) fn write_lead(writes: &RunWrites) -> String {
    match (writes.change_pct, writes.interval_pct, writes.control_interval_pct) {
        (Some(change_pct), Some([low, high]), control) => {
            let control = control.map_or(String::new(), |[low, high]| {
                format!("; without any change {}", interval(low, high))
            });
            format!(
                "With the new indexes the writes of this workload take {} time in the server ({}{control}).",
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
