//! Tables of memberships into which users may insert themselves.

use crate::access::alternatives::{Asks, asks, split};
use crate::access::policies::{Access, Condition, Understood, source_column};
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::model::name::TableName;
use crate::rules::access::found::{deciding, of_policy};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::Term;

pub const RULE: Rule = Rule {
    id: "rls-self-enrolment",
    summary: "a membership that users may give themselves",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_self_enrolment.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    deciding(access)
        .filter(|(_, own)| own.holds_for("INSERT"))
        .filter_map(|(table, own)| {
            let check = own.written()?;
            let group = group_column(access, table, Some(check))?;
            let is_free = |parts: &Vec<Term>| {
                let kinds: Vec<Asks> = parts.iter().map(|part| asks(&access.actors, part)).collect();
                let has_owner = kinds.iter().any(|kind| matches!(kind, Asks::Owner(_)));
                let binds = |part: &Term| {
                    part.has(&|term| term.row_column() == Some(&group))
                        && (access.actors.mentions_any(part)
                            || access.actors.reads(part, &|table| access.has_identity(table)))
                };
                has_owner && !parts.iter().any(binds) && !kinds.contains(&Asks::Guard)
            };
            if !split(&access.actors, &check.term, false, 6).iter().any(is_free) {
                return None;
            }
            let message = format!(
                "policy {} on {} lets a user insert a membership of any {group}: it asks only for the user's own id, and other policies trust these rows",
                own.policy.name, table.name
            );
            let mut made = of_policy(RULE.id, Level::Error, table, own, message);
            made.subject.columns = vec![group];
            Some(made)
        })
        .collect()
}

/// The column of a group in a table whose rows policies of other tables, or functions, trust for who belongs to it.
fn group_column(access: &Access<'_>, table: &Table, checked: Option<&Condition>) -> Option<String> {
    let owners = access.domains.owner_columns(&table.name);
    let is_trusted = access
        .tables()
        .filter(|other| other.name != table.name)
        .flat_map(|other| access.policies(&other.name))
        .flat_map(Understood::conditions)
        .any(|condition| reads_membership(access, &condition.term, &table.name));
    if !is_trusted || owners.is_empty() {
        return None;
    }
    let key = table.foreign_keys.iter().find(|key| {
        key.columns.len() == 1 && !owners.contains(&key.columns[0]) && key.references != table.name
    });
    // Users who belong to users: the other one in the key.
    let primary = table.indexes.iter().find(|index| index.primary && index.def.keys.len() == 2);
    let both =
        primary.filter(|index| index.def.keys.iter().all(|key| owners.contains(&key.expression)));
    let other = both.and_then(|index| {
        let keys = index.def.keys.iter().map(|key| &key.expression);
        keys.into_iter().find(|key| {
            checked.is_none_or(|checked| !checked.owner_columns().contains(key.as_str()))
        })
    });
    key.map(|key| key.columns[0].clone()).or_else(|| other.cloned())
}

/// The condition, or a function that it calls, looks who asks up in the table.
fn reads_membership(access: &Access<'_>, term: &Term, table: &TableName) -> bool {
    let compares = |term: &Term| {
        term.has(&|term| match term {
            Term::Compare(operator, a, b) if operator == "=" => {
                [(a, b), (b, a)].iter().any(|(column, value)| {
                    source_column(column).is_some_and(|(of, _)| of == table)
                        && access.actors.actor(value).is_some()
                })
            }
            _ => false,
        })
    };
    compares(term)
        || term.has(&|term| {
            let Term::Call(call) = term else { return false };
            access
                .actors
                .bodies
                .called(call)
                .is_some_and(|(_, body)| body.parts.iter().any(compares))
        })
}
