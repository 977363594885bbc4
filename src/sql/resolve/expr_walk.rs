//! Walks over expressions: columns, literal positions, sub-queries, functions.

use std::ops::ControlFlow;

use sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, Query, SetExpr, Statement, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};

use super::scope::fold;

/// The parts of a condition that are joined by `AND`.
pub fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    joined_by(&BinaryOperator::And, condition)
}

/// The parts of a condition that are joined by one operator.
pub(super) fn joined_by<'e>(operator: &BinaryOperator, condition: &'e Expr) -> Vec<&'e Expr> {
    let mut parts = Vec::new();
    let mut rest = vec![condition];
    while let Some(expr) = rest.pop() {
        match expr {
            Expr::BinaryOp { left, op, right } if op == operator => {
                rest.push(right);
                rest.push(left);
            }
            Expr::Nested(inner) => rest.push(inner),
            other => parts.push(other),
        }
    }
    parts
}

pub(super) fn is_name(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// The arguments of a call, in order; `None` where one is named or is no expression.
pub(crate) fn arguments(function: &Function) -> Option<Vec<&Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect()
}

/// The expression as SQL, without the names of relations before its columns.
pub(super) fn unqualified(expr: &Expr) -> String {
    let mut expr = expr.clone();
    let _ = VisitMut::visit(&mut expr, &mut Unqualify);
    expr.to_string()
}

/// Columns named outside sub-queries.
pub fn names(node: &impl Visit) -> Vec<Expr> {
    struct Names(Vec<Expr>, usize);
    impl Visitor for Names {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.1 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if self.1 == 0 && is_name(expr) {
                self.0.push(expr.clone());
            }
            ControlFlow::Continue(())
        }
        /// The parts of a composite value come last, and are no columns.
        fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let (Expr::CompoundFieldAccess { access_chain, .. }, 0) = (expr, self.1) {
                let is_part =
                    |part: &&AccessExpr| matches!(part, AccessExpr::Dot(name) if is_name(name));
                let parts = access_chain.iter().filter(is_part).count();
                self.0.truncate(self.0.len().saturating_sub(parts));
            }
            ControlFlow::Continue(())
        }
    }
    let mut names = Names(Vec::new(), 0);
    let _ = node.visit(&mut names);
    names.0
}

/// The `$n` that is the whole expression, casts aside.
pub fn slot_alone(expr: &Expr) -> Option<u16> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => slot_alone(inner),
        Expr::Value(_) => slots(expr).first().copied(),
        _ => None,
    }
}

/// `$n` positions in an expression.
pub fn slots(expr: &Expr) -> Vec<u16> {
    struct Slots(Vec<u16>);
    impl Visitor for Slots {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Value(value) = expr
                && let Value::Placeholder(name) = &value.value
            {
                self.0.extend(name.strip_prefix('$').and_then(|n| n.parse::<u16>().ok()));
            }
            ControlFlow::Continue(())
        }
    }
    let mut slots = Slots(Vec::new());
    let _ = expr.visit(&mut slots);
    slots.0
}

/// The queries directly inside an expression, not those inside of them. Of one that stands behind
/// `EXISTS` nothing is read but whether it has rows: it comes without its select list.
pub fn subqueries(node: &impl Visit) -> Vec<Query> {
    struct Subqueries {
        found: Vec<Query>,
        depth: usize,
        is_in_exists: bool,
    }
    impl Visitor for Subqueries {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            // Its query is what is visited next.
            self.is_in_exists = matches!(expr, Expr::Exists { .. });
            ControlFlow::Continue(())
        }
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            if self.depth == 0 {
                let mut query = query.clone();
                if let (true, SetExpr::Select(select)) = (self.is_in_exists, &mut *query.body) {
                    select.projection.clear();
                }
                self.found.push(query);
            }
            self.depth += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }
    }
    let mut subqueries = Subqueries { found: Vec::new(), depth: 0, is_in_exists: false };
    let _ = node.visit(&mut subqueries);
    subqueries.found
}

/// Names of all functions that a statement calls, each once, lower case, schema included if given.
pub fn functions(statement: &Statement) -> Vec<String> {
    struct Functions(Vec<String>);
    impl Functions {
        fn add(&mut self, name: String) {
            let name = name.replace('"', "").to_lowercase();
            if !self.0.contains(&name) {
                self.0.push(name);
            }
        }
    }
    impl Visitor for Functions {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr {
                self.add(function.name.to_string());
            }
            ControlFlow::Continue(())
        }
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match factor {
                TableFactor::Table { name, args: Some(_), .. }
                | TableFactor::Function { name, .. } => {
                    self.add(name.to_string());
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut functions = Functions(Vec::new());
    let _ = statement.visit(&mut functions);
    functions.0
}

/// `u.email` to `email`, everywhere in an expression.
struct Unqualify;

impl VisitorMut for Unqualify {
    type Break = ();
    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some(last) = parts.pop()
        {
            *expr = Expr::Identifier(Ident { value: fold(&last), ..last });
        }
        ControlFlow::Continue(())
    }
}
