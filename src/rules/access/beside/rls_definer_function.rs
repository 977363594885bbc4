//! Functions that run as their owner.

use crate::access::bodies::Body;
use crate::access::policies::Access;
use crate::model::access::privileges::Routine;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{WRITES, evidence, found, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::{Select, Term};
use crate::sql::lex::lexer::tokens;

pub const RULE: Rule = Rule {
    id: "rls-definer-function",
    summary: "a function with the power of its owner that gives or takes what it is asked for",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_definer_function.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let routines = access.actors.bodies.routines().filter(|(routine, _)| routine.definer);
    routines.filter_map(|(routine, body)| of(access, routine, body)).collect()
}

fn of(access: &Access<'_>, routine: &Routine, body: &Body) -> Option<Finding> {
    let roles: Vec<&str> = routine
        .granted_to
        .iter()
        .map(String::as_str)
        .filter(|role| access.is_bound(role))
        .collect();
    let is_trigger = routine.returns.contains("trigger");
    let mut reasons = Vec::new();
    let mut level = Level::Warning;
    if routine.search_path.is_none() {
        reasons.push("its search_path is not fixed, so that a caller decides which tables and functions it names");
    }
    if !roles.is_empty() && !is_trigger {
        let text = routine.body.as_deref().unwrap_or_default();
        let asks_who = body.parts.iter().any(|part| access.actors.mentions_any(part))
            || access.actors.text_asks(text);
        if !asks_who && reads_asked_for(access, body) {
            reasons.push("it gives the rows of whom it is asked for, and does not ask who calls");
            level = Level::Error;
        } else if !asks_who && writes(routine) {
            reasons.push("it changes rows and does not ask who calls");
            level = Level::Error;
        }
    }
    if reasons.is_empty() || (roles.is_empty() && !is_trigger) {
        return None;
    }
    let message = format!(
        "function {} runs as its owner, {} may call it, and {}",
        routine.name,
        if roles.is_empty() { "a trigger".to_owned() } else { in_words(&roles) },
        reasons.join("; ")
    );
    let mut made = found(RULE.id, level, &routine.name.to_string(), None, Vec::new(), message);
    evidence(&mut made, "function", "arguments", routine.argument_types.clone());
    Some(made)
}

/// It reads rows of somebody without a condition, or by an argument. What stands for one value, such as a count for a
/// check, is read by a key that only its owner knows, or is no row.
fn reads_asked_for(access: &Access<'_>, body: &Body) -> bool {
    let mut found = false;
    for part in &body.parts {
        part.walk(&mut |term| {
            if let Term::Query(query) | Term::Array(query) = term {
                found |= gives_rows(access, query);
            }
            !found
        });
    }
    found
}

fn gives_rows(access: &Access<'_>, query: &Select) -> bool {
    let of_somebody = query
        .sources
        .iter()
        .filter_map(|source| source.table.as_ref())
        .any(|table| access.is_owned(table));
    let by_argument = query
        .condition
        .as_ref()
        .is_none_or(|own| own.has(&|term| matches!(term, Term::Parameter(_))));
    of_somebody && by_argument
}

fn writes(routine: &Routine) -> bool {
    let body = routine.body.as_deref().unwrap_or_default();
    tokens(body).any(|token| WRITES.iter().any(|word| token.is_word(word)))
}
