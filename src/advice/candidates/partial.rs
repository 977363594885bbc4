//! Conditions that always compare with the same constant, for partial indexes.

use crate::model::catalog::{Catalog, Table};
use crate::model::workload::Query;
use crate::model::workload::shape::{Operator, Predicate, Scan, Shape};
use crate::sql::expression::implication::is_beside_zero;
use crate::sql::expression::types::TypeClass;

/// Executions over which a constant has to have stayed while something else varied.
const ENOUGH_EXECUTIONS: u64 = 10;
/// Distinct values of a column that holds states; a constant on any other is one of many keys.
const MOST_STATES: f64 = 50.0;
/// The same where nothing in the statement ever varied, so that the constant says little.
const MOST_STATES_IF_NOTHING_VARIES: f64 = 10.0;

/// One scan of a statement, by its place among those with alternatives, in each of its spellings.
pub fn same_scan(query: &Query, number: usize) -> Vec<&Scan> {
    query.spellings.iter().map(|text| text.shape.with_alternatives()[number]).collect()
}

/// For each scan of a statement, alternatives included, and each of its filters, the condition as SQL where its
/// constant is part of the statement itself.
///
/// A parameter is none, however constant: a plan for any value cannot use a partial index.
pub fn conditions(query: &Query, shape_of: &Shape, catalog: &Catalog) -> Vec<Vec<Option<String>>> {
    let spellings = query.spellings.iter();
    let texts: Vec<Vec<&Scan>> = spellings.map(|text| text.shape.with_alternatives()).collect();
    shape_of
        .with_alternatives()
        .into_iter()
        .enumerate()
        .map(|(at, scan)| {
            let table = catalog.table(&scan.table);
            let condition = |(number, filter): (usize, &Predicate)| {
                let written = texts.iter().map(|text| &*text[at].filters[number].sql);
                let condition = constant(&filter.sql, written)?;
                is_state(query, filter, condition, table).then(|| condition.to_owned())
            };
            scan.filters.iter().enumerate().map(condition).collect()
        })
        .collect()
}

/// The condition with its constants, where it has the same in every spelling of the statement.
fn constant<'t>(sql: &'t str, mut written: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    if !sql.contains('$') {
        return (!sql.is_empty()).then_some(sql);
    }
    let first = written.next()?;
    (!first.contains('$') && written.all(|other| other == first)).then_some(first)
}

/// The condition picks a state, and neither a key nor what a user happened to look for.
fn is_state(query: &Query, filter: &Predicate, condition: &str, table: Option<&Table>) -> bool {
    match filter.operator {
        Operator::IsNull | Operator::IsNotNull => return true,
        Operator::Equal | Operator::In | Operator::NotEqual | Operator::Range => {}
        _ => return false,
    }
    let (Some(column), Some(table)) = (filter.key.column(), table) else { return false };
    let is_reference =
        table.foreign_keys.iter().any(|key| key.columns.iter().any(|own| own == column));
    if is_reference {
        return false;
    }
    let stays = filter.slots.is_empty() || stays_while_others_vary(query, filter);
    let distinct =
        table.column(column).and_then(|own| own.distinct_count(table.rows.unwrap_or(1e6)));
    let has_few = |most: f64| distinct.is_some_and(|distinct| distinct <= most);
    if filter.operator == Operator::Range {
        let is_number =
            table.column(column).is_some_and(|own| TypeClass::of(&own.type_name).is_number());
        let is_bound = stays || is_beside_zero(condition) || has_few(MOST_STATES_IF_NOTHING_VARIES);
        return is_number && !table.has_unique(&[column]) && is_bound;
    }
    has_few(if stays { MOST_STATES } else { MOST_STATES_IF_NOTHING_VARIES })
}

fn stays_while_others_vary(query: &Query, filter: &Predicate) -> bool {
    query.slots.iter().enumerate().any(|(at, values)| {
        !filter.slots.contains(&(at as u16 + 1))
            && values.seen >= ENOUGH_EXECUTIONS
            && values.distinct() > 1
    })
}
