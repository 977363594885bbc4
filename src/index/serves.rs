//! Whether an index serves a filter, a join or an order.

use crate::model::catalog::{Column, Index, IndexKey, Table};
use crate::model::workload::shape::{Key, Operator, Predicate, Scan};
use crate::sql::expression::equivalence::may_be;
use crate::sql::expression::implication::may_imply;
use crate::sql::resolve::operator::is_distance;

/// Some index kind can serve the predicate.
pub fn is_sargable(predicate: &Predicate) -> bool {
    !matches!(
        predicate.operator,
        Operator::NotEqual | Operator::Element | Operator::Other | Operator::IsNotNull
    )
}

/// An index begins with the key of the predicate and its method serves the operator.
pub fn index_serves(table: &Table, index: &Index, predicate: &Predicate) -> bool {
    let leads = index.keys.first().is_some_and(|key| same_key(key, &predicate.key));
    let holds = index.keys.iter().any(|key| same_key(key, &predicate.key));
    match (index.method.as_str(), predicate.operator) {
        _ if !index.valid => false,
        // A pattern needs an operator class that knows patterns; GIN and GiST serve any of their keys.
        (
            "gin" | "gist" | "spgist",
            Operator::Like
            | Operator::ILike
            | Operator::Contains
            | Operator::Contained
            | Operator::Within
            | Operator::Similar,
        ) => holds,
        ("gin", _) => false,
        // A prefix is found by bytes, whatever the collation of the column.
        ("btree", Operator::Like) => index.keys.first().is_some_and(|key| {
            let plain = IndexKey { collation: None, ..key.clone() };
            same_key(&plain, &predicate.key) && orders_patterns(table, key)
        }),
        (
            _,
            Operator::ILike
            | Operator::Contains
            | Operator::Contained
            | Operator::Similar
            | Operator::Element,
        ) => false,
        ("hash", operator) => leads && operator == Operator::Equal,
        _ => leads,
    }
}

/// A btree finds a prefix by this key: it is ordered by bytes, or by an operator class for patterns.
fn orders_patterns(table: &Table, key: &IndexKey) -> bool {
    match key.operator_class.as_deref() {
        Some(class) => class.contains("pattern"),
        None if key.collation.is_some() => {
            key.collation.as_deref().is_some_and(|name| ["\"C\"", "\"POSIX\""].contains(&name))
        }
        None => {
            let column = table.column(&key.expression).filter(|_| key.is_column);
            column.is_some_and(Column::is_bytewise)
        }
    }
}

/// Some index serves some filter of the scan.
pub fn is_filter_served(table: &Table, scan: &Scan) -> bool {
    let mut fit = table.indexes.iter().filter(|index| holds_rows_of(index, scan));
    fit.any(|index| scan.filters.iter().any(|filter| index_serves(table, index, filter)))
}

/// The index holds all rows that the scan asks for, as far as can be told.
fn holds_rows_of(index: &Index, scan: &Scan) -> bool {
    index.predicate.as_ref().is_none_or(|condition| may_imply(scan, condition))
}

/// The index begins with these columns, in any order.
pub fn begins_with(index: &Index, columns: &[String]) -> bool {
    index.keys.len() >= columns.len()
        && index.keys[..columns.len()].iter().all(|key| columns.contains(&key.expression))
}

/// An index leads with this column.
pub fn is_column_led(table: &Table, column: &str) -> bool {
    table.indexes.iter().any(|index| {
        index.valid
            && index.predicate.is_none()
            && matches!(index.method.as_str(), "btree" | "hash")
            && index
                .keys
                .first()
                .is_some_and(|key| key.expression == column && key.collation.is_none())
    })
}

/// An index gives the order of the scan once its equality columns are fixed.
pub fn is_sort_served(table: &Table, scan: &Scan) -> bool {
    table.indexes.iter().any(|index| {
        if index.valid && gives_nearest(index, scan) && holds_rows_of(index, scan) {
            return true;
        }
        if index.method != "btree" || !index.valid || !holds_rows_of(index, scan) {
            return false;
        }
        let fixed = index
            .keys
            .iter()
            .take_while(|key| {
                scan.fixed().any(|own| same_key(key, &own))
                    && !scan.sort.first().is_some_and(|sort| same_key(key, &sort.key))
            })
            .count();
        let rest = &index.keys[fixed..];
        let run = |reverse: bool| {
            rest.len() >= scan.sort.len()
                && scan.sort.iter().zip(rest).all(|(sort, key)| {
                    same_key(key, &sort.key)
                        && (key.descending != reverse) == sort.descending
                        && (key.nulls_first != reverse) == sort.nulls_first
                })
        };
        run(false) || run(true)
    })
}

/// The order is that of the distance from something, which GiST gives.
fn gives_nearest(index: &Index, scan: &Scan) -> bool {
    let [by] = &scan.sort[..] else { return false };
    matches!(index.method.as_str(), "gist" | "spgist")
        && !by.descending
        && index.keys.iter().any(|key| is_distance(by.key.sql(), &key.expression))
}

/// An index key, as the server spells it, and a key of a statement mean the same.
///
/// The server writes `lower(email)` for a varchar as `lower((email)::text)`, so casts to text, blanks
/// and parentheses are left out of the comparison. A `$n` of the statement may be the constant of the index.
pub fn same_key(index: &IndexKey, key: &Key) -> bool {
    match (key, &index.collation) {
        (Key::Column(name), collation) => collation.is_none() && index.expression == *name,
        (Key::Expression { sql, .. }, Some(collation)) => {
            may_be(&format!("{} COLLATE {collation}", index.expression), sql)
        }
        (Key::Expression { sql, .. }, None) => !index.is_column && may_be(&index.expression, sql),
    }
}
