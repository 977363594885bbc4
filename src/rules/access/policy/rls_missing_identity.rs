//! Policies that open rows to whoever is not signed in.

use crate::access::policies::Condition;
use crate::access::truth::{Asking, Truth, truth};
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{deciding, of_policy};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-missing-identity",
    summary: "a policy that is true where no identity is set",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_missing_identity.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    deciding(access)
        .filter_map(|(table, own)| {
            let opened = |condition: &Condition| {
                let of = |asking| truth(&access.actors, &condition.term, asking);
                of(Asking::Somebody) != Truth::True
                    && (of(Asking::Nobody) == Truth::True || of(Asking::Empty) == Truth::True)
            };
            if !own.conditions().any(opened) {
                return None;
            }
            let message = format!(
                "policy {} on {} is true where no identity is set: whoever is not signed in passes it",
                own.policy.name, table.name
            );
            Some(of_policy(RULE.id, Level::Error, table, own, message))
        })
        .collect()
}
