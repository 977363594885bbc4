//! A role that executes statements and that policies do not bind.

use crate::access::policies::Access;
use crate::model::finding::{Finding, Level};
use crate::model::name::TableName;
use crate::rules::access::found::for_tables;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-owner-bypass",
    summary: "the role of the application is not bound by policies",
    needs: "a catalog (schema file or database), best with a log that names roles",
    page: include_str!("rls_owner_bypass.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let privileges = &access.catalog.privileges;
    let mut users: Vec<&str> =
        input.workload.queries.iter().flat_map(|query| &query.users).map(String::as_str).collect();
    users.sort_unstable();
    users.dedup();
    let guarded: Vec<&TableName> =
        access.tables().filter(|table| table.row_security).map(|table| &table.name).collect();
    let mut all = Vec::new();
    for user in &users {
        let may_become = |is_so: &dyn Fn(&str) -> bool| {
            is_so(user)
                || privileges
                    .role(user)
                    .is_some_and(|role| role.member_of.iter().any(|own| is_so(own)))
        };
        if may_become(&|role| privileges.bypasses(role)) && !guarded.is_empty() {
            all.extend(for_tables(RULE.id, Level::Error, user, &guarded, &|named| {
                format!("{user} executes statements, and is or may become a role that no policy binds: those of {named} do not hold")
            }));
            continue;
        }
        let owned: Vec<&TableName> = guarded
            .iter()
            .copied()
            .filter(|name| {
                access.relation(name).is_some_and(|relation| {
                    !relation.forced
                        && relation
                            .owner
                            .as_deref()
                            .is_some_and(|owner| may_become(&|role| role == owner))
                })
            })
            .collect();
        all.extend(for_tables(RULE.id, Level::Error, user, &owned, &|named| {
            format!("{user} executes statements and owns {named}: without FORCE ROW LEVEL SECURITY no policy binds the owner")
        }));
    }
    if users.is_empty() {
        all.extend(owners_alone(access));
    }
    all
}

/// Tables whose owner may log in, and that no other role may reach: it can only be the application that does.
fn owners_alone(access: &Access<'_>) -> Vec<Finding> {
    let privileges = &access.catalog.privileges;
    let is_application = |name: &str| {
        privileges
            .role(name)
            .is_some_and(|role| role.can_login && !role.superuser && !role.bypass_rls)
    };
    let tables: Vec<&TableName> = access
        .tables()
        .filter(|table| table.row_security && !table.policies.is_empty())
        .filter(|table| {
            access.relation(&table.name).is_some_and(|relation| {
                !relation.forced
                    && relation.owner.as_deref().is_some_and(is_application)
                    && relation.grants.iter().all(|grant| !access.is_bound(&grant.role))
            })
        })
        .map(|table| &table.name)
        .collect();
    for_tables(RULE.id, Level::Warning, "owner", &tables, &|named| {
        format!(
            "only the owner of {named} may use it, and without FORCE ROW LEVEL SECURITY no policy binds the owner"
        )
    })
}
