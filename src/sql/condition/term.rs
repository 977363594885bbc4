//! The form of a condition.

use crate::model::name::TableName;

/// An expression, as far as it matters who may see a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Term {
    Null,
    Bool(bool),
    /// A constant, as it is written between the quotes.
    Literal(String),
    Column(Column),
    /// An argument of the function whose body is read, by name, or `$1`.
    Parameter(String),
    /// `current_user`, `session_user` and the like.
    DatabaseUser,
    Call(Call),
    /// A member of a document: `value -> 'key'`. `None` where the key is computed.
    Member(Box<Term>, Option<String>),
    Cast(Box<Term>),
    And(Vec<Term>),
    Or(Vec<Term>),
    Not(Box<Term>),
    /// `value IS …`.
    Is(Box<Term>, Test),
    Compare(String, Box<Term>, Box<Term>),
    /// `value operator ANY (set)`; `value IN (SELECT …)` is one of them.
    Any(String, Box<Term>, Box<Term>),
    /// A row or an array of values.
    List(Vec<Term>),
    /// A sub-query that stands for its value or its rows.
    Query(Box<Select>),
    /// `ARRAY (SELECT …)`.
    Array(Box<Select>),
    Exists(Box<Select>),
    /// Anything else, with what stands in it.
    Other(Vec<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    Null,
    NotNull,
    True,
    NotTrue,
    False,
    NotFalse,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub owner: Owner,
    pub name: String,
}

/// Where a column comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Owner {
    /// The row that is decided on.
    Row,
    /// A table in the FROM of a sub-query, by its alias.
    Source { alias: String, table: TableName },
    /// Something in a FROM whose columns are not known.
    Unknown,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub schema: Option<String>,
    pub name: String,
    pub arguments: Vec<Term>,
}

/// A query, with the conditions of its joins among those of its WHERE.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Select {
    pub sources: Vec<Source>,
    pub condition: Option<Term>,
    pub outputs: Vec<Term>,
    /// What it is united with.
    pub others: Vec<Select>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub alias: String,
    /// `None` for what is no table.
    pub table: Option<TableName>,
    /// A function in FROM.
    pub call: Option<Term>,
    /// A sub-query in FROM.
    pub query: Option<Select>,
}

impl Term {
    /// `CASE WHEN … THEN … ELSE … END` as alternatives, each with what has to hold before it.
    pub fn case(whens: Vec<(Term, Term)>, otherwise: Option<Term>) -> Term {
        let is = |term: &Term, test: Test| Term::Is(Box::new(term.clone()), test);
        let mut alternatives = Vec::new();
        let mut before: Vec<Term> = Vec::new();
        for (condition, result) in whens {
            let own = [is(&condition, Test::True), result];
            alternatives.push(Term::And([&before[..], &own].concat()));
            before.push(is(&condition, Test::NotTrue));
        }
        let last = otherwise.unwrap_or(Term::Null);
        alternatives.push(Term::And([&before[..], &[last]].concat()));
        Term::Or(alternatives)
    }

    /// Calls `visit` with this term and all within, outermost first; where it gives `false`, not with those within.
    pub fn walk<'t>(&'t self, visit: &mut dyn FnMut(&'t Term) -> bool) {
        if !visit(self) {
            return;
        }
        match self {
            Term::Null
            | Term::Bool(_)
            | Term::Literal(_)
            | Term::Column(_)
            | Term::Parameter(_)
            | Term::DatabaseUser => {}
            Term::Call(call) => call.arguments.iter().for_each(|term| term.walk(visit)),
            Term::Member(of, _) | Term::Cast(of) | Term::Not(of) | Term::Is(of, _) => {
                of.walk(visit)
            }
            Term::And(all) | Term::Or(all) | Term::List(all) | Term::Other(all) => {
                all.iter().for_each(|term| term.walk(visit));
            }
            Term::Compare(_, left, right) | Term::Any(_, left, right) => {
                left.walk(visit);
                right.walk(visit);
            }
            Term::Query(query) | Term::Array(query) | Term::Exists(query) => query.walk(visit),
        }
    }

    /// Some term within, or this one, is so.
    pub fn has(&self, is_so: &dyn Fn(&Term) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |term| {
            found |= is_so(term);
            !found
        });
        found
    }

    /// The value without casts and without `(SELECT …)` around it.
    pub fn bare(&self) -> &Term {
        match self {
            Term::Cast(of) => of.bare(),
            Term::Query(query) => query.only_output().map_or(self, Term::bare),
            other => other,
        }
    }

    /// The column of the row that it is, whatever it is cast to.
    pub fn row_column(&self) -> Option<&str> {
        match self {
            Term::Column(Column { owner: Owner::Row, name }) => Some(name),
            Term::Cast(of) => of.row_column(),
            _ => None,
        }
    }
}

impl Select {
    pub fn walk<'t>(&'t self, visit: &mut dyn FnMut(&'t Term) -> bool) {
        for source in &self.sources {
            source.call.iter().for_each(|call| call.walk(visit));
            source.query.iter().for_each(|query| query.walk(visit));
        }
        self.condition.iter().for_each(|condition| condition.walk(visit));
        self.outputs.iter().for_each(|output| output.walk(visit));
        self.others.iter().for_each(|other| other.walk(visit));
    }

    /// The value of a query that reads no table.
    pub fn only_output(&self) -> Option<&Term> {
        let is_plain =
            self.sources.is_empty() && self.others.is_empty() && self.condition.is_none();
        match self.outputs.as_slice() {
            [output] if is_plain => Some(output),
            _ => None,
        }
    }

    /// Tables that it reads, those of its sub-queries included.
    pub fn tables(&self) -> Vec<&TableName> {
        let mut found = Vec::new();
        self.add_tables(&mut found);
        found
    }

    fn add_tables<'t>(&'t self, found: &mut Vec<&'t TableName>) {
        for source in &self.sources {
            found.extend(source.table.as_ref());
            source.query.iter().for_each(|query| query.add_tables(found));
        }
        self.others.iter().for_each(|other| other.add_tables(found));
        let terms = self.condition.iter().chain(&self.outputs);
        terms.for_each(|term| add_tables_of(term, found));
    }
}

fn add_tables_of<'t>(term: &'t Term, found: &mut Vec<&'t TableName>) {
    term.walk(&mut |term| match term {
        Term::Query(query) | Term::Array(query) | Term::Exists(query) => {
            query.add_tables(found);
            false
        }
        _ => true,
    });
}

/// Tables that a condition reads in its sub-queries.
pub fn tables_read(term: &Term) -> Vec<&TableName> {
    let mut found = Vec::new();
    add_tables_of(term, &mut found);
    found
}
