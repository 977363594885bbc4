//! Functions that are called for each row.

use std::collections::BTreeSet;

use crate::access::policies::Access;
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level};
use crate::rules::access::found::{evidence, found, grouped, speed_level};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::Term;

pub const RULE: Rule = Rule {
    id: "rls-per-row-call",
    summary: "a function that a policy calls for each row",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_per_row_call.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let tables = access.tables().filter(|table| table.row_security);
    let all = tables.filter_map(|table| of(access, table)).collect();
    grouped(
        RULE.id,
        all,
        "policies call functions for each row of tables that are small or of unknown size",
    )
}

fn of(access: &Access<'_>, table: &Table) -> Option<Finding> {
    let (mut policies, mut functions) = (BTreeSet::new(), BTreeSet::new());
    let mut of_each_row = false;
    for own in access.policies(&table.name) {
        for condition in own.conditions() {
            let called = called(access, &condition.term);
            if !called.is_empty() {
                policies.insert(own.policy.name.as_str());
                of_each_row |= own.using.is_some();
            }
            functions.extend(called);
        }
    }
    if policies.is_empty() {
        return None;
    }
    let level = if of_each_row { speed_level(table) } else { Level::Info };
    let message = format!(
        "{} {} on {} call {} for each row; (SELECT …) around it calls it once",
        if policies.len() == 1 { "policy" } else { "policies" },
        policies.iter().copied().collect::<Vec<_>>().join(", "),
        table.name,
        functions.into_iter().collect::<Vec<_>>().join(", "),
    );
    let message =
        if policies.len() == 1 { message.replacen(" call ", " calls ", 1) } else { message };
    let name = table.name.to_string();
    let mut made = found(RULE.id, level, &name, Some(&table.name), Vec::new(), message);
    evidence(&mut made, "policies", "policies", policies.into_iter().collect::<Vec<_>>());
    Some(made)
}

/// Functions that stand outside of sub-queries: the server calls them again for every row that it looks at.
fn called(access: &Access<'_>, term: &Term) -> Vec<String> {
    let mut found = Vec::new();
    term.walk(&mut |term| match term {
        Term::Query(_) | Term::Array(_) | Term::Exists(_) => false,
        Term::Call(call) => {
            let own = access.actors.bodies.called(call);
            // What is one expression of the server's functions is put in the place of the call.
            let is_inlined = own.is_some_and(|(routine, body)| {
                routine.language == "sql"
                    && !routine.definer
                    && routine.search_path.is_none()
                    && body.value.as_ref().is_some_and(|value| {
                        !access.actors.reads_tables(value) && access.actors.actor(value).is_none()
                    })
            });
            let tells = access.actors.actor(term).is_some();
            if (own.is_some() && !is_inlined) || (tells && call.name != "current_setting") {
                let schema =
                    call.schema.as_ref().map_or(String::new(), |schema| format!("{schema}."));
                found.push(format!("{schema}{}()", call.name));
                return false;
            }
            true
        }
        _ => true,
    });
    found
}
