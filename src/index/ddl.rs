//! Index definitions as SQL, with their undo.

use std::collections::BTreeMap;

use crate::model::index::{AccessMethod, IndexDef, IndexKey};
use crate::model::name::TableName;
use crate::sql::lex::cursor::{qualified, take};
use crate::sql::lex::identifier::{object_name, quote, quote_table};
use crate::sql::lex::lexer::{Token, tokens};

/// Words of the DDL around the plan itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildMode {
    /// `CREATE INDEX CONCURRENTLY`: for a database in use.
    Concurrently,
    /// `CREATE INDEX`: inside a transaction.
    Plain,
    /// `CREATE INDEX … ON ONLY`: on a partitioned table, without its partitions.
    OnlyParent,
}

/// The name an index of this plan gets: table, keys, `idx`.
pub fn name(def: &IndexDef) -> String {
    let mut parts = vec![def.table.name.clone()];
    parts.extend(def.keys.iter().map(|key| words(&key.expression)));
    if def.method != AccessMethod::Btree {
        parts.push(def.method.to_string());
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
pub fn with_schemas(def: &IndexDef, hidden: &BTreeMap<String, String>) -> IndexDef {
    let mut def = def.clone();
    for class in def.keys.iter_mut().filter_map(|key| key.operator_class.as_mut()) {
        if let Some(schema) = hidden.get(class.as_str()) {
            *class = format!("{}.{class}", quote(schema));
        }
    }
    def
}

/// The statement that makes the index under `name`.
pub fn create(def: &IndexDef, name: &str, build: BuildMode) -> String {
    let concurrently = if build == BuildMode::Concurrently { "CONCURRENTLY " } else { "" };
    let keys: Vec<String> = def.keys.iter().map(key).collect();
    let method = if def.method == AccessMethod::Btree {
        String::new()
    } else {
        format!(" USING {}", def.method)
    };
    let only = if build == BuildMode::OnlyParent { "ONLY " } else { "" };
    let mut sql = format!(
        "CREATE INDEX {concurrently}{} ON {only}{}{method} ({})",
        quote(name),
        quote_table(&def.table),
        keys.join(", ")
    );
    if !def.include.is_empty() {
        let columns: Vec<String> = def.include.iter().map(|column| quote(column)).collect();
        sql.push_str(&format!(" INCLUDE ({})", columns.join(", ")));
    }
    if let Some(predicate) = &def.predicate {
        sql.push_str(&format!(" WHERE {predicate}"));
    }
    sql
}

/// The statement that takes an index away again. An index lives in the schema of its table.
pub fn drop(schema: &str, name: &str, build: BuildMode) -> String {
    let concurrently = if build == BuildMode::Concurrently { "CONCURRENTLY " } else { "" };
    format!("DROP INDEX {concurrently}IF EXISTS {}.{}", quote(schema), quote(name))
}

/// The effect of a statement on an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexChange {
    Create { table: TableName, name: String },
    Drop { schema: String, name: String },
}

/// Reads a statement that makes or drops one index; `None` for everything else. Names without a schema
/// are those of `public`.
pub fn change(sql: &str) -> Option<IndexChange> {
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
        return rest
            .iter()
            .all(|token| token.is(";"))
            .then_some(IndexChange::Drop { schema, name });
    }
    if !take(&mut rest, &["on"]) {
        return None;
    }
    take(&mut rest, &["only"]);
    Some(IndexChange::Create { table: qualified(&mut rest)?, name: named.name })
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

pub(crate) fn key(key: &IndexKey) -> String {
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
        let def = IndexDef {
            table: TableName::new("public", "Order"),
            method: AccessMethod::Btree,
            keys: vec![IndexKey::column("user"), lower, descending],
            include: vec!["id".into()],
            predicate: Some("deleted_at IS NULL".into()),
        };
        let sql = create(&def, &name(&def), BuildMode::Concurrently);
        assert_eq!(
            sql,
            "CREATE INDEX CONCURRENTLY \"Order_user_lower_email_created_at_idx\" ON public.\"Order\" \
             (\"user\", (lower(email)), created_at DESC) INCLUDE (id) WHERE deleted_at IS NULL"
        );
        assert!(parse(&sql).is_ok());
        assert_eq!(
            drop("public", &name(&def), BuildMode::Concurrently),
            "DROP INDEX CONCURRENTLY IF EXISTS public.\"Order_user_lower_email_created_at_idx\""
        );
    }

    #[test]
    fn a_statement_says_which_index_it_makes_or_drops() {
        let made =
            |table: TableName, name: &str| Some(IndexChange::Create { table, name: name.into() });
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
        let dropped = Some(IndexChange::Drop { schema: "s".into(), name: "i".into() });
        assert_eq!(change("DROP INDEX CONCURRENTLY IF EXISTS s.i;"), dropped);
        for other in ["CREATE EXTENSION pg_trgm", "DROP INDEX a, b", "CREATE TABLE t (a int)", ""] {
            assert_eq!(change(other), None, "{other}");
        }
    }
}
