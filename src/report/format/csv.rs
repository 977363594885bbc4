//! Tidy figures: one row for each statement, arm and statistic.

use crate::model::run::{Run, RunArm, RunQuery, RunQueryTrial, RunWriteQuery};
use crate::report::error::RenderError;

const HEADER: [&str; 8] =
    ["recommendation", "fingerprint", "arm", "statistic", "value", "unit", "provenance", "verdict"];

type Writer = ::csv::Writer<Vec<u8>>;

/// Trials as before, after and control; without any trial, what was observed.
///
/// # Errors
/// When the writer fails, which it does not in memory.
pub fn render(run: &Run) -> Result<String, RenderError> {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for trial in &run.trials {
        let recommendation = trial.recommendations.join(" ");
        for query in &trial.queries {
            replayed(&mut writer, &recommendation, query)?;
        }
        for query in trial.writes.iter().flat_map(|writes| &writes.queries) {
            written(&mut writer, &recommendation, query)?;
        }
    }
    for query in run.queries.iter().filter(|_| run.trials.is_empty()) {
        observed(&mut writer, query)?;
    }
    let bytes = writer.into_inner().map_err(|error| RenderError::Output(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| RenderError::Output(error.to_string()))
}

fn replayed(
    writer: &mut Writer,
    recommendation: &str,
    query: &RunQueryTrial,
) -> Result<(), RenderError> {
    let mut row = |arm: &str, statistic: &str, value: String, unit: &str| {
        let of = [recommendation, &query.fingerprint];
        let figures = [arm, statistic, &value, unit, "measured", &query.verdict];
        writer.write_record(of.into_iter().chain(figures))
    };
    let arms = [("before", &query.before), ("after", &query.after), ("control", &query.control)];
    for (name, arm) in arms {
        for (statistic, value, unit) in statistics(arm) {
            row(name, statistic, value, unit)?;
        }
    }
    let quantile = query.quantile();
    let [low, high] = query.interval_pct;
    row("change", quantile, query.change_pct.to_string(), "percent")?;
    row("change", &format!("{quantile}_low"), low.to_string(), "percent")?;
    row("change", &format!("{quantile}_high"), high.to_string(), "percent")?;
    row("change", "judged_by", query.judged_by.clone(), "")?;
    if let Some(work) = &query.work {
        row("before", "rows_scanned", work.rows_before.to_string(), "rows")?;
        row("after", "rows_scanned", work.rows_after.to_string(), "rows")?;
    }
    for (name, buffers) in [("before", query.buffers_before), ("after", query.buffers_after)] {
        if let Some(buffers) = buffers {
            row(name, "buffers", buffers.to_string(), "blocks")?;
        }
    }
    Ok(())
}

fn written(
    writer: &mut Writer,
    recommendation: &str,
    query: &RunWriteQuery,
) -> Result<(), RenderError> {
    let mut row = |arm: &str, statistic: &str, value: String, unit: &str| {
        let of = [recommendation, &query.fingerprint];
        let figures = [arm, statistic, &value, unit, "measured", "write"];
        writer.write_record(of.into_iter().chain(figures))
    };
    for (name, arm, wal, hot) in [
        ("before", &query.before, query.wal_before_bytes, query.hot_before),
        ("after", &query.after, query.wal_after_bytes, query.hot_after),
    ] {
        for (statistic, value, unit) in statistics(arm) {
            row(name, statistic, value, unit)?;
        }
        if let Some(bytes) = wal {
            row(name, "wal", bytes.to_string(), "bytes")?;
        }
        if let Some(ratio) = hot {
            row(name, "hot", ratio.to_string(), "ratio")?;
        }
    }
    row("change", "p50", query.change_pct.to_string(), "percent")?;
    row("change", "p50_low", query.interval_pct[0].to_string(), "percent")?;
    row("change", "p50_high", query.interval_pct[1].to_string(), "percent")?;
    Ok(())
}

fn observed(writer: &mut Writer, query: &RunQuery) -> Result<(), RenderError> {
    let figures = [
        ("calls", Some(query.calls), "count"),
        ("total", query.total_us, "us"),
        ("mean", query.mean_us, "us"),
        ("p50", query.p50_us, "us"),
        ("p95", query.p95_us, "us"),
        ("p99", query.p99_us, "us"),
    ];
    for (statistic, value, unit) in figures {
        if let Some(value) = value.map(|value| value.to_string()) {
            let of = ["", &query.fingerprint, "observed"];
            writer.write_record(of.into_iter().chain([statistic, &value, unit, "observed", ""]))?;
        }
    }
    Ok(())
}

fn statistics(arm: &RunArm) -> Vec<(&'static str, String, &'static str)> {
    let mut rows = vec![("n", arm.n.to_string(), "count")];
    if arm.timed_out > 0 {
        rows.push(("timed_out", arm.timed_out.to_string(), "count"));
    }
    for (name, value) in [("p50", arm.p50_us), ("p95", arm.p95_us), ("p99", arm.p99_us)] {
        if let Some(value) = value {
            rows.push((name, format!("{value:.1}"), "us"));
        }
    }
    rows
}
