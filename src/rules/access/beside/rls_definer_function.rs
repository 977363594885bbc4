//! Functions that run as their owner.

use crate::access::body::Body;
use crate::access::policies::Access;
use crate::model::access::privileges::Routine;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{evidence, found, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::{Select, Term};
use crate::sql::lex::lexer::{Token, tokens};

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
        let checks = body.parts.iter().any(|part| checks(access, part));
        if !checks && reads_asked_for(access, body) {
            reasons.push(match routine.arguments.is_empty() {
                true => "it reads the rows of all, and does not ask who calls",
                false => "it reads the rows of whom it is asked for, and does not ask who calls",
            });
            level = Level::Error;
        } else if !checks && writes(access, routine) {
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

/// A condition compares something with who calls, or asks for what he is, and not only whether he is there.
fn checks(access: &Access<'_>, part: &Term) -> bool {
    let is_actor = |term: &Term| access.actors.actor(term).is_some();
    let is_argument = |term: &Term| term.has(&|term| matches!(term, Term::Parameter(_)));
    part.has(&|term| match term {
        // `coalesce(argument, who)` is what the caller says.
        Term::Compare(_, a, b) | Term::Any(_, a, b) => {
            [(a, b), (b, a)].iter().any(|(own, other)| {
                let asked = is_actor(own) || access.actors.mentions_any(own);
                asked && !is_argument(own) && !matches!(other.bare(), Term::Null)
            })
        }
        // `pg_has_role(session_user, …)`.
        Term::Call(call) if call.name.starts_with("pg_has_") || call.name.starts_with("has_") => {
            call.arguments.iter().any(is_actor)
        }
        Term::Call(call) => access.actors.bodies.called(call).is_some_and(|(_, body)| {
            body.value.as_ref().is_some_and(|value| checks(access, value))
                || body.parts.iter().any(|part| checks(access, part))
        }),
        _ => false,
    })
}

/// The body changes rows by what it is given, or executes a text.
fn writes(access: &Access<'_>, routine: &Routine) -> bool {
    let body = routine.body.as_deref().unwrap_or_default();
    let all: Vec<Token<'_>> = tokens(body).collect();
    let has = |words: &[&str]| {
        all.windows(words.len())
            .any(|part| part.iter().zip(words).all(|(token, word)| token.is_word(word)))
    };
    // An INSERT or UPDATE whose WHERE or values name who calls is one of his rows.
    let is_own =
        access.actors.text_asks(body) && !only_asks_presence(&all) && !has(&["raise", "log"]);
    let changes = has(&["update"])
        || has(&["delete", "from"])
        || has(&["insert", "into"])
        || has(&["execute"]);
    changes && !is_own
}

/// All that is asked is whether somebody is signed in: `IS NULL`, `IS NOT NULL`.
fn only_asks_presence(all: &[Token<'_>]) -> bool {
    let asks = all.windows(4).filter(|part| part[0].is(")") && part[1].is_word("is")).count();
    let calls = all.windows(3).filter(|part| part[1].is("(") && part[2].is(")")).count();
    asks > 0 && asks >= calls
}
