//! The handover as data: every number already in words, so that Markdown and HTML say the same.

use serde::Serialize;

use crate::report::summary::gains::Gains;
use crate::report::summary::who_acts::WhoActs;
use crate::report::summary::write_cost::WriteCost;

#[derive(Debug, Serialize)]
pub struct Handover {
    pub title: String,
    /// For the founder: what was found and what is proven.
    pub lead: Vec<String>,
    /// p95 of each statement before and after, as SVG.
    pub chart: Option<String>,
    pub changes: Vec<ChangeRow>,
    /// The gain of each statement, and their sum for the summary.
    pub gains: Option<Gains>,
    pub trust: Vec<String>,
    pub writes: Option<WriteCost>,
    pub sections: Vec<Section>,
    pub loops: Vec<LoopSection>,
    pub who_acts: Option<WhoActs>,
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
    /// Notes about the others.
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
