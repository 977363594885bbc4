//! Whether an index does the work of another one.

use crate::model::catalog::{Index, IndexKey};
use crate::model::name::TableName;
use crate::model::recommendation::IndexPlan;
use crate::sql::expression::equivalence::is_same;

/// The operator class without its schema, which a dump has always and the server's catalog never.
fn class_of(key: &IndexKey) -> Option<&str> {
    let class = key.operator_class.as_deref()?;
    let end = class.find('(').unwrap_or(class.len());
    let start = class[..end].rfind('.').map_or(0, |dot| dot + 1);
    Some(&class[start..])
}

/// The index does all that one of this plan would.
pub fn does(index: &Index, plan: &IndexPlan) -> bool {
    covers(&as_plan(index, &plan.table), plan)
}

/// An index of this plan would do all that the index does, so that nothing is lost without it.
pub fn replaces(plan: &IndexPlan, index: &Index) -> bool {
    // What enforces something stays.
    !(index.constraint || index.unique)
        && does_as_well(plan, &as_plan(index, &plan.table))
        && (index.options.is_empty() || is_about_space(&index.method))
}

/// Everything `index` of a table can do, `other` can do as well.
pub fn makes_superfluous(other: &Index, index: &Index, table: &TableName) -> bool {
    other.valid
        && does_as_well(&as_plan(other, table), &as_plan(index, table))
        && (is_about_space(&index.method) || is_set_alike(other, index))
}

/// The storage parameters of the method say how full its pages are, and nothing of what it can do: those of BRIN
/// decide how much of a table a look into it leaves, and those of GIN who pays for what is new in it.
fn is_about_space(method: &str) -> bool {
    matches!(method, "btree" | "hash")
}

fn is_set_alike(a: &Index, b: &Index) -> bool {
    a.options.len() == b.options.len() && a.options.iter().all(|own| b.options.contains(own))
}

/// The wide one covers the narrow one, and is not much more to read for it: only a btree serves as well by its first
/// keys alone.
fn does_as_well(wide: &IndexPlan, narrow: &IndexPlan) -> bool {
    (wide.method == "btree" || wide.keys.len() == narrow.keys.len()) && covers(wide, narrow)
}

/// The index as a plan to make it on `table`.
pub fn as_plan(index: &Index, table: &TableName) -> IndexPlan {
    IndexPlan {
        table: table.clone(),
        method: index.method.clone(),
        keys: index.keys.clone(),
        include: index.include.clone(),
        predicate: index.predicate.clone(),
    }
}

/// The wide one holds the same rows, begins with the same keys, and carries what the narrow one does. Of GIN
/// every key does the same as the first, and a btree is read from either end.
pub fn covers(wide: &IndexPlan, narrow: &IndexPlan) -> bool {
    wide.method == narrow.method
        && same_predicate(wide, narrow)
        && match wide.method == "gin" {
            true => narrow.keys.iter().all(|key| wide.keys.iter().any(|own| same_key(own, key))),
            false => {
                let begins = |same: fn(&IndexKey, &IndexKey) -> bool| {
                    wide.keys.iter().zip(&narrow.keys).all(|(wide, own)| same(wide, own))
                };
                let backwards = |wide: &IndexKey, own: &IndexKey| same_key(wide, &turned(own));
                wide.keys.len() >= narrow.keys.len()
                    && (begins(same_key) || (wide.method == "btree" && begins(backwards)))
            }
        }
        && narrow.include.iter().all(|column| wide.holds(column))
}

/// They hold the same rows.
pub(super) fn same_predicate(a: &IndexPlan, b: &IndexPlan) -> bool {
    match (&a.predicate, &b.predicate) {
        (Some(a), Some(b)) => is_same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The key as it stands when the index is read from its end.
fn turned(key: &IndexKey) -> IndexKey {
    IndexKey { descending: !key.descending, nulls_first: !key.nulls_first, ..key.clone() }
}

pub(super) fn same_key(a: &IndexKey, b: &IndexKey) -> bool {
    let expression = match a.is_column || b.is_column {
        true => a.expression == b.expression,
        false => is_same(&a.expression, &b.expression),
    };
    let direction = (a.descending, a.nulls_first) == (b.descending, b.nulls_first);
    expression && direction && class_of(a) == class_of(b) && a.collation == b.collation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_enforces_something_or_does_more_is_not_replaced() {
        let plan = IndexPlan {
            table: TableName::new("public", "t"),
            method: "btree".into(),
            keys: vec![IndexKey::column("a"), IndexKey::column("b")],
            include: vec!["c".into()],
            predicate: None,
        };
        let old = Index {
            name: "old".into(),
            schema: "public".into(),
            method: "btree".into(),
            keys: vec![IndexKey::column("a")],
            include: vec!["b".into(), "c".into()],
            predicate: None,
            unique: false,
            primary: false,
            building: false,
            constraint: false,
            valid: true,
            size_bytes: None,
            scans: None,
            definition: String::new(),
            options: Vec::new(),
            restore: Vec::new(),
            clustered: false,
        };
        assert!(replaces(&plan, &old));
        let descending = IndexKey { descending: true, nulls_first: true, ..IndexKey::column("a") };
        // Read from its end.
        assert!(replaces(&plan, &Index { keys: vec![descending.clone()], ..old.clone() }));
        let nulls_last = IndexKey { nulls_first: false, ..descending };
        let by_bytes = IndexKey { collation: Some("\"C\"".into()), ..IndexKey::column("a") };
        for other in [
            Index { unique: true, ..old.clone() },
            Index { constraint: true, ..old.clone() },
            Index { predicate: Some("a > 0".into()), ..old.clone() },
            Index { include: vec!["d".into()], ..old.clone() },
            Index { keys: vec![IndexKey::column("b")], ..old.clone() },
            Index { keys: vec![nulls_last], ..old.clone() },
            Index { keys: vec![by_bytes], ..old.clone() },
            Index { method: "hash".into(), ..old.clone() },
        ] {
            assert!(!replaces(&plan, &other), "{other:?}");
        }
    }
}
