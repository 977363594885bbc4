//! Finds parts of a run: trials, statements, headings.

use crate::model::run::{Run, RunQuery, RunQueryTrial, RunRecommendation, RunTrial};
use crate::report::words::short_statement;

/// The trial of all accepted changes at once, where there was one.
pub(super) fn trial_of_all(run: &Run) -> Option<&RunTrial> {
    run.trials.iter().find(|trial| trial.recommendations.len() > 1 && trial.failed.is_none())
}

/// The trial that shows what a recommendation does: that of all accepted ones, or its own.
pub(crate) fn trial_of<'r>(run: &'r Run, id: &str) -> Option<&'r RunTrial> {
    let of_all = trial_of_all(run).filter(|all| all.recommendations.iter().any(|own| own == id));
    of_all.or_else(|| run.trials.iter().find(|trial| trial.recommendations == [id]))
}

/// The statements of a trial that use the index of a recommendation: those that gain most first.
pub(crate) fn using<'r>(trial: &'r RunTrial, id: &str) -> Vec<&'r RunQueryTrial> {
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
pub(crate) fn heading(recommendation: &RunRecommendation) -> String {
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

/// Width of a statement within a sentence, characters.
pub(crate) const SQL_IN_SENTENCE: usize = 80;
