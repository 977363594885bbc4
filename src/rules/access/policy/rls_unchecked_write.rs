//! Inserted and updated rows whose owner is not checked.

use crate::access::policies::Condition;
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
            if access.is_restricted(&table.name, command) {
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
        .collect()
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
