//! What a condition gives, as far as it can be told without a row.

use super::actor::{Actor, Actors};
use crate::sql::condition::term::{Call, Column, Owner, Select, Term, Test};

/// The value of a condition, by the logic of three values, or that it depends on the row or on who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Null,
    Depends,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// Somebody.
    Somebody,
    /// Nobody: no identity was set.
    Nobody,
    /// Nobody: the identity is an empty text.
    Empty,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Known(String),
    /// A column of the row.
    Column(String),
    Depends,
}

const MAX_DEPTH: usize = 8;

/// The truth of a condition for a row that is not known.
pub fn truth(actors: &Actors<'_>, term: &Term, asking: Asking) -> Truth {
    Evaluator { actors, asking }.truth(term, MAX_DEPTH)
}

struct Evaluator<'a> {
    actors: &'a Actors<'a>,
    asking: Asking,
}

impl Evaluator<'_> {
    fn truth(&self, term: &Term, depth: usize) -> Truth {
        if depth == 0 {
            return Truth::Depends;
        }
        match term {
            Term::Bool(true) => Truth::True,
            Term::Bool(false) => Truth::False,
            Term::Null => Truth::Null,
            Term::Cast(of) => self.truth(of, depth),
            Term::And(all) => all.iter().map(|own| self.truth(own, depth)).fold(Truth::True, and),
            Term::Or(all) => {
                let not = |truth| negated(truth);
                let all = all.iter().map(|own| not(self.truth(own, depth)));
                negated(all.fold(Truth::True, and))
            }
            Term::Not(of) => negated(self.truth(of, depth)),
            Term::Is(of, test) => self.test(of, *test, depth),
            Term::Compare(operator, a, b) => self.compare(operator, a, b, depth),
            Term::Any(_, value, set) => match (self.value(value, depth), &**set) {
                (_, Term::Query(query) | Term::Array(query)) if self.is_empty(query, depth) => {
                    Truth::False
                }
                (Value::Null, _) => Truth::Null,
                _ => Truth::Depends,
            },
            Term::Exists(query) => self.exists(query, depth),
            Term::Query(query) => match query.only_output() {
                Some(output) => self.truth(output, depth),
                None if self.is_empty(query, depth) => Truth::Null,
                None => Truth::Depends,
            },
            Term::Call(call) if call.name == "coalesce" => {
                let mut all = call.arguments.iter().map(|own| self.truth(own, depth));
                all.find(|own| *own != Truth::Null).unwrap_or(Truth::Null)
            }
            Term::Call(call) => match self.value_of_call(call, depth) {
                Some(Value::Null) => Truth::Null,
                Some(Value::Known(text)) => known(&text),
                _ => match self.actors.bodies.value(call) {
                    Some(value) => self.truth(&value, depth - 1),
                    None => Truth::Depends,
                },
            },
            _ => match self.value(term, depth) {
                Value::Null => Truth::Null,
                Value::Known(text) => known(&text),
                _ => Truth::Depends,
            },
        }
    }

    fn test(&self, of: &Term, test: Test, depth: usize) -> Truth {
        if matches!(test, Test::Null | Test::NotNull) {
            let is_null = match (self.value(of, depth), self.truth(of, depth)) {
                (Value::Null, _) | (_, Truth::Null) => Truth::True,
                (Value::Known(_), _) | (_, Truth::True | Truth::False) => Truth::False,
                _ => Truth::Depends,
            };
            return if test == Test::Null { is_null } else { negated(is_null) };
        }
        let truth = self.truth(of, depth);
        let is = |wanted: Truth| match truth {
            Truth::Depends => Truth::Depends,
            found if found == wanted => Truth::True,
            _ => Truth::False,
        };
        match test {
            Test::True => is(Truth::True),
            Test::NotTrue => negated(is(Truth::True)),
            Test::False => is(Truth::False),
            _ => negated(is(Truth::False)),
        }
    }

    fn compare(&self, operator: &str, a: &Term, b: &Term, depth: usize) -> Truth {
        let (left, right) = (self.value(a, depth), self.value(b, depth));
        let same = match (&left, &right) {
            (Value::Known(a), Value::Known(b)) => {
                if a == b {
                    Truth::True
                } else {
                    Truth::False
                }
            }
            (Value::Column(a), Value::Column(b)) if a == b => Truth::True,
            _ if a == b && inner_column(a) => Truth::True,
            _ => Truth::Depends,
        };
        match operator {
            "IS DISTINCT FROM" | "IS NOT DISTINCT FROM" => {
                let same = match (&left, &right) {
                    (Value::Null, Value::Null) => Truth::True,
                    (Value::Null, Value::Known(_)) | (Value::Known(_), Value::Null) => Truth::False,
                    (Value::Null, _) | (_, Value::Null) => Truth::Depends,
                    _ => same,
                };
                if operator == "IS DISTINCT FROM" { negated(same) } else { same }
            }
            _ if left == Value::Null || right == Value::Null => Truth::Null,
            "=" | "<=" | ">=" if same == Truth::True => Truth::True,
            "=" => same,
            "<>" | "!=" => negated(same),
            _ => Truth::Depends,
        }
    }

    fn exists(&self, query: &Select, depth: usize) -> Truth {
        if self.is_empty(query, depth) {
            return Truth::False;
        }
        let condition = query.condition.as_ref().map_or(Truth::True, |own| self.truth(own, depth));
        // A table that is read without a condition has rows.
        if query.others.is_empty() { condition } else { Truth::Depends }
    }

    /// The query gives no row, whatever the tables hold.
    fn is_empty(&self, query: &Select, depth: usize) -> bool {
        let none = |truth| matches!(truth, Truth::False | Truth::Null);
        query.condition.as_ref().is_some_and(|own| none(self.truth(own, depth)))
            && query.others.iter().all(|other| self.is_empty(other, depth))
    }

    fn value(&self, term: &Term, depth: usize) -> Value {
        if depth == 0 {
            return Value::Depends;
        }
        match term {
            Term::Null => Value::Null,
            Term::Bool(is_true) => Value::Known(is_true.to_string()),
            Term::Literal(text) => Value::Known(text.clone()),
            Term::Column(Column { owner: Owner::Row, name }) => Value::Column(name.clone()),
            Term::Cast(of) => self.value(of, depth),
            Term::Query(query) => match query.only_output() {
                Some(output) => self.value(output, depth),
                None if self.is_empty(query, depth) => Value::Null,
                None => Value::Depends,
            },
            Term::Member(of, _) => match self.value(of, depth) {
                Value::Null => Value::Null,
                _ => Value::Depends,
            },
            Term::Call(call) => self.value_of_call(call, depth).unwrap_or(Value::Depends),
            _ => Value::Depends,
        }
    }

    fn value_of_call(&self, call: &Call, depth: usize) -> Option<Value> {
        let values = || call.arguments.iter().map(|own| self.value(own, depth));
        match call.name.as_str() {
            "coalesce" => {
                return Some(values().find(|own| *own != Value::Null).unwrap_or(Value::Null));
            }
            "nullif" => {
                let all: Vec<Value> = values().collect();
                return Some(match all.as_slice() {
                    [Value::Null, _] => Value::Null,
                    [Value::Known(a), Value::Known(b)] if a == b => Value::Null,
                    _ => Value::Depends,
                });
            }
            "current_setting" => {
                return Some(match self.asking {
                    Asking::Somebody => Value::Depends,
                    Asking::Nobody => Value::Null,
                    Asking::Empty => Value::Known(String::new()),
                });
            }
            _ => {}
        }
        if let Some(value) = self.actors.bodies.value(call) {
            return Some(self.value(&value, depth - 1));
        }
        match self.actors.actor(&Term::Call(call.clone()))? {
            Actor::Identity | Actor::UserClaim if self.asking != Asking::Somebody => {
                Some(Value::Null)
            }
            _ => None,
        }
    }
}

/// A column of a table in FROM: that it equals itself is no condition.
fn inner_column(term: &Term) -> bool {
    matches!(term, Term::Column(Column { owner: Owner::Source { .. }, .. }))
}

fn known(text: &str) -> Truth {
    match text {
        "t" | "true" => Truth::True,
        "f" | "false" => Truth::False,
        _ => Truth::Depends,
    }
}

fn and(a: Truth, b: Truth) -> Truth {
    match (a, b) {
        (Truth::False, _) | (_, Truth::False) => Truth::False,
        (Truth::True, other) | (other, Truth::True) => other,
        (Truth::Depends, _) | (_, Truth::Depends) => Truth::Depends,
        _ => Truth::Null,
    }
}

fn negated(truth: Truth) -> Truth {
    match truth {
        Truth::True => Truth::False,
        Truth::False => Truth::True,
        other => other,
    }
}
