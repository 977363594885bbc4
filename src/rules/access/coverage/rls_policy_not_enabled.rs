//! Policies that are not applied, as row-level security is off.

use crate::model::finding::{Finding, Level};
use crate::rules::access::found::found;
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::lex::identifier::quote_table;

pub const RULE: Rule = Rule {
    id: "rls-policy-not-enabled",
    summary: "policies on a table whose row-level security is off",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_policy_not_enabled.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let tables = access.tables().filter(|table| !table.row_security && !table.policies.is_empty());
    tables
        .map(|table| {
            let message = format!(
                "{} has {} {} and row-level security is off: none of them is applied",
                table.name,
                table.policies.len(),
                if table.policies.len() == 1 { "policy" } else { "policies" },
            );
            let name = table.name.to_string();
            let mut made =
                found(RULE.id, Level::Error, &name, Some(&table.name), Vec::new(), message);
            made.advice =
                Some(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", quote_table(&table.name)));
            made
        })
        .collect()
}
