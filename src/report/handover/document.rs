//! The handover as data: every number already in words, so that Markdown and HTML say the same.

use serde::Serialize;

use super::gains::Gains;
use super::write_cost::WriteCost;
use crate::model::run::{Run, RunQuery, RunQueryTrial, RunRecommendation, RunTrial};
use crate::report::words::short_statement;

/// Width of a statement within a sentence, characters.
const SQL_IN_SENTENCE: usize = 80;

#[derive(Debug, Serialize)]
pub struct Handover {
    pub title: String,
    /// For the founder: what was found and what is proven.
    pub lead: Vec<String>,
    /// p95 of each statement before and after, as SVG.
    pub chart: Option<String>,
    pub changes: Vec<ChangeRow>,
    /// What each statement gains, and the sum that the lead tells.
    pub gains: Option<Gains>,
    pub trust: Vec<String>,
    pub writes: Option<WriteCost>,
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
    /// p95 before and after, of the statement that gains most.
    pub times: String,
    /// Its change with the interval.
    pub change: String,
    /// Blocks that it touches before and after.
    pub blocks: String,
    pub verdict: String,
    pub proven: bool,
}

/// One recommendation with everything behind it.
#[derive(Debug, Serialize)]
pub struct Section {
    pub number: usize,
    pub heading: String,
    pub state: String,
    pub purpose: Option<String>,
    pub why: Option<String>,
    pub because: Vec<String>,
    pub sql: Vec<String>,
    pub undo: Vec<String>,
    pub costs: Vec<String>,
    /// The statements that it changes.
    pub queries: Vec<SectionQuery>,
    /// What is to be known of the others.
    pub notes: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct SectionQuery {
    pub sql: String,
    /// Name, before, after, change.
    pub rows: Vec<[String; 4]>,
    pub verdict: String,
    pub judged_by: &'static str,
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

/// The trial of all accepted changes at once, where there was one.
pub(super) fn trial_of_all(run: &Run) -> Option<&RunTrial> {
    run.trials.iter().find(|trial| trial.recommendations.len() > 1 && trial.failed.is_none())
}

/// The trial that shows what a recommendation does: that of all accepted ones, or its own.
pub(super) fn trial_of<'r>(run: &'r Run, id: &str) -> Option<&'r RunTrial> {
    let of_all = trial_of_all(run).filter(|all| all.recommendations.iter().any(|own| own == id));
    of_all.or_else(|| run.trials.iter().find(|trial| trial.recommendations == [id]))
}

/// The statements of a trial that use the index of a recommendation: those that gain most first.
pub(super) fn using<'r>(trial: &'r RunTrial, id: &str) -> Vec<&'r RunQueryTrial> {
    let index = trial.indexes.iter().find(|index| index.recommendation == id);
    let uses = |query: &&RunQueryTrial| {
        // Runs of before indexes were recorded have trials of one recommendation.
        index.is_none_or(|index| index.used_by.contains(&query.fingerprint))
    };
    let mut queries: Vec<&RunQueryTrial> = trial.queries.iter().filter(uses).collect();
    let saved = |query: &RunQueryTrial| {
        query.before.p50_us.unwrap_or(0.0) - query.after.p50_us.unwrap_or(0.0)
    };
    queries.sort_by(|a, b| saved(b).total_cmp(&saved(a)));
    queries
}

/// The text of a statement, or its fingerprint.
pub(crate) fn statement<'r>(run: &'r Run, fingerprint: &'r str) -> &'r str {
    run.queries
        .iter()
        .find(|known| known.fingerprint == fingerprint)
        .map_or(fingerprint, |known| known.normalized.as_str())
}

/// A sentence with statements in the place of their fingerprints.
pub(crate) fn with_statements(run: &Run, text: &str) -> String {
    let is_named = |query: &&RunQuery| text.contains(&query.fingerprint);
    run.queries.iter().filter(is_named).fold(text.to_owned(), |text, query| {
        let sql = format!("`{}`", short_statement(&query.normalized, SQL_IN_SENTENCE));
        text.replace(&query.fingerprint, &sql)
    })
}

/// A recommendation in a few words.
pub(super) fn heading(recommendation: &RunRecommendation) -> String {
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
