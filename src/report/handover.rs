//! The document for the handover, before it is Markdown or HTML: every number already in words, so
//! that both say the same.

use serde::Serialize;

use super::chart::before_after;
use super::words::{bytes, change, count, interval, milliseconds, plural, share, spelled};
use crate::model::run::{Run, RunArm, RunFinding, RunQueryTrial, RunRecommendation, RunTrial};

#[derive(Debug, Serialize)]
pub struct Handover {
    pub title: String,
    /// For the founder: what was found and what is proven.
    pub lead: Vec<String>,
    pub changes: Vec<ChangeRow>,
    pub trust: Vec<String>,
    pub sections: Vec<Section>,
    pub loops: Vec<LoopSection>,
    pub unprotected: Vec<Line>,
    pub other_findings: Vec<Line>,
    pub queries: Vec<QueryRow>,
    pub checks: Vec<CheckRow>,
    pub left_out: Vec<Line>,
    pub warnings: Vec<String>,
    pub repeat: Option<String>,
    pub tool: String,
}

/// A row of the first page's table.
#[derive(Debug, Serialize)]
pub struct ChangeRow {
    pub number: usize,
    pub what: String,
    pub kind: &'static str,
    pub before: String,
    pub after: String,
    pub change: String,
    pub verdict: String,
    pub proven: bool,
}

/// One recommendation with everything behind it.
#[derive(Debug, Serialize)]
pub struct Section {
    pub number: usize,
    pub heading: String,
    pub state: String,
    pub why: Option<String>,
    pub because: Vec<String>,
    pub sql: Vec<String>,
    pub undo: Vec<String>,
    pub costs: Vec<String>,
    pub queries: Vec<SectionQuery>,
}

#[derive(Debug, Serialize)]
pub struct SectionQuery {
    pub sql: String,
    pub rows: Vec<[String; 4]>,
    pub verdict: String,
    pub notes: Vec<String>,
    pub plan_before: String,
    pub plan_after: String,
    pub chart: String,
}

#[derive(Debug, Serialize)]
pub struct LoopSection {
    pub heading: String,
    pub parent: String,
    pub child: String,
    pub figures: String,
    pub instead: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Line {
    pub name: String,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub struct QueryRow {
    pub share: String,
    pub calls: String,
    pub mean: String,
    pub p95: String,
    pub sql: String,
}

#[derive(Debug, Serialize)]
pub struct CheckRow {
    pub status: String,
    pub reason: String,
    pub sql: String,
}

/// Statements listed in the appendix.
const QUERIES: usize = 20;

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

fn trial_of<'r>(run: &'r Run, id: &str) -> Option<&'r RunTrial> {
    run.trials
        .iter()
        .find(|trial| trial.recommendations.len() == 1 && trial.recommendations[0] == id)
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

/// Share of the workload's time that accepted changes take away: for each statement the best of the
/// trials that improved it, by its mean latency.
fn removed_pct(run: &Run) -> f64 {
    run.queries
        .iter()
        .map(|query| {
            let best = run
                .trials
                .iter()
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
            before: measured.and_then(|m| m.before.p95_us).map_or_else(dash, milliseconds),
            after: measured.and_then(|m| m.after.p95_us).map_or_else(dash, milliseconds),
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

fn heading(recommendation: &RunRecommendation) -> String {
    let table = recommendation.table.as_deref().unwrap_or("the database");
    match recommendation.kind.as_str() {
        "create-index" => {
            let keys = recommendation
                .sql
                .iter()
                .find(|sql| sql.starts_with("CREATE INDEX"))
                .and_then(|sql| sql.split_once(" ON "))
                .and_then(|(_, rest)| rest.find('(').map(|at| rest[at..].to_owned()))
                .unwrap_or_default();
            format!("Index {table} {keys}")
        }
        "drop-index" => {
            format!("Drop {} of {table}", recommendation.id.trim_start_matches("drop-"))
        }
        other => format!("{other} on {table}"),
    }
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

fn section(run: &Run, number: usize, recommendation: &RunRecommendation) -> Section {
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
        why: recommendation.why.clone(),
        because,
        sql: recommendation.sql.clone(),
        undo: recommendation.undo.clone(),
        costs: costs(recommendation, trial),
        queries: trial.iter().flat_map(|t| &t.queries).map(|q| section_query(run, q)).collect(),
    }
}

fn costs(recommendation: &RunRecommendation, trial: Option<&RunTrial>) -> Vec<String> {
    let mut costs = Vec::new();
    if let Some(trial) = trial.filter(|trial| trial.build_ms > 0.0) {
        let size = trial.size_bytes.map_or("unknown size".to_owned(), bytes);
        costs.push(format!(
            "{size} of disk and {} to build, measured. `CONCURRENTLY` takes longer and does not block writes.",
            milliseconds(trial.build_ms * 1e3)
        ));
    } else if let Some(size) = recommendation.estimated.as_ref().and_then(|e| e.size_bytes) {
        costs.push(format!("About {} of disk, estimated.", bytes(size)));
    }
    if let Some(estimate) = &recommendation.estimated {
        costs.push(format!(
            "Planner cost of the statements on the table {} → {}, estimated.",
            count(estimate.cost_before as u64),
            count(estimate.cost_after as u64)
        ));
    }
    if recommendation.kind == "create-index" {
        costs.push("Each insert, and each update of its columns, writes the index as well; that was not measured.".to_owned());
    }
    costs
}

fn section_query(run: &Run, trial: &RunQueryTrial) -> SectionQuery {
    let sql = run
        .queries
        .iter()
        .find(|query| query.fingerprint == trial.fingerprint)
        .map_or_else(|| trial.fingerprint.clone(), |query| query.normalized.clone());
    let figure = |value: Option<f64>| value.map_or("–".to_owned(), milliseconds);
    let mut rows: Vec<[String; 4]> = [
        ("p50", trial.before.p50_us, trial.after.p50_us),
        ("p95", trial.before.p95_us, trial.after.p95_us),
        ("p99", trial.before.p99_us, trial.after.p99_us),
    ]
    .into_iter()
    .map(|(name, before, after)| {
        let difference = match (name, before, after) {
            ("p95", ..) => format!(
                "{} ({})",
                change(trial.change_pct),
                interval(trial.interval_pct[0], trial.interval_pct[1])
            ),
            (_, Some(before), Some(after)) if before > 0.0 => {
                change(100.0 * (after / before - 1.0))
            }
            _ => String::new(),
        };
        [name.to_owned(), figure(before), figure(after), difference]
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
        None => "The statement does not return the same rows twice, so rows could not be compared."
            .to_owned(),
    });
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

fn loop_section(finding: &RunFinding) -> LoopSection {
    let evidence = finding.evidence.first();
    let text = |key: &str| evidence.and_then(|e| e[key].as_str()).unwrap_or("").to_owned();
    let figure = |key: &str| evidence.and_then(|e| e[key].as_u64()).unwrap_or(0);
    let figures = if figure("loops") > 0 {
        format!(
            "{} executions in {}, {} each, over {}; {} of database time, of which about {} are lost ({} of the workload).",
            count(figure("executions")),
            plural(figure("loops") as usize, "loop", "loops"),
            count(figure("executions_per_loop")),
            plural(figure("sessions") as usize, "connection", "connections"),
            milliseconds(figure("total_us") as f64),
            milliseconds(figure("wasted_us") as f64),
            share(finding.impact_pct)
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

fn line(finding: &RunFinding) -> Line {
    let name = finding.subject.table.clone().unwrap_or_else(|| finding.rule.clone());
    let name =
        if finding.rule == "rls-disabled" { name } else { format!("{} {name}", finding.rule) };
    Line { name, text: finding.message.clone() }
}

fn queries(run: &Run) -> Vec<QueryRow> {
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

fn left_out(run: &Run) -> Vec<Line> {
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
