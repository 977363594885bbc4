//! What the body of a function gives.

use crate::sql::condition::term::{Call, Select, Term};

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

pub(super) fn as_value(query: Select) -> Term {
    match query.only_output() {
        Some(output) => output.clone(),
        None => Term::Query(Box::new(query)),
    }
}

/// A term with other terms in the place of arguments.
pub(super) fn replaced(term: &Term, argument: &dyn Fn(&str) -> Option<Term>) -> Term {
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
