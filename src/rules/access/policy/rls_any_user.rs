//! Policies that ask only that somebody is signed in.

use crate::access::alternatives::Asks;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{deciding, is_meant_for_all, of_policy};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-any-user",
    summary: "a policy that any signed-in user passes",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_any_user.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    deciding(access)
        .filter_map(|(table, own)| {
            let using = own.using.as_ref().filter(|_| own.policy.command != "INSERT")?;
            let opens = using.opens_by(&|part| *part == Asks::SignedIn);
            let is_owned = access.is_owned(&table.name) || access.has_identity(&table.name);
            if !opens || !is_owned || access.is_restricted(&table.name, own.policy) {
                return None;
            }
            let reads_alone = own.policy.command == "SELECT";
            let level = match reads_alone && is_meant_for_all(input, access, table) {
                true => Level::Info,
                false => Level::Error,
            };
            let message = format!(
                "policy {} on {} asks that somebody is signed in and names no column of the row: any user may {} the rows of all",
                own.policy.name,
                table.name,
                if reads_alone { "read" } else { "change" },
            );
            Some(of_policy(RULE.id, level, table, own, message))
        })
        .collect()
}
