//! A condition as alternatives of parts, and what each part asks for.

use super::actor::{Actor, Actors, mentions_row};
use super::truth::{Asking, Truth, truth};
use crate::sql::condition::term::{Select, Term, Test};

/// Alternatives beyond these are not taken apart.
const MAX_ALTERNATIVES: usize = 64;

/// What a part of a condition asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: it is always true.
    Nothing,
    /// A column of the row is who asks.
    Owner(String),
    /// The row is tied to who asks in another way: through other tables or a function.
    Tied,
    /// Something of the row, whoever asks.
    OfRow,
    /// That somebody is signed in.
    SignedIn,
    /// What the user himself wrote into his claims.
    UserClaim,
    /// Something of who asks and not of the row: that he is an administrator.
    Guard,
    /// A sub-query that is tied to no row.
    Unrelated,
    /// It is not understood.
    Unknown,
}

/// Alternatives, each the parts that have to hold together.
pub fn alternatives(actors: &Actors<'_>, term: &Term) -> Vec<Vec<Asks>> {
    let found = split(actors, term, false, 6);
    found.iter().map(|parts| parts.iter().map(|part| asks(actors, part)).collect()).collect()
}

/// The alternatives as terms; a part that is negated stands in a `NOT`.
pub fn split(actors: &Actors<'_>, term: &Term, negated: bool, depth: usize) -> Vec<Vec<Term>> {
    let one = || {
        let term = term.clone();
        vec![vec![if negated { Term::Not(Box::new(term)) } else { term }]]
    };
    match term {
        Term::Not(of) => split(actors, of, !negated, depth),
        Term::Cast(of) => split(actors, of, negated, depth),
        Term::Or(all) | Term::And(all) if matches!(term, Term::Or(_)) != negated => {
            let found: Vec<_> =
                all.iter().flat_map(|own| split(actors, own, negated, depth)).collect();
            if found.len() > MAX_ALTERNATIVES { one() } else { found }
        }
        Term::Or(all) | Term::And(all) => {
            let mut found = vec![Vec::new()];
            for own in all {
                let own = split(actors, own, negated, depth);
                if found.len() * own.len() > MAX_ALTERNATIVES {
                    return one();
                }
                found = found
                    .iter()
                    .flat_map(|left| own.iter().map(move |right| [&left[..], &right[..]].concat()))
                    .collect();
            }
            found
        }
        Term::Query(query) => match query.only_output() {
            Some(output) => split(actors, output, negated, depth),
            None => one(),
        },
        Term::Is(of, Test::True) if !negated => split(actors, of, false, depth),
        // Of a condition and what stands for NULL.
        Term::Call(call) if call.name == "coalesce" && !negated && !call.arguments.is_empty() => {
            let first = split(actors, &call.arguments[0], false, depth);
            let rest = call.arguments[1..].iter().filter(|own| is_condition(own));
            let rest = rest
                .flat_map(|own| split(actors, own, false, depth))
                .filter(|parts| parts.iter().all(|part| !matches!(part, Term::Bool(_))));
            first.into_iter().chain(rest).collect()
        }
        Term::Call(call) if depth > 0 => match actors.bodies.value(call) {
            Some(value) if is_condition(&value) => split(actors, &value, negated, depth - 1),
            _ => one(),
        },
        _ => one(),
    }
}

fn is_condition(term: &Term) -> bool {
    match term {
        Term::And(_) | Term::Or(_) | Term::Not(_) | Term::Is(..) | Term::Compare(..) => true,
        Term::Any(..) | Term::Exists(_) | Term::Bool(_) | Term::Call(_) => true,
        Term::Cast(of) => is_condition(of),
        _ => false,
    }
}

/// What one part asks for.
pub fn asks(actors: &Actors<'_>, part: &Term) -> Asks {
    match truth(actors, part, Asking::Somebody) {
        Truth::True => return Asks::Nothing,
        // It opens nothing.
        Truth::False | Truth::Null => return Asks::Guard,
        Truth::Depends => {}
    }
    if let Some(asks) = negative(actors, part) {
        return asks;
    }
    if actors.mentions(part, &|actor| actor == Actor::UserClaim) {
        return Asks::UserClaim;
    }
    if let Term::Compare(operator, a, b) = part
        && operator == "="
        && let Some(column) = owner_column(actors, a, b).or_else(|| owner_column(actors, b, a))
    {
        return Asks::Owner(column);
    }
    let (row, actor) = (mentions_row(part), actors.mentions_any(part));
    let reads = actors.reads_tables(part);
    match (row, actor) {
        (true, true) => Asks::Tied,
        // The rows of the other table may be hidden from who asks by policies of their own.
        (true, false) if actors.reads(part, &|table| actors.guarded.contains(table)) => Asks::Tied,
        (true, false) if has_opaque_call(actors, part) => Asks::Tied,
        (true, false) => Asks::OfRow,
        (false, true) if reads => match is_guard(actors, part) {
            true => Asks::Guard,
            false => Asks::Unrelated,
        },
        (false, true) => without_row(actors, part),
        (false, false) if reads => Asks::Unrelated,
        (false, false) if has_opaque_call(actors, part) => Asks::Guard,
        (false, false) => Asks::Unknown,
    }
}

/// What a part asks for that leaves rows out and ties none to who asks: that somebody else owns the row, or that
/// something is not there.
fn negative(actors: &Actors<'_>, part: &Term) -> Option<Asks> {
    let is_owner = |a: &Term, b: &Term| {
        owner_column(actors, a, b).is_some() || owner_column(actors, b, a).is_some()
    };
    match part {
        Term::Compare(operator, a, b)
            if ["<>", "!=", "IS DISTINCT FROM"].contains(&operator.as_str()) =>
        {
            is_owner(a, b).then_some(Asks::SignedIn)
        }
        Term::Not(of) => match &**of {
            Term::Compare(operator, a, b) if operator == "=" => {
                is_owner(a, b).then_some(Asks::SignedIn)
            }
            Term::Exists(_) | Term::Any(..) if mentions_row(of) => Some(Asks::OfRow),
            _ => None,
        },
        _ => None,
    }
}

fn owner_column(actors: &Actors<'_>, column: &Term, value: &Term) -> Option<String> {
    let actor = actors.actor(value)?;
    matches!(actor, Actor::Identity | Actor::DatabaseUser)
        .then(|| column.row_column().map(str::to_owned))?
}

/// A part that asks for nothing of the row and reads no table.
fn without_row(actors: &Actors<'_>, part: &Term) -> Asks {
    let is_identity = |term: &Term| actors.actor(term) == Some(Actor::Identity);
    match part {
        Term::Is(of, Test::NotNull) if actors.actor(of).is_some() => Asks::SignedIn,
        Term::Not(of) => match &**of {
            Term::Is(of, Test::Null) if actors.actor(of).is_some() => Asks::SignedIn,
            Term::Compare(operator, a, b)
                if operator == "=" && (is_identity(a) || is_identity(b)) =>
            {
                Asks::SignedIn
            }
            _ => Asks::Guard,
        },
        Term::Compare(operator, a, b)
            if (is_identity(a) && is_identity(b))
                || (operator != "=" && (is_identity(a) || is_identity(b))) =>
        {
            Asks::SignedIn
        }
        Term::Compare(_, a, b) => {
            let signed_in =
                |term: &Term| matches!(term.bare(), Term::Literal(text) if text == "authenticated");
            if signed_in(a) || signed_in(b) { Asks::SignedIn } else { Asks::Guard }
        }
        _ => Asks::Guard,
    }
}

/// A sub-query that asks for more of who asks than that he is there: a constant is compared, or a flag is set.
fn is_guard(actors: &Actors<'_>, part: &Term) -> bool {
    let has_constant = |condition: &Term| {
        split(actors, condition, false, 2).iter().any(|parts| {
            parts.iter().any(|part| match part {
                Term::Compare(_, a, b) => {
                    matches!(a.bare(), Term::Literal(_) | Term::Bool(_) | Term::List(_))
                        || matches!(b.bare(), Term::Literal(_) | Term::Bool(_) | Term::List(_))
                }
                Term::Column(_) => true,
                Term::Any(_, _, set) => matches!(set.bare(), Term::List(_)),
                Term::Is(of, Test::True) => matches!(**of, Term::Column(_)),
                _ => false,
            })
        })
    };
    // `(SELECT role FROM …) = 'admin'`, `(SELECT is_admin FROM …)`, `(SELECT role = 'admin' FROM …)`.
    let is_flag = |query: &Select| {
        let of_constant = |own: &Term| matches!(own, Term::Compare(..)) && has_constant(own);
        query.outputs.iter().any(|own| matches!(own.bare(), Term::Column(_)) || of_constant(own))
    };
    let of_query = |query: &Select| query.condition.as_ref().is_some_and(has_constant);
    if actors.reads(part, &|table| actors.of_staff.contains(table)) {
        return true;
    }
    let scalar = |term: &Term| matches!(term, Term::Query(query) if is_flag(query));
    part.has(&|term| match term {
        Term::Query(query) if std::ptr::eq(term, part) => of_query(query) || is_flag(query),
        Term::Compare(_, a, b) => {
            let is_constant = |term: &Term| matches!(term.bare(), Term::Literal(_) | Term::Bool(_));
            (scalar(a) && is_constant(b)) || (scalar(b) && is_constant(a))
        }
        Term::Is(of, Test::True) => scalar(of),
        Term::Exists(query) => query.condition.as_ref().is_some_and(has_constant),
        Term::Query(query) | Term::Array(query) => of_query(query),
        Term::Call(call) => match actors.bodies.value(call) {
            Some(value) => is_guard(actors, &value),
            // What a body that is not understood asks for may be anything.
            None => actors.bodies.called(call).is_some(),
        },
        _ => false,
    })
}

/// A function is called whose body is not understood, and that is none of the server's.
fn has_opaque_call(actors: &Actors<'_>, part: &Term) -> bool {
    part.has(&|term| {
        let Term::Call(call) = term else { return false };
        actors.bodies.called(call).is_some_and(|(_, body)| body.value.is_none())
            || (actors.bodies.called(call).is_none()
                && call.schema.as_deref().is_some_and(|schema| schema != "pg_catalog"))
    })
}
