//! A run for the terminal: the target first, then coverage, then what was found by share of time, and
//! the next command last.

use std::fmt::Write;

use super::trial_text::trial_text;
use crate::model::run::{Run, RunFinding, RunRecommendation};
use crate::report::error::RenderError;
use crate::report::summary;
use crate::report::summary::lookup::with_statements;
use crate::report::tables::{put, table};
use crate::report::words::{
    blocks, bytes, change, count, coverage_pct, evidence, interval, middle_cut, milliseconds,
    plural, share,
};

/// Statements shown; the run file has all of them.
const QUERIES: usize = 12;
/// Width of the SQL in tables, characters: a table fits 120 columns.
const SQL_WIDTH: usize = 64;

/// # Errors
/// None; the signature is that of every format.
pub fn render(run: &Run) -> Result<String, RenderError> {
    let mut out = String::new();
    target(&mut out, run);
    coverage(&mut out, run);
    if run.command != "check" {
        queries(&mut out, run);
    }
    who_acts(&mut out, run);
    findings(&mut out, run);
    let shared = shared_reason(run);
    for recommendation in &run.recommendations {
        self::recommendation(&mut out, run, recommendation, shared);
    }
    no_index(&mut out, run);
    for trial in &run.trials {
        trial_text(&mut out, run, trial);
    }
    checks(&mut out, run);
    for warning in &run.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    closing(&mut out, run, shared);
    Ok(out)
}

/// The SQL of what is not rejected, with the undo as comments. Once there was a trial, what it has not accepted is a
/// comment as well.
///
/// # Errors
/// None; the signature is that of every format.
pub fn sql(run: &Run) -> Result<String, RenderError> {
    let mut out = String::new();
    for recommendation in run.recommendations.iter().filter(|r| r.state != "rejected") {
        let is_comment = !run.trials.is_empty() && recommendation.state != "accepted";
        for line in reasons(recommendation) {
            let _ = writeln!(out, "-- {}", line.replace('\n', " "));
        }
        for sql in recommendation.sql.iter().chain(&recommendation.after) {
            let _ = match is_comment {
                true => writeln!(out, "-- not accepted: {};", sql.replace('\n', " ")),
                false => writeln!(out, "{sql};"),
            };
        }
        for undo in &recommendation.undo {
            let _ = writeln!(out, "-- undo: {};", undo.replace('\n', " "));
        }
        out.push('\n');
    }
    Ok(out)
}

/// Returns the recommendation and its reasons, one line each: for the comments of a script.
pub fn reasons(recommendation: &RunRecommendation) -> Vec<String> {
    let mut lines = vec![format!("{} ({})", recommendation.id, recommendation.state)];
    lines.extend(recommendation.purpose.clone());
    lines.extend(recommendation.why.clone());
    lines.extend(recommendation.cautions.iter().map(|caution| format!("caution: {caution}")));
    lines.extend(recommendation.requires.as_ref().map(|id| format!("only once {id} is there")));
    if let Some(measured) = &recommendation.measured {
        let [low, high] = measured.interval_pct;
        let size =
            measured.size_bytes.map_or(String::new(), |size| format!("; {} of disk", bytes(size)));
        let work = measured
            .work
            .as_ref()
            .map_or(String::new(), |work| format!(", {} blocks", blocks(Some(work))));
        lines.push(format!(
            "measured {} {}{} → {}, {} (95 % interval {}){work}: {} by {}{size}",
            measured.quantile(),
            if measured.stopped_before { "> " } else { "" },
            milliseconds(measured.judged_before_us.unwrap_or(measured.p95_before_us)),
            milliseconds(measured.judged_after_us.unwrap_or(measured.p95_after_us)),
            change(measured.change_pct),
            interval(low, high),
            measured.verdict,
            evidence(&measured.judged_by),
        ));
    }
    lines
}

fn target(out: &mut String, run: &Run) {
    let text = match &run.target {
        Some(target) => {
            target.description.clone().unwrap_or_else(|| match target.origin.as_str() {
                "ddl" => "schema file".to_owned(),
                _ => target.database.clone().unwrap_or_default(),
            })
        }
        None => "no database, no schema".to_owned(),
    };
    let _ = writeln!(out, "target   {text}");
}

fn coverage(out: &mut String, run: &Run) {
    let coverage = &run.coverage;
    if coverage.lines + coverage.statements == 0 {
        return;
    }
    let understood = coverage_pct(coverage.understood, coverage.statements);
    let _ = writeln!(
        out,
        "read     {}, {} of {} executions understood ({understood})",
        plural(run.queries.len(), "distinct statement", "distinct statements"),
        count(coverage.understood),
        count(coverage.statements)
    );
    for skipped in &coverage.skipped {
        let _ = writeln!(
            out,
            "skipped  {} × {} (first: {})",
            count(skipped.count),
            skipped.reason,
            middle_cut(&skipped.example, 100)
        );
    }
}

fn queries(out: &mut String, run: &Run) {
    if run.queries.is_empty() {
        return;
    }
    let mut table =
        table(&["share", "calls", "mean", "p50", "p95", "p99", "statement"], &[0, 1, 2, 3, 4, 5]);
    let figure = |value: Option<u64>| value.map_or("–".to_owned(), |us| milliseconds(us as f64));
    for query in run.queries.iter().take(QUERIES) {
        table.add_row([
            share(query.share_pct),
            count(query.calls),
            figure(query.mean_us),
            figure(query.p50_us),
            figure(query.p95_us),
            figure(query.p99_us),
            middle_cut(&query.normalized, SQL_WIDTH),
        ]);
    }
    out.push('\n');
    put(out, &table);
    if run.queries.len() > QUERIES {
        let _ = writeln!(out, " and {} more", count((run.queries.len() - QUERIES) as u64));
    }
}

/// Findings that take time one by one; the others, which are about tables and not about statements,
/// together by rule.
fn who_acts(out: &mut String, run: &Run) {
    let Some(who) = summary::who_acts::who_acts(run) else { return };
    out.push('\n');
    for identity in &who.identities {
        let _ = writeln!(out, "who acts {identity}");
    }
    out.push('\n');
    let mut rows = table(&["role", "acts for", "applications", "units", "statements"], &[3, 4]);
    for role in who.roles {
        rows.add_row([role.role, role.acts_for, role.applications, role.units, role.statements]);
    }
    put(out, &rows);
}

fn findings(out: &mut String, run: &Run) {
    let (timed, rest): (Vec<_>, Vec<_>) =
        run.findings.iter().partition(|finding| finding.impact_pct > 0.0);
    timed.iter().for_each(|finding| self::finding(out, finding));
    let mut rules: Vec<(&str, &str)> = Vec::new();
    for finding in &rest {
        let key = (finding.rule.as_str(), finding.level.as_str());
        if !rules.contains(&key) {
            rules.push(key);
        }
    }
    for (rule, level) in rules {
        let is_of_rule = |finding: &&&RunFinding| finding.rule == rule && finding.level == level;
        let of_rule: Vec<_> = rest.iter().filter(is_of_rule).collect();
        let _ = writeln!(out, "\n{rule} [{level}]");
        for finding in &of_rule {
            let _ = writeln!(out, "    {}", finding.message);
            loop_lines(out, finding);
        }
        let _ = writeln!(out, "    why      pgassay explain {rule}");
    }
}

fn finding(out: &mut String, finding: &RunFinding) {
    let _ = writeln!(
        out,
        "\n{} [{}]  {} of the time",
        finding.rule,
        finding.level,
        share(finding.impact_pct)
    );
    let _ = writeln!(out, "    {}", finding.message);
    loop_lines(out, finding);
    let _ = writeln!(out, "    why      pgassay explain {}", finding.rule);
}

/// Parent, child and the query to use instead.
fn loop_lines(out: &mut String, finding: &RunFinding) {
    for evidence in &finding.evidence {
        for (label, key) in [("parent", "parent"), ("child", "child")] {
            if let Some(sql) = evidence[key].as_str() {
                let _ = writeln!(out, "    {label:<8} {}", middle_cut(sql, 110));
            }
        }
        if let Some(wasted) = evidence["wasted_us"].as_u64() {
            let _ = writeln!(
                out,
                "    lost     {} in the server, and a round trip each",
                milliseconds(wasted as f64)
            );
        }
    }
    if let Some(advice) = finding.advice.as_ref().filter(|_| finding.subject.query.is_some()) {
        let _ = writeln!(out, "    instead  {}", middle_cut(advice, 160));
    }
    for evidence in &finding.evidence {
        if let (Some(mapper), Some(preload)) =
            (evidence["mapper"].as_str(), evidence["preload"].as_str())
        {
            let _ = writeln!(out, "    or       {mapper}: {preload}");
        }
    }
}

/// Returns the reason that all of several new indexes share; it is printed once, at the end.
fn shared_reason(run: &Run) -> Option<&str> {
    let mut new = run.recommendations.iter().filter(|r| r.kind == "create-index");
    let first = new.next()?.why.as_deref()?;
    let mut others = new.peekable();
    (others.peek().is_some() && others.all(|other| other.why.as_deref() == Some(first)))
        .then_some(first)
}

fn recommendation(
    out: &mut String,
    run: &Run,
    recommendation: &RunRecommendation,
    shared: Option<&str>,
) {
    let _ = writeln!(out, "\n{} [{}]", recommendation.id, recommendation.state);
    let why = recommendation.why.iter().filter(|why| shared != Some(why.as_str()));
    for line in recommendation.purpose.iter().chain(why) {
        let _ = writeln!(out, "    {}", with_statements(run, line));
    }
    for caution in &recommendation.cautions {
        let _ = writeln!(out, "    caution  {}", with_statements(run, caution));
    }
    for sql in &recommendation.sql {
        let _ = writeln!(out, "    try      {sql};");
    }
    for sql in &recommendation.undo {
        let _ = writeln!(out, "    undo     {};", sql.replace('\n', " "));
    }
    if let Some(estimate) = &recommendation.estimated {
        let _ = writeln!(
            out,
            "    estimated planner cost {} → {}",
            count(estimate.cost_before as u64),
            count(estimate.cost_after as u64)
        );
    }
}

/// Statements that take much of the time and get no index, with the reason.
fn no_index(out: &mut String, run: &Run) {
    let mut first = true;
    for (query, why) in run.queries.iter().filter_map(|q| Some((q, q.no_index.as_ref()?))) {
        if first {
            out.push_str("\nno index for\n");
            first = false;
        }
        let statement = middle_cut(&query.normalized, SQL_WIDTH);
        let _ = writeln!(out, "    {} of the time: {statement}", share(query.share_pct).trim());
        let _ = writeln!(out, "             {why}");
    }
}

fn checks(out: &mut String, run: &Run) {
    if run.checks.is_empty() {
        return;
    }
    let mut table = table(&["", "status", "reason", "statement"], &[]);
    let mut quiet = 0;
    for check in &run.checks {
        let symbol = match check.status.as_str() {
            "regressed" | "error" => "✗",
            "unchanged" => {
                quiet += 1;
                continue;
            }
            "improved" => "✓",
            _ => "~",
        };
        table.add_row([
            symbol.to_owned(),
            check.status.clone(),
            middle_cut(&check.reason, 60),
            middle_cut(&check.normalized, 50),
        ]);
    }
    out.push('\n');
    if quiet < run.checks.len() {
        put(out, &table);
    }
    let _ = writeln!(out, " {} unchanged", count(quiet as u64));
}

fn closing(out: &mut String, run: &Run, shared: Option<&str>) {
    out.push('\n');
    if run.command == "analyze" || run.command == "trial" || run.command == "demo" {
        let _ = writeln!(
            out,
            "{}, {}",
            plural(run.findings.len(), "finding", "findings"),
            plural(run.recommendations.len(), "recommendation", "recommendations"),
        );
        if let Some(why) = shared {
            let _ = writeln!(out, "of every new index: {why}");
        }
        if let Some(takes) = run.takes.as_ref().filter(|_| run.trials.is_empty()) {
            let writes = takes
                .write_overhead_pct
                .map_or(String::new(), |pct| format!(" and about {} on all writes", change(pct)));
            let size = bytes(takes.size_bytes);
            let _ =
                writeln!(out, "the new indexes together: about {size} of disk{writes}, estimated");
        }
    }
    if let Some(next) = &run.next {
        let _ = writeln!(out, "next: {next}");
    }
}
