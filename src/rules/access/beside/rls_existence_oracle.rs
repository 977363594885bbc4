//! Unique keys over rows that policies hide.

use crate::model::finding::{Finding, Level};
use crate::rules::access::found::found;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-existence-oracle",
    summary: "a unique key that tells of rows one may not see",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_existence_oracle.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let guarded =
        access.tables().filter(|table| table.row_security && access.has_identity(&table.name));
    guarded
        .filter(|table| !access.reach(&table.name, &["INSERT", "UPDATE"]).is_empty())
        .filter_map(|table| {
            let owners = access.domains.owner_columns(&table.name);
            let index = table.indexes.iter().find(|index| {
                let is_of_owner = index.def.keys.iter().any(|key| owners.contains(&key.expression));
                index.unique && !index.primary && !is_of_owner
            })?;
            let keys: Vec<String> = index.def.keys.iter().map(|key| key.expression.clone()).collect();
            let message = format!(
                "{} of {} is unique over the rows of all: that a value is taken tells of rows one may not see",
                keys.join(", "),
                table.name
            );
            let name = table.name.to_string();
            Some(found(RULE.id, Level::Info, &name, Some(&table.name), keys, message))
        })
        .collect()
}
