//! Tables that all read and nobody should write.

use crate::access::alternatives::Asks;
use crate::access::policies::{Access, Condition};
use crate::model::access::privileges::PUBLIC;
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{WRITES, found, in_words, is_for_users};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::lex::identifier::{quote, quote_table};

pub const RULE: Rule = Rule {
    id: "rls-lookup-writable",
    summary: "a table of nobody that everybody may change",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_lookup_writable.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let tables = access.tables().filter(|table| {
        !access.is_owned(&table.name)
            && !access.has_identity(&table.name)
            && (!table.row_security || is_open_for_writing(access, table))
    });
    tables
        .filter_map(|table| {
            let roles = access.reach(&table.name, &WRITES);
            let is_written =
                input.scans().any(|found| found.scan.table == table.name && found.scan.target);
            if roles.is_empty() || roles == [""] || is_written || !is_of_application(access, table)
            {
                return None;
            }
            let message = format!(
                "rows of {} are nobody's, nothing guards them, and {} may change them",
                table.name,
                in_words(&roles)
            );
            let name = table.name.to_string();
            let mut made =
                found(RULE.id, Level::Error, &name, Some(&table.name), Vec::new(), message);
            made.advice = Some(format!(
                "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {} FROM {}",
                quote_table(&table.name),
                in_sql(&roles)
            ));
            Some(made)
        })
        .collect()
}

/// A policy lets users write every row.
fn is_open_for_writing(access: &Access<'_>, table: &Table) -> bool {
    access.policies(&table.name).iter().any(|own| {
        // Rows that everybody may add and nobody change are letters and not a lookup.
        let writes = ["UPDATE", "DELETE", "ALL"].contains(&own.policy.command.as_str());
        let is_open = |condition: &Condition| {
            condition.alternatives.iter().any(|parts| {
                parts.iter().all(|part| matches!(part, Asks::Nothing | Asks::SignedIn))
            })
        };
        own.policy.permissive
            && writes
            && is_for_users(access, own)
            && own.using.as_ref().is_some_and(is_open)
    })
}

/// Tables with rows of users refer to it, or lie beside it.
fn is_of_application(access: &Access<'_>, table: &Table) -> bool {
    let refers = |other: &Table| {
        access.is_owned(&other.name)
            && other.foreign_keys.iter().any(|key| key.references == table.name)
    };
    access.tables().any(refers)
        || access
            .tables()
            .any(|other| other.name.schema == table.name.schema && access.is_owned(&other.name))
}

fn in_sql(roles: &[&str]) -> String {
    roles
        .iter()
        .map(|role| if *role == PUBLIC { role.to_string() } else { quote(role) })
        .collect::<Vec<_>>()
        .join(", ")
}
