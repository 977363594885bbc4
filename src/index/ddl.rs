//! Index plans as SQL, with their undo.

use std::collections::BTreeMap;

use crate::model::catalog::{Index, IndexKey};
use crate::model::name::TableName;
use crate::model::recommendation::IndexPlan;
use crate::sql::expression::equivalence::is_same;
use crate::sql::lex::cursor::{qualified, take};
use crate::sql::lex::identifier::{object_name, quote, quote_table};
use crate::sql::lex::lexer::{Token, tokens};

/// Words of the DDL around the plan itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// `CREATE INDEX CONCURRENTLY`: for a database in use.
    Concurrently,
    /// `CREATE INDEX`: inside a transaction.
    Plain,
    /// `CREATE INDEX … ON ONLY`: on a partitioned table, without its partitions.
    OnlyParent,
}

/// The name an index of this plan gets: table, keys, `idx`.
pub fn name(plan: &IndexPlan) -> String {
    let mut parts = vec![plan.table.name.clone()];
    parts.extend(plan.keys.iter().map(|key| words(&key.expression)));
    if plan.method != "btree" {
        parts.push(plan.method.clone());
    }
    object_name(&parts.iter().map(String::as_str).collect::<Vec<_>>(), "idx")
}

/// `lower(email)` as part of a name: `lower_email`.
fn words(expression: &str) -> String {
    let text: String =
        expression.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    text.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// The plan with the schema at each operator class whose name alone does not find it.
pub fn with_schemas(plan: &IndexPlan, hidden: &BTreeMap<String, String>) -> IndexPlan {
    let mut plan = plan.clone();
    for class in plan.keys.iter_mut().filter_map(|key| key.operator_class.as_mut()) {
        if let Some(schema) = hidden.get(class.as_str()) {
            *class = format!("{}.{class}", quote(schema));
        }
    }
    plan
}

/// The operator class without its schema, which a dump has always and the server's catalog never.
fn class_of(key: &IndexKey) -> Option<&str> {
    let class = key.operator_class.as_deref()?;
    let end = class.find('(').unwrap_or(class.len());
    let start = class[..end].rfind('.').map_or(0, |dot| dot + 1);
    Some(&class[start..])
}

/// The statement that makes the index under `name`.
pub fn create(plan: &IndexPlan, name: &str, build: Build) -> String {
    let concurrently = if build == Build::Concurrently { "CONCURRENTLY " } else { "" };
    let keys: Vec<String> = plan.keys.iter().map(key).collect();
    let method =
        if plan.method == "btree" { String::new() } else { format!(" USING {}", plan.method) };
    let only = if build == Build::OnlyParent { "ONLY " } else { "" };
    let mut sql = format!(
        "CREATE INDEX {concurrently}{} ON {only}{}{method} ({})",
        quote(name),
        quote_table(&plan.table),
        keys.join(", ")
    );
    if !plan.include.is_empty() {
        let columns: Vec<String> = plan.include.iter().map(|column| quote(column)).collect();
        sql.push_str(&format!(" INCLUDE ({})", columns.join(", ")));
    }
    if let Some(predicate) = &plan.predicate {
        sql.push_str(&format!(" WHERE {predicate}"));
    }
    sql
}

/// The statement that takes an index away again. An index lives in the schema of its table.
pub fn drop(schema: &str, name: &str, build: Build) -> String {
    let concurrently = if build == Build::Concurrently { "CONCURRENTLY " } else { "" };
    format!("DROP INDEX {concurrently}IF EXISTS {}.{}", quote(schema), quote(name))
}

/// What a statement does to an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Create { table: TableName, name: String },
    Drop { schema: String, name: String },
}

/// Reads a statement that makes or drops one index; `None` for everything else. Names without a schema
/// are those of `public`.
pub fn change(sql: &str) -> Option<Change> {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let mut rest = &all[..];
    let is_create = take(&mut rest, &["create"]);
    if !is_create && !take(&mut rest, &["drop"]) {
        return None;
    }
    take(&mut rest, &["unique"]);
    if !take(&mut rest, &["index"]) {
        return None;
    }
    take(&mut rest, &["concurrently"]);
    let _ = take(&mut rest, &["if", "not", "exists"]) || take(&mut rest, &["if", "exists"]);
    let named = qualified(&mut rest)?;
    if !is_create {
        let (schema, name) = (named.schema, named.name);
        return rest.iter().all(|token| token.is(";")).then_some(Change::Drop { schema, name });
    }
    if !take(&mut rest, &["on"]) {
        return None;
    }
    take(&mut rest, &["only"]);
    Some(Change::Create { table: qualified(&mut rest)?, name: named.name })
}

/// The statement builds or drops an index without blocking writers, which no transaction may do.
pub fn is_concurrent(sql: &str) -> bool {
    let mut words = sql.split_whitespace().take(4).map(str::to_lowercase);
    words.any(|word| word == "concurrently")
}

/// The statement that makes an index, without blocking writers.
pub(super) fn concurrently(definition: &str) -> String {
    definition.replacen("INDEX ", "INDEX CONCURRENTLY ", 1)
}

/// The statement as a transaction may hold it, in which others' writes wait for it.
pub fn blocking(sql: &str) -> String {
    match is_concurrent(sql) {
        true => sql.replacen("CONCURRENTLY ", "", 1),
        false => sql.to_owned(),
    }
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

fn key(key: &IndexKey) -> String {
    let mut sql =
        if key.is_column { quote(&key.expression) } else { format!("({})", key.expression) };
    if let Some(collation) = &key.collation {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(class) = &key.operator_class {
        sql.push_str(&format!(" {class}"));
    }
    if key.descending {
        sql.push_str(" DESC");
    }
    // Only where it differs from the default for the direction.
    if key.nulls_first != key.descending {
        sql.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse::parser::parse;

    #[test]
    fn our_ddl_parses_again() {
        let descending =
            IndexKey { descending: true, nulls_first: true, ..IndexKey::column("created_at") };
        let lower = IndexKey { is_column: false, ..IndexKey::column("lower(email)") };
        let plan = IndexPlan {
            table: TableName::new("public", "Order"),
            method: "btree".into(),
            keys: vec![IndexKey::column("user"), lower, descending],
            include: vec!["id".into()],
            predicate: Some("deleted_at IS NULL".into()),
        };
        let sql = create(&plan, &name(&plan), Build::Concurrently);
        assert_eq!(
            sql,
            "CREATE INDEX CONCURRENTLY \"Order_user_lower_email_created_at_idx\" ON public.\"Order\" \
             (\"user\", (lower(email)), created_at DESC) INCLUDE (id) WHERE deleted_at IS NULL"
        );
        assert!(parse(&sql).is_ok());
        assert_eq!(
            drop("public", &name(&plan), Build::Concurrently),
            "DROP INDEX CONCURRENTLY IF EXISTS public.\"Order_user_lower_email_created_at_idx\""
        );
    }

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

    #[test]
    fn a_statement_says_which_index_it_makes_or_drops() {
        let made = |table: TableName, name: &str| Some(Change::Create { table, name: name.into() });
        let orders = || TableName::new("public", "orders");
        assert_eq!(
            change("CREATE INDEX CONCURRENTLY a_idx ON public.orders (a) WHERE b"),
            made(orders(), "a_idx")
        );
        assert_eq!(
            change(
                "create unique index if not exists \"A\"\"x\" on only \"Sales\".\"Or.ders\" using btree (a)"
            ),
            made(TableName::new("Sales", "Or.ders"), "A\"x")
        );
        assert_eq!(
            change("CREATE INDEX \"\"\"a\"\"\" ON public.orders (a)"),
            made(orders(), "\"a\"")
        );
        let dropped = Some(Change::Drop { schema: "s".into(), name: "i".into() });
        assert_eq!(change("DROP INDEX CONCURRENTLY IF EXISTS s.i;"), dropped);
        for other in ["CREATE EXTENSION pg_trgm", "DROP INDEX a, b", "CREATE TABLE t (a int)", ""] {
            assert_eq!(change(other), None, "{other}");
        }
    }
}
