//! Row-level security without a policy: no role that it binds gets a row.

use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{COMMANDS, found, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-no-policy",
    summary: "row-level security without a policy on a table that a role uses",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_no_policy.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let tables = access
        .tables()
        .filter(|table| table.row_security && !table.policies.iter().any(|own| own.permissive));
    tables
        .filter_map(|table| {
            let roles = access.reach(&table.name, &COMMANDS);
            if roles.is_empty() {
                return None;
            }
            // Somebody gets no rows; whether it matters, statements tell.
            let is_used = input.scans().any(|found| found.scan.table == table.name);
            // Policies that restrict open nothing by themselves: somebody took them for more.
            let has_others = !table.policies.is_empty();
            let level = if is_used || has_others { Level::Warning } else { Level::Info };
            let message = format!(
                "row-level security of {} has no policy that opens rows: {} may use the table and gets none",
                table.name,
                in_words(&roles)
            );
            let name = table.name.to_string();
            Some(found(RULE.id, level, &name, Some(&table.name), Vec::new(), message))
        })
        .collect()
}
