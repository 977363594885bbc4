//! Columns with secrets in rows that all may read.

use crate::model::finding::{Finding, Level};
use crate::rules::access::credentials::is_personal;
use crate::rules::access::found::{deciding, found, opens};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-exposed-column",
    summary: "secrets or personal data in rows that everybody reads",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_exposed_column.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let mut all: Vec<Finding> = Vec::new();
    for (table, own) in deciding(access).filter(|(_, own)| own.holds_for("SELECT")) {
        let is_open = own
            .using
            .as_ref()
            .is_some_and(|using| using.alternatives.iter().any(|parts| opens(parts)));
        if !is_open || access.is_restricted(&table.name, own.policy) {
            continue;
        }
        let everybody = own.policy.roles.is_empty()
            || own.policy.roles.iter().any(|role| role.eq_ignore_ascii_case("public"));
        let roles: Vec<&str> = match everybody {
            true => access.reach(&table.name, &["SELECT"]),
            false => own.policy.roles.iter().map(String::as_str).collect(),
        };
        let may_read = |column: &str| {
            !access.catalog.privileges.has_grants()
                || access.relation(&table.name).is_some_and(|relation| {
                    roles.iter().any(|role| relation.grants_column(role, "SELECT", column))
                })
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|column| !["boolean", "uuid"].contains(&column.type_name.as_str()))
            .map(|column| column.name.clone())
            .filter(|column| is_personal(column) && may_read(column))
            .collect();
        if columns.is_empty()
            || all.iter().any(|known| known.subject.table.as_ref() == Some(&table.name))
        {
            continue;
        }
        let message = format!(
            "policy {} opens rows of {} to all, and {} with them",
            own.policy.name,
            table.name,
            columns.join(", ")
        );
        let name = table.name.to_string();
        let mut made = found(RULE.id, Level::Error, &name, Some(&table.name), columns, message);
        made.advice = Some("REVOKE SELECT on the table, then GRANT SELECT (columns) for those that everybody may read".to_owned());
        all.push(made);
    }
    all
}
