//! Partitions that a role may read by themselves.

use crate::model::access::privileges::{Privileges, Relation};
use crate::model::finding::{Finding, Level};
use crate::model::name::TableName;
use crate::rules::access::found::{COMMANDS, found, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-partition-bypass",
    summary: "a partition or child that is reached without the policies of its table",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_partition_bypass.md"),
    find,
};

/// The tables that a relation is a part of, the nearest first.
fn above<'p>(privileges: &'p Privileges, relation: &'p Relation) -> Vec<&'p TableName> {
    let mut found = Vec::new();
    let mut at = relation.part_of.as_ref();
    while let Some(parent) = at.filter(|parent| !found.contains(parent)) {
        found.push(parent);
        at = privileges.relation(parent).and_then(|own| own.part_of.as_ref());
    }
    found
}

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let privileges = &access.catalog.privileges;
    let guarded =
        |name: &TableName| privileges.relation(name).is_some_and(|relation| relation.row_security);
    privileges
        .relations
        .iter()
        .filter_map(|relation| {
            let parent = above(privileges, relation).into_iter().find(|parent| guarded(parent))?;
            let mut roles = access.reach(&relation.name, &COMMANDS);
            roles.retain(|role| *role == "PUBLIC" || !access.is_open_to(parent, &[role]));
            if roles.is_empty() || roles == [""] {
                return None;
            }
            let weak = access.weak_policy_of_part(relation, parent);
            if relation.row_security && weak.is_none() {
                return None;
            }
            if let Some(weak) = weak.filter(|_| relation.row_security) {
                let message = format!(
                    "{} may use {} by itself, and policy {weak} there opens more than the policies of {parent}",
                    in_words(&roles),
                    relation.name
                );
                let name = relation.name.to_string();
                return Some(found(RULE.id, Level::Error, &name, Some(&relation.name), Vec::new(), message));
            }
            let message = format!(
                "{} may use {} by itself, and the policies of {parent} apply only to statements that name {parent}",
                in_words(&roles),
                relation.name
            );
            let name = relation.name.to_string();
            Some(found(RULE.id, Level::Error, &name, Some(&relation.name), Vec::new(), message))
        })
        .collect()
}
