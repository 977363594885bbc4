//! Who acts in what was gathered.

use super::gather::Gathered;
use crate::access::who_acts::{Acting, who_acts};
use crate::model::name::TableName;
use crate::model::workload::Setting;
use crate::pg::catalog::keys::present;
use crate::pg::session::reached::rows;

/// Learns who acts, with the keys of the database where there is one; `None` without a catalog.
pub fn acting(gathered: &Gathered) -> Option<Acting> {
    let catalog = gathered.catalog.as_ref()?;
    let found = |setting: &Setting, table: &TableName, column: &str| {
        let live = gathered.live.as_ref()?;
        let type_name = &catalog.table(table)?.column(column)?.type_name;
        let sql = present(table, (column, type_name), &setting.examples)?;
        let caller = live.callers.path().without_role();
        let rows = rows(&live.connection, &caller, &mut live.guard.borrow_mut(), &sql, &[]);
        rows.ok()?.first()?.first()?.parse().ok()
    };
    Some(who_acts(&gathered.workload, catalog, &found))
}
