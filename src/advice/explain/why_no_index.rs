//! Explains why an expensive statement gets no index.

use std::collections::{HashMap, HashSet};

use crate::access::pushdown::is_kept_back;
use crate::advice::cost::what_if::{Costs, Set};
use crate::advice::input::Input;
use crate::model::catalog::{Catalog, Table};
use crate::model::name::TableName;
use crate::model::workload::Query;
use crate::model::workload::shape::{Key, Operator, Shape, StatementKind};
use crate::sql::expression::immutability::indexable;
use crate::sql::lex::lexer::{TokenKind, tokens};

/// Share of the time from which on a statement is owed a reason, percent.
const EXPENSIVE_PCT: f64 = 1.0;
/// Part of the cost that has to go for an index to be worth a word.
const WORTH_A_WORD: f64 = 0.1;

const TOO_LONG: &str = "it looks for values of which some are too long for a btree, whose rows have 2,704 bytes at most";

/// The result of the choice.
pub struct ChoiceSummary<'f> {
    /// For each statement, the candidates that can matter to it.
    pub relevant: &'f HashMap<usize, Set>,
    /// The useful indexes, whether or not they fit the budget.
    pub wanted: &'f [usize],
    /// Statements that a chosen index serves.
    pub served: &'f [usize],
    /// Statements that asked for an index whose rows would be too long.
    pub too_long: &'f HashSet<usize>,
}

/// The reason for each expensive statement that no chosen index serves, by position in the workload.
pub fn reasons(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    found: &ChoiceSummary<'_>,
) -> Vec<(usize, String)> {
    input
        .workload
        .queries
        .iter()
        .enumerate()
        .filter(|(at, query)| {
            !found.served.contains(at) && input.workload.share_pct(query.total_us) >= EXPENSIVE_PCT
        })
        .filter_map(|(at, query)| {
            let reason = match &query.shape {
                None => Some("it was not understood".to_owned()),
                Some(shape) => reason(input, costs, found, at, query, shape),
            };
            Some((at, reason?))
        })
        .collect()
}

fn reason(
    input: &Input<'_>,
    costs: &mut Costs<'_>,
    found: &ChoiceSummary<'_>,
    at: usize,
    query: &Query,
    shape: &Shape,
) -> Option<String> {
    if shape.kind == StatementKind::Utility {
        return None;
    }
    let tables: Vec<_> =
        shape.scans.iter().filter_map(|scan| input.catalog.table(&scan.table)).collect();
    if tables.is_empty() {
        return Some("it reads no table of this database".to_owned());
    }
    let is_empty = |table: &Table| table.rows == Some(0.0);
    if let Some(parent) = tables.iter().find(|table| is_empty(table) && table.inherited) {
        let name = &parent.name;
        return Some(format!(
            "the rows of {name} are in tables that inherit from it, and an index on it holds none of those: each of them needs \
             its own"
        ));
    }
    if tables.iter().all(|table| is_empty(table)) {
        return Some(
            "its tables have no rows in this database, so nothing is known of it".to_owned(),
        );
    }
    if tables.iter().all(|table| table.is_small()) {
        return Some("its tables are so small that reading them whole is faster".to_owned());
    }
    if shape.kind == StatementKind::Insert && shape.scans.iter().all(|scan| scan.target) {
        return Some("it only adds rows: indexes cost it time".to_owned());
    }
    // Where nothing could matter to it, the planner was not asked yet.
    costs.planned(at, &[]);
    if let Some(why) = costs.failed.get(&at) {
        return Some(format!("the server cannot plan it: {why}"));
    }
    if found.relevant.get(&at).is_none_or(Vec::is_empty) {
        if found.too_long.contains(&at) {
            return Some(TOO_LONG.to_owned());
        }
        return Some(nothing_better(input, costs, at, shape) + &without_statistics(&tables));
    }
    let (before, best) = (costs.cost(at, &[])?, costs.least(at)?);
    let left_pct = 100.0 * best / before.max(f64::MIN_POSITIVE);
    let share = input.workload.share_pct(query.total_us);
    let there = in_use(costs, at);
    let (there, an) = match there.as_deref() {
        Some(there) => (format!("{there}; "), "another"),
        None => (String::new(), "an"),
    };
    Some(if best > before * (1.0 - WORTH_A_WORD) {
        format!("{there}the best of the indexes tried would leave {left_pct:.0} % of its cost")
            + &without_statistics(&tables)
    } else {
        let why = match costs.used(at, found.wanted).is_empty() {
            true => "that is not worth its space and upkeep",
            false => "that is worth its space, but the limits leave no room for it",
        };
        format!(
            "{there}{an} index would leave {left_pct:.0} % of its cost; with {share:.1} % of the time, {why}"
        )
    })
}

/// Returns advice about tables without statistics, as the end of a reason; empty if there are none.
fn without_statistics(tables: &[&Table]) -> String {
    let unknown = tables.iter().find(|table| table.rows.is_none());
    unknown.map_or_else(String::new, |table| {
        let name = &table.name;
        format!("; {name} has no statistics, so that is a guess: run ANALYZE {name}")
    })
}

/// The indexes that the plan has as it is, as words.
fn in_use(costs: &mut Costs<'_>, at: usize) -> Option<String> {
    let present = &costs.planned(at, &[])?.present;
    let are = if present.len() == 1 { "is" } else { "are" };
    (!present.is_empty()).then(|| format!("{} {are} there and used", present.join(", ")))
}

/// Why no candidate makes a difference.
fn nothing_better(input: &Input<'_>, costs: &mut Costs<'_>, at: usize, shape: &Shape) -> String {
    let with_condition = shape.scans.iter().any(|scan| {
        !scan.filters.is_empty()
            || !scan.alternatives.is_empty()
            || !scan.joins.is_empty()
            || !scan.lookups.is_empty()
            || scan.ordered_by().is_some()
    });
    if !with_condition {
        return "it has no condition, join or order that an index could serve".to_owned();
    }
    if let Some(there) = in_use(costs, at) {
        return format!("{there}, and no other index makes it cheaper");
    }
    if let Some(column) = element_of(shape) {
        return format!(
            "no index serves value = ANY ({column}); {column} @> ARRAY[value] finds the same rows, and GIN serves it"
        );
    }
    let query = &input.workload.queries[at];
    if let Some((table, key)) = guarded(input.catalog, query, shape) {
        let users = query.users.join(", ");
        return format!(
            "policies of {table} apply to {users}, and the comparison of {key} is not LEAKPROOF: they are evaluated \
             before any index on it could be used"
        );
    }
    if let Some(expression) = unindexable(input.catalog, shape) {
        return if has_varying(query, expression) {
            format!(
                "no index can hold {expression}, which takes a value that varies; ask by an operator that an index on the column serves, as a % b of pg_trgm in the place of similarity(a, b)"
            )
        } else {
            format!(
                "an index holds only what is immutable, which {expression} is not known to be; compare the column itself"
            )
        };
    }
    if let Some(expression) = without_constants(query, shape) {
        return format!(
            "an index on {expression} has to hold its constants, which counters leave out: a log of the server has them"
        );
    }
    "the planner would use none of the indexes that fit its conditions".to_owned()
}

/// The first condition that policies keep every index from, with its table.
fn guarded<'s>(
    catalog: &Catalog,
    query: &Query,
    shape: &'s Shape,
) -> Option<(&'s TableName, &'s str)> {
    shape.with_alternatives().into_iter().find_map(|scan| {
        let table = catalog.table(&scan.table)?;
        let behind = scan.filters.iter().find(|filter| is_kept_back(query, table, filter))?;
        Some((&scan.table, behind.key.sql()))
    })
}

/// The first expression of a condition with a constant that nothing tells.
fn without_constants<'s>(query: &Query, shape: &'s Shape) -> Option<&'s str> {
    let is_unknown = |n: usize| query.slots.get(n - 1).is_none_or(|values| values.seen == 0);
    let scans = shape.with_alternatives();
    let mut filters = scans.iter().flat_map(|scan| &scan.filters);
    filters.find_map(|filter| match &filter.key {
        Key::Expression { sql, .. } if parameters(sql).any(is_unknown) => Some(sql.as_str()),
        _ => None,
    })
}

/// Numbers of the parameters in an expression, from 1.
fn parameters(expression: &str) -> impl Iterator<Item = usize> {
    let parameters = tokens(expression).filter(|token| token.kind == TokenKind::Parameter);
    parameters
        .filter_map(|token| token.text.strip_prefix('$')?.parse().ok())
        .filter(|number| *number > 0)
}

/// One of the parameters in the expression had several values.
fn has_varying(query: &Query, expression: &str) -> bool {
    parameters(expression)
        .any(|n| query.slots.get(n - 1).is_some_and(|values| values.kept().len() > 1))
}

/// The array column whose elements a statement asks for, where it asks for nothing else.
fn element_of(shape: &Shape) -> Option<String> {
    let mut filters = shape.scans.iter().flat_map(|scan| &scan.filters);
    let first = filters.next()?;
    let is_element = first.operator == Operator::Element && filters.next().is_none();
    is_element.then(|| first.key.sql().to_string())
}

/// The first expression of a statement that asks for nothing else and that no index can hold, whatever its
/// constants.
fn unindexable<'s>(catalog: &Catalog, shape: &'s Shape) -> Option<&'s str> {
    let scans = shape.with_alternatives();
    let filters =
        scans.iter().flat_map(|scan| scan.filters.iter().map(move |filter| (scan, filter)));
    let mut first = None;
    for (scan, filter) in filters {
        let Key::Expression { sql, .. } = &filter.key else { return None };
        let table = catalog.table(&scan.table)?;
        if indexable(sql, table, &catalog.functions, &|_| Some("'1'".to_owned())).is_some() {
            return None;
        }
        first = first.or(Some(sql.as_str()));
    }
    first
}
