//! Rows that a column of theirs opens to all, for writing too.

use crate::access::alternatives::Asks;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{deciding, of_policy};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-shared-rows",
    summary: "a flag of the row that opens it to all for writing too",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_shared_rows.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    deciding(access)
        .filter_map(|(table, own)| {
            let using = own.using.as_ref()?;
            let writes = !["SELECT", "INSERT"].contains(&own.policy.command.as_str());
            let is_owned = access.is_owned(&table.name) || access.has_identity(&table.name);
            let opens = using.alternatives.iter().any(|parts| {
                parts.contains(&Asks::OfRow)
                    && parts.iter().all(|part| matches!(part, Asks::OfRow | Asks::SignedIn | Asks::Nothing))
            });
            if !writes || !is_owned || !opens || access.is_restricted(&table.name, own.policy) {
                return None;
            }
            let message = format!(
                "policy {} on {} lets everybody change the rows that a column of the row opens: it asks for no owner there",
                own.policy.name, table.name
            );
            Some(of_policy(RULE.id, Level::Error, table, own, message))
        })
        .collect()
}
