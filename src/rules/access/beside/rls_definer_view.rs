//! Views that run as their owner, whom policies do not bind.

use crate::access::policies::Access;
use crate::access::views::{asks_who, base_tables, shows_flagged};
use crate::model::access::privileges::Relation;
use crate::model::catalog::{Table, TableKind};
use crate::model::finding::{Finding, Level};
use crate::model::name::TableName;
use crate::rules::access::credentials::is_personal;
use crate::rules::access::found::{WRITES, found, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::condition::term::Select;
use crate::sql::lex::identifier::quote_table;

pub const RULE: Rule = Rule {
    id: "rls-definer-view",
    summary: "a view that shows guarded rows with the power of its owner",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_definer_view.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let views = access.catalog.tables.iter().filter(|table| table.kind == TableKind::View);
    views.filter_map(|view| of(access, view)).collect()
}

fn of(access: &Access<'_>, view: &Table) -> Option<Finding> {
    let relation = access.relation(&view.name)?;
    let roles = access.reach(&view.name, &["SELECT"]);
    if relation.security_invoker || roles.is_empty() || roles == [""] {
        return None;
    }
    let query = access.view(&view.name)?;
    if asks_who(access, query, 4) {
        return None;
    }
    let shown = base_tables(access, query, 4);
    let hidden = shown.iter().find(|table| {
        is_hidden(access, table, relation, &roles) && !shows_flagged(access, query, table, &roles)
    });
    let name = view.name.to_string();
    let message = if let Some(shown) =
        hidden.filter(|shown| shows_private(access, view, query, shown))
    {
        format!(
            "view {} runs as its owner and shows {} the rows of {shown}, which {}",
            view.name,
            in_words(&roles),
            match access.relation(shown).is_some_and(|table| table.row_security) {
                true => "policies guard",
                false => "they may not read by themselves",
            }
        )
    } else {
        let writers = access.reach(&view.name, &WRITES);
        let changed = shown.first().filter(|_| shown.len() == 1 && !writers.is_empty());
        let changed = changed.filter(|table| {
            access.relation(table).is_some_and(|own| own.row_security) && access.has_identity(table)
        })?;
        format!(
            "view {} runs as its owner, and {} may change the rows of {changed} by it past the policies",
            view.name,
            in_words(&writers)
        )
    };
    let mut made = found(RULE.id, Level::Error, &name, Some(&view.name), Vec::new(), message);
    made.advice =
        Some(format!("ALTER VIEW {} SET (security_invoker = true)", quote_table(&view.name)));
    Some(made)
}

/// Rows of the table are somebody's, and the roles of the view do not see all of them.
fn is_hidden(access: &Access<'_>, table: &TableName, view: &Relation, roles: &[&str]) -> bool {
    let Some(relation) = access.relation(table) else { return false };
    if !access.is_owned(table) && !relation.row_security {
        return false;
    }
    if relation.row_security {
        // The owner of the view is bound where the table has another owner and he is no superuser, or by FORCE.
        let owner = view.owner.as_deref();
        let is_bound = owner.is_some_and(|owner| access.is_bound(owner))
            && relation.owner.is_some()
            && (relation.owner.as_deref() != owner || relation.forced);
        return !is_bound && !access.is_open_to(table, roles);
    }
    let reach = access.reach(table, &["SELECT"]);
    roles.iter().any(|role| !reach.contains(role) && !reach.contains(&"PUBLIC"))
}

/// The view shows more than what a table of users shows of them to everybody: a name, a picture.
fn shows_private(access: &Access<'_>, view: &Table, query: &Select, table: &TableName) -> bool {
    let is_of_users = access.is_account(table);
    let is_sensitive = view.columns.iter().any(|column| is_personal(&column.name));
    let is_all =
        query.outputs.iter().any(|own| matches!(own, crate::sql::condition::term::Term::Other(_)));
    !is_of_users || is_sensitive || (is_all && view.columns.is_empty())
}
