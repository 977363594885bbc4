//! Assembles the handover; the parts after its first page are in `sections`.

use super::chart::p95_chart;
use super::document::{ChangeRow, CheckRow, Handover};
use super::sections::{left_out, lines, loop_section, queries, section};
use crate::model::run::{Run, RunFinding, RunRecommendation};
use crate::report::summary::gains::{gains, p95_pairs, saved_pct};
use crate::report::summary::lookup::{heading, trial_of, using, with_statements};
use crate::report::summary::trust::trust;
use crate::report::summary::who_acts::who_acts;
use crate::report::summary::write_cost::write_cost;
use crate::report::words::{
    before_after, blocks, change_within, count, evidence, plural, short_statement, spelled,
};

/// Width of a statement in the chart, characters.
const CHART_SQL: usize = 58;

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
    let of_rule = |rule: &str| -> Vec<&RunFinding> {
        run.findings.iter().filter(|finding| finding.rule == rule).collect()
    };
    let is_other = |finding: &&RunFinding| {
        finding.rule != "n-plus-one" && finding.rule != "rls-disabled" && !is_answered(run, finding)
    };
    let others: Vec<&RunFinding> = run.findings.iter().filter(is_other).collect();
    Handover {
        title,
        lead: lead(run),
        chart: chart(run),
        changes: changes(run, &ordered),
        gains: gains(run),
        trust: trust(run),
        writes: write_cost(run),
        sections: ordered.iter().enumerate().map(|(at, r)| section(run, at + 1, r)).collect(),
        loops: run.findings.iter().filter(|f| f.rule == "n-plus-one").map(loop_section).collect(),
        who_acts: who_acts(run),
        unprotected: lines(&of_rule("rls-disabled")),
        other_findings: lines(&others),
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

/// The statements that gain, with their p95 before and after.
fn chart(run: &Run) -> Option<String> {
    let pairs = p95_pairs(run);
    let rows = pairs.iter().map(|(sql, pair)| (short_statement(sql, CHART_SQL), *pair));
    (!pairs.is_empty()).then(|| p95_chart(&rows.collect::<Vec<_>>()))
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
        let saved = saved_pct(run);
        let gain = if saved >= 1.0 {
            format!(
                " and {} {saved:.1} % of the database time of this workload (the sum of the column *Saved*)",
                if accepted == 1 { "saves" } else { "save" }
            )
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

fn changes(run: &Run, ordered: &[&RunRecommendation]) -> Vec<ChangeRow> {
    let mut rows: Vec<ChangeRow> = Vec::new();
    for recommendation in ordered {
        let trial = trial_of(run, &recommendation.id);
        let measured = trial.and_then(|trial| using(trial, &recommendation.id).first().copied());
        let dash = || "–".to_owned();
        rows.push(ChangeRow {
            number: rows.len() + 1,
            what: heading(recommendation),
            times: measured.map_or_else(dash, |m| before_after(&m.before, &m.after, m.quantile())),
            change: measured.map_or_else(dash, |m| change_within(m.change_pct, m.interval_pct)),
            blocks: measured.map_or_else(dash, |m| blocks(m.work.as_ref())),
            verdict: match (measured, &recommendation.why) {
                (Some(m), _) if recommendation.state == "accepted" => {
                    format!("accepted: {} by {}", m.verdict, evidence(&m.judged_by))
                }
                (_, Some(why)) => {
                    format!("{}: {}", recommendation.state, with_statements(run, why))
                }
                (_, None) => recommendation.state.clone(),
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
            times: figure("executions_per_loop")
                .map_or("–".to_owned(), |n| format!("{} queries a loop → 1 query", count(n))),
            change: "–".to_owned(),
            blocks: "–".to_owned(),
            verdict: if finding.level == "info" {
                "suspected, in the application; not replayed".to_owned()
            } else {
                "observed, in the application; not replayed".to_owned()
            },
            proven: false,
        });
    }
    rows
}
