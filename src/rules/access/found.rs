//! Findings about who may reach rows: what they have in common.

use serde_json::{Value, json};

use crate::access::alternatives::Asks;
use crate::access::policies::{Access, Condition, Understood};
use crate::model::access::privileges::PUBLIC;
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level, Subject};
use crate::model::name::TableName;
use crate::model::workload::shape::Operator;
use crate::rules::input::Input;

/// Tables named one by one; more are told in one finding.
const MOST_TABLES: usize = 3;
/// Tables of fewer bytes are read from end to end as fast as by an index.
const SMALL_BYTES: u64 = 64 * 1024;

/// Commands that change rows.
pub const WRITES: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];
/// Commands that read or change rows.
pub const COMMANDS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

/// A finding without statements.
pub fn found(
    rule: &'static str,
    level: Level,
    object: &str,
    table: Option<&TableName>,
    columns: Vec<String>,
    message: String,
) -> Finding {
    Finding {
        id: format!("{rule}:{object}"),
        rule,
        level,
        impact_pct: 0.0,
        subject: Subject { table: table.cloned(), columns, ..Subject::default() },
        message,
        evidence: Vec::new(),
        advice: None,
    }
}

/// A finding about a policy.
pub fn of_policy(
    rule: &'static str,
    level: Level,
    table: &Table,
    own: &Understood<'_>,
    message: String,
) -> Finding {
    let object = format!("{}.{}", table.name, own.policy.name);
    let mut made = found(rule, level, &object, Some(&table.name), Vec::new(), message);
    made.evidence.push(json!({
        "kind": "policy",
        "policy": own.policy.name,
        "command": own.policy.command,
        "roles": own.policy.roles,
    }));
    made
}

/// One finding for each table, or one for all where they are many.
pub fn for_tables(
    rule: &'static str,
    level: Level,
    group: &str,
    tables: &[&TableName],
    message: &dyn Fn(&str) -> String,
) -> Vec<Finding> {
    if tables.len() <= MOST_TABLES {
        return tables
            .iter()
            .map(|name| {
                let named = name.to_string();
                found(rule, level, &named, Some(name), Vec::new(), message(&named))
            })
            .collect();
    }
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let named = format!("{} and {} other tables", names[0], names.len() - 1);
    let mut made = found(rule, level, group, None, Vec::new(), message(&named));
    made.evidence.push(json!({ "kind": "tables", "tables": names }));
    vec![made]
}

/// Puts what is only worth knowing of many tables into one finding.
pub fn grouped(rule: &'static str, all: Vec<Finding>, message: &str) -> Vec<Finding> {
    let (known, mut rest): (Vec<Finding>, Vec<Finding>) =
        all.into_iter().partition(|finding| finding.level == Level::Info);
    if known.len() <= MOST_TABLES {
        rest.extend(known);
        return rest;
    }
    let columns = |finding: &Finding| {
        let columns = finding.subject.columns.join(", ");
        let table = finding.subject.table.as_ref().map_or(String::new(), ToString::to_string);
        if columns.is_empty() { table } else { format!("{table} ({columns})") }
    };
    let named: Vec<String> = known.iter().map(columns).collect();
    let message = format!("{message}: {}", named.join(", "));
    let mut made = found(rule, Level::Info, "small-tables", None, Vec::new(), message);
    made.evidence = known.into_iter().flat_map(|finding| finding.evidence).collect();
    rest.push(made);
    rest
}

pub fn evidence(finding: &mut Finding, kind: &str, key: &str, value: impl Into<Value>) {
    finding.evidence.push(json!({ "kind": kind, key: value.into() }));
}

/// Speed matters on a table that is known not to be small.
pub fn speed_level(table: &Table) -> Level {
    let is_large = table.size_bytes.is_some_and(|bytes| bytes >= SMALL_BYTES) && !table.is_small();
    if is_large { Level::Warning } else { Level::Info }
}

/// Roles in words: a role without a name is the one of all applications.
pub fn in_words(roles: &[&str]) -> String {
    if roles.is_empty() || roles.contains(&PUBLIC) {
        return "every role".to_owned();
    }
    let named: Vec<&str> = roles
        .iter()
        .map(|role| match *role {
            "" => "the role of the application",
            other => other,
        })
        .collect();
    named.join(", ")
}

/// The policy is one for people who use the application, and not for a service or for administrators with a role of
/// their own.
pub fn is_for_users(access: &Access<'_>, own: &Understood<'_>) -> bool {
    let roles = &own.policy.roles;
    if roles.is_empty() || roles.iter().any(|role| role.eq_ignore_ascii_case(PUBLIC)) {
        return true;
    }
    // Roles whose policies ask who it is are those of users. Where none does, nothing tells them apart.
    let asking = |wanted: &dyn Fn(&Understood<'_>) -> bool| {
        access.tables().any(|table| {
            access
                .policies(&table.name)
                .iter()
                .any(|other| wanted(other) && other.conditions().any(Condition::asks_who))
        })
    };
    let none_asks = !asking(&|_| true);
    let is_of_users =
        |role: &String| none_asks || asking(&|other| other.policy.roles.contains(role));
    let is_anonymous = |role: &String| {
        let role = role.to_lowercase();
        ["anon", "guest", "visitor", "public"].iter().any(|name| role.contains(name))
    };
    roles.iter().any(|role| access.is_bound(role) && (is_of_users(role) || is_anonymous(role)))
}

/// Policies that decide for users: permissive, of tables with row-level security that a role may reach.
pub fn deciding<'i>(
    access: &'i Access<'i>,
) -> impl Iterator<Item = (&'i Table, &'i Understood<'i>)> {
    access
        .tables()
        .filter(|table| table.row_security && !access.reach(&table.name, &COMMANDS).is_empty())
        .flat_map(|table| access.policies(&table.name).iter().map(move |own| (table, own)))
        .filter(|(_, own)| own.policy.permissive && is_for_users(access, own))
}

/// Whether rows of a table that a SELECT policy opens are meant to be read by all.
pub fn is_meant_for_all(input: &Input<'_>, access: &Access<'_>, table: &Table) -> bool {
    let owners = access.domains.owner_columns(&table.name);
    if owners.len() > 1 {
        return false;
    }
    // Where statements were captured and all of them bind the owner, nobody reads the rows of all.
    let (mut bound, mut reads) = (0_u64, 0_u64);
    for found in input.scans().filter(|found| found.scan.table == table.name && !found.scan.target)
    {
        reads += found.query.calls;
        let is_bound = found.scan.filters.iter().any(|filter| {
            matches!(filter.operator, Operator::Equal | Operator::In)
                && filter.key.column().is_some_and(|column| owners.iter().any(|own| own == column))
        });
        bound += if is_bound { found.query.calls } else { 0 };
    }
    owners.is_empty() || reads == 0 || bound < reads
}

/// The alternative opens rows to whoever asks: nothing in it ties the row to who asks.
pub fn opens(parts: &[Asks]) -> bool {
    parts
        .iter()
        .all(|part| matches!(part, Asks::Nothing | Asks::SignedIn | Asks::OfRow | Asks::Unrelated))
}
