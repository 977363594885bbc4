//! The bodies of functions, as far as they are understood.

use std::collections::HashMap;

use crate::model::access::privileges::Routine;
use crate::model::catalog::Catalog;
use crate::sql::condition::read;
use crate::sql::condition::term::{Call, Select, Term};
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// What a function gives, and what it reads on the way.
#[derive(Debug, Default)]
pub struct Body {
    /// Its value, where it is one expression or query.
    pub value: Option<Term>,
    /// Every query and expression in it.
    pub parts: Vec<Term>,
    /// A part of it was not understood.
    pub is_partial: bool,
}

/// The functions of a database with their bodies.
pub struct Bodies<'a> {
    catalog: &'a Catalog,
    bodies: Vec<Body>,
    by_name: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Bodies<'a> {
    pub fn of(catalog: &'a Catalog) -> Bodies<'a> {
        let routines = &catalog.privileges.routines;
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, routine) in routines.iter().enumerate() {
            by_name.entry(&routine.name.name).or_default().push(at);
        }
        let bodies = routines.iter().map(|routine| read_body(routine, catalog)).collect();
        Bodies { catalog, bodies, by_name }
    }

    pub fn routines(&self) -> impl Iterator<Item = (&'a Routine, &Body)> {
        self.catalog.privileges.routines.iter().zip(&self.bodies)
    }

    /// The function that is called; `None` for one of the server's own, or of which nothing is known.
    pub fn called(&self, call: &Call) -> Option<(&'a Routine, &Body)> {
        let routines = &self.catalog.privileges.routines;
        let all = self.by_name.get(call.name.as_str())?;
        let fits = |at: &&usize| {
            let routine = &routines[**at];
            let schema = &routine.name.schema;
            routine.arguments.len() >= call.arguments.len()
                && match &call.schema {
                    Some(named) => named == schema,
                    None => {
                        let path = &self.catalog.search_path;
                        path.is_empty() || path.contains(schema) || schema == "public"
                    }
                }
        };
        let at = *all.iter().find(fits)?;
        Some((&routines[at], &self.bodies[at]))
    }

    /// The value of a call, with its arguments put into the body.
    pub fn value(&self, call: &Call) -> Option<Term> {
        let (routine, body) = self.called(call)?;
        let value = body.value.as_ref()?;
        let argument = |name: &str| {
            let numbered = name.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
            let at = match numbered {
                Some(number) => number.checked_sub(1)?,
                None => routine.arguments.iter().position(|own| own == name)?,
            };
            call.arguments.get(at).cloned()
        };
        Some(replaced(value, &argument))
    }
}

/// A term with other terms in the place of arguments.
fn replaced(term: &Term, argument: &dyn Fn(&str) -> Option<Term>) -> Term {
    let one = |term: &Term| Box::new(replaced(term, argument));
    let all = |terms: &[Term]| terms.iter().map(|term| replaced(term, argument)).collect();
    let query = |query: &Select| Box::new(replaced_in(query, argument));
    match term {
        Term::Parameter(name) => argument(name).unwrap_or_else(|| term.clone()),
        Term::Call(call) => Term::Call(Call { arguments: all(&call.arguments), ..call.clone() }),
        Term::Member(of, key) => Term::Member(one(of), key.clone()),
        Term::Cast(of) => Term::Cast(one(of)),
        Term::Not(of) => Term::Not(one(of)),
        Term::Is(of, test) => Term::Is(one(of), *test),
        Term::And(terms) => Term::And(all(terms)),
        Term::Or(terms) => Term::Or(all(terms)),
        Term::List(terms) => Term::List(all(terms)),
        Term::Other(terms) => Term::Other(all(terms)),
        Term::Compare(operator, a, b) => Term::Compare(operator.clone(), one(a), one(b)),
        Term::Any(operator, a, b) => Term::Any(operator.clone(), one(a), one(b)),
        Term::Query(own) => Term::Query(query(own)),
        Term::Array(own) => Term::Array(query(own)),
        Term::Exists(own) => Term::Exists(query(own)),
        Term::Null | Term::Bool(_) | Term::Literal(_) | Term::Column(_) | Term::DatabaseUser => {
            term.clone()
        }
    }
}

fn replaced_in(query: &Select, argument: &dyn Fn(&str) -> Option<Term>) -> Select {
    let mut made = query.clone();
    made.condition.iter_mut().for_each(|own| *own = replaced(own, argument));
    made.outputs.iter_mut().for_each(|own| *own = replaced(own, argument));
    for source in &mut made.sources {
        source.call.iter_mut().for_each(|own| *own = replaced(own, argument));
        source.query.iter_mut().for_each(|own| *own = replaced_in(own, argument));
    }
    made.others.iter_mut().for_each(|own| *own = replaced_in(own, argument));
    made
}

fn read_body(routine: &Routine, catalog: &Catalog) -> Body {
    let Some(text) = routine.body.as_deref() else { return Body::default() };
    match routine.language.as_str() {
        "sql" => sql_body(text, routine, catalog),
        "plpgsql" => procedural_body(text, routine, catalog),
        _ => Body { is_partial: true, ..Body::default() },
    }
}

fn as_value(query: Select) -> Term {
    match query.only_output() {
        Some(output) => output.clone(),
        None => Term::Query(Box::new(query)),
    }
}

fn sql_body(text: &str, routine: &Routine, catalog: &Catalog) -> Body {
    let mut body = Body::default();
    for statement in statements(text) {
        let first = statement.split_whitespace().next().unwrap_or_default().to_lowercase();
        let read = match first.as_str() {
            "return" => read::expression(&statement[6..], &routine.arguments, catalog),
            _ => read::query(statement, &routine.arguments, catalog).map(as_value),
        };
        body.is_partial |= read.is_none();
        body.value.clone_from(&read);
        body.parts.extend(read);
    }
    body
}

/// The statements of a body, without the words around them.
fn statements(text: &str) -> Vec<&str> {
    let all: Vec<Token<'_>> = tokens(text).collect();
    let is_atomic = all.len() > 1 && all[0].is_word("begin") && all[1].is_word("atomic");
    let (mut from, mut found) = (if is_atomic { 2 } else { 0 }, Vec::new());
    for (at, token) in all.iter().enumerate() {
        let is_last = at + 1 == all.len();
        if token.is(";") || is_last {
            let end = if token.is(";") { token.start } else { token.start + token.text.len() };
            if let Some(first) = all.get(from).filter(|first| first.start < end) {
                let statement = text[first.start..end].trim();
                if !statement.eq_ignore_ascii_case("end") {
                    found.push(statement);
                }
            }
            from = at + 1;
        }
    }
    found
}

/// The conditions, returned expressions and queries of PL/pgSQL. It is understood as one value where all it does is to
/// return one.
fn procedural_body(text: &str, routine: &Routine, catalog: &Catalog) -> Body {
    let mut body = Body::default();
    let all: Vec<Token<'_>> = tokens(text).collect();
    let (mut returns, mut others) = (Vec::new(), 0);
    let mut at = 0;
    while at < all.len() {
        let is = |n: usize, word: &str| all.get(at + n).is_some_and(|token| token.is_word(word));
        let (begin, ends): (usize, &[&str]) = if is(0, "return") && is(1, "query") {
            (at + 2, &[])
        } else if is(0, "return") || is(0, "perform") {
            (at + 1, &[])
        } else if is(0, "if") || is(0, "elsif") {
            (at + 1, &["then"])
        } else if is(0, "select") || is(0, "with") {
            (at, &[])
        } else {
            others += usize::from(
                ["execute", "insert", "update", "delete", "into", "loop", "exception"]
                    .iter()
                    .any(|word| is(0, word)),
            );
            at += 1;
            continue;
        };
        let end = (begin..all.len())
            .find(|at| all[*at].is(";") || ends.iter().any(|word| all[*at].is_word(word)))
            .unwrap_or(all.len());
        let is_return = is(0, "return");
        if let Some(part) = all.get(begin..end).filter(|part| !part.is_empty()) {
            let text = without_into(text, part);
            let read = match part[0].is_word("select") || part[0].is_word("with") {
                true => read::query(&text, &routine.arguments, catalog).map(as_value),
                false => read::expression(&text, &routine.arguments, catalog),
            };
            body.is_partial |= read.is_none();
            if is_return {
                returns.extend(read.clone());
            } else {
                others += 1;
            }
            body.parts.extend(read);
        }
        at = end.max(at + 1);
    }
    if let [only] = returns.as_slice()
        && others == 0
    {
        body.value = Some(only.clone());
    }
    body
}

/// A query as it would be without `INTO target`.
fn without_into(text: &str, part: &[Token<'_>]) -> String {
    let slice = |from: &Token<'_>, to: &Token<'_>| &text[from.start..to.start + to.text.len()];
    let (Some(first), Some(last)) = (part.first(), part.last()) else { return String::new() };
    let Some(into) = part.iter().position(|token| token.is_word("into")) else {
        return slice(first, last).to_owned();
    };
    let mut end = into + 1;
    while part.get(end).is_some_and(|token| {
        token.is(",")
            || token.is(".")
            || token.is_word("strict")
            || (matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent)
                && !token.is_word("from"))
    }) {
        end += 1;
    }
    let before = slice(first, &part[into.saturating_sub(1)]);
    part.get(end)
        .map_or_else(|| before.to_owned(), |after| format!("{before} {}", slice(after, last)))
}
