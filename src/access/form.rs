//! Policies, roles and privileges as SQL, with their undo.
//!
//! Only forms that an index serves: `column = (SELECT …)` and `column = ANY (ARRAY (SELECT function()))`. One policy a
//! command: `FOR ALL` would open SELECT with the condition for writing.

use std::collections::{BTreeMap, BTreeSet};

use super::atoms::Atom;
use super::derive::Derived;
use crate::model::access::acting::{ActsFor, IdentityKind, WhoActs};
use crate::model::access::recommendation::AccessRecommendation;
use crate::model::access::verdict::{Command, CommandAccess, TableAccess, Verdict};
use crate::model::catalog::Catalog;
use crate::model::name::TableName;
use crate::sql::lex::identifier::{object_name, quote, quote_table};

/// The schema of the functions that policies call, as long as it is free.
const SCHEMA: &str = "access_rules";
/// The recommendation of roles, functions and privileges.
pub const ROLES: &str = "rls-roles";

/// A function that gives the values a column may hold.
struct Helper {
    name: String,
    returns: String,
    query: String,
}

struct Writer<'a> {
    catalog: &'a Catalog,
    who: &'a WhoActs,
    me: &'a dyn Fn(IdentityKind) -> String,
    helpers: BTreeMap<String, Helper>,
}

/// The recommendations for what was derived; roles, functions and privileges first.
pub fn recommendations(
    catalog: &Catalog,
    who: &WhoActs,
    derived: &Derived,
    me: &dyn Fn(IdentityKind) -> String,
) -> Vec<AccessRecommendation> {
    let mut writer = Writer { catalog, who, me, helpers: BTreeMap::new() };
    let tables: Vec<AccessRecommendation> =
        derived.tables.iter().filter_map(|own| writer.table(own, derived)).collect();
    if tables.is_empty() {
        return Vec::new();
    }
    let mut all = vec![writer.roles(derived, &tables)];
    all.extend(tables);
    all
}

/// The id of the recommendation of a table.
pub fn id(table: &TableName) -> String {
    match table.schema.as_str() {
        "public" => format!("rls-{}", table.name),
        schema => format!("rls-{schema}.{}", table.name),
    }
}

impl Writer<'_> {
    /// The roles of users, and of those who are not known: they have the policies of the table.
    fn user_roles(&self) -> Vec<&str> {
        let is_of_users =
            |acts_for: ActsFor| matches!(acts_for, ActsFor::User | ActsFor::Anonymous);
        let mut roles: Vec<&str> = self
            .who
            .roles
            .iter()
            .filter(|own| is_of_users(own.acts_for))
            .map(|own| own.role.as_str())
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    /// Roles that act for no user, with those they act for.
    fn other_roles(&self) -> BTreeMap<&str, BTreeSet<ActsFor>> {
        let users = self.user_roles();
        let mut found: BTreeMap<&str, BTreeSet<ActsFor>> = BTreeMap::new();
        for own in self.who.roles.iter().filter(|own| !users.contains(&own.role.as_str())) {
            found.entry(&own.role).or_default().insert(own.acts_for);
        }
        found
    }

    /// What a role that acts for no user does with a table.
    fn commands(
        &self,
        derived: &Derived,
        table: &TableName,
        acts_for: &BTreeSet<ActsFor>,
    ) -> Vec<Command> {
        let does = |command: &Command| {
            let used = derived.used.get(&(table.clone(), *command));
            used.is_some_and(|used| !used.is_disjoint(acts_for))
        };
        let mut found: Vec<Command> = Command::ALL.into_iter().filter(does).collect();
        // Rows are looked for before they are changed, and given back after.
        if !found.is_empty() && !found.contains(&Command::Select) {
            found.insert(0, Command::Select);
        }
        found
    }

    fn table(&mut self, own: &TableAccess, derived: &Derived) -> Option<AccessRecommendation> {
        let table = self.catalog.table(&own.table)?;
        let of_users: Vec<&CommandAccess> =
            own.commands.iter().filter(|own| own.verdict != Verdict::ServiceOnly).collect();
        // What is there stays; whether it is right, the audit tells.
        if table.row_security || !table.policies.is_empty() {
            return None;
        }
        let name = quote_table(&own.table);
        let roles = self.user_roles().into_iter().map(quote).collect::<Vec<_>>().join(", ");
        let (mut sql, mut undo) = (Vec::new(), Vec::new());
        for access in &of_users {
            let Some(atoms) = derived.chosen.get(&(own.table.clone(), access.command)) else {
                continue;
            };
            let condition = self.condition(&own.table, atoms, access.command);
            let policy = quote(&object_name(&[&own.table.name, access.command.word()], "rule"));
            let word = access.command.word().to_uppercase();
            let (using, check) = match access.command {
                Command::Select | Command::Delete => {
                    (format!(" USING ({condition})"), String::new())
                }
                Command::Insert => (String::new(), format!(" WITH CHECK ({condition})")),
                Command::Update => {
                    (format!(" USING ({condition})"), format!(" WITH CHECK ({condition})"))
                }
            };
            sql.push(format!(
                "CREATE POLICY {policy} ON {name} FOR {word} TO {roles}{using}{check}"
            ));
            undo.insert(0, format!("DROP POLICY {policy} ON {name}"));
        }
        for (role, acts_for) in self.other_roles() {
            for command in self.commands(derived, &own.table, &acts_for) {
                let policy = quote(&object_name(&[&own.table.name, command.word(), role], "rule"));
                let condition = match command {
                    Command::Insert => "WITH CHECK (true)",
                    Command::Update => "USING (true) WITH CHECK (true)",
                    _ => "USING (true)",
                };
                let word = command.word().to_uppercase();
                sql.push(format!(
                    "CREATE POLICY {policy} ON {name} FOR {word} TO {} {condition}",
                    quote(role)
                ));
                undo.insert(0, format!("DROP POLICY {policy} ON {name}"));
            }
        }
        if self.is_owned_by_users(&own.table) {
            sql.push(format!("ALTER TABLE {name} FORCE ROW LEVEL SECURITY"));
            undo.insert(0, format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"));
        }
        sql.push(format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"));
        undo.insert(0, format!("ALTER TABLE {name} DISABLE ROW LEVEL SECURITY"));
        let undecided: Vec<String> = of_users
            .iter()
            .filter(|own| own.verdict == Verdict::NeedsDecision)
            .map(|own| {
                format!("{}: {}", own.command.word(), own.why.as_deref().unwrap_or_default())
            })
            .collect();
        Some(AccessRecommendation {
            id: id(&own.table),
            kind: "policy",
            table: Some(own.table.clone()),
            sql,
            undo,
            because: vec![format!("rls-disabled:{}", own.table)],
            is_undecided: !undecided.is_empty(),
            requires: Some(ROLES.to_owned()),
            purpose: if of_users.is_empty() {
                "keeps users from rows that none of their statements reached".to_owned()
            } else {
                purpose(&of_users)
            },
            why: (!undecided.is_empty())
                .then(|| format!("to be decided: {}", undecided.join("; "))),
            cautions: self.cautions(&own.table),
        })
    }

    fn is_owned_by_users(&self, table: &TableName) -> bool {
        let owner = self.catalog.table(table).and_then(|table| table.owner.as_deref());
        owner.is_some_and(|owner| self.user_roles().contains(&owner))
    }

    fn cautions(&self, table: &TableName) -> Vec<String> {
        let mut found = Vec::new();
        let bypassing =
            self.user_roles().into_iter().find(|role| self.catalog.privileges.bypasses(role));
        found.extend(bypassing.map(|role| {
            format!("{role} is a superuser or has BYPASSRLS: no policy binds it until the application connects as another role")
        }));
        found.extend(self.is_owned_by_users(table).then(|| {
            "the role of users owns the table, so that it may switch the policies off: let another role own it".to_owned()
        }));
        found
    }

    /// The condition of a policy, with functions in the place of sub-queries on other tables.
    fn condition(&mut self, table: &TableName, atoms: &[Atom], command: Command) -> String {
        let joined = if command == Command::Insert { " AND " } else { " OR " };
        let parts: Vec<String> = atoms.iter().map(|atom| self.part(table, atom)).collect();
        parts.join(joined)
    }

    fn part(&mut self, table: &TableName, atom: &Atom) -> String {
        if let Atom::All(parts) = atom {
            let parts: Vec<String> = parts.iter().map(|part| self.part(table, part)).collect();
            return format!("({})", parts.join(" AND "));
        }
        let (Some(query), Some(column)) = (atom.set(self.me), atom.column()) else {
            return atom.sql(&quote(&table.name), self.me);
        };
        let type_name = self.catalog.table(table).and_then(|own| own.column(column));
        let returns =
            type_name.map_or_else(|| "text".to_owned(), |column| column.type_name.clone());
        let of = match atom {
            Atom::Join { parent, of, .. } => [
                &[parent.name.as_str(), "of"][..],
                &of.iter().filter_map(Atom::column).collect::<Vec<_>>(),
            ]
            .concat()
            .join("_"),
            Atom::Membership { members, group, .. } => format!("{}_{group}", members.name),
            Atom::Reverse { child, column, .. } => format!("{}_{column}", child.name),
            _ => table.name.clone(),
        };
        let name = object_name(&["my", &of], "set");
        self.helpers.insert(name.clone(), Helper { name: name.clone(), returns, query });
        format!(
            "{}.{} = ANY (ARRAY (SELECT {}.{}()))",
            quote(&table.name),
            quote(column),
            self.schema(),
            quote(&name)
        )
    }

    fn schema(&self) -> String {
        let is_taken =
            |name: &str| self.catalog.tables.iter().any(|table| table.name.schema == name);
        let free = (1..).map(|n| if n == 1 { SCHEMA.to_owned() } else { format!("{SCHEMA}_{n}") });
        let mut free = free.filter(|name| !is_taken(name));
        quote(&free.next().unwrap_or_default())
    }

    /// Roles, functions and privileges: what the policies of all tables need.
    fn roles(&self, derived: &Derived, tables: &[AccessRecommendation]) -> AccessRecommendation {
        let (mut sql, mut undo) = (Vec::new(), Vec::new());
        let mut add = |statement: String, back: Option<String>| {
            sql.push(statement);
            back.into_iter().for_each(|back| undo.insert(0, back));
        };
        let others = self.other_roles();
        let is_new = |role: &str| self.who.roles.iter().any(|own| own.role == role && own.is_new);
        let roles: Vec<&str> = others.keys().copied().filter(|role| is_new(role)).collect();
        let of_policies: BTreeSet<&TableName> =
            tables.iter().filter_map(|own| own.table.as_ref()).collect();
        let schemas: BTreeSet<&str> =
            of_policies.iter().map(|table| table.schema.as_str()).collect();
        for name in &roles {
            let role = quote(name);
            add(format!("CREATE ROLE {role} LOGIN"), Some(format!("DROP ROLE {role}")));
            for schema in &schemas {
                let schema = quote(schema);
                add(
                    format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
                    Some(format!("REVOKE USAGE ON SCHEMA {schema} FROM {role}")),
                );
                add(
                    format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"),
                    Some(format!("REVOKE USAGE ON ALL SEQUENCES IN SCHEMA {schema} FROM {role}")),
                );
            }
            for own in derived.tables.iter().map(|own| &own.table) {
                let commands = self.commands(derived, own, &others[name]);
                let words: Vec<String> =
                    commands.iter().map(|own| own.word().to_uppercase()).collect();
                if !words.is_empty() {
                    let (table, words) = (quote_table(own), words.join(", "));
                    add(
                        format!("GRANT {words} ON {table} TO {role}"),
                        Some(format!("REVOKE {words} ON {table} FROM {role}")),
                    );
                }
            }
        }
        if !self.helpers.is_empty() {
            let schema = self.schema();
            let users = self.user_roles().into_iter().map(quote).collect::<Vec<_>>().join(", ");
            add(format!("CREATE SCHEMA {schema}"), Some(format!("DROP SCHEMA {schema}")));
            add(
                format!("GRANT USAGE ON SCHEMA {schema} TO {users}"),
                Some(format!("REVOKE USAGE ON SCHEMA {schema} FROM {users}")),
            );
            for Helper { name, returns, query } in self.helpers.values() {
                let function = format!("{schema}.{}()", quote(name));
                add(
                    format!(
                        "CREATE FUNCTION {function} RETURNS SETOF {returns} LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $rule$ {query} $rule$"
                    ),
                    Some(format!("DROP FUNCTION {function}")),
                );
                add(format!("REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC"), None);
                add(format!("GRANT EXECUTE ON FUNCTION {function} TO {users}"), None);
            }
        }
        let mut cautions = Vec::new();
        if !roles.is_empty() {
            cautions.push(format!("let what is no user connect as {} before the policies are enabled, and give the roles a password", roles.join(" and ")));
        }
        AccessRecommendation {
            id: ROLES.to_owned(),
            kind: "grant",
            table: None,
            sql,
            undo,
            because: Vec::new(),
            is_undecided: false,
            requires: None,
            purpose: "makes the roles and functions that the policies name".to_owned(),
            why: None,
            cautions,
        }
    }
}

fn purpose(of_users: &[&CommandAccess]) -> String {
    let each = of_users.iter().map(|own| {
        let principal = if own.principal.is_empty() {
            own.verdict.word().to_owned()
        } else {
            own.principal.join(" or ")
        };
        format!("{}: {principal}", own.command.word())
    });
    format!(
        "lets users reach the rows that their statements reached ({})",
        each.collect::<Vec<_>>().join("; ")
    )
}
