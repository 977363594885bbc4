//! Tables of private rows without row-level security.

use serde_json::json;

use crate::access::domains::Ownership;
use crate::access::policies::Access;
use crate::model::catalog::Table;
use crate::model::finding::{Finding, Level, Subject};
use crate::model::workload::shape::{Operator, Scan, StatementKind};
use crate::rules::access::found::COMMANDS;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-disabled",
    summary: "a table whose rows belong to users, without row-level security",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_disabled.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    access
        .tables()
        .filter(|table| !table.row_security && table.policies.is_empty())
        .filter(|table| !access.reach(&table.name, &COMMANDS).is_empty())
        .filter(|table| access.relation(&table.name).is_none_or(|own| own.part_of.is_none()))
        .filter_map(|table| {
            Some(finding(input, access, table, access.domains.ownership(&table.name)?))
        })
        .collect()
}

fn finding(input: &Input<'_>, access: &Access<'_>, table: &Table, path: &Ownership) -> Finding {
    let root = access.domains.root.as_ref().map_or("users".to_owned(), ToString::to_string);
    let (columns, owns) = match path {
        Ownership::Root => (Vec::new(), "every row is one user's".to_owned()),
        Ownership::Columns(columns) => {
            (columns.clone(), format!("rows belong to {root} by {}", columns.join(" and ")))
        }
        Ownership::Through { column, parent } => {
            (vec![column.clone()], format!("rows belong to {root} through {parent} by {column}"))
        }
    };
    let by_owner = |scan: &Scan| {
        scan.filters.iter().any(|filter| {
            matches!(filter.operator, Operator::Equal | Operator::In)
                && filter.key.column().is_some_and(|column| columns.iter().any(|own| own == column))
        })
    };
    let (mut bound, mut reads, mut writes) = (0, 0, 0);
    for found in input.scans().filter(|found| found.scan.table == table.name) {
        let calls = found.query.calls;
        match found.shape.kind {
            StatementKind::Select => reads += calls,
            _ if found.scan.target => writes += calls,
            _ => reads += calls,
        }
        let alternatives = &found.scan.alternatives;
        let is_bound = by_owner(found.scan)
            || alternatives.iter().any(|all| !all.is_empty() && all.iter().all(by_owner));
        bound += if is_bound { calls } else { 0 };
    }
    Finding {
        id: format!("{}:{}", RULE.id, table.name),
        rule: RULE.id,
        level: Level::Error,
        impact_pct: 0.0,
        subject: Subject { table: Some(table.name.clone()), columns, ..Subject::default() },
        message: format!(
            "{owns}, and nothing in the database keeps one user from the rows of another in {}",
            table.name
        ),
        evidence: vec![json!({
            "kind": "ownership",
            "policies": table.policies.len(),
            "granted_to": access.reach(&table.name, &COMMANDS).into_iter().filter(|role| !role.is_empty()).collect::<Vec<_>>(),
            "reads_observed": reads,
            "writes_observed": writes,
            "executions_bound_to_owner": bound,
        })],
        advice: Some(format!(
            "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, together with policies for each role; enabling it without a policy hides every row from everyone but the owner of the table",
            crate::sql::lex::identifier::quote_table(&table.name)
        )),
    }
}
