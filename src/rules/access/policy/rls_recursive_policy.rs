//! Policies that come back to their own table.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::policies::Access;
use crate::model::finding::{Finding, Level};
use crate::model::name::TableName;
use crate::rules::access::found::of_policy;
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::{Term, tables_read};

pub const RULE: Rule = Rule {
    id: "rls-recursive-policy",
    summary: "a policy that reads its own table",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_recursive_policy.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let mut roles: BTreeSet<String> = BTreeSet::new();
    for table in access.tables() {
        let policies = access.policies(&table.name).iter();
        roles.extend(policies.flat_map(|own| own.policy.roles.iter().cloned()));
    }
    roles.insert("public".to_owned());
    let mut all: Vec<Finding> = Vec::new();
    for role in &roles {
        for finding in of_role(access, role) {
            if all.iter().all(|known| known.id != finding.id) {
                all.push(finding);
            }
        }
    }
    all
}

/// Circles among the policies that hold for one role.
fn of_role(access: &Access<'_>, role: &str) -> Vec<Finding> {
    let mut reads: BTreeMap<&TableName, BTreeSet<TableName>> = BTreeMap::new();
    for table in access.tables().filter(|table| table.row_security) {
        let policies = access
            .policies(&table.name)
            .iter()
            .filter(|own| own.holds_for("SELECT") && own.is_for(role));
        let terms = policies.filter_map(|own| own.using.as_ref()).map(|own| &own.term);
        let read = terms.flat_map(|term| read_by(access, term, 4)).collect();
        reads.insert(&table.name, read);
    }
    let mut all = Vec::new();
    let mut told: BTreeSet<TableName> = BTreeSet::new();
    for table in access.tables().filter(|table| table.row_security) {
        for own in access.policies(&table.name).iter().filter(|own| own.is_for(role)) {
            let first = own.conditions().flat_map(|own| read_by(access, &own.term, 4));
            let own_name = &table.name;
            let Some(path) = first.into_iter().find_map(|first| circle(&reads, own_name, first))
            else {
                continue;
            };
            if told.contains(own_name) || path.iter().any(|name| told.contains(name)) {
                continue;
            }
            told.insert(own_name.clone());
            let around = path.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let message = format!(
                "policy {} on {own_name} reads {around}, whose policies apply again: a statement that needs it fails with 42P17",
                own.policy.name
            );
            all.push(of_policy(RULE.id, Level::Error, table, own, message));
        }
    }
    all
}

/// The tables by which the policies of one come back to it. The server refuses a table whose policies have a sub-query
/// while it is at work on policies of that table (`fireRIRrules` in `rewriteHandler.c`).
fn circle(
    reads: &BTreeMap<&TableName, BTreeSet<TableName>>,
    start: &TableName,
    first: TableName,
) -> Option<Vec<TableName>> {
    if reads.get(start).is_none_or(BTreeSet::is_empty) {
        return None;
    }
    let mut seen = BTreeSet::from([first.clone()]);
    let mut paths = vec![vec![first]];
    while let Some(path) = paths.pop() {
        let last = path.last()?;
        if last == start {
            return Some(path);
        }
        for name in reads.get(last).into_iter().flatten() {
            if seen.insert(name.clone()) {
                paths.push([&path[..], std::slice::from_ref(name)].concat());
            }
        }
    }
    None
}

/// Tables that a condition reads as who asks: not those in functions that run as their owner.
fn read_by(access: &Access<'_>, term: &Term, depth: usize) -> Vec<TableName> {
    let mut found: Vec<TableName> = tables_read(term).into_iter().cloned().collect();
    term.walk(&mut |term| {
        if let Term::Call(call) = term
            && depth > 0
            && let Some((routine, body)) = access.actors.bodies.called(call)
            && !routine.definer
        {
            found.extend(body.parts.iter().flat_map(|part| read_by(access, part, depth - 1)));
        }
        true
    });
    found
}
