//! Policies that trust what users write about themselves.

use crate::access::actor::Actor;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{deciding, of_policy};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-user-claim",
    summary: "a policy that trusts a claim that the user writes",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_user_claim.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    deciding(access)
        .filter(|(_, own)| {
            own.conditions().any(|condition| {
                access.actors.mentions(&condition.term, &|actor| actor == Actor::UserClaim)
            })
        })
        .map(|(table, own)| {
            let message = format!(
                "policy {} on {} trusts user_metadata, which users change themselves",
                own.policy.name, table.name
            );
            of_policy(RULE.id, Level::Error, table, own, message)
        })
        .collect()
}
