//! The parts of the handover behind its first page: each change with its proof, each loop, the
//! appendix.

use super::chart::before_after;
use super::document::{Line, LoopSection, QueryRow, Section, SectionQuery, heading, trial_of};
use super::together::trial_of_all;
use super::words::{bytes, change, count, interval, milliseconds, plural, quantiles, share};
use crate::model::run::{Run, RunFinding, RunQueryTrial, RunRecommendation, RunTrial};

/// Statements listed in the appendix.
const QUERIES: usize = 20;

pub(super) fn section(run: &Run, number: usize, recommendation: &RunRecommendation) -> Section {
    let trial = trial_of(run, &recommendation.id);
    let because = run
        .findings
        .iter()
        .filter(|finding| recommendation.because.contains(&finding.id))
        .map(|finding| {
            format!(
                "{} ({} of the time): {}",
                finding.rule,
                share(finding.impact_pct),
                finding.message
            )
        })
        .collect();
    Section {
        number,
        heading: heading(recommendation),
        state: recommendation.state.clone(),
        purpose: recommendation.purpose.clone(),
        why: recommendation.why.clone(),
        because,
        sql: recommendation.sql.clone(),
        undo: recommendation.undo.clone(),
        costs: costs(run, recommendation, trial),
        queries: trial.iter().flat_map(|t| &t.queries).map(|q| section_query(run, q)).collect(),
    }
}

fn costs(run: &Run, recommendation: &RunRecommendation, trial: Option<&RunTrial>) -> Vec<String> {
    let mut costs = Vec::new();
    if let Some(trial) = trial.filter(|trial| trial.build_ms > 0.0) {
        let size = trial.size_bytes.map_or("unknown size".to_owned(), bytes);
        costs.push(format!(
            "{size} of disk and {} to build, measured. `CONCURRENTLY` takes longer and does not block writes.",
            milliseconds(trial.build_ms * 1e3)
        ));
    } else if let Some(takes) = &recommendation.takes {
        costs.push(format!("About {} of disk, estimated.", bytes(takes.size_bytes)));
    }
    if let Some(estimate) = &recommendation.estimated {
        costs.push(format!(
            "Planner cost of the statements on the table {} → {}, estimated.",
            count(estimate.cost_before as u64),
            count(estimate.cost_after as u64)
        ));
    }
    costs.extend(recommendation.cautions.iter().map(|caution| format!("*Caution*: {caution}.")));
    if recommendation.kind == "create-index" {
        let measured = trial.is_some_and(|trial| trial.writes.is_some())
            || trial_of_all(run).is_some_and(|all| {
                all.writes.is_some() && all.recommendations.contains(&recommendation.id)
            });
        costs.push(if measured {
            "Each insert, and each update of its columns, writes the index as well; what that costs stands under *What the writes pay*.".to_owned()
        } else {
            "Each insert, and each update of its columns, writes the index as well; that was not measured (`--writes` does).".to_owned()
        });
    }
    costs
}

fn section_query(run: &Run, trial: &RunQueryTrial) -> SectionQuery {
    let sql = run
        .queries
        .iter()
        .find(|query| query.fingerprint == trial.fingerprint)
        .map_or_else(|| trial.fingerprint.clone(), |query| query.normalized.clone());
    let pairs = quantiles(&trial.before).into_iter().zip(quantiles(&trial.after));
    let mut rows: Vec<[String; 4]> = pairs
        .map(|((name, before, before_words), (_, after, after_words))| {
            let difference = match (name, before, after) {
                (name, ..) if name == trial.quantile() => format!(
                    "{} ({})",
                    change(trial.change_pct),
                    interval(trial.interval_pct[0], trial.interval_pct[1])
                ),
                (_, Some(before), Some(after)) if before > 0.0 => {
                    change(100.0 * (after / before - 1.0))
                }
                _ => String::new(),
            };
            [name.to_owned(), before_words, after_words, difference]
        })
        .collect();
    if let (Some(before), Some(after)) = (trial.buffers_before, trial.buffers_after) {
        rows.push(["buffers".to_owned(), count(before), count(after), String::new()]);
    }
    let mut notes = vec![format!(
        "{} executions an arm; parameters {}; control (before against before) {}.",
        count(trial.before.n),
        trial.parameters,
        interval(trial.control_interval_pct[0], trial.control_interval_pct[1])
    )];
    notes.push(match trial.rows_identical {
        Some(true) => "The rows are the same with and without the change.".to_owned(),
        Some(false) => "**The rows differ with and without the change.**".to_owned(),
        None if trial.before.timed_out > 0 => {
            "Without the change it never came to its end, so rows could not be compared.".to_owned()
        }
        None if trial.after.timed_out > 0 => {
            "With the change it never came to its end, so rows could not be compared.".to_owned()
        }
        None => "The rows could not be compared: the statement does not return the same ones twice, or what its order leaves equal decides about them."
            .to_owned(),
    });
    for (side, arm) in [("without", &trial.before), ("with", &trial.after)] {
        if arm.timed_out > 0 {
            notes.push(format!(
                "{} of {} executions {side} the change were stopped before their end: it takes longer than shown, and the change is at least as large.",
                count(arm.timed_out),
                count(arm.n)
            ));
        }
    }
    if trial.quantile() != "p95" {
        notes.push(format!(
            "Judged by the median: {} executions are too few for p95, which needs 59. A longer --time-budget gives them.",
            count(trial.before.n)
        ));
    }
    notes.extend(trial.why.clone());
    SectionQuery {
        sql,
        rows,
        verdict: trial.verdict.clone(),
        notes,
        plan_before: trial.plan_before.clone(),
        plan_after: trial.plan_after.clone(),
        chart: before_after(&trial.before, &trial.after),
    }
}

pub(super) fn loop_section(finding: &RunFinding) -> LoopSection {
    let evidence = finding.evidence.first();
    let text = |key: &str| evidence.and_then(|e| e[key].as_str()).unwrap_or("").to_owned();
    let figure = |key: &str| evidence.and_then(|e| e[key].as_u64()).unwrap_or(0);
    let figures = if figure("loops") > 0 {
        format!(
            "{} executions in {}, {} each, over {}; {} of database time ({} of the workload), of which about {} are lost.",
            count(figure("executions")),
            plural(figure("loops") as usize, "loop", "loops"),
            count(figure("executions_per_loop")),
            plural(figure("sessions") as usize, "connection", "connections"),
            milliseconds(figure("total_us") as f64),
            share(finding.impact_pct),
            milliseconds(figure("wasted_us") as f64)
        )
    } else {
        finding.message.clone()
    };
    LoopSection {
        heading: finding.message.clone(),
        parent: text("parent"),
        child: text("child"),
        figures,
        instead: finding.advice.clone(),
    }
}

pub(super) fn line(finding: &RunFinding) -> Line {
    let name = finding.subject.table.clone().unwrap_or_else(|| finding.rule.clone());
    let name =
        if finding.rule == "rls-disabled" { name } else { format!("{} {name}", finding.rule) };
    Line { name, text: finding.message.clone() }
}

pub(super) fn queries(run: &Run) -> Vec<QueryRow> {
    let figure = |value: Option<u64>| value.map_or("–".to_owned(), |us| milliseconds(us as f64));
    run.queries
        .iter()
        .take(QUERIES)
        .map(|query| QueryRow {
            share: share(query.share_pct),
            calls: count(query.calls),
            mean: figure(query.mean_us),
            p95: figure(query.p95_us),
            sql: query.normalized.clone(),
        })
        .collect()
}

pub(super) fn left_out(run: &Run) -> Vec<Line> {
    let mut lines: Vec<Line> = run
        .coverage
        .skipped
        .iter()
        .map(|s| Line {
            name: s.reason.clone(),
            text: format!("{} times, first {}", count(s.count), s.example),
        })
        .collect();
    for trial in &run.trials {
        if let Some(why) = &trial.failed {
            lines.push(Line { name: trial.recommendations.join(" "), text: why.clone() });
        }
        lines.extend(trial.left_out.iter().map(|l| Line {
            name: format!("{} not replayed for {}", l.fingerprint, trial.recommendations.join(" ")),
            text: l.reason.clone(),
        }));
    }
    lines
}
