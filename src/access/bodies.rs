//! The bodies of functions, as far as they are understood.

use std::collections::HashMap;

use super::body::{Body, as_value, replaced};
use super::procedural;
use crate::model::access::privileges::Routine;
use crate::model::catalog::Catalog;
use crate::sql::condition::read::{self, Names};
use crate::sql::condition::term::{Call, Term};
use crate::sql::lex::identifier::unquote;
use crate::sql::lex::lexer::{Token, tokens};

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

fn read_body(routine: &Routine, catalog: &Catalog) -> Body {
    let Some(text) = routine.body.as_deref() else { return Body::default() };
    let path: Vec<String> = routine.search_path.as_deref().map(schemas).unwrap_or_default();
    match routine.language.as_str() {
        "sql" => {
            let names = Names { parameters: &routine.arguments, path: &path };
            sql_body(text, names, catalog)
        }
        "plpgsql" => procedural::body(text, &routine.arguments, &path, catalog),
        _ => Body { is_partial: true, ..Body::default() },
    }
}

/// The schemas in a list of names.
fn schemas(path: &str) -> Vec<String> {
    let name = |part: &str| unquote(part.trim().trim_matches('\''));
    path.split(',').map(name).filter(|name| !name.is_empty() && !name.starts_with('$')).collect()
}

fn sql_body(text: &str, names: Names<'_>, catalog: &Catalog) -> Body {
    let mut body = Body::default();
    for statement in statements(text) {
        let first = statement.split_whitespace().next().unwrap_or_default().to_lowercase();
        let read = match first.as_str() {
            "return" => read::expression(&statement[6..], names, catalog),
            _ => read::query(statement, names, catalog).map(as_value),
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
