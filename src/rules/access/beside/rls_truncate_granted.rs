//! Privileges that no policy applies to.

use std::collections::BTreeMap;

use crate::model::finding::{Finding, Level};
use crate::model::name::TableName;
use crate::rules::access::found::{for_tables, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-truncate-granted",
    summary: "TRUNCATE, REFERENCES or TRIGGER for a role of the application",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_truncate_granted.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let owned = access.tables().filter(|table| table.row_security || access.is_owned(&table.name));
    let mut by_roles: BTreeMap<Vec<&str>, Vec<&TableName>> = BTreeMap::new();
    for table in owned {
        let roles = access.reach(&table.name, &["TRUNCATE", "REFERENCES", "TRIGGER"]);
        if !roles.is_empty() && roles != [""] {
            by_roles.entry(roles).or_default().push(&table.name);
        }
    }
    by_roles
        .iter()
        .flat_map(|(roles, tables)| {
            for_tables(RULE.id, Level::Warning, &roles.join(","), tables, &|named| {
                format!("{} may TRUNCATE {named}, refer to it or put triggers on it: no policy applies to that", in_words(roles))
            })
        })
        .collect()
}
