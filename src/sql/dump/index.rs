//! Indexes as a dump makes them: by statements of their own, and by constraints.

use sqlparser::ast::{
    CreateIndex, Expr, IndexColumn, IndexType, ObjectName, OrderByExpr, OrderBySort, Statement,
};

use crate::model::catalog::Table;
use crate::model::index::{AccessMethod, Index, IndexDef, IndexKey};
use crate::sql::lex::identifier::quote_table;
use crate::sql::resolve::scope::{fold, last_name};

/// The unique index behind a constraint.
pub(super) fn push_index(table: &mut Table, name: &str, keys: Vec<IndexKey>, primary: bool) {
    if table.indexes.iter().any(|known| known.name == name) {
        return;
    }
    table.indexes.push(Index {
        name: name.to_owned(),
        schema: table.name.schema.clone(),
        def: IndexDef::on(&table.name, AccessMethod::Btree, keys),
        unique: true,
        primary,
        constraint: true,
        valid: true,
        building: false,
        size_bytes: None,
        scans: None,
        definition: format!("constraint {name} on {}", quote_table(&table.name)),
        options: Vec::new(),
        restore: Vec::new(),
        clustered: false,
    });
}

/// A key as a statement writes it.
pub(super) fn index_key(column: &IndexColumn) -> IndexKey {
    key_of(&column.column, column.operator_class.as_ref())
}

fn key_of(order: &OrderByExpr, operator_class: Option<&ObjectName>) -> IndexKey {
    let descending = matches!(order.options.sort, Some(OrderBySort::Desc));
    let (expr, collation) = match &order.expr {
        Expr::Collate { expr, collation } => (&**expr, Some(collation.to_string())),
        expr => (expr, None),
    };
    let (expression, is_column) = match expr {
        Expr::Identifier(ident) => (fold(ident), true),
        Expr::Nested(inner) => (inner.to_string(), false),
        other => (other.to_string(), false),
    };
    IndexKey {
        expression,
        is_column,
        descending,
        nulls_first: order.options.nulls_first.unwrap_or(descending),
        operator_class: operator_class.map(ToString::to_string),
        collation,
    }
}

/// Adds the index that a statement makes.
pub(super) fn create_index(table: &mut Table, create: &CreateIndex) {
    let definition = Statement::CreateIndex(create.clone()).to_string();
    let name = create.name.as_ref().and_then(last_name).unwrap_or_default();
    table.indexes.push(Index {
        name,
        schema: table.name.schema.clone(),
        def: IndexDef {
            table: table.name.clone(),
            method: create.using.as_ref().map_or(AccessMethod::Btree, access_method),
            keys: create.columns.iter().map(index_key).collect(),
            include: create.include.iter().map(fold).collect(),
            predicate: create.predicate.as_ref().map(ToString::to_string),
        },
        unique: create.unique,
        primary: false,
        constraint: false,
        valid: true,
        building: false,
        size_bytes: None,
        scans: None,
        definition,
        options: create.with.iter().map(option).collect(),
        restore: Vec::new(),
        clustered: false,
    });
}

fn access_method(using: &IndexType) -> AccessMethod {
    AccessMethod::from(using.to_string().to_lowercase())
}

/// A storage parameter as the server's catalog has it: `fillfactor=70`.
fn option(setting: &Expr) -> String {
    setting.to_string().chars().filter(|c| !matches!(c, ' ' | '\'')).collect()
}
