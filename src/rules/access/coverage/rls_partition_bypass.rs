//! Partitions that a role may read by themselves.

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

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let privileges = &access.catalog.privileges;
    let guarded =
        |name: &TableName| privileges.relation(name).is_some_and(|relation| relation.row_security);
    privileges
        .relations
        .iter()
        .filter(|relation| !relation.row_security)
        .filter_map(|relation| {
            let parent = relation.part_of.as_ref().filter(|parent| guarded(parent))?;
            let roles = access.reach(&relation.name, &COMMANDS);
            if roles.is_empty() || roles == [""] {
                return None;
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
