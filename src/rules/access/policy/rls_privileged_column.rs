//! Columns of the own row by which policies, functions or the other party decide.

use std::collections::BTreeSet;

use crate::access::policies::{Access, Condition, Understood, source_column};
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::model::name::TableName;
use crate::rules::access::found::{found, is_for_users};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::Term;

pub const RULE: Rule = Rule {
    id: "rls-privileged-column",
    summary: "a column of the own row that a user may set and that decides what he may do",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_privileged_column.md"),
    find,
};

/// Names of columns that tell what somebody may do or is owed. They count where no statement and no policy tells.
const DECIDING_NAMES: &[&str] = &[
    "role",
    "roles",
    "is_admin",
    "admin",
    "is_staff",
    "is_superuser",
    "superuser",
    "permissions",
    "verified",
    "is_verified",
    "approved",
    "is_approved",
    "balance",
    "credit",
    "credits",
    "plan",
    "tier",
    "banned",
    "is_banned",
    "suspended",
    "commission",
    "user_role",
    "account_type",
];

/// Those that mean it whatever table they stand in.
const STRONG_NAMES: &[&str] =
    &["is_admin", "is_staff", "is_superuser", "balance", "credit", "credits", "is_verified"];

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let deciding_columns = decided_by(access);
    let mut all = Vec::new();
    for table in access.tables().filter(|table| table.row_security) {
        if access.reach(&table.name, &["INSERT", "UPDATE"]).is_empty() {
            continue;
        }
        let mut columns = BTreeSet::new();
        let mut policies = BTreeSet::new();
        for own in access.policies(&table.name) {
            let is_own_row = own.using.as_ref().is_some_and(Condition::is_tied);
            if !own.policy.permissive
                || !own.holds_for("UPDATE")
                || !is_own_row
                || !is_for_users(access, own)
            {
                continue;
            }
            for column in &table.columns {
                let decides = deciding_columns.contains(&(table.name.clone(), column.name.clone()));
                let is_strong = STRONG_NAMES.contains(&column.name.as_str());
                let is_named = is_strong
                    || access.is_account(&table.name)
                        && DECIDING_NAMES.iter().any(|name| {
                            column.name == *name
                                || column
                                    .name
                                    .strip_prefix(name)
                                    .is_some_and(|rest| rest.starts_with('_'))
                        });
                if (decides || is_named)
                    && !own
                        .written()
                        .is_some_and(|check| check.owner_columns().contains(column.name.as_str()))
                    && may_set(access, table, own, &column.name)
                    && !is_set_by_users(input, table, &column.name)
                    && !is_checked(own, &column.name)
                {
                    columns.insert(column.name.clone());
                    policies.insert(own.policy.name.clone());
                }
            }
        }
        for own in access.policies(&table.name) {
            let is_insert = own.policy.permissive
                && own.policy.command == "INSERT"
                && is_for_users(access, own);
            if !is_insert || !own.check.as_ref().is_some_and(Condition::is_tied) {
                continue;
            }
            let relation = access.relation(&table.name);
            let may_name = |column: &str| {
                relation.is_some_and(|relation| {
                    access
                        .reach(&table.name, &["INSERT"])
                        .iter()
                        .any(|role| relation.grants_column(role, "INSERT", column))
                })
            };
            for column in &table.columns {
                let decides = deciding_columns.contains(&(table.name.clone(), column.name.clone()));
                let is_owner = access.domains.owner_columns(&table.name).contains(&column.name);
                let is_key =
                    table.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
                if decides
                    && !is_owner
                    && !is_key
                    && may_name(&column.name)
                    && !is_checked(own, &column.name)
                {
                    columns.insert(column.name.clone());
                    policies.insert(own.policy.name.clone());
                }
            }
        }
        if columns.is_empty() {
            all.extend(other_party(input, access, table));
            continue;
        }
        let columns: Vec<String> = columns.into_iter().collect();
        let policies: Vec<String> = policies.into_iter().collect();
        let message = format!(
            "a user may set {} of the own row of {} by policy {}: it decides what the user may do",
            columns.join(", "),
            table.name,
            policies.join(", "),
        );
        let name = table.name.to_string();
        let mut made = found(RULE.id, Level::Error, &name, Some(&table.name), columns, message);
        made.advice = Some("REVOKE UPDATE on the table, then GRANT UPDATE (columns) for those that users set; revoking a column does nothing under a privilege on the table".to_owned());
        all.push(made);
    }
    all
}

/// Columns that conditions compare with a constant to learn what somebody may do.
fn decided_by(access: &Access<'_>) -> BTreeSet<(TableName, String)> {
    let mut found = BTreeSet::new();
    let mut add = |term: &Term| {
        term.walk(&mut |term| {
            let query = match term {
                Term::Exists(query) | Term::Query(query) | Term::Array(query) => query,
                _ => return true,
            };
            let asks_who =
                query.condition.as_ref().is_some_and(|own| access.actors.mentions_identity(own));
            if asks_who {
                query
                    .condition
                    .iter()
                    .chain(&query.outputs)
                    .for_each(|own| add_constants(own, &mut found));
            }
            true
        });
    };
    for table in access.tables() {
        let policies = access.policies(&table.name);
        policies.iter().flat_map(Understood::conditions).for_each(|own| add(&own.term));
    }
    for (_, body) in access.actors.bodies.routines() {
        body.parts.iter().for_each(&mut add);
    }
    found
}

fn add_constants(term: &Term, found: &mut BTreeSet<(TableName, String)>) {
    match term {
        Term::And(all) | Term::Or(all) => all.iter().for_each(|own| add_constants(own, found)),
        Term::Not(of) | Term::Is(of, _) | Term::Cast(of) => add_constants(of, found),
        Term::Compare(_, a, b) => {
            for (column, value) in [(a, b), (b, a)] {
                let is_constant = matches!(value.bare(), Term::Literal(_) | Term::Bool(_));
                if let Some((table, name)) = source_column(column).filter(|_| is_constant) {
                    found.insert((table.clone(), name.to_owned()));
                }
            }
        }
        Term::Any(_, column, set) if matches!(set.bare(), Term::List(_)) => {
            if let Some((table, name)) = source_column(column) {
                found.insert((table.clone(), name.to_owned()));
            }
        }
        // A flag, or what a sub-query gives to be compared outside.
        Term::Column(_) => {
            if let Some((table, name)) = source_column(term) {
                found.insert((table.clone(), name.to_owned()));
            }
        }
        _ => {}
    }
}

/// A role of the policy has the privilege to set the column.
fn may_set(access: &Access<'_>, table: &Table, own: &Understood<'_>, column: &str) -> bool {
    if !access.catalog.privileges.has_grants() {
        return true;
    }
    let Some(relation) = access.relation(&table.name) else { return true };
    let is_guarded = relation.triggers.iter().any(|function| {
        let routine = access.catalog.privileges.routines.iter().find(|own| own.name == *function);
        routine.and_then(|own| own.body.as_ref()).is_some_and(|body| body.contains(column))
    });
    let everybody = own.policy.roles.is_empty()
        || own.policy.roles.iter().any(|role| role.eq_ignore_ascii_case("public"));
    let roles: Vec<&str> = match everybody {
        true => access.reach(&table.name, &["UPDATE"]),
        false => own
            .policy
            .roles
            .iter()
            .map(String::as_str)
            .filter(|role| access.is_bound(role))
            .collect(),
    };
    !is_guarded && roles.iter().any(|role| relation.grants_column(role, "UPDATE", column))
}

/// A captured statement sets it, bound to the owner of the row.
fn is_set_by_users(input: &Input<'_>, table: &Table, column: &str) -> bool {
    input.scans().any(|found| {
        found.scan.table == table.name
            && found.scan.target
            && found.scan.written.iter().any(|own| own == column)
    })
}

/// The check asks for the column: it may not become what it likes.
fn is_checked(own: &Understood<'_>, column: &str) -> bool {
    own.check
        .as_ref()
        .is_some_and(|check| check.term.has(&|term| term.row_column() == Some(column)))
}

/// Rows of two parties, of which one may set what the other decided.
fn other_party(input: &Input<'_>, access: &Access<'_>, table: &Table) -> Option<Finding> {
    let owners = access.domains.owner_columns(&table.name);
    let relation = access.relation(&table.name)?;
    if owners.len() < 2 || !relation.triggers.is_empty() {
        return None;
    }
    let party = access.policies(&table.name).iter().find(|own| {
        own.policy.permissive
            && own.holds_for("UPDATE")
            && is_for_users(access, own)
            && own
                .using
                .as_ref()
                .is_some_and(|using| using.is_tied() && !using.owner_columns().is_empty())
    })?;
    let keys: Vec<&str> =
        table.foreign_keys.iter().flat_map(|key| &key.columns).map(String::as_str).collect();
    let free: Vec<String> = table
        .columns
        .iter()
        .filter(|column| !owners.contains(&column.name) && !keys.contains(&column.name.as_str()))
        .filter(|column| {
            is_quantity(&column.type_name) && !table.has_unique(&[column.name.as_str()])
        })
        .filter(|column| {
            may_set(access, table, party, &column.name)
                && !is_set_by_users(input, table, &column.name)
        })
        .filter(|column| !is_checked(party, &column.name))
        .map(|column| column.name.clone())
        .collect();
    if free.is_empty() {
        return None;
    }
    let message = format!(
        "{} has rows of two parties ({}), and policy {} lets one of them set {}, whoever decided it",
        table.name,
        owners.join(" and "),
        party.policy.name,
        free.join(", "),
    );
    let name = table.name.to_string();
    Some(found(RULE.id, Level::Warning, &name, Some(&table.name), free, message))
}

fn is_quantity(type_name: &str) -> bool {
    ["integer", "int", "bigint", "numeric", "money", "real", "double precision"]
        .iter()
        .any(|own| type_name.starts_with(own))
}
