//! Classifies operators and function calls that are conditions.

use sqlparser::ast::{BinaryOperator, Expr, Function};

use super::expr_walk::{arguments, names};
use super::scope::fold;
use crate::model::workload::shape::Operator;
use crate::sql::parse::parser::parse_expression;

/// Returns the condition that a binary operator states, if it states one.
pub(super) fn operator(op: &BinaryOperator) -> Operator {
    use BinaryOperator as Op;
    match op {
        Op::Eq => Operator::Equal,
        Op::NotEq => Operator::NotEqual,
        Op::Lt | Op::LtEq | Op::Gt | Op::GtEq => Operator::Range,
        Op::PGLikeMatch | Op::PGStartsWith => Operator::Like,
        Op::PGILikeMatch | Op::PGRegexMatch | Op::PGRegexIMatch => Operator::ILike,
        Op::ArrowAt => Operator::Contained,
        Op::AtArrow
        | Op::PGOverlap
        | Op::Question
        | Op::QuestionAnd
        | Op::QuestionPipe
        | Op::AtQuestion
        | Op::AtAt => Operator::Contains,
        Op::PGBitwiseShiftLeft => Operator::Within,
        Op::PGBitwiseShiftRight => Operator::Contains,
        // As a condition of its own it is no remainder.
        Op::Modulo => Operator::Similar,
        Op::Custom(name) => match name.as_str() {
            "<<=" => Operator::Within,
            ">>=" => Operator::Contains,
            "<%" | "%>" | "<<%" | "%>>" => Operator::Similar,
            _ => Operator::Other,
        },
        _ => Operator::Other,
    }
}

/// Returns the commutator: `5 < a` says the same as `a > 5`. `None` for operators that have no such counterpart.
pub(super) fn turned(op: &BinaryOperator) -> Option<Operator> {
    use BinaryOperator as Op;
    match op {
        Op::AtArrow => Some(Operator::Contained),
        Op::ArrowAt | Op::PGOverlap | Op::AtAt | Op::PGBitwiseShiftLeft => Some(Operator::Contains),
        Op::PGBitwiseShiftRight => Some(Operator::Within),
        Op::Custom(name) if name == "<<=" => Some(Operator::Contains),
        Op::Custom(name) if name == ">>=" => Some(Operator::Within),
        op => match operator(op) {
            same @ (Operator::Equal | Operator::Range | Operator::Similar) => Some(same),
            _ => None,
        },
    }
}

/// Functions of PostGIS that find rows by an index on one of their first two arguments. Source: "Using Spatial
/// Indexes" in its manual.
const SPATIAL: [&str; 15] = [
    "st_3ddwithin",
    "st_3dintersects",
    "st_contains",
    "st_containsproperly",
    "st_coveredby",
    "st_covers",
    "st_crosses",
    "st_dfullywithin",
    "st_dwithin",
    "st_equals",
    "st_intersects",
    "st_orderingequals",
    "st_overlaps",
    "st_touches",
    "st_within",
];

/// Returns the operator that a function call stands for, with its arguments, where an index can serve it.
pub(super) fn condition_call(function: &Function) -> Option<(Operator, Vec<&Expr>)> {
    let arguments = arguments(function).filter(|arguments| arguments.len() >= 2)?;
    let name = function.name.0.last()?.to_string().to_lowercase();
    match name.as_str() {
        "starts_with" => Some((Operator::Like, arguments)),
        name if SPATIAL.contains(&name) => Some((Operator::Contains, arguments)),
        _ => None,
    }
}

/// The expression is the distance of a column from something that is the same for all rows.
pub fn is_distance(sql: &str, column: &str) -> bool {
    let Ok(Expr::BinaryOp { left, op, right }) = parse_expression(sql) else {
        return false;
    };
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(ident) if fold(ident) == column);
    let is_own = (is_column(&left) && names(&*right).is_empty())
        || (is_column(&right) && names(&*left).is_empty());
    let by_words = matches!(&op, BinaryOperator::Custom(name) if name == "<<->" || name == "<->>");
    is_own && (op == BinaryOperator::LtDashGt || by_words)
}
