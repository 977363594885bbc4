//! Default privileges of tables to come.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{WRITES, found, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-default-privileges",
    summary: "privileges that every table made later will give",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_default_privileges.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let mut by_schema: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for own in &access.catalog.privileges.default_grants {
        let changes = WRITES.contains(&own.privilege.as_str()) || own.privilege == "SELECT";
        if own.objects == "tables" && changes && access.is_bound(&own.role) {
            by_schema
                .entry(own.schema.as_deref().unwrap_or("all schemas"))
                .or_default()
                .insert(&own.role);
        }
    }
    by_schema
        .into_iter()
        .map(|(schema, roles)| {
            let roles: Vec<&str> = roles.into_iter().collect();
            let message = format!(
                "every table that is made later in {schema} is open to {}, until somebody enables row-level security on it",
                in_words(&roles)
            );
            found(RULE.id, Level::Warning, schema, None, Vec::new(), message)
        })
        .collect()
}
