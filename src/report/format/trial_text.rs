//! A trial as text for a terminal: statements before and after, and the cost of writes.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::run::{Run, RunTrial, RunWrites};
use crate::report::summary::gains::best_alone;
use crate::report::summary::lookup::{statement, with_statements};
use crate::report::summary::trust::noise_words;
use crate::report::summary::write_cost::write_lead;
use crate::report::tables::{mark, put, table};
use crate::report::words::{
    blocks, bytes, change, evidence, interval, milliseconds, pair, plural, quantiles, ratio,
    short_statement,
};

/// Width of the SQL in tables, characters: a table fits 120 columns.
const SQL_WIDTH: usize = 56;

pub(super) fn trial_text(out: &mut String, run: &Run, trial: &RunTrial) {
    let what = match &trial.recommendations[..] {
        [one] => one.clone(),
        all => format!("all {} together", all.len()),
    };
    if let Some(why) = &trial.failed {
        let _ = writeln!(out, "\ntrial of {what} was not held: {why}");
        return;
    }
    let size = trial.size_bytes.map_or("unknown size".to_owned(), bytes);
    let _ = writeln!(
        out,
        "\ntrial of {what}: {} rounds, built {} in {} ({size}), rolled back",
        trial.rounds,
        plural(trial.builds as usize, "time", "times"),
        milliseconds(trial.build_ms * 1e3),
    );
    statements(out, run, trial);
    if !trial.queries.is_empty() {
        let _ = writeln!(out, "    {}", noise_words(trial.noise_floor_pct));
    }
    notes(out, run, trial);
    if let Some(writes) = &trial.writes {
        self::writes(out, run, writes);
    }
}

fn statements(out: &mut String, run: &Run, trial: &RunTrial) {
    let is_set = trial.recommendations.len() > 1;
    let mut header =
        vec!["", "before p50", "p95", "p99", "after p50", "p95", "p99", "change [95 %]", "blocks"];
    if is_set {
        header.push("best alone");
    }
    header.push("statement");
    let mut table = table(&header, &[1, 2, 3, 4, 5, 6]);
    for query in &trial.queries {
        let mut row = vec![format!(
            "{} {} by {}",
            mark(&query.verdict),
            query.verdict,
            evidence(&query.judged_by)
        )];
        let figures = [&query.before, &query.after].into_iter().flat_map(quantiles);
        row.extend(figures.map(|(_, _, words)| words));
        row.push(format!(
            "{} [{}]",
            change(query.change_pct),
            interval(query.interval_pct[0], query.interval_pct[1])
        ));
        row.push(blocks(query.work.as_ref()));
        if is_set {
            row.push(best_alone(query).map_or("–".to_owned(), |best| change(best.change_pct)));
        }
        row.push(short_statement(statement(run, &query.fingerprint), SQL_WIDTH));
        table.add_row(row);
    }
    put(out, &table);
}

fn notes(out: &mut String, run: &Run, trial: &RunTrial) {
    if trial.recommendations.len() > 1 {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        trial.left_out.iter().for_each(|left| *reasons.entry(&left.reason).or_default() += 1);
        for (reason, count) in reasons {
            let statements = plural(count, "statement was", "statements were");
            let _ = writeln!(out, "    {statements} left out: {reason}");
        }
    }
    let by_median: Vec<u64> =
        trial.queries.iter().filter(|q| q.quantile() != "p95").map(|q| q.before.n).collect();
    if let (Some(fewest), Some(most)) = (by_median.iter().min(), by_median.iter().max()) {
        let statements = plural(by_median.len(), "statement", "statements");
        let executions =
            if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
        let _ = writeln!(
            out,
            "    the change of {statements} is that of the median: {executions} executions, p95 needs 59"
        );
    }
    for query in &trial.queries {
        let fingerprint = &query.fingerprint;
        for (side, arm) in [("without", &query.before), ("with", &query.after)] {
            if arm.timed_out > 0 {
                let _ = writeln!(
                    out,
                    "    {} of {} executions of {fingerprint} were stopped before their end: {side} the change it takes longer than shown",
                    arm.timed_out, arm.n
                );
            }
        }
        if query.parameters != "from the log" {
            let _ = writeln!(out, "    parameters of {fingerprint}: {}", query.parameters);
        }
        if let Some(gap) = &query.log_gap {
            let _ = writeln!(out, "    {}", with_statements(run, &format!("{fingerprint}: {gap}")));
        }
        if query.rows_identical == Some(false) {
            let _ = writeln!(out, "    error: {fingerprint} returned other rows with the change");
        }
        if let Some(alone) = &query.slower_than_alone {
            let _ = writeln!(
                out,
                "    {fingerprint} is slower with all of them than with {alone} alone"
            );
        }
    }
}

fn writes(out: &mut String, run: &Run, writes: &RunWrites) {
    let _ = writeln!(out, "    {}", write_lead(writes));
    if let Some(why) = &writes.failed {
        let _ = writeln!(out, "    writes could not be replayed: {why}");
    }
    if !writes.queries.is_empty() {
        let mut table = table(
            &["", "before p50", "after p50", "change [95 %]", "WAL", "HOT", "statement"],
            &[1, 2],
        );
        let figure = |value: Option<f64>| value.map_or("–".to_owned(), milliseconds);
        for query in &writes.queries {
            table.add_row([
                "  ".to_owned(),
                figure(query.before.p50_us),
                figure(query.after.p50_us),
                format!(
                    "{} [{}]",
                    change(query.change_pct),
                    interval(query.interval_pct[0], query.interval_pct[1])
                ),
                pair(query.wal_before_bytes, query.wal_after_bytes, bytes),
                pair(query.hot_before, query.hot_after, ratio),
                short_statement(statement(run, &query.fingerprint), SQL_WIDTH),
            ]);
        }
        put(out, &table);
    }
    for left in &writes.left_out {
        let sql = short_statement(statement(run, &left.fingerprint), SQL_WIDTH);
        let _ = writeln!(out, "    not replayed: {sql}: {}", left.reason);
    }
}
