//! Whether an index serves a filter, a join or an order.

use crate::model::catalog::{Column, Table};
use crate::model::index::{AccessMethod, Index, IndexKey};
use crate::model::workload::shape::{Key, Operator, Predicate, Scan};
use crate::sql::expression::equivalence::may_be;
use crate::sql::expression::implication::may_imply;
use crate::sql::resolve::operator::is_distance;

impl Predicate {
    /// Some access method can serve it.
    pub fn is_sargable(&self) -> bool {
        !matches!(
            self.operator,
            Operator::NotEqual | Operator::Element | Operator::Other | Operator::IsNotNull
        )
    }
}

impl Index {
    /// It begins with the key of the predicate, and its method serves the operator.
    pub fn serves(&self, table: &Table, predicate: &Predicate) -> bool {
        let first = self.def.keys.first();
        let leads = first.is_some_and(|key| key.is_for(&predicate.key));
        match (&self.def.method, predicate.operator) {
            _ if !self.valid => false,
            // A pattern needs an operator class for patterns; GIN and GiST serve any of their keys.
            (
                AccessMethod::Gin | AccessMethod::Gist | AccessMethod::SpGist,
                Operator::Like
                | Operator::ILike
                | Operator::Contains
                | Operator::Contained
                | Operator::Within
                | Operator::Similar,
            ) => self.def.keys.iter().any(|key| key.is_for(&predicate.key)),
            (AccessMethod::Gin, _) => false,
            // A prefix is found by bytes, whatever the collation of the column.
            (AccessMethod::Btree, Operator::Like) => first.is_some_and(|key| {
                let plain = IndexKey { collation: None, ..key.clone() };
                plain.is_for(&predicate.key) && key.is_ordered_by_bytes(table)
            }),
            (
                _,
                Operator::ILike
                | Operator::Contains
                | Operator::Contained
                | Operator::Similar
                | Operator::Element,
            ) => false,
            (AccessMethod::Hash, operator) => leads && operator == Operator::Equal,
            _ => leads,
        }
    }

    /// It begins with these columns, in any order.
    pub fn begins_with(&self, columns: &[String]) -> bool {
        let keys = &self.def.keys;
        keys.len() >= columns.len()
            && keys[..columns.len()].iter().all(|key| columns.contains(&key.expression))
    }

    /// It holds all rows that the scan asks for, as far as can be told.
    fn holds_rows_of(&self, scan: &Scan) -> bool {
        self.def.predicate.as_ref().is_none_or(|condition| may_imply(scan, condition))
    }

    /// It returns rows in the order of the scan once its equality columns are fixed.
    fn gives_order(&self, scan: &Scan) -> bool {
        let keys = &self.def.keys;
        let is_fixed = |key: &&IndexKey| {
            scan.fixed().any(|own| key.is_for(&own))
                && !scan.sort.first().is_some_and(|sort| key.is_for(&sort.key))
        };
        let rest = &keys[keys.iter().take_while(is_fixed).count()..];
        let is_ordered = |backwards: bool| {
            rest.len() >= scan.sort.len()
                && scan.sort.iter().zip(rest).all(|(sort, key)| {
                    key.is_for(&sort.key)
                        && (key.descending != backwards) == sort.descending
                        && (key.nulls_first != backwards) == sort.nulls_first
                })
        };
        is_ordered(false) || is_ordered(true)
    }

    /// It returns rows by their distance from a value, as the scan orders them.
    fn gives_distance_order(&self, scan: &Scan) -> bool {
        let [by] = &scan.sort[..] else { return false };
        matches!(self.def.method, AccessMethod::Gist | AccessMethod::SpGist)
            && !by.descending
            && self.def.keys.iter().any(|key| is_distance(by.key.sql(), &key.expression))
    }
}

impl Table {
    /// Some index serves some filter of the scan.
    pub fn is_filter_served(&self, scan: &Scan) -> bool {
        let mut fit = self.indexes.iter().filter(|index| index.holds_rows_of(scan));
        fit.any(|index| scan.filters.iter().any(|filter| index.serves(self, filter)))
    }

    /// Some index gives the order of the scan.
    pub fn is_sort_served(&self, scan: &Scan) -> bool {
        let mut fit = self.indexes.iter().filter(|index| index.valid && index.holds_rows_of(scan));
        fit.any(|index| {
            index.gives_distance_order(scan)
                || (index.def.method == AccessMethod::Btree && index.gives_order(scan))
        })
    }

    /// An index of all rows begins with this column.
    pub fn has_index_on(&self, column: &str) -> bool {
        self.indexes.iter().any(|index| {
            let is_first = |key: &IndexKey| key.expression == column && key.collation.is_none();
            index.valid
                && index.def.predicate.is_none()
                && matches!(index.def.method, AccessMethod::Btree | AccessMethod::Hash)
                && index.def.keys.first().is_some_and(is_first)
        })
    }
}

impl IndexKey {
    /// The key, as the server spells it, and a key of a statement mean the same.
    ///
    /// The server writes `lower(email)` for a varchar as `lower((email)::text)`, so casts to text, blanks
    /// and parentheses are left out of the comparison. A `$n` of the statement may be the constant of the index.
    pub fn is_for(&self, key: &Key) -> bool {
        match (key, &self.collation) {
            (Key::Column(name), collation) => collation.is_none() && self.expression == *name,
            (Key::Expression { sql, .. }, Some(collation)) => {
                may_be(&format!("{} COLLATE {collation}", self.expression), sql)
            }
            (Key::Expression { sql, .. }, None) => !self.is_column && may_be(&self.expression, sql),
        }
    }

    /// A btree finds a prefix by this key: it is ordered by bytes, or by an operator class for patterns.
    fn is_ordered_by_bytes(&self, table: &Table) -> bool {
        match (self.operator_class.as_deref(), self.collation.as_deref()) {
            (Some(class), _) => class.contains("pattern"),
            (None, Some(collation)) => ["\"C\"", "\"POSIX\""].contains(&collation),
            (None, None) => {
                let column = table.column(&self.expression).filter(|_| self.is_column);
                column.is_some_and(Column::is_bytewise)
            }
        }
    }
}
