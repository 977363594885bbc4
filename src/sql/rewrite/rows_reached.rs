//! Which rows of its tables a statement reaches: its FROM and its WHERE, without what it makes of them.

use sqlparser::ast::{
    Delete, Expr, FromTable, ObjectName, SetExpr, Statement, TableFactor, TableWithJoins, Update,
    UpdateTableFromKind,
};

use crate::sql::lex::identifier::quote;
use crate::sql::parse::parser::parse;
use crate::sql::resolve::scope::{fold, last_name};

/// The rows that a statement reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsReached {
    /// `FROM … WHERE …`, with the parameters of the statement.
    pub from: String,
    /// The tables in FROM.
    pub tables: Vec<ReachedTable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachedTable {
    /// The name by which its rows are known in FROM, as SQL.
    pub alias: String,
    pub schema: Option<String>,
    pub name: String,
}

/// `None` for what is no plain SELECT, UPDATE or DELETE, or has parts whose rows cannot be told so: WITH, set
/// operations, tables under a name with columns.
pub fn rows_reached(sql: &str) -> Option<RowsReached> {
    let (from, selection) = match parse(sql).ok()? {
        Statement::Query(query) => {
            let SetExpr::Select(select) = *query.body else { return None };
            query.with.is_none().then_some((select.from, select.selection))?
        }
        Statement::Update(Update { table, from, selection, .. }) => {
            let mut all = vec![table];
            match from {
                None => {}
                Some(
                    UpdateTableFromKind::BeforeSet(more) | UpdateTableFromKind::AfterSet(more),
                ) => all.extend(more),
            }
            (all, selection)
        }
        Statement::Delete(Delete { from, using, selection, .. }) => {
            let (FromTable::WithFromKeyword(mut all) | FromTable::WithoutKeyword(mut all)) = from;
            all.extend(using.into_iter().flatten());
            (all, selection)
        }
        _ => return None,
    };
    let mut tables = Vec::new();
    for item in &from {
        add(item, &mut tables);
    }
    (!tables.is_empty()).then(|| RowsReached { from: written(&from, selection.as_ref()), tables })
}

fn written(from: &[TableWithJoins], selection: Option<&Expr>) -> String {
    let items: Vec<String> = from.iter().map(ToString::to_string).collect();
    let condition = selection.map_or(String::new(), |own| format!(" WHERE {own}"));
    format!("FROM {}{condition}", items.join(", "))
}

fn add(item: &TableWithJoins, tables: &mut Vec<ReachedTable>) {
    let factors =
        std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation));
    for factor in factors {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let Some(own) = last_name(name) else { continue };
                let alias = match alias {
                    Some(alias) if alias.columns.is_empty() => fold(&alias.name),
                    Some(_) => continue,
                    None => own.clone(),
                };
                tables.push(ReachedTable { alias: quote(&alias), schema: schema(name), name: own });
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                add(table_with_joins, tables)
            }
            _ => {}
        }
    }
}

fn schema(name: &ObjectName) -> Option<String> {
    let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident().map(fold)).collect();
    (parts.len() > 1).then(|| parts[parts.len() - 2].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sql: &str) -> Option<(String, Vec<String>)> {
        let found = rows_reached(sql)?;
        Some((
            found.from,
            found.tables.into_iter().map(|own| format!("{} {}", own.name, own.alias)).collect(),
        ))
    }

    #[test]
    fn the_rows_of_a_statement_are_those_of_its_from_and_where() {
        let (from, tables) =
            of("SELECT o.id FROM orders o JOIN \"Items\" i ON i.order_id = o.id WHERE o.buyer_id = $1 ORDER BY 1 LIMIT $2").unwrap();
        assert_eq!(
            from,
            "FROM orders o JOIN \"Items\" i ON i.order_id = o.id WHERE o.buyer_id = $1"
        );
        assert_eq!(tables, ["orders o", "Items i"]);
        let (from, tables) = of("UPDATE app.goods SET price = $1 WHERE id = $2").unwrap();
        assert_eq!(
            (from.as_str(), tables),
            ("FROM app.goods WHERE id = $2", vec!["goods goods".to_owned()])
        );
        assert_eq!(
            of("DELETE FROM goods g WHERE g.id = $1").unwrap().0,
            "FROM goods g WHERE g.id = $1"
        );
        assert_eq!(of("INSERT INTO goods VALUES (1)"), None);
        assert_eq!(of("WITH w AS (SELECT 1) SELECT * FROM w"), None);
    }
}
