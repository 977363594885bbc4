//! Policies whose condition holds for every row of somebody.

use super::rls_shadowed_name::is_shadowed;
use crate::access::alternatives::Asks;
use crate::access::policies::{Access, Understood};
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{deciding, in_words, is_meant_for_all, of_policy};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-always-true",
    summary: "a policy that opens every row of somebody to all",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_always_true.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    deciding(access).filter_map(|(table, own)| of(input, access, table, own)).collect()
}

fn of(
    input: &Input<'_>,
    access: &Access<'_>,
    table: &Table,
    own: &Understood<'_>,
) -> Option<Finding> {
    let using = own.using.as_ref().filter(|_| own.policy.command != "INSERT")?;
    let is_owned = access.is_owned(&table.name) || access.has_identity(&table.name);
    if !is_owned
        || access.is_restricted(&table.name, own.policy)
        || is_shadowed(access, &using.term)
    {
        return None;
    }
    let is_unrelated = using.opens_by(&|part| *part == Asks::Unrelated);
    if !using.is_always_true() && !is_unrelated {
        return None;
    }
    let reads_alone = own.policy.command == "SELECT";
    let level = match reads_alone && !is_unrelated && is_meant_for_all(input, access, table) {
        true => Level::Info,
        false => Level::Error,
    };
    let why = match is_unrelated {
        true => "asks a sub-query that is tied to no row",
        false => "is true for every row",
    };
    let does = if reads_alone { "read" } else { "read and change" };
    let does =
        if ["UPDATE", "DELETE"].contains(&own.policy.command.as_str()) { "change" } else { does };
    let message = format!(
        "the condition of policy {} on {} {why}: {} may {does} the rows of all",
        own.policy.name,
        table.name,
        in_words(
            &own.policy
                .roles
                .iter()
                .map(|role| if role == "public" { "PUBLIC" } else { role })
                .collect::<Vec<_>>()
        ),
    );
    Some(of_policy(RULE.id, level, table, own, message))
}
