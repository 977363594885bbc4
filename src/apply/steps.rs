//! Turns recommendations into single statements, in the order in which they are executed.

use crate::index::ddl::{IndexChange, change};
use crate::model::index::IndexDef;
use crate::model::name::TableName;
use crate::model::run::RunRecommendation;
use crate::sql::dump::catalog::index_plan;

/// Letters of a statement that stand for it.
const MOST_LETTERS: usize = 100;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Id of the recommendation it belongs to.
    pub recommendation: String,
    pub sql: String,
    pub action: Action,
    /// An index that has to be there first: without it, nothing would serve what the dropped one does.
    pub requires: Option<(TableName, IndexDef)>,
}

/// The kinds of statements that are executed differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes an index. `plan` is `None` where the statement is not ours to read. Any index that does the
    /// same will do, unless it is one that comes back: then it is the name that counts, for the other may
    /// be about to go.
    Create {
        table: TableName,
        name: String,
        def: Option<IndexDef>,
        comes_back: bool,
    },
    /// Drops an index. `made` is what it has to be where it was us who made it: an index that has come to
    /// bear the name stays.
    Drop {
        schema: String,
        name: String,
        made: Option<(TableName, IndexDef)>,
    },
    Other,
}

impl Step {
    /// The statement in a few words.
    pub fn summary(&self) -> String {
        match &self.action {
            Action::Create { table, name, .. } => format!("index {name} on {table}"),
            Action::Drop { schema, name, .. } => format!("drop index {schema}.{name}"),
            Action::Other => self.sql.chars().take(MOST_LETTERS).collect(),
        }
    }
}

/// The statements that make a recommendation real; `required` is the one that it requires.
pub fn forward(
    recommendation: &RunRecommendation,
    required: Option<&RunRecommendation>,
) -> Vec<Step> {
    let mut steps = steps(recommendation, &recommendation.sql);
    let requires = required.and_then(made_by);
    for step in &mut steps {
        step.requires.clone_from(&requires);
    }
    steps.extend(recommendation.after.iter().map(|sql| Step {
        recommendation: recommendation.id.clone(),
        sql: sql.clone(),
        action: Action::Other,
        requires: None,
    }));
    steps
}

/// The statements that take it back.
pub fn backward(recommendation: &RunRecommendation) -> Vec<Step> {
    let made = made_by(recommendation);
    let mut steps = steps(recommendation, &recommendation.undo);
    for step in &mut steps {
        match &mut step.action {
            Action::Drop { made: known, .. } => known.clone_from(&made),
            Action::Create { comes_back, .. } => *comes_back = true,
            Action::Other => {}
        }
    }
    steps
}

/// The index that a recommendation makes.
fn made_by(recommendation: &RunRecommendation) -> Option<(TableName, IndexDef)> {
    steps(recommendation, &recommendation.sql).into_iter().find_map(|step| match step.action {
        Action::Create { table, def: Some(def), .. } => Some((table, def)),
        _ => None,
    })
}

fn steps(recommendation: &RunRecommendation, statements: &[String]) -> Vec<Step> {
    statements
        .iter()
        .map(|sql| Step {
            recommendation: recommendation.id.clone(),
            sql: sql.clone(),
            requires: None,
            action: match change(sql) {
                Some(IndexChange::Create { table, name }) => {
                    let def = index_plan(sql, &table);
                    Action::Create { table, name, def, comes_back: false }
                }
                Some(IndexChange::Drop { schema, name }) => {
                    Action::Drop { schema, name, made: None }
                }
                None => Action::Other,
            },
        })
        .collect()
}
