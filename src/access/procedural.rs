//! Bodies in PL/pgSQL, as far as they are one decision: declarations, IF, RETURN, SELECT INTO, PERFORM.

use std::collections::BTreeMap;

use super::body::{Body, as_value, replaced};
use crate::model::catalog::Catalog;
use crate::sql::condition::read::{self, Names};
use crate::sql::condition::term::{Select, Term};
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// Reads a body. `value` is what it returns, where every way through it is understood.
pub(super) fn body(text: &str, arguments: &[String], path: &[String], catalog: &Catalog) -> Body {
    let all: Vec<Token<'_>> = tokens(text).collect();
    let mut names: Vec<String> = arguments.to_vec();
    names.extend(declared(&all));
    // A row that was found is one variable more.
    names.push("found".to_owned());
    let mut reader = Procedural {
        text,
        all: &all,
        names: &names,
        path,
        catalog,
        body: Body::default(),
        values: BTreeMap::new(),
        is_decision: true,
    };
    let begin = reader.declarations();
    let (value, _) = reader.block(begin, &[]);
    let caught = reader.caught();
    let Procedural { mut body, is_decision, .. } = reader;
    body.value = match (value, caught) {
        (Some(value), None) if is_decision => Some(value),
        (Some(value), Some(caught)) if is_decision => Some(Term::Or(vec![value, caught])),
        _ => None,
    };
    body
}

/// Names of variables: the first word of each declaration.
fn declared(all: &[Token<'_>]) -> Vec<String> {
    let Some(at) = all.iter().position(|token| token.is_word("declare")) else { return Vec::new() };
    let end = all.iter().position(|token| token.is_word("begin")).unwrap_or(all.len());
    let part = all.get(at + 1..end).unwrap_or_default();
    let statements = part.split(|token| token.is(";"));
    statements.filter_map(|own| Some(own.first()?.text.to_lowercase())).collect()
}

struct Procedural<'a> {
    text: &'a str,
    all: &'a [Token<'a>],
    names: &'a [String],
    path: &'a [String],
    catalog: &'a Catalog,
    body: Body,
    /// Values of variables so far.
    values: BTreeMap<String, Term>,
    is_decision: bool,
}

impl Procedural<'_> {
    fn is(&self, at: usize, word: &str) -> bool {
        self.all.get(at).is_some_and(|token| token.is_word(word))
    }

    /// The place of the next of these words, or of a semicolon where none is given, from some place on.
    fn next(&self, from: usize, words: &[&str]) -> usize {
        let stops = |at: &usize| {
            self.all[*at].is(";") || words.iter().any(|word| self.all[*at].is_word(word))
        };
        (from..self.all.len()).find(stops).unwrap_or(self.all.len())
    }

    fn declarations(&mut self) -> usize {
        let begin = self.all.iter().position(|token| token.is_word("begin")).unwrap_or(0);
        let declare = self.all[..begin].iter().position(|token| token.is_word("declare"));
        let Some(mut at) = declare.map(|at| at + 1) else { return begin + 1 };
        while at < begin {
            let end = self.next(at, &[]).min(begin);
            let gives = (at..end).find(|at| self.all[*at].is(":=") || self.is(*at, "default"));
            if let Some(gives) = gives
                && let Some(value) = self.read(gives + 1, end)
            {
                self.values.insert(self.all[at].text.to_lowercase(), value);
            }
            at = end + 1;
        }
        begin + 1
    }

    /// A block up to one of these words; its value where every way through it returns.
    fn block(&mut self, mut at: usize, ends: &[&str]) -> (Option<Term>, usize) {
        let mut whens: Vec<(Term, Term)> = Vec::new();
        while at < self.all.len() {
            if self.all[at].is(";") {
                at += 1;
                continue;
            }
            if ends.iter().any(|word| self.is(at, word))
                || self.is(at, "end")
                || self.is(at, "exception")
            {
                break;
            }
            if self.is(at, "return") {
                let from = if self.is(at + 1, "query") { at + 2 } else { at + 1 };
                let end = self.next(from, &[]);
                let value = self.read(from, end);
                let value = value.map(|value| match whens.is_empty() {
                    true => value,
                    false => Term::case(std::mem::take(&mut whens), Some(value)),
                });
                // What follows is never reached; it is looked at all the same.
                let (_, after) = self.block(end, ends);
                return (value, after);
            }
            if self.is(at, "if") {
                at = self.branches(at, &mut whens);
                continue;
            }
            at = self.statement(at);
        }
        (None, at)
    }

    /// `IF … THEN … ELSIF … ELSE … END IF`. A branch that returns is a case.
    fn branches(&mut self, mut at: usize, whens: &mut Vec<(Term, Term)>) -> usize {
        loop {
            let is_else = self.is(at, "else");
            let then = if is_else { at } else { self.next(at + 1, &["then"]) };
            let condition = if is_else { Some(Term::Bool(true)) } else { self.read(at + 1, then) };
            let (value, after) = self.block(then + 1, &["elsif", "elseif", "else"]);
            let raises =
                (then..after).any(|at| self.is(at, "raise") && self.is(at + 1, "exception"));
            match (condition, value) {
                (Some(condition), Some(value)) => whens.push((condition, value)),
                // Whoever comes here gets nothing.
                (Some(condition), None) if raises => whens.push((condition, Term::Null)),
                _ => self.is_decision = false,
            }
            at = after;
            if self.is(at, "end") {
                return self.next(at, &[]) + 1;
            }
            if at >= self.all.len() {
                return at;
            }
        }
    }

    /// A statement that returns nothing.
    fn statement(&mut self, at: usize) -> usize {
        let end = self.next(at, &[]);
        if self.is(at, "select") || self.is(at, "with") || self.is(at, "perform") {
            let text = self.query_text(at, end);
            let query = read::query(&text, self.names(), self.catalog);
            self.body.is_partial |= query.is_none();
            if let Some(query) = query {
                let query = self.with_values(Term::Query(Box::new(query)));
                if let Some(target) = self.target(at, end) {
                    self.values.insert(target, query.clone());
                }
                if let Term::Query(own) = &query {
                    let found =
                        Term::Exists(Box::new(Select { outputs: Vec::new(), ..(**own).clone() }));
                    self.values.insert("found".to_owned(), found);
                }
                self.body.parts.push(query);
            }
        } else if let Some(gives) = (at..end).find(|at| self.all[*at].is(":=")) {
            if let Some(value) = self.read(gives + 1, end) {
                self.values.insert(self.all[at].text.to_lowercase(), value);
            }
        } else if !self.is(at, "null") && !self.is(at, "raise") {
            self.is_decision = false;
        }
        end.max(at) + 1
    }

    /// What is returned where a statement failed.
    fn caught(&mut self) -> Option<Term> {
        let at = self.all.iter().position(|token| token.is_word("exception"))?;
        let at = (at..self.all.len()).find(|at| self.is(*at, "then"))?;
        self.is(at + 1, "return").then(|| self.read(at + 2, self.next(at + 2, &[])))?
    }

    fn names(&self) -> Names<'_> {
        Names { parameters: self.names, path: self.path }
    }

    /// An expression or query between two places.
    fn read(&mut self, from: usize, to: usize) -> Option<Term> {
        let (first, last) = (self.all.get(from)?, self.all.get(to.checked_sub(1)?)?);
        if to <= from {
            return None;
        }
        let text = &self.text[first.start..last.start + last.text.len()];
        let read = match first.is_word("select") || first.is_word("with") {
            true => read::query(text, self.names(), self.catalog).map(as_value),
            false => read::expression(text, self.names(), self.catalog),
        };
        self.body.is_partial |= read.is_none();
        let read = self.with_values(read?);
        self.body.parts.push(read.clone());
        Some(read)
    }

    /// The term with what variables hold in their place.
    fn with_values(&self, term: Term) -> Term {
        if self.values.is_empty() {
            term
        } else {
            replaced(&term, &|name| self.values.get(name).cloned())
        }
    }

    /// `SELECT … INTO target …` and `PERFORM …` as queries.
    fn query_text(&self, at: usize, end: usize) -> String {
        let slice =
            |from: usize, to: usize| match (self.all.get(from), self.all.get(to.wrapping_sub(1))) {
                (Some(first), Some(last)) if from < to => {
                    &self.text[first.start..last.start + last.text.len()]
                }
                _ => "",
            };
        let begin = if self.is(at, "perform") { at + 1 } else { at };
        let select = if self.is(at, "perform") { "SELECT " } else { "" };
        match (begin..end).find(|at| self.is(*at, "into")) {
            Some(into) => {
                format!("{select}{} {}", slice(begin, into), slice(self.after_target(into), end))
            }
            None => format!("{select}{}", slice(begin, end)),
        }
    }

    fn after_target(&self, into: usize) -> usize {
        let mut at = into + 1;
        while self.all.get(at).is_some_and(|token| {
            let is_name = matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent);
            token.is(",") || token.is(".") || (is_name && !token.is_word("from"))
        }) {
            at += 1;
        }
        at
    }

    fn target(&self, at: usize, end: usize) -> Option<String> {
        let into = (at..end).find(|at| self.is(*at, "into"))?;
        let name = if self.is(into + 1, "strict") { into + 2 } else { into + 1 };
        (self.after_target(into) == name + 1).then(|| self.all[name].text.to_lowercase())
    }
}
