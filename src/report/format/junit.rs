//! JUnit XML: a test case for each statement checked, tried or found.

use std::fmt::Write;

use crate::model::run::Run;
use crate::report::error::RenderError;
use crate::report::escape::escape;
use crate::report::words::blocks;

/// One test case.
struct Case {
    name: String,
    class: &'static str,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    Error(String),
    Skipped(String),
}

/// # Errors
/// None; the signature is that of every format.
pub fn render(run: &Run) -> Result<String, RenderError> {
    let cases = cases(run);
    let count =
        |wanted: fn(&Outcome) -> bool| cases.iter().filter(|case| wanted(&case.outcome)).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites><testsuite name=\"pgassay {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        escape(&run.command),
        cases.len(),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Error(_))),
        count(|outcome| matches!(outcome, Outcome::Skipped(_))),
    );
    for case in &cases {
        let _ = write!(
            out,
            "  <testcase classname=\"pgassay.{}\" name=\"{}\"",
            case.class,
            escape(&case.name)
        );
        let _ = match &case.outcome {
            Outcome::Passed => writeln!(out, "/>"),
            Outcome::Failed(why) => {
                writeln!(out, "><failure message=\"{}\"/></testcase>", escape(why))
            }
            Outcome::Error(why) => {
                writeln!(out, "><error message=\"{}\"/></testcase>", escape(why))
            }
            Outcome::Skipped(why) => {
                writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(why))
            }
        };
    }
    out.push_str("</testsuite></testsuites>\n");
    Ok(out)
}

fn cases(run: &Run) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for check in &run.checks {
        let outcome = match check.status.as_str() {
            "regressed" => Outcome::Failed(check.reason.clone()),
            "error" => Outcome::Error(check.reason.clone()),
            "not-estimable" | "missing" | "new" => {
                Outcome::Skipped(format!("{}: {}", check.status, check.reason))
            }
            _ => Outcome::Passed,
        };
        let name = format!("{} {}", check.fingerprint, check.normalized);
        cases.push(Case { name, class: "check", outcome });
    }
    for trial in &run.trials {
        for query in &trial.queries {
            let outcome = match query.verdict.as_str() {
                "regressed" => Outcome::Failed(format!(
                    "{} {:+.1} %, {} blocks, judged by {}",
                    query.quantile(),
                    query.change_pct,
                    blocks(query.work.as_ref()),
                    query.judged_by
                )),
                "inconclusive" => Outcome::Skipped(query.why.clone().unwrap_or_default()),
                _ => Outcome::Passed,
            };
            let name = format!("{} {}", trial.recommendations.join(" "), query.fingerprint);
            cases.push(Case { name, class: "trial", outcome });
        }
    }
    if run.command == "analyze" {
        for finding in &run.findings {
            let outcome = match finding.level.as_str() {
                "info" => Outcome::Passed,
                _ => Outcome::Failed(finding.message.clone()),
            };
            cases.push(Case { name: finding.id.clone(), class: "finding", outcome });
        }
    }
    cases
}
