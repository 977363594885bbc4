//! The roles of a workload: each of its statements runs as the role that executed it, where the session may become
//! that role, and looks its names up as that role does.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::Catalog;
use crate::model::name::TableName;
use crate::model::workload::shape::{Shape, StatementKind};
use crate::model::workload::{Query, Workload};
use crate::pg::config::settings::Settings;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;

/// Who executes the statements of a workload.
#[derive(Debug, Clone)]
pub struct Callers {
    /// The connected role, for statements of which no other is known.
    connected: Caller,
    /// Roles of the workload that exist here.
    roles: BTreeMap<String, Caller>,
    /// Time of each user's statements, the longest first.
    users: Vec<String>,
    /// The search path of the user with the longest time, where it is that user's own.
    main_path: Option<Caller>,
    /// What roles may not do here, or not without the settings of the application: role, table, privilege.
    denied: BTreeSet<(String, TableName, String)>,
    /// The connected role, where it is a superuser.
    superuser: Option<String>,
}

impl Callers {
    /// The connected role alone.
    pub fn connected(connection: &Connection) -> Callers {
        Callers {
            connected: connection.caller(),
            roles: BTreeMap::new(),
            users: Vec::new(),
            main_path: None,
            denied: BTreeSet::new(),
            superuser: connection.is_superuser.then(|| connection.user.clone()),
        }
    }

    /// The roles that the sources of a workload name.
    ///
    /// # Errors
    /// The server's error.
    pub fn of_workload(
        connection: &Connection,
        settings: &Settings,
        workload: &Workload,
    ) -> Result<Callers, PgError> {
        let mut time_us: BTreeMap<&str, u64> = BTreeMap::new();
        for query in &workload.queries {
            for user in &query.users {
                *time_us.entry(user).or_default() += query.total_us;
            }
        }
        let mut users: Vec<(&str, u64)> = time_us.into_iter().collect();
        users.sort_by_key(|(_, time_us)| std::cmp::Reverse(*time_us));
        let users = users.into_iter().map(|(user, _)| user.to_owned()).collect();
        Callers::named(connection, settings, users)
    }

    /// These users, the one with the longest time first.
    ///
    /// # Errors
    /// The server's error.
    pub fn named(
        connection: &Connection,
        settings: &Settings,
        users: Vec<String>,
    ) -> Result<Callers, PgError> {
        let mut callers = Callers::connected(connection);
        // A path that the user gave goes before that of any role.
        let is_given = settings.options.as_deref().is_some_and(|own| own.contains("search_path"));
        let rows = connection.query(include_str!("queries/callers.sql"), &[&users])?;
        for row in &rows {
            let (name, may_become): (String, bool) = (row.get(0), row.get(1));
            let own_path: Option<String> = row.get::<_, Option<String>>(2).filter(|_| !is_given);
            let path = own_path.as_deref().unwrap_or(&connection.first_search_path);
            let is_connected = name == connection.user;
            let role = (may_become && !is_connected).then_some(name.as_str());
            let caller = Caller::new(role, path);
            if users.first() == Some(&name) && own_path.is_some() && !is_connected {
                callers.main_path = Some(Caller::new(None, path));
            }
            callers.roles.insert(name, caller);
        }
        callers.users = users;
        Ok(callers)
    }

    /// Asks what the roles may not do with these tables. Who may not read a table in this database is no measure for
    /// statements that read it.
    ///
    /// # Errors
    /// The server's error.
    pub fn ask_privileges(
        &mut self,
        connection: &Connection,
        tables: &BTreeSet<TableName>,
    ) -> Result<(), PgError> {
        let named = |part: fn(&TableName) -> &str| -> Vec<String> {
            tables.iter().map(|table| part(table).to_owned()).collect()
        };
        let (schemas, names) = (named(|table| &table.schema), named(|table| &table.name));
        let sql = include_str!("queries/denied.sql");
        let rows = connection.query(sql, &[&self.users, &schemas, &names])?;
        let denied = |row: &tokio_postgres::Row| {
            let table = TableName::new(row.get::<_, String>(1), row.get::<_, String>(2));
            (row.get(0), table, row.get(3))
        };
        self.denied = rows.iter().map(denied).collect();
        Ok(())
    }

    /// Notes the roles that policies hold for. What a policy compares, such as the tenant of a session, the application
    /// sets; without it a role is shown no row, and its statements are measured as the connected role.
    pub fn note_policies(&mut self, catalog: &Catalog) {
        for table in &catalog.tables {
            for role in table.bound.iter().filter(|role| self.users.contains(role)) {
                let privileges = ["SELECT", "INSERT", "UPDATE", "DELETE"];
                let denied =
                    privileges.map(|own| (role.clone(), table.name.clone(), own.to_owned()));
                self.denied.extend(denied);
            }
        }
    }

    /// Who executes a statement: of several users the one whose statements take the longest in all, and of them one
    /// that may.
    pub fn of(&self, query: &Query) -> Caller {
        self.of_users(&query.users, &query.shape.as_ref().map_or_else(Vec::new, needed))
    }

    /// Who executes a statement of these users that needs these privileges.
    pub fn of_users(&self, users: &[String], needed: &[(TableName, &str)]) -> Caller {
        let known = self.users.iter().filter(|user| users.contains(user));
        let mut callers = known.filter_map(|user| Some((user, self.roles.get(user)?)));
        let is_denied = |user: &String| {
            needed.iter().any(|(table, privilege)| {
                self.denied.contains(&(user.clone(), table.clone(), (*privilege).to_owned()))
            })
        };
        let first = callers.clone().next();
        let role = callers.find(|(user, caller)| caller.role().is_some() && !is_denied(user));
        match (role, first) {
            (Some((_, caller)), _) => caller.clone(),
            (None, Some((_, caller))) => caller.without_role(),
            (None, None) => self.path().clone(),
        }
    }

    /// Where the names of the workload are looked up, as far as one place can be named.
    pub fn path(&self) -> &Caller {
        self.main_path.as_ref().unwrap_or(&self.connected)
    }

    /// The user whose own search path that is.
    pub fn path_of(&self) -> Option<&str> {
        self.main_path.as_ref().and_then(|_| self.users.first()).map(String::as_str)
    }

    /// The statement would run with the power of a superuser that did not execute it.
    pub fn is_as_superuser(&self, query: &Query) -> bool {
        let Some(superuser) = &self.superuser else { return false };
        self.of(query).role().is_none() && !query.users.contains(superuser)
    }

    /// A warning where statements run with the power of a superuser.
    pub fn superuser_warning(&self, queries: &[Query]) -> Option<String> {
        let understood = queries.iter().filter(|query| query.shape.is_some());
        let count = understood.filter(|query| self.is_as_superuser(query)).count();
        (count > 0).then(|| {
            let statements = if count == 1 { "statement runs" } else { "statements run" };
            format!(
                "{count} {statements} with the power of the superuser {}: the sources do not name the role, or it may not read here; connect as the role of the application",
                self.superuser.as_deref().unwrap_or_default()
            )
        })
    }
}

/// The privileges that a statement needs.
fn needed(shape: &Shape) -> Vec<(TableName, &'static str)> {
    let of_target = match shape.kind {
        StatementKind::Insert => "INSERT",
        StatementKind::Update => "UPDATE",
        StatementKind::Delete => "DELETE",
        _ => "SELECT",
    };
    let privilege = |is_target: bool| if is_target { of_target } else { "SELECT" };
    shape.scans.iter().map(|scan| (scan.table.clone(), privilege(scan.target))).collect()
}
