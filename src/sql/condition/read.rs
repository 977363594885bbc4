//! Texts to conditions.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, JoinConstraint, JoinOperator, ObjectName, Query, SelectItem, SetExpr, Statement,
    Subscript, TableFactor, TableWithJoins, UnaryOperator, Value,
};

use super::term::{Call, Column, Owner, Select, Source, Term, Test};
use crate::model::catalog::{Catalog, Table};
use crate::model::name::TableName;
use crate::sql::parse::parser::{parse, parse_expression};
use crate::sql::resolve::scope::{fold, last_name};

/// Reads a condition on the rows of a table; `None` where it is not understood.
pub fn condition(text: &str, table: &Table, catalog: &Catalog) -> Option<Term> {
    let row = Scope { row: Some(table), ..Scope::default() };
    Some(Reader { catalog, path: &[] }.term(&parse_expression(text).ok()?, &row))
}

/// The names that the body of a function may use beside those of its tables.
#[derive(Clone, Copy, Default)]
pub struct Names<'n> {
    /// Arguments and variables.
    pub parameters: &'n [String],
    /// The schemas that the function searches by itself.
    pub path: &'n [String],
}

/// Reads a query, such as that behind a view or in the body of a function.
pub fn query(text: &str, names: Names<'_>, catalog: &Catalog) -> Option<Select> {
    let Statement::Query(query) = parse(text).ok()? else { return None };
    let outside = Scope { parameters: names.parameters, ..Scope::default() };
    Some(Reader { catalog, path: names.path }.select(&query, &outside))
}

/// Reads an expression in the body of a function.
pub fn expression(text: &str, names: Names<'_>, catalog: &Catalog) -> Option<Term> {
    let outside = Scope { parameters: names.parameters, ..Scope::default() };
    Some(Reader { catalog, path: names.path }.term(&parse_expression(text).ok()?, &outside))
}

/// The names that may be used at some place.
#[derive(Default)]
struct Scope<'a> {
    sources: Vec<(Source, Option<&'a Table>)>,
    /// Queries of WITH.
    with: Vec<(String, Select)>,
    /// The table whose row is decided on.
    row: Option<&'a Table>,
    parameters: &'a [String],
    parent: Option<&'a Scope<'a>>,
}

struct Reader<'a> {
    catalog: &'a Catalog,
    path: &'a [String],
}

impl<'a> Reader<'a> {
    fn select(&self, query: &Query, parent: &Scope<'_>) -> Select {
        let mut scope = Scope { parent: Some(parent), ..Scope::default() };
        for own in query.with.iter().flat_map(|with| &with.cte_tables) {
            let select = self.select(&own.query, &scope);
            scope.with.push((fold(&own.alias.name), select));
        }
        self.set(&query.body, &scope)
    }

    fn set(&self, body: &SetExpr, parent: &Scope<'_>) -> Select {
        match body {
            SetExpr::Query(query) => self.select(query, parent),
            SetExpr::SetOperation { left, right, .. } => {
                let mut made = self.set(left, parent);
                made.others.push(self.set(right, parent));
                made
            }
            SetExpr::Select(select) => {
                let mut scope = Scope { parent: Some(parent), ..Scope::default() };
                let mut joins = Vec::new();
                for from in &select.from {
                    self.add_from(from, &mut scope, &mut joins);
                }
                let mut conditions: Vec<Term> =
                    joins.iter().map(|on| self.term(on, &scope)).collect();
                conditions.extend(select.selection.iter().map(|own| self.term(own, &scope)));
                let outputs = select.projection.iter().map(|item| match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                        self.term(expr, &scope)
                    }
                    _ => Term::Other(Vec::new()),
                });
                let outputs = outputs.collect();
                let condition = match conditions.len() {
                    0 => None,
                    1 => conditions.pop(),
                    _ => Some(Term::And(conditions)),
                };
                let sources = scope.sources.into_iter().map(|(source, _)| source).collect();
                Select { sources, condition, outputs, others: Vec::new() }
            }
            _ => Select::default(),
        }
    }

    fn add_from<'e, 's>(
        &self,
        from: &'e TableWithJoins,
        scope: &mut Scope<'s>,
        joins: &mut Vec<&'e Expr>,
    ) where
        'a: 's,
    {
        self.add_factor(&from.relation, scope, joins);
        for join in &from.joins {
            self.add_factor(&join.relation, scope, joins);
            // The condition of an outer join leaves no row out.
            let (JoinOperator::Join(on) | JoinOperator::Inner(on)) = &join.join_operator else {
                continue;
            };
            if let JoinConstraint::On(on) = on {
                joins.push(on);
            }
        }
    }

    fn add_factor<'e, 's>(
        &self,
        factor: &'e TableFactor,
        scope: &mut Scope<'s>,
        joins: &mut Vec<&'e Expr>,
    ) where
        'a: 's,
    {
        let nothing = |alias: String| Source { alias, table: None, call: None, query: None };
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                let own = last_name(name).unwrap_or_default();
                let alias = alias.as_ref().map_or_else(|| own.clone(), |alias| fold(&alias.name));
                if args.is_some() {
                    let call = Call { schema: schema_of(name), name: own, arguments: Vec::new() };
                    let arguments = args.iter().flat_map(|args| &args.args);
                    let arguments = arguments.filter_map(|own| self.argument(own, scope)).collect();
                    let call = Some(Term::Call(Call { arguments, ..call }));
                    scope.sources.push((Source { call, ..nothing(alias) }, None));
                    return;
                }
                if let Some(query) = with_named(scope, schema_of(name).as_deref(), &own) {
                    scope.sources.push((Source { query: Some(query), ..nothing(alias) }, None));
                    return;
                }
                let table = self.table(schema_of(name).as_deref(), &own);
                let name = match table {
                    Some(table) => table.name.clone(),
                    None => TableName::new(schema_of(name).unwrap_or_default(), own),
                };
                scope.sources.push((Source { table: Some(name), ..nothing(alias) }, table));
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let alias = alias.as_ref().map_or_else(String::new, |alias| fold(&alias.name));
                let query = Some(self.select(subquery, scope));
                scope.sources.push((Source { query, ..nothing(alias) }, None));
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.add_from(table_with_joins, scope, joins);
            }
            other => {
                let alias = match other {
                    TableFactor::Function { alias: Some(alias), .. }
                    | TableFactor::TableFunction { alias: Some(alias), .. } => fold(&alias.name),
                    _ => String::new(),
                };
                scope.sources.push((nothing(alias), None));
            }
        }
    }

    fn term(&self, expr: &Expr, scope: &Scope<'_>) -> Term {
        let boxed = |expr: &Expr| Box::new(self.term(expr, scope));
        let compare = |operator: &str, left: &Expr, right: &Expr| {
            Term::Compare(operator.to_owned(), boxed(left), boxed(right))
        };
        let negated_if = |negated: bool, term: Term| match negated {
            true => Term::Not(Box::new(term)),
            false => term,
        };
        match expr {
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => self.term(inner, scope),
            Expr::Identifier(ident) => self.bare(ident, scope),
            Expr::CompoundIdentifier(parts) => self.qualified(parts, scope),
            Expr::Value(value) => constant(&value.value),
            Expr::Cast { expr, .. } => Term::Cast(boxed(expr)),
            Expr::TypedString(typed) => match constant(&typed.value.value) {
                Term::Literal(text) => Term::Literal(text),
                other => other,
            },
            Expr::IsNull(of) => Term::Is(boxed(of), Test::Null),
            Expr::IsNotNull(of) => Term::Is(boxed(of), Test::NotNull),
            Expr::IsTrue(of) => Term::Is(boxed(of), Test::True),
            Expr::IsNotTrue(of) => Term::Is(boxed(of), Test::NotTrue),
            Expr::IsFalse(of) => Term::Is(boxed(of), Test::False),
            Expr::IsNotFalse(of) => Term::Is(boxed(of), Test::NotFalse),
            Expr::IsUnknown(of) => Term::Is(boxed(of), Test::Null),
            Expr::IsNotUnknown(of) => Term::Is(boxed(of), Test::NotNull),
            Expr::IsDistinctFrom(a, b) => compare("IS DISTINCT FROM", a, b),
            Expr::IsNotDistinctFrom(a, b) => compare("IS NOT DISTINCT FROM", a, b),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Term::Not(boxed(expr)),
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::And => Term::And(vec![*boxed(left), *boxed(right)]),
                BinaryOperator::Or => Term::Or(vec![*boxed(left), *boxed(right)]),
                BinaryOperator::Arrow | BinaryOperator::LongArrow => {
                    let key = match self.term(right, scope).bare() {
                        Term::Literal(key) => Some(key.clone()),
                        _ => None,
                    };
                    Term::Member(boxed(left), key)
                }
                BinaryOperator::HashArrow | BinaryOperator::HashLongArrow => {
                    match self.term(right, scope).bare() {
                        Term::Literal(path) => {
                            let keys = path.trim_matches(['{', '}']).split(',');
                            keys.fold(*boxed(left), |of, key| {
                                let key = key.trim().trim_matches('"').to_owned();
                                Term::Member(Box::new(of), Some(key))
                            })
                        }
                        _ => Term::Member(boxed(left), None),
                    }
                }
                BinaryOperator::PGCustomBinaryOperator(name) => {
                    compare(name.last().map_or("", String::as_str), left, right)
                }
                other => compare(&other.to_string(), left, right),
            },
            Expr::InList { expr, list, negated } => {
                let equal = list.iter().map(|own| compare("=", expr, own)).collect();
                negated_if(*negated, Term::Or(equal))
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let query = Term::Query(Box::new(self.select(subquery, scope)));
                negated_if(*negated, Term::Any("=".to_owned(), boxed(expr), Box::new(query)))
            }
            Expr::AnyOp { left, compare_op, right, .. } => {
                Term::Any(compare_op.to_string(), boxed(left), boxed(right))
            }
            Expr::Between { expr, negated, low, high } => negated_if(
                *negated,
                Term::And(vec![compare(">=", expr, low), compare("<=", expr, high)]),
            ),
            Expr::Like { expr, pattern, negated, .. } => {
                negated_if(*negated, compare("LIKE", expr, pattern))
            }
            Expr::ILike { expr, pattern, negated, .. } => {
                negated_if(*negated, compare("ILIKE", expr, pattern))
            }
            Expr::Exists { subquery, negated } => {
                negated_if(*negated, Term::Exists(Box::new(self.select(subquery, scope))))
            }
            Expr::Subquery(query) => Term::Query(Box::new(self.select(query, scope))),
            Expr::Array(array) => Term::List(self.terms(&array.elem, scope)),
            Expr::Tuple(all) => Term::List(self.terms(all, scope)),
            Expr::Function(function) => self.call(function, scope),
            Expr::Case { operand: None, conditions, else_result, .. } => {
                let whens =
                    conditions.iter().map(|own| (*boxed(&own.condition), *boxed(&own.result)));
                let otherwise = else_result.as_ref().map(|own| *boxed(own));
                Term::case(whens.collect(), otherwise)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let mut all: Vec<Term> = operand.iter().map(|own| *boxed(own)).collect();
                for when in conditions {
                    all.push(*boxed(&when.condition));
                    all.push(*boxed(&when.result));
                }
                all.extend(else_result.iter().map(|own| *boxed(own)));
                Term::Other(all)
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                access_chain.iter().fold(*boxed(root), |of, access| {
                    let key = match access {
                        AccessExpr::Subscript(Subscript::Index { index }) => {
                            match self.term(index, scope).bare() {
                                Term::Literal(key) => Some(key.clone()),
                                _ => None,
                            }
                        }
                        _ => None,
                    };
                    Term::Member(Box::new(of), key)
                })
            }
            Expr::UnaryOp { expr, .. }
            | Expr::Extract { expr, .. }
            | Expr::AtTimeZone { timestamp: expr, .. }
            | Expr::Substring { expr, .. }
            | Expr::Trim { expr, .. }
            | Expr::AllOp { left: expr, .. } => Term::Other(vec![*boxed(expr)]),
            _ => Term::Other(Vec::new()),
        }
    }

    /// A table by its name: of a function with a search path of its own, along that.
    fn table(&self, schema: Option<&str>, name: &str) -> Option<&'a Table> {
        let own = self.path.iter().filter(|_| schema.is_none());
        let own = own.filter_map(|schema| self.catalog.lookup(Some(schema), name)).next();
        own.or_else(|| self.catalog.lookup(schema, name))
    }

    fn terms(&self, all: &[Expr], scope: &Scope<'_>) -> Vec<Term> {
        all.iter().map(|own| self.term(own, scope)).collect()
    }

    fn call(&self, function: &Function, scope: &Scope<'_>) -> Term {
        let name = last_name(&function.name).unwrap_or_default();
        const USERS: &[&str] = &["current_user", "session_user", "user", "current_role"];
        let arguments = match &function.args {
            FunctionArguments::None if USERS.contains(&name.as_str()) => return Term::DatabaseUser,
            FunctionArguments::None => Vec::new(),
            FunctionArguments::Subquery(query) => {
                let query = Box::new(self.select(query, scope));
                return if name == "array" { Term::Array(query) } else { Term::Query(query) };
            }
            FunctionArguments::List(list) => {
                list.args.iter().filter_map(|own| self.argument(own, scope)).collect()
            }
        };
        Term::Call(Call { schema: schema_of(&function.name), name, arguments })
    }

    fn argument(&self, argument: &FunctionArg, scope: &Scope<'_>) -> Option<Term> {
        let (FunctionArg::Named { arg, .. }
        | FunctionArg::ExprNamed { arg, .. }
        | FunctionArg::Unnamed(arg)) = argument;
        match arg {
            FunctionArgExpr::Expr(expr) => Some(self.term(expr, scope)),
            _ => None,
        }
    }

    fn bare(&self, ident: &Ident, scope: &Scope<'_>) -> Term {
        let name = fold(ident);
        if ident.quote_style.is_none()
            && ["current_user", "session_user", "user"].contains(&name.as_str())
        {
            return Term::DatabaseUser;
        }
        let mut at = Some(scope);
        while let Some(here) = at {
            if let Some(term) = column_here(here, None, &name) {
                return term;
            }
            if here.parameters.contains(&name) {
                return Term::Parameter(name);
            }
            at = here.parent;
        }
        Term::Column(Column { owner: Owner::Unknown, name })
    }

    fn qualified(&self, parts: &[Ident], scope: &Scope<'_>) -> Term {
        let names: Vec<String> = parts.iter().map(fold).collect();
        let [.., qualifier, name] = names.as_slice() else { return Term::Other(Vec::new()) };
        let mut at = Some(scope);
        while let Some(here) = at {
            if let Some(term) = column_here(here, Some(qualifier), name) {
                return term;
            }
            at = here.parent;
            // `function.argument`.
            if at.is_none() && here.parameters.contains(name) {
                return Term::Parameter(name.clone());
            }
        }
        Term::Column(Column { owner: Owner::Unknown, name: name.clone() })
    }
}

/// The query that a name of WITH stands for.
fn with_named(scope: &Scope<'_>, schema: Option<&str>, name: &str) -> Option<Select> {
    let mut at = Some(scope).filter(|_| schema.is_none());
    while let Some(here) = at {
        if let Some((_, query)) = here.with.iter().rev().find(|(known, _)| known == name) {
            return Some(query.clone());
        }
        at = here.parent;
    }
    None
}

/// A column of what is named in this scope and in no other.
fn column_here(scope: &Scope<'_>, qualifier: Option<&str>, name: &str) -> Option<Term> {
    let column = |owner: Owner| Some(Term::Column(Column { owner, name: name.to_owned() }));
    for (source, table) in &scope.sources {
        let is_meant = qualifier.is_none_or(|qualifier| qualifier == source.alias);
        let has = table.is_some_and(|table| table.column(name).is_some());
        match &source.table {
            Some(of) if is_meant && (has || qualifier.is_some()) => {
                return column(Owner::Source { alias: source.alias.clone(), table: of.clone() });
            }
            None if is_meant && qualifier.is_some() => return column(Owner::Unknown),
            _ => {}
        }
    }
    let row = scope.row?;
    let is_meant = qualifier.is_none_or(|qualifier| qualifier == row.name.name);
    (is_meant && row.column(name).is_some()).then(|| column(Owner::Row))?
}

fn schema_of(name: &ObjectName) -> Option<String> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident().map(fold)).collect();
    (parts.len() > 1).then(|| parts[parts.len() - 2].clone())
}

fn constant(value: &Value) -> Term {
    match value {
        Value::Null => Term::Null,
        Value::Boolean(is_true) => Term::Bool(*is_true),
        Value::Placeholder(name) => Term::Parameter(name.clone()),
        Value::Number(text, _)
        | Value::SingleQuotedString(text)
        | Value::EscapedStringLiteral(text)
        | Value::NationalStringLiteral(text) => Term::Literal(text.clone()),
        Value::DollarQuotedString(text) => Term::Literal(text.value.clone()),
        _ => Term::Other(Vec::new()),
    }
}
