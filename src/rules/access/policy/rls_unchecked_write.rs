//! Inserted and updated rows whose owner is not checked.

use crate::access::policies::{Access, Condition, Understood};
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{deciding, of_policy, opens};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-unchecked-write",
    summary: "written rows that may belong to somebody else",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_unchecked_write.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    deciding(access)
        .filter(|(table, _)| access.is_owned(&table.name) || access.has_identity(&table.name))
        .filter_map(|(table, own)| {
            let command = own.policy.command.as_str();
            if access.is_restricted(&table.name, own.policy) {
                return None;
            }
            if !may_write_owner(access, table, own) {
                return None;
            }
            let why = match command {
                "INSERT" => inserted(own.check.as_ref()?),
                "UPDATE" | "ALL" => updated(own.using.as_ref()?, own.check.as_ref()?),
                _ => None,
            }?;
            let message = format!("policy {} on {} {why}", own.policy.name, table.name);
            Some(of_policy(RULE.id, Level::Error, table, own, message))
        })
        .chain(by_others(access))
        .collect()
}

/// Checks of several policies are alternatives: one that holds for every row takes from the others what they ask.
fn by_others(access: &Access<'_>) -> Vec<Finding> {
    let is_update = |own: &Understood<'_>| {
        own.policy.permissive && ["UPDATE", "ALL"].contains(&own.policy.command.as_str())
    };
    let mut all = Vec::new();
    for table in access.tables().filter(|table| table.row_security) {
        let policies = access.policies(&table.name);
        for own in policies.iter().filter(|own| is_update(own)) {
            let opens_all = own.check.as_ref().is_some_and(Condition::is_always_true);
            let is_guarded =
                own.using.as_ref().is_some_and(|using| !using.is_always_true() && !using.is_tied());
            let shares = |other: &&Understood<'_>| {
                let roles = &own.policy.roles;
                roles.is_empty() || roles.iter().any(|role| other.is_for(role))
            };
            let other = policies
                .iter()
                .filter(|other| is_update(other))
                .filter(shares)
                .find(|other| other.using.as_ref().is_some_and(Condition::is_tied));
            if let Some(other) =
                other.filter(|_| opens_all && is_guarded && may_write_owner(access, table, own))
            {
                let message = format!(
                    "policy {} on {} checks nothing, and the check of one policy suffices: whom {} lets change a row may give it away",
                    own.policy.name, table.name, other.policy.name
                );
                all.push(of_policy(RULE.id, Level::Error, table, own, message));
            }
        }
    }
    all
}

/// Some role of the policy may set the column of the owner, and no trigger does.
fn may_write_owner(access: &Access<'_>, table: &Table, own: &Understood<'_>) -> bool {
    let owners = access.domains.owner_columns(&table.name);
    let Some(relation) = access.relation(&table.name) else { return true };
    let is_set = owners.iter().any(|column| {
        relation.triggers.iter().any(|function| {
            let routines = &access.catalog.privileges.routines;
            let body = routines
                .iter()
                .find(|own| own.name == *function)
                .and_then(|own| own.body.as_deref());
            body.is_some_and(|body| {
                body.to_lowercase().replace(' ', "").contains(&format!("new.{column}:="))
            })
        })
    });
    if owners.is_empty() || !access.catalog.privileges.has_grants() {
        return !is_set;
    }
    let command = if own.policy.command == "INSERT" { "INSERT" } else { "UPDATE" };
    let roles: Vec<&str> = access
        .reach(&table.name, &[command])
        .into_iter()
        .filter(|role| own.is_for(role) || *role == "PUBLIC")
        .collect();
    let may_set =
        |column: &String| roles.iter().any(|role| relation.grants_column(role, command, column));
    // Where nobody may write at all, a privilege that is given later shows the hole.
    !is_set && (roles.is_empty() || owners.iter().any(may_set))
}

/// Why rows may be inserted that belong to somebody else.
fn inserted(check: &Condition) -> Option<String> {
    let open = check.alternatives.iter().any(|parts| opens(parts));
    open.then(|| {
        "does not check whose row is inserted: a user may insert rows in the name of another"
            .to_owned()
    })
}

/// Why a row may be given away, or become another's.
fn updated(using: &Condition, check: &Condition) -> Option<String> {
    if check.alternatives.iter().any(|parts| opens(parts)) {
        // Where the old row is open as well, another rule tells.
        return using
            .is_tied()
            .then(|| "does not check whose row is written: a user may give rows away or write in the name of another".to_owned());
    }
    let (of_old, of_new) = (using.owner_columns(), check.owner_columns());
    let lost: Vec<&str> = of_old.difference(&of_new).copied().collect();
    let is_plain = using.alternatives.len() == 1;
    (is_plain && !lost.is_empty()).then(|| {
        format!(
            "checks {} of the old row and not of the new one: a user may give rows away",
            lost.join(", ")
        )
    })
}
