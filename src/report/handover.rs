//! Puts the handover together: the first page here, what stands behind it in `sections`.

use super::document::{ChangeRow, CheckRow, Handover, heading, trial_of};
use super::sections::{left_out, line, loop_section, queries, section};
use super::together::{together, trial_of_all, write_cost};
use super::words::{change, count, interval, judged, plural, spelled};
use crate::model::run::{Run, RunArm, RunFinding, RunQueryTrial, RunRecommendation, RunTrial};

/// Puts the document together.
pub fn handover(run: &Run) -> Handover {
    let database = run.target.as_ref().and_then(|target| target.database.clone());
    let date = run.created_at.as_deref().and_then(|at| at.get(..10)).unwrap_or("").to_owned();
    let subject = database.unwrap_or_else(|| "captured workload".to_owned());
    let title = match date.as_str() {
        "" => format!("Database review: {subject}"),
        date => format!("Database review: {subject}, {date}"),
    };
    let ordered = ordered(run);
    Handover {
        title,
        lead: lead(run),
        changes: changes(run, &ordered),
        trust: trust(run),
        together: together(run),
        writes: write_cost(run),
        sections: ordered.iter().enumerate().map(|(at, r)| section(run, at + 1, r)).collect(),
        loops: run.findings.iter().filter(|f| f.rule == "n-plus-one").map(loop_section).collect(),
        unprotected: run.findings.iter().filter(|f| f.rule == "rls-disabled").map(line).collect(),
        other_findings: run
            .findings
            .iter()
            .filter(|f| f.rule != "n-plus-one" && f.rule != "rls-disabled" && !is_answered(run, f))
            .map(line)
            .collect(),
        queries: queries(run),
        checks: run
            .checks
            .iter()
            .map(|check| CheckRow {
                status: check.status.clone(),
                reason: check.reason.clone(),
                sql: check.normalized.clone(),
            })
            .collect(),
        left_out: left_out(run),
        warnings: run.warnings.clone(),
        repeat: run.next.clone(),
        tool: format!("{} {}", run.tool.name, run.tool.version),
    }
}

/// Accepted first, then by how much they change, rejected last.
fn ordered(run: &Run) -> Vec<&RunRecommendation> {
    let mut list: Vec<&RunRecommendation> = run.recommendations.iter().collect();
    let rank = |recommendation: &RunRecommendation| match recommendation.state.as_str() {
        "accepted" => 0,
        "proposed" => 1,
        "undecided" => 2,
        _ => 3,
    };
    list.sort_by_key(|recommendation| rank(recommendation));
    list
}

fn is_answered(run: &Run, finding: &RunFinding) -> bool {
    run.recommendations.iter().any(|r| r.state != "rejected" && r.because.contains(&finding.id))
}

fn lead(run: &Run) -> Vec<String> {
    let mut sentences = Vec::new();
    let accepted = run.recommendations.iter().filter(|r| r.state == "accepted").count();
    if accepted > 0 {
        let (verb, noun) = if accepted == 1 { ("is", "index") } else { ("are", "indexes") };
        let removed = removed_pct(run);
        let gain = if removed >= 1.0 {
            format!(" and would remove about {removed:.0} % of the database time of this workload")
        } else {
            String::new()
        };
        sentences.push(format!("{} {noun} {verb} proven by replay{gain}.", spelled(accepted)));
    }
    let proposed = run.recommendations.iter().filter(|r| r.state == "proposed").count();
    if proposed > 0 {
        sentences.push(format!(
            "{} {} proposed and not yet measured.",
            spelled(proposed),
            if proposed == 1 { "change is" } else { "changes are" }
        ));
    }
    let loops = run.findings.iter().filter(|f| f.rule == "n-plus-one").count();
    if loops > 0 {
        sentences.push(format!(
            "{} in the application {} the database once for each row instead of once for all.",
            if loops == 1 { "One loop".to_owned() } else { format!("{} loops", spelled(loops)) },
            if loops == 1 { "asks" } else { "ask" }
        ));
    }
    let open = run.findings.iter().filter(|f| f.rule == "rls-disabled").count();
    if open > 0 {
        sentences.push(format!(
            "{} of users' rows {} no row-level rules: nothing in the database keeps one user from another's data.",
            if open == 1 { "One table".to_owned() } else { format!("{} tables", spelled(open)) },
            if open == 1 { "has" } else { "have" }
        ));
    }
    let regressed = run.checks.iter().filter(|check| check.status == "regressed").count();
    if !run.checks.is_empty() {
        sentences.push(if regressed == 0 {
            format!(
                "None of {} checked regressed.",
                plural(run.checks.len(), "statement", "statements")
            )
        } else {
            format!("{} of {} statements regressed.", spelled(regressed), run.checks.len())
        });
    }
    if sentences.is_empty() {
        sentences.push("Nothing was found that hurts.".to_owned());
    }
    sentences
}

/// Share of the workload's time that accepted changes take away, by mean latency: as they did together,
/// or for each statement the best of the trials that improved it.
fn removed_pct(run: &Run) -> f64 {
    let all = trial_of_all(run);
    run.queries
        .iter()
        .map(|query| {
            let best = run
                .trials
                .iter()
                .filter(|trial| all.is_none_or(|all| all.recommendations == trial.recommendations))
                .flat_map(|trial| &trial.queries)
                .filter(|t| t.fingerprint == query.fingerprint && t.verdict == "improved")
                .filter_map(|t| Some(1.0 - mean(&t.after)? / mean(&t.before)?))
                .fold(0.0, f64::max);
            best * query.share_pct
        })
        .sum()
}

fn mean(arm: &RunArm) -> Option<f64> {
    let total: f64 = arm.histogram.iter().map(|[us, count]| *us as f64 * *count as f64).sum();
    (arm.n > 0 && total > 0.0).then(|| total / arm.n as f64)
}

/// The statement that a trial changed most.
fn best(trial: &RunTrial) -> Option<&RunQueryTrial> {
    trial.queries.iter().min_by(|a, b| a.change_pct.total_cmp(&b.change_pct))
}

fn changes(run: &Run, ordered: &[&RunRecommendation]) -> Vec<ChangeRow> {
    let mut rows: Vec<ChangeRow> = Vec::new();
    for recommendation in ordered {
        let measured = trial_of(run, &recommendation.id).and_then(best);
        let dash = || "–".to_owned();
        rows.push(ChangeRow {
            number: rows.len() + 1,
            what: heading(recommendation),
            kind: "index",
            before: measured.map_or_else(dash, |m| judged(&m.before, m.quantile())),
            after: measured.map_or_else(dash, |m| judged(&m.after, m.quantile())),
            change: measured.map_or_else(dash, |m| {
                format!(
                    "{} ({})",
                    change(m.change_pct),
                    interval(m.interval_pct[0], m.interval_pct[1])
                )
            }),
            verdict: match measured {
                Some(m) if recommendation.state == "accepted" => format!("{}, measured", m.verdict),
                _ => match &recommendation.why {
                    Some(why) => format!("{}: {why}", recommendation.state),
                    None => recommendation.state.clone(),
                },
            },
            proven: recommendation.state == "accepted",
        });
    }
    for finding in run.findings.iter().filter(|f| f.rule == "n-plus-one") {
        let evidence = finding.evidence.first();
        let figure = |key: &str| evidence.and_then(|e| e[key].as_u64());
        rows.push(ChangeRow {
            number: rows.len() + 1,
            what: format!(
                "Load {} of a page in one query",
                finding.subject.table.as_deref().unwrap_or("the rows")
            ),
            kind: "application",
            before: figure("executions_per_loop")
                .map_or("–".to_owned(), |n| format!("{} queries a loop", count(n))),
            after: "1 query".to_owned(),
            change: "not replayed".to_owned(),
            verdict: if finding.level == "info" {
                "suspected".to_owned()
            } else {
                "observed".to_owned()
            },
            proven: false,
        });
    }
    rows
}

fn trust(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    let executions: u64 = run.trials.iter().flat_map(|t| &t.queries).map(|q| q.before.n).sum();
    if executions > 0 {
        let place =
            run.target.as_ref().and_then(|t| t.server_version.as_deref()).unwrap_or("unknown");
        lines.push(format!(
            "Replayed {} executions before and as many after, alternating in random order, on PostgreSQL {place}, inside transactions that were rolled back.",
            count(executions)
        ));
        let noise = run.trials.iter().map(|t| t.noise_floor_pct).fold(0.0, f64::max);
        lines.push(format!(
            "The same statement against itself differed by up to {noise:.0} %: smaller changes mean nothing here."
        ));
        let all: Vec<_> = run.trials.iter().flat_map(|t| &t.queries).collect();
        let same = all.iter().filter(|q| q.rows_identical == Some(true)).count();
        lines.push(format!("With and without the change, {same} of {} statements returned the same rows; the others say so where they stand.", all.len()));
        let few = all.iter().filter(|q| q.before.n < 299).count();
        if few > 0 {
            lines.push(format!(
                "p99 needs 299 executions to be bounded; {} had fewer, and their p99 is close to the slowest execution seen.",
                plural(few, "statement", "statements")
            ));
        }
    }
    if trial_of_all(run).is_some() {
        lines.push("Each change was measured alone, and all accepted ones together.".to_owned());
    } else if run.recommendations.iter().filter(|r| r.state == "accepted").count() > 1 {
        lines.push("Each change was measured alone. Two indexes of one table may make one another superfluous: apply them one at a time, and try again.".to_owned());
    }
    if run.target.as_ref().is_some_and(|t| t.origin == "live") && executions > 0 {
        lines.push("The figures are those of this database and this machine. Production has other data; gains grow with the table, and so may the remaining times.".to_owned());
    }
    let coverage = &run.coverage;
    if coverage.statements > 0 {
        lines.push(format!(
            "{} of {} executions were understood ({:.1} %).",
            count(coverage.understood),
            count(coverage.statements),
            100.0 * coverage.understood as f64 / coverage.statements as f64
        ));
    }
    if run.recommendations.iter().any(|r| r.estimated.is_some()) {
        lines.push("Figures marked *estimated* are the planner's cost, not time.".to_owned());
    }
    lines.push("No literal values of statements are in this file.".to_owned());
    lines
}
