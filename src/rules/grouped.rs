//! Whether an index that is there already serves a scan.

use serde_json::{Value, json};

use super::Input;
use crate::model::catalog::{Column, Index, IndexKey, Table};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::name::TableName;
use crate::model::workload::shape::{Key, Operator, Predicate, Scan, StatementKind};
use crate::model::workload::{Query, Workload};
use crate::sql::expression::equivalence::may_be;
use crate::sql::expression::implication::may_imply;
use crate::sql::resolve::operator::is_distance;

/// Statements faster than this in the mean, microseconds, do not wait for a scan that matters.
pub const FAST_MEAN_US: u64 = 500;
/// Without a catalog: blocks read for each row returned from which on a scan is suspected. An index
/// reads a handful.
pub const SUSPECT_BLOCKS_PER_ROW: u64 = 100;
/// Without a catalog and without block counts: mean from which on a scan is suspected, microseconds.
pub const SUSPECT_MEAN_US: u64 = 20_000;

/// Worth an index: the table is not small and the statement not fast already, as far as is known.
pub fn is_worth_an_index(query: &Query, table: &Table) -> bool {
    table.is_indexable()
        && !table.is_small()
        && query.mean_us().is_none_or(|mean| mean >= FAST_MEAN_US)
}

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

/// The statements that delete rows of a table.
pub fn deletes<'i>(input: &'i Input<'_>, table: &'i TableName) -> impl Iterator<Item = &'i Query> {
    let all = input.scans().filter(|found| found.shape.kind == StatementKind::Delete);
    all.filter(|found| found.scan.target && found.scan.table == *table).map(|found| found.query)
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

/// Findings of one rule, one for each table and set of columns, over all statements that show it.
pub struct Grouped {
    rule: &'static str,
    groups: Vec<Group>,
    /// The group that was added to last.
    last: usize,
}

struct Group {
    table: TableName,
    columns: Vec<String>,
    level: Level,
    message: String,
    queries: Vec<(String, u64)>,
    worst: Option<(u64, crate::model::workload::fingerprint::Fingerprint)>,
    total_us: u64,
    extra: Vec<Value>,
}

impl Grouped {
    pub fn new(rule: &'static str) -> Self {
        Grouped { rule, groups: Vec::new(), last: 0 }
    }

    /// Notes that `query` shows the pattern. Level and message of the first statement stay.
    pub fn add(
        &mut self,
        table: &TableName,
        columns: Vec<String>,
        level: Level,
        query: &Query,
        message: impl FnOnce() -> String,
    ) {
        let known =
            self.groups.iter().position(|group| &group.table == table && group.columns == columns);
        let at = known.unwrap_or_else(|| {
            self.groups.push(Group {
                table: table.clone(),
                columns,
                level,
                message: message(),
                queries: Vec::new(),
                worst: None,
                total_us: 0,
                extra: Vec::new(),
            });
            self.groups.len() - 1
        });
        self.last = at;
        let group = &mut self.groups[at];
        let name = query.fingerprint.to_string();
        if group.queries.iter().any(|(known, _)| *known == name) {
            return;
        }
        group.queries.push((name, query.calls));
        group.total_us += query.total_us;
        if group.worst.is_none_or(|(most, _)| query.total_us > most) {
            group.worst = Some((query.total_us, query.fingerprint));
        }
    }

    /// Adds evidence to the group that was added to last.
    pub fn evidence(&mut self, evidence: Value) {
        if let Some(group) = self.groups.get_mut(self.last)
            && !group.extra.contains(&evidence)
        {
            group.extra.push(evidence);
        }
    }

    pub fn finish(self, workload: &Workload) -> Vec<Finding> {
        let rule = self.rule;
        self.groups
            .into_iter()
            .map(|group| {
                let calls: u64 = group.queries.iter().map(|(_, calls)| calls).sum();
                let mut evidence = vec![json!({
                    "kind": "statements",
                    "provenance": "observed",
                    "calls": calls,
                    "total_us": group.total_us,
                    "fingerprints": group.queries.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                })];
                evidence.extend(group.extra);
                Finding {
                    id: format!("{rule}:{}({})", group.table, group.columns.join(",")),
                    rule,
                    level: group.level,
                    impact_pct: workload.share_pct(group.total_us),
                    subject: Subject {
                        table: Some(group.table),
                        columns: group.columns,
                        query: group.worst.map(|(_, fingerprint)| fingerprint),
                        ..Subject::default()
                    },
                    message: group.message,
                    evidence,
                    advice: None,
                }
            })
            .collect()
    }
}
