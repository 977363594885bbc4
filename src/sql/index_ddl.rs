//! Index plans as SQL, with their undo.

use super::ident::{object_name, quote, quote_table};
use crate::model::catalog::IndexKey;
use crate::model::recommendation::IndexPlan;

/// Words of the DDL around the plan itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// `CREATE INDEX CONCURRENTLY`: for a database in use.
    Concurrently,
    /// `CREATE INDEX`: inside a transaction.
    Plain,
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

/// The statement that makes the index under `name`.
pub fn create(plan: &IndexPlan, name: &str, build: Build) -> String {
    let concurrently = if build == Build::Concurrently { "CONCURRENTLY " } else { "" };
    let keys: Vec<String> = plan.keys.iter().map(key).collect();
    let method =
        if plan.method == "btree" { String::new() } else { format!(" USING {}", plan.method) };
    let mut sql = format!(
        "CREATE INDEX {concurrently}{} ON {}{method} ({})",
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

fn key(key: &IndexKey) -> String {
    let mut sql =
        if key.is_column { quote(&key.expression) } else { format!("({})", key.expression) };
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
    use crate::model::name::TableName;
    use crate::sql::parse::parse;

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
}
