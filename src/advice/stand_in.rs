//! A whole index in the place of a partial one, for a planner that does not see the latter.

use crate::model::catalog::{IndexKey, Table};
use crate::model::recommendation::IndexPlan;
use crate::model::shape::{Operator, Scan};
use crate::sql::implied::{Said, said};

/// An index over all rows that costs a scan which asks for the rows of `partial` about what `partial` would, and
/// rather more than less: the columns that its condition pins stand among the first, so that its rows lie together
/// and in the same order; what the condition only bounds comes last, where a plan can check it. `None` where the
/// index is not a partial btree, or has expressions.
pub fn stand_in(partial: &IndexPlan, scan: &Scan, table: &Table) -> Option<IndexPlan> {
    let said = said(partial.predicate.as_deref()?)?;
    let first = &partial.keys.first()?.expression;
    if partial.method != "btree" || partial.keys.iter().any(|key| !key.is_column) {
        return None;
    }
    let is_own = |column: &str| partial.keys.iter().any(|key| key.expression == column);
    let (pinned, bounded): (Vec<Said>, Vec<Said>) =
        said.into_iter().filter(|said| !is_own(&said.column)).partition(|said| said.is_pinned);
    let order = |column: &str| table.column(column)?.correlation.map(f32::abs);
    // The planner takes the rows to lie on disk in the order of the first key.
    let is_behind =
        pins(scan, first) || pinned.first().is_some_and(|said| order(&said.column) > order(first));
    let mut keys: Vec<IndexKey> = partial.keys.clone();
    let column = |said: Said| IndexKey::column(said.column);
    let place = usize::from(is_behind);
    keys.splice(place..place, pinned.into_iter().map(column));
    keys.extend(bounded.into_iter().map(column));
    let is_key = |column: &str| keys.iter().any(|key| key.expression == column);
    let include = partial.include.iter().filter(|column| !is_key(column)).cloned().collect();
    Some(IndexPlan { keys, include, predicate: None, ..partial.clone() })
}

/// The scan asks for one value of the column, or for that of each row of another.
fn pins(scan: &Scan, column: &str) -> bool {
    let is_equal = |operator: Operator| matches!(operator, Operator::Equal | Operator::IsNull);
    scan.is_joined_by(column)
        || scan
            .filters
            .iter()
            .any(|filter| is_equal(filter.operator) && filter.key.column() == Some(column))
}

#[cfg(test)]
mod tests {
    use super::stand_in;
    use crate::model::name::TableName;
    use crate::sql::ddl;
    use crate::sql::index_ddl::{Build, create};
    use crate::sql::resolve::shape;

    /// Of a partial index on `orders`, for a statement that asks for `asked`.
    fn of(partial: &str, asked: &str) -> Option<String> {
        let (mut catalog, _) = ddl::catalog(
            "CREATE TABLE orders (id int, seller int, at date, status text, deleted date, total int, paid int);",
        );
        let mut table = catalog.tables.remove(0);
        for column in &mut table.columns {
            column.correlation = Some(if column.name == "at" { -1.0 } else { 0.1 });
        }
        let sql = format!("CREATE INDEX ON orders {partial}");
        let partial = ddl::index_plan(&sql, &TableName::new("public", "orders")).unwrap();
        let shape = shape(&format!("SELECT id FROM orders WHERE {asked}"), None).unwrap();
        let index = stand_in(&partial, &shape.scans[0], &table)?;
        let ddl = create(&index, "i", Build::Plain);
        Some(ddl.trim_start_matches("CREATE INDEX i ON public.orders ").to_owned())
    }

    #[test]
    fn what_is_pinned_leads_and_what_is_bounded_comes_last() {
        let partial = "(at, seller) INCLUDE (total) WHERE deleted IS NULL AND status IN ('a', 'b')";
        let index = of(partial, "at > now()");
        assert_eq!(index.as_deref(), Some("(deleted, at, seller, status) INCLUDE (total)"));
    }

    #[test]
    fn an_equality_stays_first_and_so_does_what_lies_less_in_order_on_disk() {
        let equal = of("(seller, at) WHERE deleted IS NULL", "seller = 7");
        assert_eq!(equal.as_deref(), Some("(seller, deleted, at)"));
        let less_orderly = of("(seller) WHERE at = '2026-01-01'", "seller > 7");
        assert_eq!(less_orderly.as_deref(), Some("(seller, at)"));
    }

    #[test]
    fn no_column_is_there_twice() {
        let partial = "(status) INCLUDE (deleted) WHERE deleted IS NULL AND status <> 'a'";
        assert_eq!(of(partial, "status > 'a'").as_deref(), Some("(deleted, status)"));
    }

    #[test]
    fn what_is_not_partial_or_not_understood_has_none() {
        assert_eq!(of("(seller)", "true"), None);
        assert_eq!(of("(seller) WHERE paid > total", "true"), None);
    }
}
