//! Columns that are compared with themselves, as a name means the inner table.

use crate::access::policies::Access;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{found, of_policy};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::{Call, Column, Owner, Term};

pub const RULE: Rule = Rule {
    id: "rls-shadowed-name",
    summary: "a name that means the inner column and is compared with itself",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_shadowed_name.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let mut all = Vec::new();
    for table in access.tables() {
        for own in access.policies(&table.name) {
            let Some(column) = own.conditions().find_map(|own| shadowed(&own.term)) else {
                continue;
            };
            let message = format!(
                "policy {} on {} compares {column} with itself: inside the sub-query the name is that of the inner table, and the row is not asked for",
                own.policy.name, table.name
            );
            all.push(of_policy(RULE.id, Level::Error, table, own, message));
        }
    }
    for (routine, body) in access.actors.bodies.routines() {
        let Some(column) = body.parts.iter().find_map(shadowed) else { continue };
        let is_argument = column
            .rsplit('.')
            .next()
            .is_some_and(|name| routine.arguments.iter().any(|own| own == name));
        let message = format!(
            "the function {} compares {column} with itself: {}",
            routine.name,
            match is_argument {
                true => "its argument has the name of a column, and the column is meant",
                false => "the condition holds for every row",
            }
        );
        all.push(found(
            RULE.id,
            Level::Error,
            &routine.name.to_string(),
            None,
            Vec::new(),
            message,
        ));
    }
    all
}

/// A column in FROM that is compared with itself.
fn shadowed(term: &Term) -> Option<String> {
    let mut name = None;
    term.walk(&mut |term| {
        if let Term::Compare(_, a, b) = term
            && a == b
            && let Term::Column(Column { owner: Owner::Source { alias, .. }, name: column }) = &**a
        {
            name.get_or_insert_with(|| format!("{alias}.{column}"));
        }
        name.is_none()
    });
    name
}

/// The condition, or a function that it calls, compares a column with itself.
pub fn is_shadowed(access: &Access<'_>, term: &Term) -> bool {
    let is_in_body = |call: &Call| {
        let body = access.actors.bodies.called(call).map(|(_, body)| &body.parts);
        body.is_some_and(|parts| parts.iter().any(|part| shadowed(part).is_some()))
    };
    shadowed(term).is_some()
        || term.has(&|term| matches!(term, Term::Call(call) if is_in_body(call)))
}
