//! To whom the rows of a table belong: by foreign keys to the table of users, and by what policies compare.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::{Catalog, Table, TableKind};
use crate::model::name::TableName;

/// Longest way from a table to the one whose rows are somebody's.
const MAX_STEPS: usize = 3;

/// Parts of column names that only a table of people or accounts has. They decide only where neither policies nor
/// statements tell who the users are.
const PERSONAL: &[&str] = &["email", "e_mail", "password", "passwd", "phone", "encrypted_password"];

/// How the rows of a table belong to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Each row is one user.
    Root,
    /// Columns that hold who it is.
    Columns(Vec<String>),
    /// A column that leads to a table whose rows belong to somebody.
    Through { column: String, parent: TableName },
}

/// The table of users, and what belongs to them.
#[derive(Debug, Default)]
pub struct Domains {
    pub root: Option<TableName>,
    owned: BTreeMap<TableName, Ownership>,
}

impl Domains {
    /// `compared` are the columns that policies compare with who asks.
    pub fn of(catalog: &Catalog, compared: &BTreeSet<(TableName, String)>) -> Domains {
        let root = root_of(catalog, compared);
        let mut owned = BTreeMap::new();
        for table in catalog.tables.iter().filter(|table| holds_rows(table)) {
            let mut columns = direct_columns(catalog, table, root.as_ref());
            let by_policy = compared.iter().filter(|(of, _)| *of == table.name);
            for (_, column) in by_policy {
                if !columns.contains(column) {
                    columns.push(column.clone());
                }
            }
            let is_more_of_users =
                columns.is_empty() && is_key_of_root(catalog, table, root.as_ref());
            if is_more_of_users || root.as_ref() == Some(&table.name) {
                owned.insert(table.name.clone(), Ownership::Root);
            } else if !columns.is_empty() {
                owned.insert(table.name.clone(), Ownership::Columns(columns));
            }
        }
        add_unkeyed(catalog, root.as_ref(), &mut owned);
        for _ in 1..MAX_STEPS {
            let through: Vec<_> = catalog
                .tables
                .iter()
                .filter(|table| holds_rows(table) && !owned.contains_key(&table.name))
                .filter_map(|table| {
                    Some((table.name.clone(), through(table, root.as_ref(), &owned)?))
                })
                .collect();
            owned.extend(through);
        }
        Domains { root, owned }
    }

    /// How the rows of a table belong to somebody; `None` for a table of nobody's.
    pub fn ownership(&self, table: &TableName) -> Option<&Ownership> {
        self.owned.get(table)
    }

    /// The columns of a table that hold who it is.
    pub fn owner_columns(&self, table: &TableName) -> &[String] {
        match self.owned.get(table) {
            Some(Ownership::Columns(columns)) => columns,
            _ => &[],
        }
    }
}

fn holds_rows(table: &Table) -> bool {
    matches!(table.kind, TableKind::Table | TableKind::Partitioned)
}

/// The key of the table is a reference to the table of users: it holds more about each of them.
fn is_key_of_root(catalog: &Catalog, table: &Table, root: Option<&TableName>) -> bool {
    root.is_some_and(|root| {
        table.foreign_keys.iter().any(|key| {
            key.columns.len() == 1
                && table.has_unique(&[key.columns[0].as_str()])
                && leads_to(catalog, &key.references, root, MAX_STEPS)
        })
    })
}

/// The table is the root, or its key is a reference to the root or to a table of which that is so.
fn leads_to(catalog: &Catalog, table: &TableName, root: &TableName, steps: usize) -> bool {
    if table == root {
        return true;
    }
    let Some(table) = catalog.table(table).filter(|_| steps > 0) else { return false };
    table.foreign_keys.iter().any(|key| {
        key.columns.len() == 1
            && is_primary(table, &key.columns[0])
            && leads_to(catalog, &key.references, root, steps - 1)
    })
}

fn is_primary(table: &Table, column: &str) -> bool {
    table.indexes.iter().any(|index| {
        index.primary && index.def.keys.len() == 1 && index.def.keys[0].expression == column
    })
}

fn direct_columns(catalog: &Catalog, table: &Table, root: Option<&TableName>) -> Vec<String> {
    let Some(root) = root else { return Vec::new() };
    table
        .foreign_keys
        .iter()
        .filter(|key| key.columns.len() == 1 && leads_to(catalog, &key.references, root, MAX_STEPS))
        .map(|key| key.columns[0].clone())
        .collect()
}

fn through(
    table: &Table,
    root: Option<&TableName>,
    owned: &BTreeMap<TableName, Ownership>,
) -> Option<Ownership> {
    let is_optional = |column: &String| table.column(column).is_none_or(|column| !column.not_null);
    let mut keys: Vec<_> = table.foreign_keys.iter().filter(|key| key.columns.len() == 1).collect();
    keys.sort_by_key(|key| is_optional(&key.columns[0]));
    keys.into_iter().find_map(|key| {
        let [column] = key.columns.as_slice() else { return None };
        let is_own = key.references == table.name || Some(&key.references) == root;
        (!is_own && owned.contains_key(&key.references))
            .then(|| Ownership::Through { column: column.clone(), parent: key.references.clone() })
    })
}

/// Columns without a foreign key that can only hold the key of a user: that key is a `uuid`, they are too, and nothing
/// else gives them a value.
fn add_unkeyed(
    catalog: &Catalog,
    root: Option<&TableName>,
    owned: &mut BTreeMap<TableName, Ownership>,
) {
    let Some(root) = root else { return };
    let key_type = catalog.tables.iter().find_map(|table| {
        table.foreign_keys.iter().find_map(|key| {
            let is_to_root = key.references == *root && key.columns.len() == 1;
            is_to_root.then(|| table.column(&key.columns[0]))?.map(|column| &column.type_name)
        })
    });
    if key_type.is_none_or(|type_name| type_name != "uuid") {
        return;
    }
    for table in catalog.tables.iter().filter(|table| holds_rows(table)) {
        if owned.contains_key(&table.name) || !table.foreign_keys.is_empty() {
            continue;
        }
        let defaults = catalog.privileges.relation(&table.name).map(|own| &own.defaults[..]);
        let is_free = |column: &str| {
            defaults.unwrap_or_default().iter().all(|own| own.column != column)
                && !is_primary(table, column)
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|column| column.type_name == "uuid" && is_free(&column.name))
            .map(|column| column.name.clone())
            .collect();
        if !columns.is_empty() {
            owned.insert(table.name.clone(), Ownership::Columns(columns));
        }
    }
}

/// The table of users: the one that columns which policies compare with who asks lead to; without such, of those with
/// personal columns the one that most foreign keys lead to.
fn root_of(catalog: &Catalog, compared: &BTreeSet<(TableName, String)>) -> Option<TableName> {
    let mut votes: BTreeMap<TableName, usize> = BTreeMap::new();
    for (table, column) in compared {
        let Some(table) = catalog.table(table) else { continue };
        if let Some(end) = end_of(catalog, table, column) {
            *votes.entry(end).or_default() += 1;
        } else if is_primary(table, column) {
            *votes.entry(table.name.clone()).or_default() += 1;
        }
    }
    let most = |votes: BTreeMap<TableName, usize>| {
        votes
            .into_iter()
            .max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)))
            .map(|(name, _)| name)
    };
    if !votes.is_empty() {
        return most(votes);
    }
    let is_personal = |column: &str| {
        let column = column.to_lowercase();
        PERSONAL.iter().any(|part| column.contains(part))
    };
    for table in &catalog.tables {
        if !table.columns.iter().any(|column| is_personal(&column.name)) {
            continue;
        }
        let references = catalog
            .tables
            .iter()
            .flat_map(|table| &table.foreign_keys)
            .filter(|key| key.references == table.name)
            .count();
        if references > 0 {
            votes.insert(table.name.clone(), references);
        }
    }
    let found = most(votes)?;
    // A table that holds more about each user has their key.
    let above = catalog.table(&found).and_then(|table| {
        let key = table
            .foreign_keys
            .iter()
            .find(|key| key.columns.len() == 1 && is_primary(table, &key.columns[0]))?;
        end_of(catalog, table, &key.columns[0])
    });
    Some(above.unwrap_or(found))
}

/// The table whose key a column holds: by foreign keys, from key to key; or its own.
pub fn domain(catalog: &Catalog, table: &TableName, column: &str) -> Option<TableName> {
    let own = catalog.table(table)?;
    end_of(catalog, own, column).or_else(|| is_primary(own, column).then(|| own.name.clone()))
}

/// The table that a column leads to by foreign keys, from key to key.
fn end_of(catalog: &Catalog, table: &Table, column: &str) -> Option<TableName> {
    let mut key = table.foreign_keys.iter().find(|key| key.columns == [column])?;
    for _ in 0..MAX_STEPS {
        let next = catalog.table(&key.references).and_then(|parent| {
            parent
                .foreign_keys
                .iter()
                .find(|key| key.columns.len() == 1 && is_primary(parent, &key.columns[0]))
        });
        let Some(next) = next else { break };
        key = next;
    }
    Some(key.references.clone())
}
