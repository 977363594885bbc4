//! Statements made from statements.

use sqlparser::ast::{Expr, LimitClause, SelectItem, SetExpr, Statement};

use super::parse::parse;

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
}
