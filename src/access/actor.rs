//! Which terms tell who asks.

use std::collections::BTreeSet;

use super::bodies::Bodies;
use crate::model::name::TableName;
use crate::sql::condition::term::{Call, Column, Owner, Select, Term, tables_read};
use crate::sql::lex::identifier::unquote;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// What a term tells about who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Who it is: a user, or a tenant.
    Identity,
    /// A role that the login gave, or a claim that the application's server signs.
    Claim,
    /// A claim that the user writes: `user_metadata` of Supabase.
    UserClaim,
    /// The role of the database.
    DatabaseUser,
}

/// Deepest nesting of functions that is looked into.
const MAX_DEPTH: usize = 6;

/// Members of a document of claims that the user writes.
const USER_CLAIMS: &[&str] = &["user_metadata", "raw_user_meta_data"];
/// Functions that hand their first argument on.
const PASSING: &[&str] = &["nullif", "coalesce", "lower", "upper", "btrim", "trim"];

/// Tells who asks, with the functions of a database.
pub struct Actors<'a> {
    pub bodies: Bodies<'a>,
    /// Tables with row-level security: a sub-query on one of them shows who asks only some rows.
    pub guarded: BTreeSet<TableName>,
    /// Tables that tell something of a user alone and that no user may write, such as a list of administrators.
    pub of_staff: BTreeSet<TableName>,
}

impl Actors<'_> {
    /// What the term is, where it is nothing but who asks.
    pub fn actor(&self, term: &Term) -> Option<Actor> {
        self.actor_within(term, MAX_DEPTH)
    }

    fn actor_within(&self, term: &Term, depth: usize) -> Option<Actor> {
        match term {
            Term::DatabaseUser => Some(Actor::DatabaseUser),
            Term::Cast(of) => self.actor_within(of, depth),
            Term::Query(query) => self.actor_within(query.only_output()?, depth),
            Term::Member(of, key) => {
                let of = self.actor_within(of, depth)?;
                let key = key.as_deref().unwrap_or_default();
                Some(match of {
                    _ if USER_CLAIMS.contains(&key) => Actor::UserClaim,
                    Actor::UserClaim => Actor::UserClaim,
                    _ if key == "role" || key == "app_metadata" => Actor::Claim,
                    other => other,
                })
            }
            Term::Call(call) => self.actor_of_call(call, depth),
            _ => None,
        }
    }

    fn actor_of_call(&self, call: &Call, depth: usize) -> Option<Actor> {
        let is_own = call.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
        if is_own && call.name == "current_setting" {
            let setting = match call.arguments.first().map(Term::bare) {
                Some(Term::Literal(name)) => name.as_str(),
                _ => "",
            };
            let last = setting.rsplit('.').next().unwrap_or_default();
            return Some(if last == "role" { Actor::Claim } else { Actor::Identity });
        }
        if is_own && PASSING.contains(&call.name.as_str()) {
            return call.arguments.iter().find_map(|own| self.actor_within(own, depth));
        }
        if self.bodies.called(call).is_some() {
            if depth == 0 {
                return None;
            }
            return self.actor_within(&self.bodies.value(call)?, depth - 1);
        }
        // A function of another schema that is not in the file: that of the login service.
        let is_foreign = call.schema.as_deref().is_some_and(|schema| schema != "pg_catalog");
        (is_foreign && call.arguments.is_empty()).then_some(match call.name.as_str() {
            "role" => Actor::Claim,
            _ => Actor::Identity,
        })
    }

    /// Who asks stands somewhere in the term or in the functions that it calls.
    pub fn mentions(&self, term: &Term, which: &dyn Fn(Actor) -> bool) -> bool {
        self.mentions_within(term, which, MAX_DEPTH)
    }

    fn mentions_within(&self, term: &Term, which: &dyn Fn(Actor) -> bool, depth: usize) -> bool {
        term.has(&|term| {
            if self.actor(term).is_some_and(which) {
                return true;
            }
            let Term::Call(call) = term else { return false };
            let Some((_, body)) = self.bodies.called(call).filter(|_| depth > 0) else {
                return false;
            };
            body.parts.iter().any(|part| self.mentions_within(part, which, depth - 1))
        })
    }

    /// A text that is no single query asks who calls, somewhere.
    pub fn text_asks(&self, text: &str) -> bool {
        let all: Vec<Token<'_>> = tokens(text).collect();
        let is_asking = |at: usize| {
            let token = &all[at];
            if ["current_user", "session_user"].iter().any(|word| token.is_word(word)) {
                return true;
            }
            let is_called = all.get(at + 1).is_some_and(|next| next.is("("));
            let is_name = matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent);
            if !is_called || !is_name {
                return false;
            }
            let name = |token: &Token<'_>| match token.kind {
                TokenKind::QuotedIdent => unquote(token.text),
                _ => token.text.to_lowercase(),
            };
            let has_schema = at > 1 && all[at - 1].is(".");
            let schema = has_schema.then(|| name(&all[at - 2]));
            let call = Call { schema, name: name(token), arguments: Vec::new() };
            let own = self
                .bodies
                .called(&call)
                .is_some_and(|(_, body)| body.parts.iter().any(|part| self.mentions_any(part)));
            // A name before values may be that of a table.
            let is_empty = all.get(at + 2).is_some_and(|next| next.is(")"));
            let may_tell = is_empty || call.name == "current_setting";
            own || (may_tell && self.actor(&Term::Call(call)).is_some())
        };
        (0..all.len()).any(is_asking)
    }

    /// Who it is stands somewhere in the term.
    pub fn mentions_identity(&self, term: &Term) -> bool {
        self.mentions(term, &|actor| matches!(actor, Actor::Identity | Actor::DatabaseUser))
    }

    pub fn mentions_any(&self, term: &Term) -> bool {
        self.mentions(term, &|_| true)
    }

    /// The term reads a table, itself or in a function that it calls.
    pub fn reads_tables(&self, term: &Term) -> bool {
        self.reads_within(term, MAX_DEPTH)
    }

    /// A table is read of which `which` holds.
    pub fn reads(&self, term: &Term, which: &dyn Fn(&TableName) -> bool) -> bool {
        self.reads_of(term, which, MAX_DEPTH)
    }

    fn reads_of(&self, term: &Term, which: &dyn Fn(&TableName) -> bool, depth: usize) -> bool {
        if tables_read(term).into_iter().any(which) {
            return true;
        }
        term.has(&|term| {
            let Term::Call(call) = term else { return false };
            let body = self.bodies.called(call).filter(|_| depth > 0);
            body.is_some_and(|(_, body)| {
                body.parts.iter().any(|part| self.reads_of(part, which, depth - 1))
            })
        })
    }

    fn reads_within(&self, term: &Term, depth: usize) -> bool {
        let reads = |query: &Select| query.sources.iter().any(|source| source.table.is_some());
        term.has(&|term| match term {
            Term::Query(query) | Term::Array(query) | Term::Exists(query) => reads(query),
            Term::Call(call) => self.bodies.called(call).is_some_and(|(_, body)| {
                depth > 0 && body.parts.iter().any(|part| self.reads_within(part, depth - 1))
            }),
            _ => false,
        })
    }
}

/// The term names a column of the row, and not only to compare it with itself.
pub fn mentions_row(term: &Term) -> bool {
    let mut found = false;
    term.walk(&mut |term| {
        match term {
            Term::Compare(_, a, b) if a == b => return false,
            Term::Column(Column { owner: Owner::Row, .. }) => found = true,
            _ => {}
        }
        !found
    });
    found
}
