//! Tables of private rows without row-level security.

use serde_json::json;

use crate::model::catalog::{Catalog, Table, TableKind};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::name::TableName;
use crate::model::workload::shape::{Operator, Scan, StatementKind};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-disabled",
    summary: "a table whose rows belong to users, without row-level security",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_disabled.md"),
    find,
};

/// Parts of column names that only a table of people or accounts has. A prior for which table is the
/// root of ownership; the foreign keys that point to it decide.
const PERSONAL: &[&str] = &["email", "e_mail", "password", "passwd", "phone", "encrypted_password"];

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(catalog) = input.catalog else { return Vec::new() };
    let Some(root) = identity_root(catalog) else { return Vec::new() };
    catalog
        .tables
        .iter()
        .filter(|table| {
            matches!(table.kind, TableKind::Table | TableKind::Partitioned) && !table.row_security
        })
        .filter_map(|table| {
            let path = owner_path(catalog, &root, table)?;
            Some(finding(input, table, &root, &path))
        })
        .collect()
}

/// The table that users are rows of: it has personal columns, and of those the most foreign keys
/// point to it.
fn identity_root(catalog: &Catalog) -> Option<TableName> {
    let references = |name: &TableName| {
        catalog
            .tables
            .iter()
            .flat_map(|table| &table.foreign_keys)
            .filter(|key| key.references == *name)
            .count()
    };
    catalog
        .tables
        .iter()
        .filter(|table| table.columns.iter().any(|column| is_personal(&column.name)))
        .map(|table| (references(&table.name), &table.name))
        .filter(|(count, _)| *count > 0)
        .max_by(|a, b| a.0.cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| name.clone())
}

fn is_personal(column: &str) -> bool {
    let column = column.to_lowercase();
    PERSONAL.iter().any(|part| column.contains(part))
}

/// How the rows of a table belong to users.
enum OwnerPath {
    /// The table of users itself.
    Root,
    /// Columns that reference the table of users.
    Direct(Vec<String>),
    /// A column that references a table whose rows belong to users.
    Through { column: String, parent: TableName },
}

/// The path to the table of users: a reference of its own, or one step over a table that has one.
///
/// One step and no more: a longer chain passes through lookup tables that everybody shares.
fn owner_path(catalog: &Catalog, root: &TableName, table: &Table) -> Option<OwnerPath> {
    if table.name == *root {
        return Some(OwnerPath::Root);
    }
    let direct = direct_columns(table, root);
    if !direct.is_empty() {
        return Some(OwnerPath::Direct(direct));
    }
    table.foreign_keys.iter().find_map(|key| {
        let parent = catalog.table(&key.references)?;
        let [column] = key.columns.as_slice() else { return None };
        (parent.name != table.name && !direct_columns(parent, root).is_empty())
            .then(|| OwnerPath::Through { column: column.clone(), parent: parent.name.clone() })
    })
}

fn direct_columns(table: &Table, root: &TableName) -> Vec<String> {
    table
        .foreign_keys
        .iter()
        .filter(|key| key.references == *root && key.columns.len() == 1)
        .map(|key| key.columns[0].clone())
        .collect()
}

fn finding(input: &Input<'_>, table: &Table, root: &TableName, path: &OwnerPath) -> Finding {
    let (columns, owns) = match path {
        OwnerPath::Root => (Vec::new(), "every row is one user's".to_owned()),
        OwnerPath::Direct(columns) => {
            (columns.clone(), format!("rows belong to {root} by {}", columns.join(" and ")))
        }
        OwnerPath::Through { column, parent } => {
            (vec![column.clone()], format!("rows belong to {root} through {parent} by {column}"))
        }
    };
    let by_owner = |scan: &Scan| {
        scan.filters.iter().any(|filter| {
            matches!(filter.operator, Operator::Equal | Operator::In)
                && filter.key.column().is_some_and(|column| columns.iter().any(|own| own == column))
        })
    };
    let (mut bound, mut reads, mut writes) = (0, 0, 0);
    for found in input.scans().filter(|found| found.scan.table == table.name) {
        let calls = found.query.calls;
        match found.shape.kind {
            StatementKind::Select => reads += calls,
            _ if found.scan.target => writes += calls,
            _ => reads += calls,
        }
        let alternatives = &found.scan.alternatives;
        let is_bound = by_owner(found.scan)
            || alternatives.iter().any(|all| !all.is_empty() && all.iter().all(by_owner));
        bound += if is_bound { calls } else { 0 };
    }
    Finding {
        id: format!("{}:{}", RULE.id, table.name),
        rule: RULE.id,
        level: Level::Error,
        impact_pct: 0.0,
        subject: Subject { table: Some(table.name.clone()), columns, ..Subject::default() },
        message: format!(
            "{owns}, and nothing in the database keeps one user from the rows of another in {}",
            table.name
        ),
        evidence: vec![json!({
            "kind": "ownership",
            "policies": table.policies.len(),
            "granted_to": table.granted_to,
            "reads_observed": reads,
            "writes_observed": writes,
            "executions_bound_to_owner": bound,
        })],
        advice: Some(format!(
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, together with policies for each role; enabling it without a policy hides every row from everyone but the owner of the table",
            crate::sql::lex::identifier::quote_table(&table.name)
        )),
    }
}
