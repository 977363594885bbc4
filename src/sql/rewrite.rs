//! Statements made from statements.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, LimitClause, SelectItem, SetExpr, Statement, Value, VisitMut, VisitorMut,
};

use super::normalize::normalize;
use super::parse::parse;
use super::scope::fold;

/// The statement with its outermost `LIMIT` and `OFFSET` out of force; `None` when it has neither or
/// cannot be parsed. Used to tell a tie under a limit from a wrong result.
///
/// The clauses stay, made to say nothing, so that the parameters in them keep their places.
pub fn without_limit(sql: &str) -> Option<String> {
    let mut statement = parse(sql).ok()?;
    let Statement::Query(query) = &mut statement else { return None };
    if query.fetch.is_some() {
        return None;
    }
    match query.limit_clause.as_mut()? {
        LimitClause::LimitOffset { limit, offset, .. } => {
            if let Some(limit) = limit {
                // NULL is no limit.
                *limit = expression(&format!(
                    "NULLIF(CAST({limit} AS bigint), CAST({limit} AS bigint))"
                ))?;
            }
            if let Some(offset) = offset {
                let value = &offset.value;
                offset.value =
                    expression(&format!("CAST({value} AS bigint) - CAST({value} AS bigint)"))?;
            }
        }
        LimitClause::OffsetCommaLimit { .. } => return None,
    }
    Some(statement.to_string())
}

fn expression(sql: &str) -> Option<Expr> {
    match parse(&format!("SELECT {sql}")).ok()? {
        Statement::Query(query) => match *query.body {
            SetExpr::Select(select) => match select.projection.into_iter().next()? {
                SelectItem::UnnamedExpr(expr) => Some(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// One statement for all the keys of a loop: `column = $n` becomes `column = ANY($n)`.
///
/// The key joins the select list, so that the application can tell the rows apart, and a `LIMIT` goes,
/// since it held for one key. `None` when the statement is not a plain `SELECT`, groups without the
/// key, or does not parse again afterwards: better no rewrite than a wrong one.
pub fn batched(normalized: &str, column: &str, slot: u16) -> Option<String> {
    let mut statement = parse(normalized).ok()?;
    let Statement::Query(query) = &mut statement else { return None };
    let limited = query.limit_clause.is_some() || query.fetch.is_some();
    // A limit for each key needs a LATERAL join; only a limit that cannot cut anything may go.
    if limited && query.order_by.is_some() {
        return None;
    }
    query.limit_clause = None;
    query.fetch = None;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let aggregates = select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            matches!(expr, Expr::Function(_))
        }
        _ => false,
    });
    let mut visitor = ToAny { column, slot, key: None };
    let _ = select.selection.visit(&mut visitor);
    let key = visitor.key?;
    let has_key = select.projection.iter().any(|item| match item {
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
        SelectItem::UnnamedExpr(expr) => *expr == key,
        _ => false,
    });
    if !has_key {
        select.projection.insert(0, SelectItem::UnnamedExpr(key.clone()));
    }
    if aggregates {
        match &mut select.group_by {
            sqlparser::ast::GroupByExpr::Expressions(keys, _) => keys.push(key),
            sqlparser::ast::GroupByExpr::All(_) => return None,
        }
    }
    let text = statement.to_string();
    parse(&normalize(&text).text).ok().map(|_| text)
}

struct ToAny<'a> {
    column: &'a str,
    slot: u16,
    /// The key as the statement spells it.
    key: Option<Expr>,
}

impl VisitorMut for ToAny<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expr else {
            return ControlFlow::Continue(());
        };
        let named = match left.as_ref() {
            Expr::Identifier(ident) => Some(fold(ident)),
            Expr::CompoundIdentifier(parts) => parts.last().map(fold),
            _ => None,
        };
        let is_slot = matches!(right.as_ref(), Expr::Value(value)
            if value.value == Value::Placeholder(format!("${}", self.slot)));
        if is_slot && named.as_deref() == Some(self.column) && self.key.is_none() {
            self.key = Some(left.as_ref().clone());
            *expr = Expr::AnyOp {
                left: left.clone(),
                compare_op: BinaryOperator::Eq,
                right: right.clone(),
                is_some: false,
            };
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_loses_its_force_and_the_order_stays() {
        assert_eq!(
            without_limit("SELECT a FROM t ORDER BY b LIMIT $1 OFFSET 2").as_deref(),
            Some(
                "SELECT a FROM t ORDER BY b LIMIT NULLIF(CAST($1 AS BIGINT), CAST($1 AS BIGINT)) \
                 OFFSET CAST(2 AS BIGINT) - CAST(2 AS BIGINT)"
            )
        );
        assert_eq!(without_limit("SELECT a FROM t"), None);
    }

    #[test]
    fn a_loop_becomes_one_statement() {
        assert_eq!(
            batched("SELECT t.id, t.name FROM tags AS t WHERE t.listing_id = $1", "listing_id", 1)
                .as_deref(),
            Some("SELECT t.listing_id, t.id, t.name FROM tags AS t WHERE t.listing_id = ANY($1)")
        );
        assert_eq!(
            batched("SELECT count(*) FROM reviews WHERE seller_id = $1", "seller_id", 1).as_deref(),
            Some(
                "SELECT seller_id, count(*) FROM reviews WHERE seller_id = ANY($1) GROUP BY seller_id"
            )
        );
        assert_eq!(batched("SELECT a FROM t WHERE k = $1 ORDER BY a LIMIT $2", "k", 1), None);
    }
}
