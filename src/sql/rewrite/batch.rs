//! Rewrites a loop into one statement.

use std::cell::Cell;
use std::ops::ControlFlow;

use sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, DataType, Expr, Ident, LimitClause, Query, SetExpr,
    Statement, Value, VisitMut, VisitorMut,
};

use super::batch_rows::{
    Fill, column_named, deleted_rows, parameters, returned, selected_rows, updated_rows,
    without_limit,
};
use crate::model::catalog::Table;
use crate::model::name::TableName;
use crate::model::workload::shape::{Operator, Shape, StatementKind};
use crate::sql::lex::identifier::{quote, quote_table};
use crate::sql::lex::lexer::{Token, TokenKind, tokens};
use crate::sql::normalize::normalizer::normalize;
use crate::sql::parse::parser::parse;

/// One statement for all the keys of a loop.
///
/// `column = $n` becomes `column = ANY($n)`; the key joins the select list, so that the application can
/// tell the rows apart. Where a `LIMIT` with an order holds for one key, or the key stands in a
/// sub-query, the statement goes whole into a `LATERAL` join with the keys. Where other parameters vary
/// as well, the keys are rows. `None` when it is no `SELECT`, or does not parse again afterwards: better
/// no rewrite than a wrong one.
pub fn batched(
    normalized: &str,
    table: &TableName,
    column: &str,
    slot: u16,
    varies: &dyn Fn(u16) -> bool,
) -> Option<String> {
    let statement = parse(normalized).ok()?;
    let Statement::Query(query) = &statement else { return None };
    let mut slots = varying(normalized, slot, varies);
    // How many there are to be of each is for the application.
    if let Some(LimitClause::LimitOffset { limit: Some(limit), .. }) = &query.limit_clause {
        let of_limit = parameters(&limit.to_string());
        slots.retain(|own| *own == slot || !of_limit.contains(own));
    }
    let text = match &slots[..] {
        [_] => any_of_keys(query, column, slot)
            .or_else(|| for_each_key(query, table, column, slot))?
            .to_string(),
        _ => selected_rows(query, &slots, *parameters(normalized).last()?)?,
    };
    parse(&normalize(&text).text).ok().map(|_| text)
}

/// The parameter of the key, and all others that vary.
fn varying(normalized: &str, slot: u16, varies: &dyn Fn(u16) -> bool) -> Vec<u16> {
    let mut slots = parameters(normalized);
    slots.retain(|own| *own == slot || varies(*own));
    slots
}

fn any_of_keys(query: &Query, column: &str, slot: u16) -> Option<String> {
    let mut query = without_limit(query)?;
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let mut visitor = ToAny { column, slot, key: None, depth: 0 };
    let _ = select.selection.visit(&mut visitor);
    if visitor.key.is_none() {
        let _ = select.from.visit(&mut visitor);
    }
    returned(select, vec![visitor.key?])?;
    Some(query.to_string())
}

/// One statement for all the rows of a loop that writes them one by one.
///
/// If the catalog knows the types, values come as one array for each column. Without it an `INSERT` shows two of
/// its rows, and an `UPDATE` takes the types from the table itself. A statement that computes what it writes
/// keeps its values for all keys, where they do not vary: `varies` tells that of a parameter. `None` when none of
/// these fits.
pub fn many_rows(
    normalized: &str,
    shape: &Shape,
    table: Option<&Table>,
    varies: &dyn Fn(u16) -> bool,
) -> Option<String> {
    let text = match shape.kind {
        StatementKind::Insert => {
            inserted_arrays(normalized, shape, table).or_else(|| two_rows(normalized))
        }
        StatementKind::Update => {
            updated_arrays(shape, table).or_else(|| written_by_keys(normalized, shape, varies))
        }
        StatementKind::Delete => written_by_keys(normalized, shape, varies),
        _ => None,
    }?;
    parse(&normalize(&text).text).ok().map(|_| text)
}

fn inserted_arrays(normalized: &str, shape: &Shape, table: Option<&Table>) -> Option<String> {
    let target = shape.scans.iter().find(|scan| scan.target)?;
    let columns: Vec<&str> = target.assigned.iter().map(|(column, _)| column.as_str()).collect();
    if columns.is_empty() || columns.len() != target.written.len() {
        return None;
    }
    let arrays = arrays(&columns, table?)?;
    let (_, end) = row_of_values(normalized)?;
    let tail = &normalized[end..];
    (!tail.contains('$')).then(|| {
        let name = quote_table(&target.table);
        format!("INSERT INTO {name} ({}) SELECT * FROM unnest({arrays}){tail}", names(&columns))
    })
}

/// The row of an `INSERT`, and a second one with parameters of its own.
fn two_rows(normalized: &str) -> Option<String> {
    let (start, end) = row_of_values(normalized)?;
    let number = |token: &Token<'_>| token.text[1..].parse::<usize>().ok();
    let most = usize::from(*parameters(normalized).last()?);
    let row = &normalized[start..end];
    let mut second = String::new();
    let mut copied = 0;
    for token in tokens(row).filter(|token| token.kind == TokenKind::Parameter) {
        second.push_str(&row[copied..token.start]);
        second.push_str(&format!("${}", number(&token)? + most));
        copied = token.start + token.text.len();
    }
    second.push_str(&row[copied..]);
    Some(format!("{}, {second}{}", &normalized[..end], &normalized[end..]))
}

/// Returns the range of the first row after `VALUES`.
fn row_of_values(normalized: &str) -> Option<(usize, usize)> {
    let list: Vec<Token<'_>> = tokens(normalized).collect();
    let open = list.iter().position(|token| token.is_word("values"))? + 1;
    let mut depth = 0usize;
    let close = list[open..].iter().find(|token| {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    })?;
    Some((list.get(open)?.start, close.start + close.text.len()))
}

fn updated_arrays(shape: &Shape, table: Option<&Table>) -> Option<String> {
    let target = shape.scans.iter().find(|scan| scan.target)?;
    let keys: Option<Vec<&str>> = target
        .filters
        .iter()
        .map(|filter| {
            let is_value = filter.operator == Operator::Equal && filter.slots.len() == 1;
            filter.key.column().filter(|_| is_value)
        })
        .collect();
    let keys = keys.filter(|keys| !keys.is_empty())?;
    let values: Vec<&str> = target.assigned.iter().map(|(column, _)| column.as_str()).collect();
    let is_plain = !values.is_empty() && values.len() == target.written.len();
    if !is_plain || values.iter().any(|column| keys.contains(column)) {
        return None;
    }
    let columns: Vec<&str> = values.iter().chain(&keys).copied().collect();
    let name = quote_table(&target.table);
    let list = names(&columns);
    let new = match table.and_then(|table| arrays(&columns, table)) {
        Some(arrays) => format!("unnest({arrays}) AS new ({list})"),
        None => {
            let row = |first: usize| {
                let row = (0..columns.len()).map(|at| format!("${}", first + at));
                row.collect::<Vec<_>>().join(", ")
            };
            format!(
                "(SELECT {list} FROM {name} WHERE false UNION ALL SELECT {} UNION ALL SELECT {}) AS new",
                row(1),
                row(1 + columns.len())
            )
        }
    };
    let set: Vec<String> = values.iter().map(|v| format!("{0} = new.{0}", quote(v))).collect();
    let is_row: Vec<String> =
        keys.iter().map(|key| format!("{name}.{0} = new.{0}", quote(key))).collect();
    let (set, is_row) = (set.join(", "), is_row.join(" AND "));
    Some(format!("UPDATE {name} SET {set} FROM {new} WHERE {is_row}"))
}

/// The same for all keys: `WHERE id = ANY($n)`; with rows of values where something else varies.
fn written_by_keys(
    normalized: &str,
    shape: &Shape,
    varies: &dyn Fn(u16) -> bool,
) -> Option<String> {
    let target = shape.scans.iter().find(|scan| scan.target)?;
    let (column, slot) = target.filters.iter().find_map(|filter| {
        let slot = filter.slots.first().filter(|_| filter.operator == Operator::Equal)?;
        Some((filter.key.column()?, *slot))
    })?;
    let slots = varying(normalized, slot, varies);
    if slots.len() > 1 {
        let most = *parameters(normalized).last()?;
        return match shape.kind {
            StatementKind::Update => updated_rows(normalized, shape, &slots),
            _ => deleted_rows(normalized, &slots, most),
        };
    }
    let mut statement = parse(normalized).ok()?;
    let mut visitor = ToAny { column, slot, key: None, depth: 0 };
    match &mut statement {
        Statement::Update(update) => {
            let _ = update.selection.visit(&mut visitor);
        }
        Statement::Delete(delete) => {
            let _ = delete.selection.visit(&mut visitor);
        }
        _ => {}
    }
    visitor.key.map(|_| statement.to_string())
}

fn names(columns: &[&str]) -> String {
    columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", ")
}

/// `$1::bigint[], $2::text[]`
fn arrays(columns: &[&str], table: &Table) -> Option<String> {
    let array = |(at, column): (usize, &&str)| {
        Some(format!("${}::{}[]", at + 1, table.column(column)?.type_name))
    };
    let list: Option<Vec<String>> = columns.iter().enumerate().map(array).collect();
    Some(list?.join(", "))
}

/// The keys come from the table itself, so that they have its type.
fn for_each_key(query: &Query, table: &TableName, column: &str, slot: u16) -> Option<String> {
    let is_there = Cell::new(false);
    let key = |number: u16| {
        (number == slot).then(|| {
            is_there.set(true);
            Expr::CompoundIdentifier(vec![Ident::new("keys"), Ident::new("key")])
        })
    };
    let mut inner = query.clone();
    let _ = inner.visit(&mut Fill { by: &key });
    let (table, column) = (quote_table(table), quote(column));
    is_there.get().then(|| {
        format!(
            "SELECT keys.key, batch.* FROM (SELECT DISTINCT {column} FROM {table} \
             WHERE {column} = ANY(${slot})) AS keys (key) CROSS JOIN LATERAL ({inner}) AS batch"
        )
    })
}

/// `key = $n` and `key IN ($n)` of the outermost query, written for many keys.
struct ToAny<'a> {
    column: &'a str,
    slot: u16,
    /// The key as the statement spells it.
    key: Option<Expr>,
    /// Sub-queries around the present expression.
    depth: usize,
}

impl ToAny<'_> {
    fn is_key(&self, expr: &Expr) -> bool {
        column_named(expr).as_deref() == Some(self.column)
    }

    /// The position as an array: `$1`, or `$1::integer[]` of `$1::integer`.
    fn as_array(&self, expr: &Expr) -> Option<Expr> {
        match expr {
            Expr::Value(value) if value.value == Value::Placeholder(format!("${}", self.slot)) => {
                Some(expr.clone())
            }
            Expr::Nested(inner) => self.as_array(inner),
            Expr::Cast { kind, expr: inner, data_type, format } => {
                let inner = self.as_array(inner)?;
                let element = ArrayElemTypeDef::SquareBracket(Box::new(data_type.clone()), None);
                Some(Expr::Cast {
                    kind: kind.clone(),
                    expr: Box::new(inner),
                    data_type: DataType::Array(element),
                    format: format.clone(),
                })
            }
            _ => None,
        }
    }
}

impl VisitorMut for ToAny<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let (key, array) = match expr {
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let (key, value) = if self.is_key(left) { (left, right) } else { (right, left) };
                (key.as_ref().clone(), self.as_array(value))
            }
            Expr::InList { expr, list, negated: false } if list.len() == 1 => {
                (expr.as_ref().clone(), self.as_array(&list[0]))
            }
            _ => return ControlFlow::Continue(()),
        };
        let Some(array) = array.filter(|_| self.is_key(&key)) else {
            return ControlFlow::Continue(());
        };
        self.key = Some(key.clone());
        *expr = Expr::AnyOp {
            left: Box::new(key),
            compare_op: BinaryOperator::Eq,
            right: Box::new(array),
            is_some: false,
        };
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batched(normalized: &str, table: &str, column: &str, slot: u16) -> Option<String> {
        super::batched(normalized, &TableName::new("public", table), column, slot, &|_| false)
    }

    #[test]
    fn a_loop_becomes_one_statement() {
        for (sql, table, key, one) in [
            (
                "SELECT t.id, t.name FROM tags AS t WHERE t.listing_id = $1",
                "tags",
                "listing_id",
                "SELECT t.listing_id, t.id, t.name FROM tags AS t WHERE t.listing_id = ANY($1)",
            ),
            (
                "SELECT count(*) FROM reviews WHERE seller_id = $1",
                "reviews",
                "seller_id",
                "SELECT seller_id, count(*) FROM reviews WHERE seller_id = ANY($1) GROUP BY seller_id",
            ),
            (
                "SELECT id FROM book WHERE $1::integer = book.author_id",
                "book",
                "author_id",
                "SELECT book.author_id, id FROM book WHERE book.author_id = ANY($1::INTEGER[])",
            ),
            (
                "SELECT tag.id FROM tag JOIN book_tag ON tag.id = book_tag.tag_id AND book_tag.book_id IN ($1)",
                "book_tag",
                "book_id",
                "SELECT book_tag.book_id, tag.id FROM tag JOIN book_tag ON tag.id = book_tag.tag_id AND book_tag.book_id = ANY($1)",
            ),
        ] {
            assert_eq!(batched(sql, table, key, 1).as_deref(), Some(one));
        }
    }

    #[test]
    fn rows_are_written_together() {
        let schema = "CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint, title text)";
        let catalog = crate::sql::dump::catalog::catalog(schema).0;
        for (sql, known, one) in [
            (
                "INSERT INTO items (order_id, title) VALUES ($1, $2) RETURNING id",
                true,
                "INSERT INTO public.items (order_id, title) SELECT * FROM unnest($1::bigint[], $2::text[]) RETURNING id",
            ),
            (
                "UPDATE items SET title = $1 WHERE id = $2",
                true,
                "UPDATE public.items SET title = new.title FROM unnest($1::text[], $2::bigint[]) AS new (title, id) WHERE public.items.id = new.id",
            ),
            (
                "DELETE FROM items WHERE items.id = $1",
                false,
                "DELETE FROM items WHERE items.id = ANY($1)",
            ),
            (
                "INSERT INTO items (title) VALUES (lower($1)) ON CONFLICT (id) DO UPDATE SET title = $2",
                true,
                "INSERT INTO items (title) VALUES (lower($1)), (lower($3)) ON CONFLICT (id) DO UPDATE SET title = $2",
            ),
            (
                "UPDATE items SET title = $1 WHERE id = $2",
                false,
                "UPDATE public.items SET title = new.title FROM (SELECT title, id FROM public.items WHERE false \
                 UNION ALL SELECT $1, $2 UNION ALL SELECT $3, $4) AS new WHERE public.items.id = new.id",
            ),
            (
                "UPDATE items SET title = title || $1 WHERE id = $2",
                true,
                "UPDATE items SET title = title || $1 WHERE id = ANY($2)",
            ),
        ] {
            let catalog = known.then_some(&catalog);
            let shape = crate::sql::resolve::resolver::shape(sql, catalog).unwrap();
            let table = catalog.and_then(|catalog| catalog.table(&shape.scans[0].table));
            assert_eq!(many_rows(sql, &shape, table, &|_| false).as_deref(), Some(one));
        }
    }

    #[test]
    fn what_varies_beside_the_key_is_a_row_of_values() {
        let schema = "CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint, title text, stock int, at timestamptz)";
        let catalog = crate::sql::dump::catalog::catalog(schema).0;
        for (sql, one) in [
            (
                "UPDATE items SET title = title || $1 WHERE id = $2",
                "UPDATE items SET title = title || new.v1 FROM (SELECT title AS v1, id AS v2 FROM public.items WHERE false \
                 UNION ALL SELECT $1, $2 UNION ALL SELECT $3, $4) AS new WHERE id = new.v2",
            ),
            (
                "UPDATE items SET order_id = $1 WHERE id = $2 AND order_id = $3",
                "UPDATE items SET order_id = new.v1 FROM (SELECT order_id AS v1, id AS v2, order_id AS v3 FROM public.items WHERE false \
                 UNION ALL SELECT $1, $2, $3 UNION ALL SELECT $4, $5, $6) AS new WHERE id = new.v2 AND order_id = new.v3",
            ),
            ("UPDATE items SET at = now() - $1 WHERE id = $2", ""),
            ("UPDATE items SET stock = greatest(stock - $1, 0) WHERE id = $2", ""),
            (
                "DELETE FROM items WHERE order_id = $1 AND id = $2 AND title IS NULL",
                "DELETE FROM items WHERE (order_id, id) IN (($1, $2), ($3, $4)) AND title IS NULL",
            ),
            ("DELETE FROM items WHERE order_id = $1 OR id = $2", ""),
        ] {
            let shape = crate::sql::resolve::resolver::shape(sql, Some(&catalog)).unwrap();
            let table = catalog.table(&shape.scans[0].table);
            let one = (!one.is_empty()).then_some(one);
            assert_eq!(many_rows(sql, &shape, table, &|_| true).as_deref(), one, "{sql}");
        }
        for (sql, one) in [
            (
                "SELECT title FROM items WHERE (order_id = $1 AND id = $2::bigint)",
                "SELECT order_id, id, title FROM items WHERE (order_id, id) IN (($1, $2::BIGINT), ($3, $4::BIGINT))",
            ),
            (
                "SELECT count(*) FROM items WHERE order_id = $1 AND id = $2",
                "SELECT order_id, id, count(*) FROM items WHERE (order_id, id) IN (($1, $2), ($3, $4)) GROUP BY order_id, id",
            ),
            (
                "SELECT title FROM items WHERE order_id = $1 ORDER BY id LIMIT $2",
                "SELECT keys.key, batch.* FROM (SELECT DISTINCT order_id FROM public.items WHERE order_id = ANY($1)) AS keys (key) \
                 CROSS JOIN LATERAL (SELECT title FROM items WHERE order_id = keys.key ORDER BY id LIMIT $2) AS batch",
            ),
            ("SELECT title FROM items WHERE order_id = $1 AND id = $2 ORDER BY at LIMIT 1", ""),
            ("SELECT title FROM items WHERE order_id = $1 AND id > $2", ""),
        ] {
            let table = TableName::new("public", "items");
            let found = super::batched(sql, &table, "order_id", 1, &|_| true);
            assert_eq!(found.as_deref(), (!one.is_empty()).then_some(one), "{sql}");
        }
    }

    #[test]
    fn what_holds_for_one_key_is_asked_for_each() {
        assert_eq!(
            batched("SELECT a FROM t WHERE k = $1 ORDER BY a LIMIT $2", "t", "k", 1).as_deref(),
            Some(
                "SELECT keys.key, batch.* FROM (SELECT DISTINCT k FROM public.t WHERE k = ANY($1)) AS keys (key) \
                 CROSS JOIN LATERAL (SELECT a FROM t WHERE k = keys.key ORDER BY a LIMIT $2) AS batch"
            )
        );
        assert_eq!(batched("SELECT a FROM t ORDER BY a", "t", "k", 1), None);
    }
}
