//! Indexes that no statement reads.

use serde_json::json;

use crate::model::catalog::{Catalog, Table};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::index::Index;
use crate::model::workload::shape::{Key, Scan};
use crate::rules::grouped::deletes;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "unused-index",
    summary: "an index that was never read",
    needs: "a database with statistics of use",
    page: include_str!("unused_index.md"),
    find,
};

/// Statistics younger than this, days, have seen no end of a month.
const FEWEST_DAYS: f64 = 35.0;

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(catalog) = input.catalog else { return Vec::new() };
    let mut findings = Vec::new();
    for table in catalog.tables.iter().filter(|table| table.is_indexable()) {
        for index in &table.indexes {
            if is_unused(index)
                && !stands_in(catalog, table, index)
                && !is_wanted(input, table, index)
            {
                findings.push(finding(catalog, table, index));
            }
        }
    }
    findings
}

/// Tells whether an index is unused. An index that enforces a constraint is used by every write, and an invalid
/// index has its own rule.
fn is_unused(index: &Index) -> bool {
    index.scans == Some(0) && index.valid && !index.constraint && !index.unique
}

/// Another index is read, or may be for all that young statistics tell, that this one makes superfluous: of the two
/// it is the one that stays.
fn stands_in(catalog: &Catalog, table: &Table, index: &Index) -> bool {
    let is_young = !catalog.statistics_days.is_some_and(|days| days >= FEWEST_DAYS);
    let is_read =
        |other: &Index| other.valid && (is_young || other.scans.is_some_and(|scans| scans > 0));
    table.indexes.iter().any(|other| {
        let is_other = other.name != index.name && !other.constraint;
        is_other && is_read(other) && index.makes_superfluous(other)
    })
}

/// Some statement of the workload looks for what the index is on: it may be younger than the
/// statistics.
fn is_wanted(input: &Input<'_>, table: &Table, index: &Index) -> bool {
    let leads = |key: &Key| index.def.keys.first().is_some_and(|own| own.is_for(key));
    let is_wanted_by = |scan: &Scan| {
        scan.filters.iter().any(|filter| leads(&filter.key) || index.serves(table, filter))
            || scan.joins.iter().any(|join| leads(&Key::Column(join.column.clone())))
            || scan.lookups.iter().any(|lookup| leads(&lookup.key))
            || scan.ordered_by().is_some_and(leads)
    };
    if serves_deletes(input, table, index) {
        return true;
    }
    input.scans().filter(|found| found.scan.table == table.name).any(|found| {
        is_wanted_by(found.scan) || found.alternatives().any(|found| is_wanted_by(found.scan))
    })
}

/// It begins with the columns of a foreign key whose referenced rows the workload deletes: each delete looks for the
/// rows that refer to it, and no statement shows that.
fn serves_deletes(input: &Input<'_>, table: &Table, index: &Index) -> bool {
    let mut keys = table.foreign_keys.iter().filter(|key| index.begins_with(&key.columns));
    keys.any(|key| deletes(input, &key.references).next().is_some())
}

fn finding(catalog: &Catalog, table: &Table, index: &Index) -> Finding {
    let age = match catalog.statistics_days {
        Some(days) if days < FEWEST_DAYS => {
            format!("in the {days:.0} days of its statistics, which have not seen a month end")
        }
        Some(days) => format!("in the {days:.0} days of its statistics"),
        None => "since its statistics begin, which nothing tells".to_owned(),
    };
    let elsewhere = match catalog.replicas {
        0 => "",
        _ => "; reads on the other servers of this cluster are counted there",
    };
    let is_old = catalog.statistics_days.is_some_and(|days| days >= FEWEST_DAYS);
    Finding {
        id: format!("{}:{}.{}", RULE.id, index.schema, index.name),
        rule: RULE.id,
        level: if is_old && catalog.replicas == 0 { Level::Warning } else { Level::Info },
        impact_pct: 0.0,
        subject: Subject {
            table: Some(table.name.clone()),
            columns: index.def.keys.iter().map(|key| key.expression.clone()).collect(),
            index: Some(index.name.clone()),
            ..Subject::default()
        },
        message: format!("index {} was not read once {age}{elsewhere}", index.name),
        evidence: vec![json!({
            "kind": "index",
            "provenance": "observed",
            "scans": index.scans,
            "size_bytes": index.size_bytes,
            "statistics_days": catalog.statistics_days,
            "replicas": catalog.replicas,
        })],
        advice: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::fingerprint::Fingerprint;
    use crate::model::workload::{Query, Workload};
    use crate::sql::dump::catalog;
    use crate::sql::resolve::resolver::shape;

    #[test]
    fn of_two_that_do_the_same_one_stays_whichever_is_read() {
        let (mut catalog, _) = catalog::catalog(
            "CREATE TABLE t (id bigint PRIMARY KEY, a int, b int);
             CREATE INDEX t_a ON t (a, b); CREATE INDEX t_a_again ON t (a, b); CREATE INDEX t_short ON t (a);",
        );
        let workload = Workload::default();
        let unused = |catalog: &Catalog| -> Vec<String> {
            let found = find(&Input::new(&workload, Some(catalog)));
            found.into_iter().filter_map(|finding| finding.subject.index).collect()
        };
        let scans = |catalog: &mut Catalog, of: &str, scans: u64| {
            let mut own = catalog.tables[0].indexes.iter_mut();
            own.find(|index| index.name == of).unwrap().scans = Some(scans);
        };
        ["t_a", "t_a_again", "t_short"].iter().for_each(|name| scans(&mut catalog, name, 0));
        catalog.statistics_days = Some(90.0);
        assert_eq!(unused(&catalog), ["t_a", "t_a_again", "t_short"]);
        // They may be read at the end of a month, and what is left reads as well.
        catalog.statistics_days = Some(3.0);
        assert_eq!(unused(&catalog), ["t_short"]);
        catalog.statistics_days = Some(90.0);
        scans(&mut catalog, "t_a_again", 295);
        assert_eq!(
            unused(&catalog),
            ["t_short"],
            "the copy that is read goes: t_a takes its place"
        );
        scans(&mut catalog, "t_a_again", 0);
        scans(&mut catalog, "t_short", 7);
        assert!(unused(&catalog).is_empty(), "either may be what is left in the place of t_short");
    }

    #[test]
    fn what_deletes_look_for_their_references_by_is_used_by_them() {
        let (mut catalog, _) = catalog::catalog(
            "CREATE TABLE p (id bigint PRIMARY KEY); CREATE TABLE c (id bigint PRIMARY KEY, p_id bigint REFERENCES p, a int);
             CREATE INDEX c_p ON c (p_id); CREATE INDEX c_a_p ON c (a, p_id);",
        );
        for index in &mut catalog.tables[1].indexes {
            index.scans = Some(0);
        }
        catalog.statistics_days = Some(90.0);
        let unused = |statement: &str| -> Vec<String> {
            let query = Query {
                fingerprint: Fingerprint(1),
                normalized: statement.to_owned(),
                calls: 1,
                shape: shape(statement, Some(&catalog)).ok(),
                ..Query::default()
            };
            let workload = Workload { queries: vec![query], ..Workload::default() };
            let found = find(&Input::new(&workload, Some(&catalog)));
            found.into_iter().filter_map(|finding| finding.subject.index).collect()
        };
        assert_eq!(unused("DELETE FROM p WHERE id = $1"), ["c_a_p"]);
        assert_eq!(unused("SELECT id FROM p WHERE id = $1"), ["c_p", "c_a_p"]);
    }

    #[test]
    fn only_old_statistics_of_a_lone_server_are_a_warning() {
        let (mut catalog, _) = catalog::catalog(
            "CREATE TABLE t (id bigint PRIMARY KEY, a int, b int);
             CREATE INDEX t_a ON t (a); CREATE UNIQUE INDEX t_b ON t (b);",
        );
        for index in &mut catalog.tables[0].indexes {
            index.scans = Some(0);
        }
        let mut level = |days, replicas| {
            (catalog.statistics_days, catalog.replicas) = (days, replicas);
            let workload = Workload::default();
            let found = find(&Input::new(&workload, Some(&catalog)));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].subject.index.as_deref(), Some("t_a"));
            found[0].level
        };
        assert_eq!(level(Some(90.0), 0), Level::Warning);
        assert_eq!(level(Some(90.0), 2), Level::Info);
        assert_eq!(level(Some(3.0), 0), Level::Info);
        assert_eq!(level(None, 0), Level::Info);
    }
}
