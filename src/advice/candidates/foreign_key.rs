//! Indexes on foreign keys, from findings.

use crate::advice::input::Input;
use crate::model::finding::{Finding, Level};
use crate::model::index::{AccessMethod, IndexDef, IndexKey};

/// The finding's evidence lists the statement.
pub fn names(finding: &Finding, fingerprint: &str) -> bool {
    finding.evidence.iter().any(|evidence| {
        evidence["fingerprints"]
            .as_array()
            .is_some_and(|list| list.iter().any(|known| known.as_str() == Some(fingerprint)))
    })
}

/// A foreign key whose referenced rows are deleted; the rest stay without: an index that serves
/// nothing costs every write.
pub fn foreign_keys(input: &Input<'_>) -> Vec<(IndexDef, Vec<String>)> {
    let mut found = Vec::new();
    for finding in input.findings {
        if finding.rule != "unindexed-foreign-key" || finding.level < Level::Warning {
            continue;
        }
        let Some(table) = &finding.subject.table else { continue };
        let keys = finding.subject.columns.iter().map(IndexKey::column).collect();
        found.push((IndexDef::on(table, AccessMethod::Btree, keys), vec![finding.id.clone()]));
    }
    found
}
