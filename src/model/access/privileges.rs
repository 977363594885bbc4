//! Roles, owners, privileges and functions, as a server's catalog or a schema file has them.

use serde::{Deserialize, Serialize};

use crate::model::name::TableName;

/// The name that stands for all roles.
pub const PUBLIC: &str = "PUBLIC";

/// What decides, beside policies, who reaches which rows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Privileges {
    /// Roles; empty where a schema file names none.
    pub roles: Vec<Role>,
    /// Tables, views and partitions.
    pub relations: Vec<Relation>,
    pub routines: Vec<Routine>,
    /// What roles will be granted on objects that are made later.
    pub default_grants: Vec<DefaultGrant>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Role {
    pub name: String,
    pub superuser: bool,
    pub bypass_rls: bool,
    pub can_login: bool,
    /// Roles whose privileges it has or may take, through any number of memberships.
    pub member_of: Vec<String>,
}

/// A table, a view or a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relation {
    pub name: TableName,
    pub owner: Option<String>,
    pub row_security: bool,
    /// Row-level security applies to the owner too.
    pub forced: bool,
    /// The table that it is a partition or a child of.
    pub part_of: Option<TableName>,
    /// A view that is read with the privileges of who reads it (`security_invoker`).
    pub security_invoker: bool,
    pub grants: Vec<Grant>,
    /// Columns with a default that is not the value of a sequence.
    pub defaults: Vec<ColumnDefault>,
    /// Functions of its triggers.
    pub triggers: Vec<TableName>,
    /// The query behind a materialized view.
    pub query: Option<String>,
    /// Policies of a partition or child; those of other tables stand at the table.
    pub policies: Vec<PartPolicy>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefault {
    pub column: String,
    pub expression: String,
}

/// A policy of a partition or child.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartPolicy {
    pub name: String,
    pub permissive: bool,
    pub using: Option<String>,
}

/// A privilege on a relation or on some of its columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// [`PUBLIC`] for all.
    pub role: String,
    /// As in SQL, upper case: `SELECT`, `TRUNCATE`.
    pub privilege: String,
    /// `None` for the whole relation.
    #[serde(default)]
    pub column: Option<String>,
}

/// A function or procedure.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Routine {
    pub name: TableName,
    /// Names of its arguments that carry values in; empty text where one has no name.
    pub arguments: Vec<String>,
    /// Types of those arguments.
    pub argument_types: Vec<String>,
    pub returns: String,
    pub returns_set: bool,
    pub language: String,
    /// `i`, `s` or `v`.
    pub volatility: String,
    /// It runs with the privileges of its owner.
    pub definer: bool,
    /// The search path that it sets for itself.
    pub search_path: Option<String>,
    pub owner: Option<String>,
    /// The text of its body; `None` where it is compiled.
    pub body: Option<String>,
    /// Roles that may execute it, beside the owner.
    pub granted_to: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DefaultGrant {
    /// `None` for all schemas.
    pub schema: Option<String>,
    /// `tables`, `sequences`, `functions`, `types` or `schemas`.
    pub objects: String,
    pub role: String,
    pub privilege: String,
}

impl Privileges {
    pub fn relation(&self, name: &TableName) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == *name)
    }

    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// Policies do not bind the role: it is a superuser, has BYPASSRLS, or may become a role that is or has.
    pub fn bypasses(&self, name: &str) -> bool {
        let is_free = |role: &Role| role.superuser || role.bypass_rls;
        self.role(name).is_some_and(is_free)
    }

    /// Some role has been granted something on some relation.
    pub fn has_grants(&self) -> bool {
        self.relations.iter().any(|relation| !relation.grants.is_empty())
    }
}

impl Relation {
    /// Roles beside the owner that have the privilege on the whole relation or on some column.
    pub fn granted<'r>(&'r self, privilege: &'r str) -> impl Iterator<Item = &'r str> {
        self.grants
            .iter()
            .filter(move |grant| grant.privilege == privilege)
            .map(|grant| grant.role.as_str())
    }

    /// The role may set or read the column: by the privilege on the whole relation or on that column.
    pub fn grants_column(&self, role: &str, privilege: &str, column: &str) -> bool {
        self.grants.iter().any(|grant| {
            (grant.role == role || grant.role == PUBLIC)
                && grant.privilege == privilege
                && grant.column.as_deref().is_none_or(|granted| granted == column)
        })
    }
}
