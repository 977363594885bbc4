//! Policies and privileges that are proposed, with their undo.

use crate::model::name::TableName;

/// Statements that belong together, in the order of executing.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRecommendation {
    pub id: String,
    /// `policy` or `grant`.
    pub kind: &'static str,
    pub table: Option<TableName>,
    pub sql: Vec<String>,
    /// Takes all of it back, in the order of executing.
    pub undo: Vec<String>,
    /// Ids of findings that it answers.
    pub because: Vec<String>,
    /// A person has to decide before it is executed.
    pub is_undecided: bool,
    /// The recommendation that goes before it.
    pub requires: Option<String>,
    pub purpose: String,
    pub why: Option<String>,
    pub cautions: Vec<String>,
}
