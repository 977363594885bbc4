//! One statement in the place of a loop in which more than one parameter varies: with rows of values, of which it
//! shows two.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Assignment, AssignmentTarget, BinaryOperator, Delete, Expr, GroupByExpr, Ident, Query, Select,
    SelectItem, SetExpr, Statement, Update, Value, VisitMut, VisitorMut, visit_expressions,
};

use crate::model::workload::shape::{Operator, Scan, Shape};
use crate::sql::lex::identifier::{quote, quote_table};
use crate::sql::lex::lexer::{TokenKind, tokens};
use crate::sql::parse::parser::{parse, parse_expression};
use crate::sql::resolve::expr_walk::conjuncts;
use crate::sql::resolve::scope::{fold, last_name};

/// Numbers of the parameters of a statement, each once.
pub(super) fn parameters(normalized: &str) -> Vec<u16> {
    let all = tokens(normalized).filter(|token| token.kind == TokenKind::Parameter);
    let mut numbers: Vec<u16> =
        all.filter_map(|token| token.text[1..].parse::<u16>().ok()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// `a = $1 AND b = $2` of a query as `(a, b) IN (($1, $2), ($3, $4))`, with the columns in what it returns; `None`
/// where one of the parameters stands elsewhere.
pub(super) fn selected_rows(query: &Query, slots: &[u16], most: u16) -> Option<String> {
    let mut query = without_limit(query)?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let keys = by_rows(&mut select.selection, slots, most)?;
    returned(select, keys)?;
    Some(query.to_string())
}

/// Only a limit that cannot cut anything may go.
pub(super) fn without_limit(query: &Query) -> Option<Query> {
    let is_limited = query.limit_clause.is_some() || query.fetch.is_some();
    (!is_limited || query.order_by.is_none()).then(|| Query {
        limit_clause: None,
        fetch: None,
        ..query.clone()
    })
}

/// Has the keys returned as well, and aggregates by them.
pub(super) fn returned(select: &mut Select, keys: Vec<Expr>) -> Option<()> {
    let is_aggregate = crate::sql::resolve::aggregate::aggregates(&select.projection);
    let has = |key: &Expr| {
        select.projection.iter().any(|item| match item {
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr == key,
            SelectItem::ExprWithAliases { .. } => false,
        })
    };
    let missing: Vec<Expr> = keys.iter().filter(|key| !has(key)).cloned().collect();
    let missing = missing.into_iter().map(SelectItem::UnnamedExpr);
    select.projection.splice(0..0, missing);
    if is_aggregate {
        match &mut select.group_by {
            GroupByExpr::Expressions(own, _) => own.extend(keys),
            GroupByExpr::All(_) => return None,
        }
    }
    Some(())
}

/// The same of a `DELETE`.
pub(super) fn deleted_rows(normalized: &str, slots: &[u16], most: u16) -> Option<String> {
    let mut statement = parse(normalized).ok()?;
    let Statement::Delete(Delete { selection, .. }) = &mut statement else { return None };
    by_rows(selection, slots, most)?;
    Some(statement.to_string())
}

/// Puts the rows into a condition. Returns the columns.
fn by_rows(selection: &mut Option<Expr>, slots: &[u16], most: u16) -> Option<Vec<Expr>> {
    let all = conjuncts(selection.as_ref()?);
    let mut keys = Vec::new();
    let mut rest = Vec::new();
    for conjunct in all {
        match equality(conjunct).filter(|(_, value)| !slots_of(value, slots).is_empty()) {
            Some((key, value)) => keys.push((key.clone(), value.clone())),
            None => rest.push(conjunct.to_string()),
        }
    }
    let seen: Vec<u16> = keys.iter().flat_map(|(_, value)| slots_of(value, slots)).collect();
    let is_elsewhere = |slot: &u16| rest.iter().any(|conjunct| parameters(conjunct).contains(slot));
    if slots.iter().any(|slot| !seen.contains(slot) || is_elsewhere(slot)) {
        return None;
    }
    let list = |parts: Vec<String>| format!("({})", parts.join(", "));
    let columns = list(keys.iter().map(|(key, _)| key.to_string()).collect());
    let first = list(keys.iter().map(|(_, value)| value.to_string()).collect());
    let second = list(keys.iter().map(|(_, value)| renumbered(value, most).to_string()).collect());
    rest.insert(0, format!("{columns} IN ({first}, {second})"));
    *selection = Some(parse_expression(&rest.join(" AND ")).ok()?);
    Some(keys.into_iter().map(|(key, _)| key).collect())
}

/// The column that is all of an expression.
pub(super) fn column_named(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold),
        _ => None,
    }
}

/// A column and the value that it is compared with.
fn equality(expr: &Expr) -> Option<(&Expr, &Expr)> {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expr else { return None };
    match (column_named(left).is_some(), column_named(right).is_some()) {
        (true, false) => Some((left, right)),
        (false, true) => Some((right, left)),
        _ => None,
    }
}

fn slots_of(expr: &Expr, slots: &[u16]) -> Vec<u16> {
    parameters(&expr.to_string()).into_iter().filter(|own| slots.contains(own)).collect()
}

/// The expression with other numbers of its parameters.
fn renumbered(expr: &Expr, most: u16) -> Expr {
    let mut expr = expr.clone();
    let more = |number: u16| {
        Some(Expr::Value(Value::Placeholder(format!("${}", number + most)).with_empty_span()))
    };
    let _ = expr.visit(&mut Fill { by: &more });
    expr
}

/// Puts something in the place of parameters.
pub(super) struct Fill<'f> {
    pub(super) by: &'f dyn Fn(u16) -> Option<Expr>,
}

impl VisitorMut for Fill<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some(number) = name.strip_prefix('$').and_then(|number| number.parse().ok())
            && let Some(other) = (self.by)(number)
        {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// An `UPDATE` that computes what it writes, or looks for what it sets, with the values of each row from a list. They
/// have the types of the columns that they are compared with, written to, or added to what stands there.
pub(super) fn updated_rows(normalized: &str, shape: &Shape, slots: &[u16]) -> Option<String> {
    let target = shape.scans.iter().find(|scan| scan.target)?;
    let most = *parameters(normalized).last()?;
    let Ok(Statement::Update(mut update)) = parse(normalized) else { return None };
    let is_plain = update.from.is_none() && update.limit.is_none() && update.returning.is_none();
    if !is_plain || shape.scans.len() > 1 {
        return None;
    }
    let columns = slots.iter().map(|slot| column_of(*slot, target, &update));
    let columns = columns.collect::<Option<Vec<String>>>()?;
    let value = |slot: u16| {
        let parts = vec![Ident::new("new"), Ident::new(format!("v{slot}"))];
        slots.contains(&slot).then_some(Expr::CompoundIdentifier(parts))
    };
    let mut fill = Fill { by: &value };
    for assignment in &mut update.assignments {
        let _ = assignment.value.visit(&mut fill);
    }
    let _ = update.selection.visit(&mut fill);
    let table = quote_table(&target.table);
    let named: Vec<String> = columns
        .iter()
        .zip(slots)
        .map(|(column, slot)| format!("{} AS v{slot}", quote(column)))
        .collect();
    let row = |more: u16| {
        let row = slots.iter().map(|slot| format!("${}", slot + more));
        row.collect::<Vec<_>>().join(", ")
    };
    let list: Vec<String> = update.assignments.iter().map(ToString::to_string).collect();
    Some(format!(
        "UPDATE {} SET {} FROM (SELECT {} FROM {table} WHERE false UNION ALL SELECT {} UNION ALL SELECT {}) AS new \
         WHERE {}",
        update.table,
        list.join(", "),
        named.join(", "),
        row(0),
        row(most),
        update.selection?
    ))
}

/// The column that has the type of a parameter.
fn column_of(slot: u16, target: &Scan, update: &Update) -> Option<String> {
    let compared = target
        .filters
        .iter()
        .find(|filter| filter.operator == Operator::Equal && filter.slots == [slot]);
    if let Some(column) = compared.and_then(|filter| filter.key.column()) {
        return Some(column.to_owned());
    }
    if let Some((column, _)) = target.assigned.iter().find(|(_, own)| *own == slot) {
        return Some(column.clone());
    }
    update.assignments.iter().find_map(|assignment| {
        let Assignment { target: AssignmentTarget::ColumnName(name), value } = assignment else {
            return None;
        };
        let column = last_name(name)?;
        let is_of_it = !slots_of(value, &[slot]).is_empty() && is_sum_with(value, &column);
        is_of_it.then_some(column)
    })
}

/// Sums and products of the column itself with numbers and parameters.
fn is_sum_with(value: &Expr, column: &str) -> bool {
    let mut names_it = false;
    let other = visit_expressions(value, |expr| {
        let is_known = match expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let is_it = column_named(expr).as_deref() == Some(column);
                names_it |= is_it;
                is_it
            }
            Expr::Nested(_) | Expr::Value(_) => true,
            Expr::BinaryOp { op, .. } => matches!(
                op,
                BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::StringConcat
            ),
            _ => false,
        };
        if is_known { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    names_it && other.is_continue()
}
