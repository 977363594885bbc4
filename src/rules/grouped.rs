//! Groups what one rule finds by table and columns.

use serde_json::{Value, json};

use super::input::Input;
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level, Subject};
use crate::model::name::TableName;
use crate::model::workload::shape::StatementKind;
use crate::model::workload::{Query, Workload};

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

/// The statements that delete rows of a table.
pub fn deletes<'i>(input: &'i Input<'_>, table: &'i TableName) -> impl Iterator<Item = &'i Query> {
    let all = input.scans().filter(|found| found.shape.kind == StatementKind::Delete);
    all.filter(|found| found.scan.target && found.scan.table == *table).map(|found| found.query)
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
