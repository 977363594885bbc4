//! Indexes over all rows that are shown to the planner in place of a partial one that it would not see.

use crate::model::catalog::Table;
use crate::model::index::{AccessMethod, IndexDef, IndexKey};
use crate::model::workload::shape::{Operator, Scan};
use crate::sql::expression::implication::{ColumnCondition, conditions};

/// Indexes over all rows that cost a scan about as much as `partial` would, and rather more than less.
///
/// Columns that the condition pins are among the first keys, so that the rows of `partial` lie together and in the same
/// order. Columns that the condition only bounds come last, where a plan can check them. Where rows are looked up by
/// the first key, that stays first, and a second index only carries the keys, as all of `partial` may be read too.
/// `None` where the index is not a partial btree, or has expressions.
pub fn substitutes(partial: &IndexDef, scan: &Scan, table: &Table) -> Option<Vec<IndexDef>> {
    let conditions = conditions(partial.predicate.as_deref()?)?;
    let first = &partial.keys.first()?.expression;
    if partial.method != AccessMethod::Btree || partial.keys.iter().any(|key| !key.is_column) {
        return None;
    }
    let is_own = |column: &str| partial.keys.iter().any(|key| key.expression == column);
    let (pinned, bounded): (Vec<ColumnCondition>, Vec<ColumnCondition>) = conditions
        .into_iter()
        .filter(|conditions| !is_own(&conditions.column))
        .partition(|conditions| conditions.is_pinned);
    let order = |column: &str| table.column(column)?.correlation.map(f32::abs);
    // The planner takes the rows to lie on disk in the order of the first key.
    let is_behind = pins(scan, first)
        || pinned.first().is_some_and(|conditions| order(&conditions.column) > order(first));
    let of = |conditions: &[ColumnCondition]| -> Vec<IndexKey> {
        conditions.iter().map(|conditions| IndexKey::column(conditions.column.clone())).collect()
    };
    let with_keys = |keys: Vec<IndexKey>| {
        let is_key = |column: &&String| keys.iter().any(|key| key.expression == **column);
        let columns = partial.keys.iter().map(|key| &key.expression).chain(&partial.include);
        let include = columns.filter(|column| !is_key(column)).cloned().collect();
        IndexDef { keys, include, predicate: None, ..partial.clone() }
    };
    let mut keys = partial.keys.clone();
    let place = usize::from(is_behind);
    keys.splice(place..place, of(&pinned));
    keys.extend(of(&bounded));
    let mut indexes = vec![with_keys(keys)];
    if scan.is_joined_by(first) && !pinned.is_empty() {
        // No lookup by that key is possible in it; the planner would take one for cheaper than it is.
        indexes.push(with_keys([of(&pinned), of(&bounded)].concat()));
    }
    Some(indexes)
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
    use super::{IndexDef, substitutes};
    use crate::index::ddl::{BuildMode, create};
    use crate::model::name::TableName;
    use crate::sql::dump::catalog;
    use crate::sql::resolve::resolver::shape;

    /// Substitutes a partial index on `orders` for a statement that asks for `asked`.
    fn of(partial: &str, asked: &str) -> Option<String> {
        let (mut catalog, _) = catalog::catalog(
            "CREATE TABLE orders (id int, seller int, at date, status text, deleted date, total int, paid int);",
        );
        let mut table = catalog.tables.remove(0);
        for column in &mut table.columns {
            column.correlation = Some(if column.name == "at" { -1.0 } else { 0.1 });
        }
        let sql = format!("CREATE INDEX ON orders {partial}");
        let partial = catalog::index_plan(&sql, &TableName::new("public", "orders")).unwrap();
        let shape = shape(&format!("SELECT id FROM orders WHERE {asked}"), None).unwrap();
        let indexes = substitutes(&partial, &shape.scans[0], &table)?;
        let ddl = create(&indexes[0], "i", BuildMode::Plain);
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
    fn what_rows_are_looked_up_by_may_be_read_as_a_whole_as_well() {
        let (catalog, _) =
            catalog::catalog("CREATE TABLE orders (id int, seller int, deleted date);");
        let orders = TableName::new("public", "orders");
        let sql = "CREATE INDEX ON orders (seller) WHERE deleted IS NULL";
        let partial = catalog::index_plan(sql, &orders).unwrap();
        let sql = "SELECT id FROM unnest($1::int[]) AS few(seller) JOIN orders USING (seller)";
        let shape = shape(sql, Some(&catalog)).unwrap();
        let indexes = substitutes(&partial, &shape.scans[0], &catalog.tables[0]).unwrap();
        let ddl = |index: &IndexDef| create(index, "i", BuildMode::Plain);
        let ddl: Vec<String> = indexes.iter().map(ddl).collect();
        assert!(ddl[0].ends_with("(seller, deleted)"), "{ddl:?}");
        assert!(ddl[1].ends_with("(deleted) INCLUDE (seller)"), "{ddl:?}");
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
        assert_eq!(of("USING hash (seller) WHERE deleted IS NULL", "seller = 7"), None);
        assert_eq!(of("(lower(status)) WHERE deleted IS NULL", "status > 'a'"), None);
    }
}
