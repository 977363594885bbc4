//! Materialized views, which policies cannot guard.

use crate::access::policies::{Access, source_column};
use crate::access::views::{base_tables, shows_flagged};
use crate::model::catalog::{Table, TableKind};
use crate::model::finding::{Finding, Level};
use crate::rules::access::credentials::is_personal;
use crate::rules::access::found::{found, in_words};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-materialized-view",
    summary: "rows of somebody kept in a materialized view that a role may read",
    needs: "a catalog (schema file or database)",
    page: include_str!("rls_materialized_view.md"),
    find,
};

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let views =
        access.catalog.tables.iter().filter(|table| table.kind == TableKind::MaterializedView);
    views.filter_map(|view| of(access, view)).collect()
}

fn of(access: &Access<'_>, view: &Table) -> Option<Finding> {
    let roles = access.reach(&view.name, &["SELECT"]);
    if roles.is_empty() || roles == [""] {
        return None;
    }
    let query = access.view(&view.name)?;
    let tables = base_tables(access, query, 4);
    let shown = tables.iter().find(|table| {
        access.is_owned(table)
            && !access.is_open_to(table, &roles)
            && !shows_flagged(access, query, table, &roles)
    })?;
    // Sums over all are nobody's rows.
    let names_owner = query.outputs.iter().any(|output| {
        source_column(output).is_some_and(|(table, column)| {
            let is_key =
                access.catalog.table(table).is_some_and(|table| table.has_unique(&[column]));
            is_key || access.domains.owner_columns(table).iter().any(|own| own == column)
        })
    }) || view.columns.iter().any(|column| is_personal(&column.name));
    let level = if names_owner { Level::Error } else { Level::Info };
    let message = format!(
        "materialized view {} keeps rows of {shown}, and no policy can guard it: {} may read all of it",
        view.name,
        in_words(&roles)
    );
    let name = view.name.to_string();
    Some(found(RULE.id, level, &name, Some(&view.name), Vec::new(), message))
}
