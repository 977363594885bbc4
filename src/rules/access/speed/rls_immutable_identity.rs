//! Functions whose answer depends on who asks, and that are declared not to.

use crate::model::finding::{Finding, Level};
use crate::rules::access::found::found;
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::lex::identifier::quote_table;

pub const RULE: Rule = Rule {
    id: "rls-immutable-identity",
    summary: "a function that tells who asks and is declared IMMUTABLE",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_immutable_identity.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let routines = access.actors.bodies.routines().filter(|(routine, _)| routine.volatility == "i");
    routines
        .filter_map(|(routine, body)| {
            let asks = body.parts.iter().any(|part| access.actors.mentions_any(part));
            let reads = body.parts.iter().any(|part| access.actors.reads_tables(part));
            let what = match (asks, reads) {
                (true, _) => "a setting of the session",
                (false, true) => "a table",
                _ => return None,
            };
            let message = format!(
                "function {} reads {what} and is declared IMMUTABLE: a prepared statement may keep the answer for another user",
                routine.name
            );
            let mut made = found(RULE.id, Level::Error, &routine.name.to_string(), None, Vec::new(), message);
            made.advice = Some(format!("ALTER FUNCTION {}({}) STABLE", quote_table(&routine.name), routine.argument_types.join(", ")));
            Some(made)
        })
        .collect()
}
