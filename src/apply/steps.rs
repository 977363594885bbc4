//! Recommendations to single statements, in the order they are executed.

use crate::model::name::TableName;
use crate::model::recommendation::IndexPlan;
use crate::model::run::RunRecommendation;
use crate::sql::ddl::index_plan;
use crate::sql::ident::quote_table;
use crate::sql::index_ddl::{Change, change};

/// Letters of a statement that stand for it.
const MOST_LETTERS: usize = 100;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Id of the recommendation it belongs to.
    pub recommendation: String,
    pub sql: String,
    pub action: Action,
}

/// What a statement does, as far as it matters how it is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes an index. `plan` is `None` where the statement is not ours to read.
    Create {
        table: TableName,
        name: String,
        plan: Option<IndexPlan>,
    },
    /// Drops an index. `made` is what it has to be where it was us who made it: an index that has come to
    /// bear the name stays.
    Drop {
        schema: String,
        name: String,
        made: Option<(TableName, IndexPlan)>,
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

/// The statements that make a recommendation real. An expression has no statistics before its table is
/// analyzed, and without them the planner would not use the index as it did in the trial.
pub fn forward(recommendation: &RunRecommendation) -> Vec<Step> {
    let mut steps = steps(recommendation, &recommendation.sql);
    let analyze = steps.iter().find_map(|step| match &step.action {
        Action::Create { table, plan: Some(plan), .. } => plan
            .keys
            .iter()
            .any(|key| !key.is_column)
            .then(|| format!("ANALYZE {}", quote_table(table))),
        _ => None,
    });
    steps.extend(analyze.into_iter().map(|sql| Step {
        recommendation: recommendation.id.clone(),
        sql,
        action: Action::Other,
    }));
    steps
}

/// The statements that take it back.
pub fn backward(recommendation: &RunRecommendation) -> Vec<Step> {
    let made =
        steps(recommendation, &recommendation.sql).into_iter().find_map(|step| match step.action {
            Action::Create { table, plan: Some(plan), .. } => Some((table, plan)),
            _ => None,
        });
    let mut steps = steps(recommendation, &recommendation.undo);
    for step in &mut steps {
        if let Action::Drop { made: known, .. } = &mut step.action {
            known.clone_from(&made);
        }
    }
    steps
}

fn steps(recommendation: &RunRecommendation, statements: &[String]) -> Vec<Step> {
    statements
        .iter()
        .map(|sql| Step {
            recommendation: recommendation.id.clone(),
            sql: sql.clone(),
            action: match change(sql) {
                Some(Change::Create { table, name }) => {
                    let plan = index_plan(sql, &table);
                    Action::Create { table, name, plan }
                }
                Some(Change::Drop { schema, name }) => Action::Drop { schema, name, made: None },
                None => Action::Other,
            },
        })
        .collect()
}
