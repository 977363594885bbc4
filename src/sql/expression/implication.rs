//! Whether a scan implies the condition of a partial index, and which columns that condition pins.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

use crate::model::workload::shape::{Operator, Scan};
use crate::sql::parse::parser::parse_expression;
use crate::sql::resolve::expr_walk::{conjuncts, names};
use crate::sql::resolve::scope::fold;

/// Tells whether the conditions of the scan may imply the predicate of a partial index: for each part of the
/// predicate some condition names the same column. Constants are not known, and neither is what they imply.
pub fn may_imply(scan: &Scan, condition: &str) -> bool {
    let Ok(condition) = parse_expression(condition) else { return true };
    conjuncts(&condition).into_iter().all(|part| may_imply_part(scan, part))
}

fn may_imply_part(scan: &Scan, part: &Expr) -> bool {
    let columns: Vec<String> = names(part).iter().filter_map(column).collect();
    let is_about = |name: &str| columns.iter().any(|column| column == name);
    let filters =
        scan.filters.iter().filter(|filter| filter.key.columns().into_iter().any(is_about));
    let is_null = |operator: Operator| operator == Operator::IsNull;
    let mut filters = filters.map(|filter| filter.operator);
    match part {
        Expr::IsNull(_) => filters.any(is_null),
        // A comparison, and one with another table as well, takes no null.
        Expr::IsNotNull(_) => {
            filters.any(|operator| !is_null(operator))
                || columns.iter().any(|column| scan.is_joined_by(column))
        }
        _ => filters.any(|operator| !is_null(operator)),
    }
}

/// A part of a condition, and the only column in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnCondition {
    pub column: String,
    /// It has one value in all rows that meet the condition, or none in any of them.
    pub is_pinned: bool,
}

/// The parts of a condition; `None` where one has several columns or none.
pub fn conditions(condition: &str) -> Option<Vec<ColumnCondition>> {
    let condition = parse_expression(condition).ok()?;
    conjuncts(&condition)
        .into_iter()
        .map(|part| {
            let mut columns: Vec<String> = names(part).iter().filter_map(column).collect();
            columns.dedup();
            let [column] = &columns[..] else { return None };
            Some(ColumnCondition { column: column.clone(), is_pinned: is_pinned(part) })
        })
        .collect()
}

/// The part is an equality, a null test or a boolean column, and the column stands by itself in it.
fn is_pinned(part: &Expr) -> bool {
    let is_column = |side: &Expr| column(itself(side)).is_some();
    match itself(part) {
        Expr::IsNull(inner) | Expr::IsTrue(inner) | Expr::IsFalse(inner) => is_column(inner),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => is_column(expr),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            is_column(left) || is_column(right)
        }
        other => is_column(other),
    }
}

/// `stock > 0`, `0 > balance`: there is any, or none.
pub fn is_beside_zero(condition: &str) -> bool {
    let is_zero =
        |side: &Expr| matches!(itself(side), Expr::Value(value) if value.to_string() == "0");
    let parsed = parse_expression(condition);
    matches!(parsed, Ok(Expr::BinaryOp { left, right, .. }) if is_zero(&left) || is_zero(&right))
}

/// Without the casts and parentheses around it.
fn itself(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => itself(inner),
        other => other,
    }
}

/// The name of a column, as the catalog has it.
fn column(name: &Expr) -> Option<String> {
    match name {
        Expr::Identifier(ident) => Some(fold(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(fold),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{ColumnCondition, conditions, may_imply};
    use crate::sql::resolve::resolver::shape;

    #[test]
    fn a_partial_index_serves_who_asks_for_its_rows() {
        for (condition, sql, is_served) in [
            ("(deleted_at IS NULL)", "slug = $1 AND deleted_at IS NULL", true),
            ("(deleted_at IS NULL)", "slug = $1", false),
            ("(deleted_at IS NULL)", "slug = $1 AND deleted_at > $2", false),
            ("(deleted_at IS NOT NULL)", "deleted_at > $1", true),
            ("(deleted_at IS NOT NULL)", "deleted_at IS NULL", false),
            ("((state)::text = 'open'::text)", "slug = $1 AND state = $2", true),
            ("((state = 'open') AND is_new)", "slug = $1 AND state = $2", false),
            ("((state = 'open') AND is_new)", "slug = $1 AND state = $2 AND is_new", true),
            ("(\"ownerId\" > 5)", "\"ownerId\" = $1", true),
            ("(\"ownerId\" > 5)", "ownerid = $1", false),
        ] {
            let shape = shape(&format!("SELECT id FROM docs WHERE {sql}"), None).unwrap();
            assert_eq!(may_imply(&shape.scans[0], condition), is_served, "{condition}: {sql}");
        }
    }

    #[test]
    fn a_join_takes_no_null() {
        let sql = "SELECT d.id FROM users u JOIN docs d ON d.owner = u.id";
        let shape = shape(sql, None).unwrap();
        assert!(may_imply(&shape.scans[1], "(owner IS NOT NULL)"));
        assert!(!may_imply(&shape.scans[1], "(slug IS NOT NULL)"));
    }

    #[test]
    fn what_a_condition_pins_is_told_from_what_it_only_bounds() {
        let of = |condition: &str| {
            let plain = |conditions: ColumnCondition| {
                format!("{}{}", conditions.column, if conditions.is_pinned { "!" } else { "" })
            };
            conditions(condition)
                .map(|all| all.into_iter().map(plain).collect::<Vec<_>>().join(" "))
        };
        for (condition, expected) in [
            ("status = 'active'", Some("status!")),
            ("((state)::text = 'open'::text)", Some("state!")),
            ("deleted_at IS NULL AND is_new AND NOT \"isOld\"", Some("deleted_at! is_new! isOld!")),
            ("status IN ('a', 'b') AND org = 7", Some("status org!")),
            ("paid_at IS NOT NULL", Some("paid_at")),
            ("lower(state) = 'open'", Some("state")),
            ("a = b", None),
            ("true", None),
        ] {
            assert_eq!(of(condition).as_deref(), expected, "{condition}");
        }
    }
}
