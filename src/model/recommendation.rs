//! A proposed change, with its undo.

use super::index::NewIndex;
use super::name::TableName;
use super::trial::WithoutIndex;
use super::workload::fingerprint::Fingerprint;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecommendationKind {
    CreateIndex,
    DropIndex,
}

impl RecommendationKind {
    pub fn word(self) -> &'static str {
        match self {
            RecommendationKind::CreateIndex => "create-index",
            RecommendationKind::DropIndex => "drop-index",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Proposed,
    Accepted,
    Rejected,
    Undecided,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Proposed => "proposed",
            State::Accepted => "accepted",
            State::Rejected => "rejected",
            State::Undecided => "undecided",
        }
    }
}

/// The planner's estimate of a recommendation. Costs are in its own unit, never time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Sum over the statements that it serves of calls × planner cost: with the other new indexes and without this
    /// one, and with all.
    pub cost_before: f64,
    pub cost_after: f64,
}

/// Size and write overhead of one index, or of several together, estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Takes {
    pub size_bytes: u64,
    /// Time of the writes of its table, or of all writes for several; `None` where nothing is written.
    pub write_overhead_pct: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    pub id: String,
    pub kind: RecommendationKind,
    pub table: Option<TableName>,
    pub sql: Vec<String>,
    pub undo: Vec<String>,
    /// To be executed once it is real: an expression has no statistics before its table is analyzed, and
    /// without them the planner would not use the index as it did in a trial.
    pub after: Vec<String>,
    /// Ids of the findings it answers.
    pub because: Vec<String>,
    /// The statements that it was chosen for; empty where no planner was asked.
    pub serves: Vec<Fingerprint>,
    pub state: State,
    /// Id of the recommendation that has to be made real first.
    pub requires: Option<String>,
    /// Its purpose, in words.
    pub purpose: Option<String>,
    /// Why the state is what it is, or why there is no estimate.
    pub why: Option<String>,
    /// Cautions, one sentence each.
    pub cautions: Vec<String>,
    pub estimated: Option<Estimate>,
    /// Its size as it counts against the limits; `None` where it cannot be estimated.
    pub takes: Option<Takes>,
    /// The index behind a `create-index`.
    pub index: Option<NewIndex>,
    /// The work of its statements without it but with the other new indexes, where that was measured.
    pub without: Option<WithoutIndex>,
}

impl Recommendation {
    /// A proposal of which nothing more is known yet.
    pub fn proposed(id: String, kind: RecommendationKind, table: &TableName) -> Recommendation {
        Recommendation {
            id,
            kind,
            table: Some(table.clone()),
            sql: Vec::new(),
            undo: Vec::new(),
            after: Vec::new(),
            because: Vec::new(),
            serves: Vec::new(),
            state: State::Proposed,
            requires: None,
            purpose: None,
            why: None,
            cautions: Vec::new(),
            estimated: None,
            takes: None,
            index: None,
            without: None,
        }
    }
}
