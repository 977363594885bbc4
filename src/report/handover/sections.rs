//! The parts of the handover behind its first page: each change with its proof, each loop, the
//! appendix.

use super::chart::before_after;
use super::document::{Line, LoopSection, QueryRow, Section, SectionQuery};
use crate::model::run::{
    Run, RunFinding, RunQueryTrial, RunRecommendation, RunTrial, RunTriedIndex,
};
use crate::report::summary::lookup::{heading, statement, trial_of, using, with_statements};
use crate::report::words::{
    bytes, change, change_within, count, evidence, interval, milliseconds, plural, quantiles, share,
};

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
    let (queries, notes) =
        trial.map_or_else(Default::default, |trial| statements(run, trial, &recommendation.id));
    Section {
        number,
        heading: heading(recommendation),
        state: recommendation.state.clone(),
        purpose: recommendation.purpose.clone(),
        why: recommendation.why.as_ref().map(|why| with_statements(run, why)),
        because,
        sql: recommendation.sql.clone(),
        undo: recommendation.undo.clone(),
        costs: costs(run, recommendation, trial),
        queries,
        notes,
    }
}

/// The statements that an index changes, and a note on the others that were replayed with it.
fn statements(run: &Run, trial: &RunTrial, id: &str) -> (Vec<SectionQuery>, Vec<String>) {
    let using = using(trial, id);
    let (changed, same): (Vec<&RunQueryTrial>, Vec<&RunQueryTrial>) =
        using.into_iter().partition(|query| query.verdict != "unchanged");
    let shown = match changed.is_empty() {
        true => same.into_iter().take(1).collect(),
        false => changed,
    };
    let mut notes = Vec::new();
    // In a set, the others belong to other indexes.
    let others = trial.queries.iter().filter(|query| query.verdict == "unchanged").count();
    if trial.recommendations.len() == 1 && others > 0 && shown.len() + others == trial.queries.len()
    {
        let statements = plural(others, "other statement", "other statements");
        let (were, are) = if others == 1 { ("was", "is") } else { ("were", "are") };
        notes.push(format!("{statements} that {were} replayed with it {are} unchanged."));
    }
    (shown.into_iter().map(|query| section_query(run, query)).collect(), notes)
}

fn costs(run: &Run, recommendation: &RunRecommendation, trial: Option<&RunTrial>) -> Vec<String> {
    let mut costs = Vec::new();
    let of_index = |index: &&RunTriedIndex| index.recommendation == recommendation.id;
    let built = trial.and_then(|trial| trial.indexes.iter().find(of_index));
    if let Some(built) = built.filter(|built| built.build_ms > 0.0) {
        costs.push(format!("Built in {}.", milliseconds(built.build_ms * 1e3)));
    }
    // What it is for already says what it costs.
    if let Some(takes) = recommendation.takes.as_ref().filter(|_| recommendation.purpose.is_none())
    {
        costs.push(format!("About {} of disk, estimated.", bytes(takes.size_bytes)));
    }
    if let Some(estimate) = &recommendation.estimated {
        costs.push(format!(
            "Planner cost of its statements {} → {}, estimated.",
            count(estimate.cost_before as u64),
            count(estimate.cost_after as u64)
        ));
    }
    let cautions = recommendation.cautions.iter().map(|caution| with_statements(run, caution));
    costs.extend(cautions.map(|caution| format!("*Caution*: {caution}.")));
    costs
}

fn section_query(run: &Run, trial: &RunQueryTrial) -> SectionQuery {
    SectionQuery {
        sql: statement(run, &trial.fingerprint).to_owned(),
        rows: figures(trial),
        verdict: trial.verdict.clone(),
        judged_by: evidence(&trial.judged_by),
        notes: notes(trial),
        plan_before: trial.plan_before.clone(),
        plan_after: trial.plan_after.clone(),
        chart: before_after(&trial.before, &trial.after),
    }
}

/// Quantiles, blocks and rows: name, before, after, change.
fn figures(trial: &RunQueryTrial) -> Vec<[String; 4]> {
    let pairs = quantiles(&trial.before).into_iter().zip(quantiles(&trial.after));
    let mut rows: Vec<[String; 4]> = pairs
        .map(|((name, before, before_words), (_, after, after_words))| {
            let of_median = trial.p50_change_pct.zip(trial.p50_interval_pct);
            let difference = match (name, before, after) {
                (name, ..) if name == trial.quantile() => {
                    change_within(trial.change_pct, trial.interval_pct)
                }
                ("p50", ..) if of_median.is_some() => {
                    of_median.map_or_else(String::new, |(pct, range)| change_within(pct, range))
                }
                (_, Some(before), Some(after)) if before > 0.0 => {
                    change(100.0 * (after / before - 1.0))
                }
                _ => String::new(),
            };
            [name.to_owned(), before_words, after_words, difference]
        })
        .collect();
    let mut row = |name: &str, before: u64, after: u64| {
        rows.push([name.to_owned(), count(before), count(after), String::new()]);
    };
    match (&trial.work, trial.buffers_before.zip(trial.buffers_after)) {
        (Some(work), _) => {
            row("blocks", work.blocks_before, work.blocks_after);
            row("rows scanned", work.rows_before, work.rows_after);
        }
        (None, Some((before, after))) => row("blocks", before, after),
        _ => {}
    }
    rows
}

/// Notes about the figures of a statement.
fn notes(trial: &RunQueryTrial) -> Vec<String> {
    let mut notes = vec![format!(
        "{} executions an arm; parameters {}; control (before against before) {}.",
        count(trial.before.n),
        trial.parameters,
        interval(trial.control_interval_pct[0], trial.control_interval_pct[1])
    )];
    let rows = match trial.rows_identical {
        Some(true) => "",
        Some(false) => "**The rows differ with and without the change.**",
        None if trial.before.timed_out > 0 => {
            "Without the change it never came to its end, so rows could not be compared."
        }
        None if trial.after.timed_out > 0 => {
            "With the change it never came to its end, so rows could not be compared."
        }
        None => {
            "The rows could not be compared: the statement does not return the same rows twice, or ties in its ORDER BY decide which rows it returns."
        }
    };
    notes.extend((!rows.is_empty()).then(|| rows.to_owned()));
    for (side, arm) in [("without", &trial.before), ("with", &trial.after)] {
        if arm.timed_out > 0 {
            notes.push(format!(
                "{} of {} executions {side} the change were stopped before their end: it takes longer than shown, and the change is at least as large.",
                count(arm.timed_out),
                count(arm.n)
            ));
        }
    }
    let is_noisy = trial.judged_by == "work" && trial.interval_pct[1] >= 0.0;
    if trial.quantile() != "p95" {
        notes.push(format!(
            "{} executions are too few for p95, which needs 59: the interval is that of the median.",
            count(trial.before.n)
        ));
    } else if is_noisy && trial.verdict == "improved" {
        let why = "p95 is too noisy on this machine to show the change; work and the median do.";
        notes.push(why.to_owned());
    }
    notes.extend(trial.why.clone());
    notes
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

/// Findings by rule: of several, the first with its message, and where the others are.
pub(super) fn lines(findings: &[&RunFinding]) -> Vec<Line> {
    let place = |finding: &RunFinding| {
        let table = finding.subject.table.as_deref().unwrap_or("the database");
        match &finding.subject.columns[..] {
            [] => table.to_owned(),
            columns => format!("{table} ({})", columns.join(", ")),
        }
    };
    let mut by_rule: Vec<(&str, Vec<&RunFinding>)> = Vec::new();
    for finding in findings {
        match by_rule.iter_mut().find(|(rule, _)| *rule == finding.rule) {
            Some((_, list)) => list.push(finding),
            None => by_rule.push((&finding.rule, vec![finding])),
        }
    }
    by_rule
        .into_iter()
        .map(|(rule, list)| {
            let mut text = list[0].message.clone();
            if list.len() > 1 {
                let others: Vec<String> = list[1..].iter().map(|finding| place(finding)).collect();
                text.push_str(&format!(
                    "; and {} more: {}",
                    count(others.len() as u64),
                    others.join(", ")
                ));
            }
            Line { name: rule.to_owned(), text }
        })
        .collect()
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
    }
    // By reason: the same statements are left out of many trials.
    let mut reasons: std::collections::BTreeMap<&str, Vec<&str>> = Default::default();
    for left in run.trials.iter().flat_map(|trial| &trial.left_out) {
        let statements = reasons.entry(&left.reason).or_default();
        if !statements.contains(&left.fingerprint.as_str()) {
            statements.push(&left.fingerprint);
        }
    }
    lines.extend(reasons.into_iter().map(|(reason, statements)| Line {
        name: plural(
            statements.len(),
            "statement was not replayed",
            "statements were not replayed",
        ),
        text: reason.to_owned(),
    }));
    lines
}
