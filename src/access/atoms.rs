//! Conditions that may explain which rows somebody reaches, from keys and from what statements compare.

use std::collections::{BTreeMap, BTreeSet};

use super::domains::domain;
use crate::model::access::acting::{Identity, IdentityKind};
use crate::model::catalog::{Catalog, Table, TableKind};
use crate::model::name::TableName;
use crate::model::workload::literal::Literal;
use crate::sql::lex::identifier::{quote, quote_literal, quote_table};

/// A condition on the row of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A column holds who acts.
    Owner { column: String, identity: IdentityKind },
    /// A column leads to a row of another table for which one of these holds.
    Join { column: String, parent: TableName, key: String, of: Vec<Atom> },
    /// A column holds a group to which who acts belongs by a row of a third table.
    Membership {
        column: String,
        members: TableName,
        group: String,
        user: String,
        identity: IdentityKind,
    },
    /// A row of another table, which belongs to who acts, leads to the row.
    Reverse { key: String, child: TableName, column: String, owner: String, identity: IdentityKind },
    /// A column holds one of some constants, whoever acts.
    Constant { column: String, values: Vec<String> },
    /// Every row.
    Everything,
    /// All of these hold.
    All(Vec<Atom>),
}

/// Writes who acts, as SQL of the type of the key.
pub type Me<'m> = &'m dyn Fn(IdentityKind) -> String;

impl Atom {
    /// It asks who acts.
    pub fn is_private(&self) -> bool {
        !matches!(self, Atom::Constant { .. } | Atom::Everything)
    }

    /// The condition as SQL, for rows that are known as `alias`.
    pub fn sql(&self, alias: &str, me: Me<'_>) -> String {
        match self {
            Atom::Owner { column, identity } => {
                format!("{alias}.{} = {}", quote(column), me(*identity))
            }
            Atom::Constant { column, values } => {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| quote_literal(&Literal::text(value.as_str())))
                    .collect();
                match values.as_slice() {
                    [only] => format!("{alias}.{} = {only}", quote(column)),
                    all => format!("{alias}.{} IN ({})", quote(column), all.join(", ")),
                }
            }
            Atom::Everything => "true".to_owned(),
            Atom::All(parts) => {
                let parts: Vec<String> = parts.iter().map(|atom| atom.sql(alias, me)).collect();
                format!("({})", parts.join(" AND "))
            }
            other => {
                let set = other.set(me).unwrap_or_default();
                format!(
                    "{alias}.{} = ANY (ARRAY ({set}))",
                    quote(other.column().unwrap_or_default())
                )
            }
        }
    }

    /// The column of the row that it compares.
    pub fn column(&self) -> Option<&str> {
        match self {
            Atom::Owner { column, .. }
            | Atom::Join { column, .. }
            | Atom::Membership { column, .. }
            | Atom::Constant { column, .. } => Some(column),
            Atom::Reverse { key, .. } => Some(key),
            Atom::Everything => None,
            Atom::All(parts) => parts.first().and_then(Atom::column),
        }
    }

    /// The query of the values that the column may hold, where they come from other tables.
    pub fn set(&self, me: Me<'_>) -> Option<String> {
        Some(match self {
            Atom::Join { parent, key, of, .. } => {
                let of: Vec<String> = of.iter().map(|atom| atom.sql("p", me)).collect();
                format!(
                    "SELECT p.{} FROM {} p WHERE {}",
                    quote(key),
                    quote_table(parent),
                    of.join(" OR ")
                )
            }
            Atom::Membership { members, group, user, identity, .. } => format!(
                "SELECT m.{} FROM {} m WHERE m.{} = {}",
                quote(group),
                quote_table(members),
                quote(user),
                me(*identity)
            ),
            Atom::Reverse { child, column, owner, identity, .. } => format!(
                "SELECT c.{} FROM {} c WHERE c.{} = {}",
                quote(column),
                quote_table(child),
                quote(owner),
                me(*identity)
            ),
            _ => return None,
        })
    }

    /// How rows belong to who acts, in words: `buyer_id`, `listing_id -> listings.seller_id`.
    pub fn path(&self) -> String {
        match self {
            Atom::Owner { column, .. } => column.clone(),
            Atom::Join { column, parent, of, .. } => {
                let of: Vec<String> = of.iter().map(Atom::path).collect();
                format!("{column} -> {}.{}", parent.name, of.join("|"))
            }
            Atom::Membership { column, members, user, .. } => {
                format!("{column} -> {}.{user}", members.name)
            }
            Atom::Reverse { key, child, owner, .. } => format!("{key} <- {}.{owner}", child.name),
            Atom::Constant { column, values } => format!("{column} = {}", values.join("|")),
            Atom::Everything => "every row".to_owned(),
            Atom::All(parts) => {
                let parts: Vec<String> = parts.iter().map(Atom::path).collect();
                parts.join(" and ")
            }
        }
    }
}

/// What atoms are made from.
pub struct Sources<'a> {
    pub catalog: &'a Catalog,
    pub identities: &'a [Identity],
    /// Conditions of tables that were decided before, for reading.
    pub decided: &'a BTreeMap<TableName, Vec<Atom>>,
    /// Constants that statements which are bound to nobody compare a column with.
    pub constants: &'a BTreeMap<(TableName, String), BTreeSet<String>>,
}

impl Sources<'_> {
    /// The atoms of a table, those that open less first by their kind.
    pub fn atoms(&self, table: &Table) -> Vec<Atom> {
        let mut found = self.owners(table);
        found.extend(self.joins(table));
        found.extend(self.memberships(table));
        found.extend(self.reverses(table));
        let constants = self.constants.iter().filter(|((of, _), _)| *of == table.name);
        found.extend(constants.map(|((_, column), values)| Atom::Constant {
            column: column.clone(),
            values: values.iter().cloned().collect(),
        }));
        found.push(Atom::Everything);
        found.dedup();
        found
    }

    /// Columns that hold who acts.
    fn owners(&self, table: &Table) -> Vec<Atom> {
        let mut found = Vec::new();
        for identity in self.identities {
            for column in &table.columns {
                if domain(self.catalog, &table.name, &column.name).as_ref() == Some(&identity.table)
                {
                    found
                        .push(Atom::Owner { column: column.name.clone(), identity: identity.kind });
                }
            }
        }
        found
    }

    fn is_identity(&self, table: &TableName) -> bool {
        self.identities.iter().any(|own| own.table == *table)
    }

    /// Keys that lead to tables whose rows are somebody's; those that are always there first.
    fn joins(&self, table: &Table) -> Vec<Atom> {
        let mut keys: Vec<_> = table
            .foreign_keys
            .iter()
            .filter(|key| key.columns.len() == 1 && key.referenced_columns.len() <= 1)
            .filter(|key| key.references != table.name && !self.is_identity(&key.references))
            .collect();
        keys.sort_by_key(|key| table.column(&key.columns[0]).is_none_or(|column| !column.not_null));
        let mut found = Vec::new();
        for key in keys {
            let Some(parent) = self.catalog.table(&key.references) else { continue };
            let Some(own_key) = key.referenced_columns.first().cloned().or_else(|| primary(parent))
            else {
                continue;
            };
            let join = |of: Vec<Atom>| Atom::Join {
                column: key.columns[0].clone(),
                parent: parent.name.clone(),
                key: own_key.clone(),
                of,
            };
            let private = |of: &[Atom]| {
                of.iter().filter(|atom| atom.is_private()).cloned().collect::<Vec<_>>()
            };
            let whole = self.decided.get(&parent.name).map(|of| private(of)).unwrap_or_default();
            let owners = self.owners(parent);
            found.extend(owners.into_iter().map(|owner| join(vec![owner])));
            if !whole.is_empty() {
                found.push(join(whole));
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Tables that hold who belongs to which group: their key is a user and a group.
    fn memberships(&self, table: &Table) -> Vec<Atom> {
        let mut found = Vec::new();
        for members in self.catalog.tables.iter().filter(|own| own.kind == TableKind::Table) {
            for (user, identity, group, groups) in self.pairs(members) {
                let columns = table.columns.iter().filter(|column| {
                    let of = domain(self.catalog, &table.name, &column.name);
                    of.as_ref() == Some(&groups)
                        && !(table.name == members.name && column.name != group)
                });
                found.extend(columns.map(|column| Atom::Membership {
                    column: column.name.clone(),
                    members: members.name.clone(),
                    group: group.clone(),
                    user: user.clone(),
                    identity,
                }));
            }
        }
        found
    }

    /// The user and the group in the key of a table, with the table of groups.
    fn pairs(&self, members: &Table) -> Vec<(String, IdentityKind, String, TableName)> {
        let mut found = Vec::new();
        for index in
            members.indexes.iter().filter(|index| index.unique && index.def.keys.len() == 2)
        {
            let columns: Vec<&str> =
                index.def.keys.iter().map(|key| key.expression.as_str()).collect();
            for (user, group) in [(columns[0], columns[1]), (columns[1], columns[0])] {
                let of = |column: &str| domain(self.catalog, &members.name, column);
                let identity =
                    self.identities.iter().find(|own| of(user).as_ref() == Some(&own.table));
                let groups = of(group).filter(|groups| *groups != members.name);
                if let (Some(identity), Some(groups)) = (identity, groups)
                    && groups != identity.table
                {
                    found.push((user.to_owned(), identity.kind, group.to_owned(), groups));
                }
            }
        }
        found
    }

    /// Rows of other tables that belong to somebody and lead here.
    fn reverses(&self, table: &Table) -> Vec<Atom> {
        let Some(key) = primary(table) else { return Vec::new() };
        if self.is_identity(&table.name) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for child in &self.catalog.tables {
            let leads = child
                .foreign_keys
                .iter()
                .filter(|own| own.references == table.name && own.columns.len() == 1);
            for lead in leads {
                for owner in self.owners(child) {
                    let Atom::Owner { column: owner, identity } = owner else { continue };
                    if owner != lead.columns[0] {
                        found.push(Atom::Reverse {
                            key: key.clone(),
                            child: child.name.clone(),
                            column: lead.columns[0].clone(),
                            owner,
                            identity,
                        });
                    }
                }
            }
        }
        found
    }
}

/// The column of the primary key.
pub fn primary(table: &Table) -> Option<String> {
    let index = table.indexes.iter().find(|index| index.primary && index.def.keys.len() == 1)?;
    Some(index.def.keys[0].expression.clone())
}
