//! The policies of a database, understood.

use std::collections::{BTreeMap, BTreeSet};

use super::actor::Actors;
use super::alternatives::{Asks, alternatives, asks, split};
use super::bodies::Bodies;
use super::domains::{Domains, Ownership};
use crate::model::access::privileges::{PUBLIC, Relation};
use crate::model::catalog::{Catalog, Policy, Table, TableKind};
use crate::model::name::TableName;
use crate::sql::condition::read;
use crate::sql::condition::term::{Select, Term};

/// A policy with its conditions.
pub struct Understood<'a> {
    pub policy: &'a Policy,
    pub using: Option<Condition>,
    pub check: Option<Condition>,
}

/// A condition, and what its alternatives ask for.
pub struct Condition {
    pub term: Term,
    pub alternatives: Vec<Vec<Asks>>,
}

/// Who may reach which rows of a database, as far as its catalog tells.
pub struct Access<'a> {
    pub catalog: &'a Catalog,
    pub actors: Actors<'a>,
    pub domains: Domains,
    policies: BTreeMap<&'a TableName, Vec<Understood<'a>>>,
    views: BTreeMap<&'a TableName, Select>,
}

impl<'a> Access<'a> {
    pub fn of(catalog: &'a Catalog) -> Access<'a> {
        let actors = Actors {
            bodies: Bodies::of(catalog),
            guarded: catalog
                .tables
                .iter()
                .filter(|own| own.row_security)
                .map(|own| own.name.clone())
                .collect(),
            of_staff: of_staff(catalog),
        };
        let mut policies: BTreeMap<&TableName, Vec<Understood<'_>>> = BTreeMap::new();
        let mut compared = BTreeSet::new();
        for table in &catalog.tables {
            let understood: Vec<Understood<'_>> = table
                .policies
                .iter()
                .map(|policy| understand(policy, table, catalog, &actors))
                .collect();
            for condition in understood.iter().flat_map(Understood::conditions) {
                add_compared(&actors, table, condition, &mut compared);
            }
            policies.insert(&table.name, understood);
        }
        let views = catalog.tables.iter().filter_map(|table| {
            let stored = catalog.privileges.relation(&table.name);
            let stored = stored.and_then(|relation| relation.query.as_deref());
            let text = table.definition.as_deref().or(stored)?;
            Some((
                &table.name,
                read::query(text.trim_end_matches(';'), read::Names::default(), catalog)?,
            ))
        });
        Access {
            catalog,
            domains: Domains::of(catalog, &compared),
            views: views.collect(),
            actors,
            policies,
        }
    }

    /// The name of a policy of a partition that opens its rows to more than who owns them.
    pub fn weak_policy_of_part(&self, relation: &'a Relation, root: &TableName) -> Option<&'a str> {
        let root = self.catalog.table(root)?;
        let row = Table { name: relation.name.clone(), ..root.clone() };
        let opens = |text: &str| {
            let term = read::condition(text, &row, self.catalog)?;
            let found = alternatives(&self.actors, &term);
            let is_weak = |parts: &Vec<Asks>| {
                !parts.iter().any(|part| part.is_tied() || *part == Asks::Guard)
            };
            Some(found.iter().any(is_weak))
        };
        let policies = relation.policies.iter().filter(|own| own.permissive);
        let weak = policies.filter(|own| own.using.as_deref().and_then(opens) == Some(true));
        weak.map(|own| own.name.as_str()).next()
    }

    pub fn policies(&self, table: &TableName) -> &[Understood<'a>] {
        self.policies.get(table).map_or(&[], |own| own)
    }

    /// Tables and partitioned tables.
    pub fn tables(&self) -> impl Iterator<Item = &'a Table> {
        self.catalog
            .tables
            .iter()
            .filter(|table| matches!(table.kind, TableKind::Table | TableKind::Partitioned))
    }

    /// The query behind a view or a materialized view.
    pub fn view(&self, name: &TableName) -> Option<&Select> {
        self.views.get(name)
    }

    pub fn relation(&self, table: &TableName) -> Option<&'a Relation> {
        self.catalog.privileges.relation(table)
    }

    /// Each row of the table is one user's, and he has one: users themselves, or more about each of them.
    pub fn is_account(&self, table: &TableName) -> bool {
        match self.domains.ownership(table) {
            Some(Ownership::Root) => true,
            Some(Ownership::Columns(columns)) => self.catalog.table(table).is_some_and(|table| {
                columns.iter().any(|column| table.has_unique(&[column.as_str()]))
            }),
            _ => false,
        }
    }

    /// The rows of the table are somebody's.
    pub fn is_owned(&self, table: &TableName) -> bool {
        self.domains.ownership(table).is_some()
    }

    /// Roles that policies can bind and that have one of these privileges on the table. A file or database without any
    /// privileges has one role for all, which has no name here.
    pub fn reach(&self, table: &TableName, privileges: &[&str]) -> Vec<&'a str> {
        if !self.catalog.privileges.has_grants() {
            return vec![""];
        }
        let Some(relation) = self.relation(table) else { return Vec::new() };
        let mut roles: Vec<&str> = privileges
            .iter()
            .flat_map(|privilege| {
                relation.grants.iter().filter(move |own| own.privilege == *privilege)
            })
            .map(|own| own.role.as_str())
            .filter(|role| self.is_bound(role))
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// Policies hold for the role.
    pub fn is_bound(&self, role: &str) -> bool {
        role == PUBLIC || !self.catalog.privileges.bypasses(role)
    }

    /// Some of the policies asks who it is.
    pub fn has_identity(&self, table: &TableName) -> bool {
        self.policies(table).iter().any(|own| own.conditions().any(Condition::is_tied))
    }

    /// A condition that a policy of the command has to hold beside, for each of its roles.
    pub fn is_restricted(&self, table: &TableName, policy: &Policy) -> bool {
        let restricts = |role: &str| {
            self.policies(table).iter().any(|own| {
                !own.policy.permissive
                    && own.holds_for(&policy.command)
                    && own.is_for(role)
                    && own.conditions().any(Condition::is_tied)
            })
        };
        match policy.roles.is_empty() {
            true => restricts(PUBLIC),
            false => policy.roles.iter().all(|role| restricts(role)),
        }
    }

    /// Every one of these roles may read all rows of the table: by a policy that asks nothing, and no other that
    /// restricts it.
    pub fn is_open_to(&self, table: &TableName, roles: &[&str]) -> bool {
        let opens = |role: &str| {
            self.policies(table).iter().any(|own| {
                own.policy.permissive
                    && own.holds_for("SELECT")
                    && own.is_for(role)
                    && own.using.as_ref().is_some_and(Condition::is_always_true)
                    && !self.is_restricted(table, own.policy)
            })
        };
        roles.iter().all(|role| opens(role))
    }

    /// Conditions on columns of the row alone that open rows of the table to one of the roles: the columns of each.
    pub fn flags(&self, table: &TableName, roles: &[&str]) -> Vec<BTreeSet<String>> {
        let policies = self.policies(table).iter().filter(|own| {
            own.policy.permissive
                && own.holds_for("SELECT")
                && roles.iter().any(|role| own.is_for(role))
        });
        let terms = policies.filter_map(|own| own.using.as_ref()).map(|own| &own.term);
        terms
            .flat_map(|term| split(&self.actors, term, false, 6))
            .filter(|parts| {
                parts.iter().all(|part| {
                    matches!(asks(&self.actors, part), Asks::OfRow | Asks::SignedIn | Asks::Nothing)
                })
            })
            .map(|parts| {
                let mut columns = BTreeSet::new();
                for part in &parts {
                    part.walk(&mut |term| {
                        columns.extend(term.row_column().map(str::to_owned));
                        true
                    });
                }
                columns
            })
            .filter(|columns| !columns.is_empty())
            .collect()
    }
}

impl Understood<'_> {
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.using.iter().chain(&self.check)
    }

    /// The policy is one of this role: of all roles, or by name.
    pub fn is_for(&self, role: &str) -> bool {
        let roles = &self.policy.roles;
        roles.is_empty() || roles.iter().any(|own| own == role || own.eq_ignore_ascii_case(PUBLIC))
    }

    pub fn holds_for(&self, command: &str) -> bool {
        self.policy.command == command || self.policy.command == "ALL"
    }

    /// What a written row has to fulfil: the check, or in its absence the condition on the old row.
    pub fn written(&self) -> Option<&Condition> {
        self.check.as_ref().or(self.using.as_ref())
    }
}

impl Condition {
    /// Every alternative asks who it is, of the row.
    pub fn is_tied(&self) -> bool {
        self.alternatives.iter().all(|parts| parts.iter().any(Asks::is_tied))
    }

    /// Some part asks who it is.
    pub fn asks_who(&self) -> bool {
        let asks = |part: &Asks| part.is_tied() || matches!(part, Asks::SignedIn | Asks::UserClaim);
        self.alternatives.iter().flatten().any(asks)
    }

    /// Some alternative has nothing but parts of this kind, and a part of it.
    pub fn opens_by(&self, which: &dyn Fn(&Asks) -> bool) -> bool {
        self.alternatives.iter().any(|parts| {
            parts.iter().any(which)
                && parts.iter().all(|part| which(part) || *part == Asks::Nothing)
        })
    }

    /// Some alternative asks for nothing.
    pub fn is_always_true(&self) -> bool {
        self.alternatives.iter().any(|parts| parts.iter().all(|part| *part == Asks::Nothing))
    }

    /// Columns of the row that are compared with who asks.
    pub fn owner_columns(&self) -> BTreeSet<&str> {
        let parts = self.alternatives.iter().flatten();
        parts
            .filter_map(|part| match part {
                Asks::Owner(column) => Some(column.as_str()),
                _ => None,
            })
            .collect()
    }
}

impl Asks {
    /// The row has to be tied to who asks.
    pub fn is_tied(&self) -> bool {
        matches!(self, Asks::Owner(_) | Asks::Tied)
    }
}

/// Tables that no role of users may write, and whose key is one user and nothing else.
fn of_staff(catalog: &Catalog) -> BTreeSet<TableName> {
    let privileges = &catalog.privileges;
    let is_written = |table: &Table| {
        let Some(relation) = privileges.relation(&table.name) else { return true };
        let writes = relation.grants.iter().any(|own| {
            ["INSERT", "UPDATE"].contains(&own.privilege.as_str())
                && (own.role == PUBLIC || !privileges.bypasses(&own.role))
        });
        let opens = table
            .policies
            .iter()
            .any(|own| own.permissive && own.command != "SELECT" && own.command != "DELETE");
        if table.row_security { writes && opens } else { writes }
    };
    let is_of_one = |table: &Table| {
        let keys = table.indexes.iter().filter(|index| index.unique);
        keys.into_iter().any(|index| {
            index.def.keys.len() == 1
                && (table.foreign_keys.is_empty()
                    || table
                        .foreign_keys
                        .iter()
                        .any(|key| key.columns == [index.def.keys[0].expression.clone()]))
        })
    };
    let tables = catalog
        .tables
        .iter()
        .filter(|table| privileges.has_grants() && !is_written(table) && is_of_one(table));
    tables.map(|table| table.name.clone()).collect()
}

fn understand<'a>(
    policy: &'a Policy,
    table: &Table,
    catalog: &Catalog,
    actors: &Actors<'_>,
) -> Understood<'a> {
    let condition = |text: &Option<String>| {
        let term = read::condition(text.as_deref()?, table, catalog)?;
        let alternatives = alternatives(actors, &term);
        Some(Condition { term, alternatives })
    };
    Understood { policy, using: condition(&policy.using), check: condition(&policy.check) }
}

/// Columns that a condition compares with who asks, of the row and of the tables that it looks into.
fn add_compared(
    actors: &Actors<'_>,
    table: &Table,
    condition: &Condition,
    compared: &mut BTreeSet<(TableName, String)>,
) {
    for column in condition.owner_columns() {
        compared.insert((table.name.clone(), column.to_owned()));
    }
    for part in split(actors, &condition.term, false, 6).iter().flatten() {
        if asks(actors, part) == Asks::Nothing {
            continue;
        }
        part.walk(&mut |term| {
            if let Term::Compare(operator, a, b) = term
                && operator == "="
            {
                for (column, value) in [(a, b), (b, a)] {
                    let Some((of, name)) = source_column(column) else { continue };
                    if actors.actor(value) == Some(super::actor::Actor::Identity) {
                        compared.insert((of.clone(), name.to_owned()));
                    }
                }
            }
            true
        });
    }
}

/// The column of a table in FROM that a term is.
pub fn source_column(term: &Term) -> Option<(&TableName, &str)> {
    use crate::sql::condition::term::{Column, Owner};
    match term {
        Term::Cast(of) => source_column(of),
        Term::Column(Column { owner: Owner::Source { table, .. }, name }) => Some((table, name)),
        _ => None,
    }
}
