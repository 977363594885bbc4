//! The handover as data: every number already in words, so that Markdown and HTML say the same.

use serde::Serialize;

use super::together::{Together, WriteCost};
use crate::model::run::{Run, RunRecommendation, RunTrial};

#[derive(Debug, Serialize)]
pub struct Handover {
    pub title: String,
    /// For the founder: what was found and what is proven.
    pub lead: Vec<String>,
    pub changes: Vec<ChangeRow>,
    pub trust: Vec<String>,
    /// All accepted changes at once.
    pub together: Option<Together>,
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
    pub purpose: Option<String>,
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

/// The trial of one recommendation alone.
pub(super) fn trial_of<'r>(run: &'r Run, id: &str) -> Option<&'r RunTrial> {
    run.trials
        .iter()
        .find(|trial| trial.recommendations.len() == 1 && trial.recommendations[0] == id)
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
