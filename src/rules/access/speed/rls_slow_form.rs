//! Forms of conditions that are slow, with those that are fast.

use crate::access::actor::mentions_row;
use crate::access::alternatives::{Asks, split};
use crate::access::policies::{Access, Condition};
use crate::model::finding::Finding;
use crate::rules::access::found::{grouped, of_policy, speed_level};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::{Select, Term};

pub const RULE: Rule = Rule {
    id: "rls-slow-form",
    summary: "a form of a condition that no index serves",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_slow_form.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let tables = access.tables().filter(|table| table.row_security);
    let policies =
        tables.flat_map(|table| access.policies(&table.name).iter().map(move |own| (table, own)));
    let all = policies
        .filter_map(|(table, own)| {
            let using = own.using.as_ref()?;
            let (what, instead) = slow(access, using)?;
            let message = format!(
                "policy {} on {} {what}: the rows of all are read",
                own.policy.name, table.name
            );
            let mut made = of_policy(RULE.id, speed_level(table), table, own, message);
            made.advice = Some(instead.to_owned());
            Some(made)
        })
        .collect();
    grouped(
        RULE.id,
        all,
        "conditions of policies that no index serves; tables that are small or of unknown size",
    )
}

/// The form, and the one that is fast.
fn slow(access: &Access<'_>, condition: &Condition) -> Option<(&'static str, &'static str)> {
    let parts = split(&access.actors, &condition.term, false, 0);
    if parts.len() > 1
        && let Some(guard) = condition.alternatives.iter().position(|parts| *parts == [Asks::Guard])
        && parts
            .get(guard)
            .is_some_and(|parts| parts.iter().any(|part| access.actors.reads_tables(part)))
    {
        return Some((
            "asks whether somebody is privileged OR owns the row",
            "a policy of its own for a role of administrators: TO admin_role USING (true)",
        ));
    }
    parts.iter().flatten().find_map(|part| {
        let has_row = mentions_row(part);
        match part {
            Term::Exists(query) if has_row && has_tables(query) => Some((
                "looks into another table for each row (EXISTS)",
                "column = ANY (ARRAY (SELECT … )), which an index on the column serves",
            )),
            Term::Any(_, value, set) if has_row => match &**set {
                Term::Query(query) if has_tables(query) && value.row_column().is_none() => Some((
                    "looks into another table for each row",
                    "column = ANY (ARRAY (SELECT … )), which an index on the column serves",
                )),
                Term::Query(query) if has_tables(query) => Some((
                    "asks for IN (SELECT …)",
                    "column = ANY (ARRAY (SELECT … )), which an index on the column serves",
                )),
                _ => None,
            },
            _ => None,
        }
    })
}

fn has_tables(query: &Select) -> bool {
    query.sources.iter().any(|source| source.table.is_some() || source.call.is_some())
}
