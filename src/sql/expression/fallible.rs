//! Expressions that may raise an error: with an index on one, a row that raises it cannot be written.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, UnaryOperator, Value, visit_expressions,
};

use super::immutability::indexable;
use super::types::TypeClass;
use crate::model::catalog::{Table, UserFunction};
use crate::sql::parse::parser::parse_expression;

/// Returns, in words, why the server may fail to compute an expression for some row of a table; `None` where no
/// reason is known.
pub fn failure(sql: &str, table: &Table, functions: &[UserFunction]) -> Option<String> {
    let expression = parse_expression(sql).ok()?;
    let kind = |expr: &Expr| Some(indexable(&expr.to_string(), table, functions, &|_| None)?.kind);
    let found = visit_expressions(&expression, |expr| {
        let why = match expr {
            Expr::Cast { expr, data_type, .. } => cast(kind(expr), data_type),
            Expr::BinaryOp { left, op, right } => {
                operation(kind(left).into_iter().chain(kind(right)), op, right)
            }
            Expr::Function(function) => call(function, functions),
            _ => None,
        };
        why.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    });
    found.break_value()
}

fn cast(from: Option<TypeClass>, to: &DataType) -> Option<String> {
    let to_name = to.to_string().to_lowercase();
    let to = TypeClass::of(&to_name);
    let from = from?;
    let has_limit = to == TypeClass::Decimal && to_name.contains('(');
    let is_safe = match (from, to) {
        (TypeClass::Constant, _) | (_, TypeClass::Text) => true,
        (from, to) if from == to => !has_limit && !is_narrow(&to_name),
        (TypeClass::Integer, TypeClass::Bigint | TypeClass::Boolean)
        | (TypeClass::Boolean, TypeClass::Integer) => true,
        (TypeClass::Integer | TypeClass::Bigint, TypeClass::Decimal) => !has_limit,
        (TypeClass::Date, TypeClass::Timestamp) | (TypeClass::Timestamp, TypeClass::Date) => true,
        _ => false,
    };
    (!is_safe).then(|| match from {
        TypeClass::Text | TypeClass::Document => format!("a value that is no {to_name}"),
        _ => format!("a value outside the range of {to_name}"),
    })
}

/// A type that holds less than others of its kind.
fn is_narrow(type_name: &str) -> bool {
    matches!(type_name, "smallint" | "int2" | "real" | "float4")
}

fn operation(
    mut sides: impl Iterator<Item = TypeClass>,
    op: &BinaryOperator,
    right: &Expr,
) -> Option<String> {
    use BinaryOperator as Op;
    match op {
        Op::Divide | Op::Modulo if !is_number_beside_zero(right) => {
            Some("a division by zero".to_owned())
        }
        Op::Plus | Op::Minus | Op::Multiply => sides
            .any(|side| matches!(side, TypeClass::Integer | TypeClass::Bigint))
            .then(|| "a result outside the range of its type".to_owned()),
        _ => None,
    }
}

fn is_number_beside_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
            is_number_beside_zero(inner)
        }
        Expr::Cast { expr, .. } => is_number_beside_zero(expr),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.to_string().parse().is_ok_and(|n: f64| n != 0.0),
            Value::SingleQuotedString(text) => text.parse().is_ok_and(|n: f64| n != 0.0),
            _ => false,
        },
        _ => false,
    }
}

fn call(function: &Function, functions: &[UserFunction]) -> Option<String> {
    let name = function.name.to_string().to_lowercase();
    match name.strip_prefix("pg_catalog.").unwrap_or(&name) {
        "sqrt" => Some("a number below zero".to_owned()),
        "mod" => Some("a division by zero".to_owned()),
        "repeat" | "lpad" | "rpad" => Some("a text that becomes too long".to_owned()),
        "jsonb_array_length" | "json_array_length" => Some("a value that is no array".to_owned()),
        name => {
            let last = name.rsplit('.').next().unwrap_or(name).trim_matches('"');
            let is_own = functions.iter().any(|own| own.name.to_lowercase() == last);
            is_own.then(|| format!("an error of the function {last}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::dump::catalog;

    #[test]
    fn what_may_fail_for_a_row_is_told_from_what_never_does() {
        let (catalog, _) = catalog::catalog(
            "CREATE TABLE t (a int, b bigint, s smallint, n numeric, x text, d jsonb, ts timestamp, u uuid);
             CREATE FUNCTION own(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';",
        );
        let why = |sql: &str| failure(sql, &catalog.tables[0], &catalog.functions);
        for safe in [
            "lower(x)",
            "upper(x::varchar(20))",
            "d ->> 'ref'",
            "lower(d ->> 'ref')",
            "a::bigint",
            "a::numeric",
            "ts::date",
            "date_trunc('day', ts)",
            "coalesce(x, '')",
            "x || '-' || lower(x)",
            "n * 2.5",
            "n / 100",
            "length(x)",
            "left(x, 8)",
            "a::text",
        ] {
            assert_eq!(why(safe), None, "{safe}");
        }
        for (may_fail, because) in [
            ("(d ->> 'n')::int", "a value that is no int"),
            ("(d ->> 'n')::numeric", "a value that is no numeric"),
            ("x::bigint", "a value that is no bigint"),
            ("x::uuid", "a value that is no uuid"),
            ("lower(x)::int + 1", "a result outside the range of its type"),
            ("b::int", "a value outside the range of int"),
            ("n::int", "a value outside the range of int"),
            ("n::numeric(4, 2)", "a value outside the range of numeric(4,2)"),
            ("n::real", "a value outside the range of real"),
            ("1000 / n", "a division by zero"),
            ("n / 0", "a division by zero"),
            ("a * 2", "a result outside the range of its type"),
            ("sqrt(n)", "a number below zero"),
            ("mod(a, 2)", "a division by zero"),
            ("jsonb_array_length(d)", "a value that is no array"),
            ("own(x)", "an error of the function own"),
            ("lower(own(x))", "an error of the function own"),
            ("a > 1 AND (d ->> 'n')::int = 5", "a value that is no int"),
        ] {
            assert_eq!(why(may_fail).as_deref(), Some(because), "{may_fail}");
        }
    }
}
