//! Who acts in what was gathered.

use super::gather::Gathered;
use crate::access::who_acts::{Acting, who_acts};
use crate::model::name::TableName;
use crate::model::workload::Setting;
use crate::pg::catalog::distinct::Counting;
use crate::pg::catalog::keys::present;

/// Learns who acts, with the keys of the database where there is one; `None` without a catalog.
pub fn acting(gathered: &Gathered) -> Option<Acting> {
    let catalog = gathered.catalog.as_ref()?;
    let found = |setting: &Setting, table: &TableName, column: &str| {
        let live = gathered.live.as_ref()?;
        let type_name = &catalog.table(table)?.column(column)?.type_name;
        let caller = live.callers.path().without_role();
        let counting = Counting { connection: &live.connection, caller: &caller };
        present(counting, table, (column, type_name), &setting.examples)
    };
    Some(who_acts(&gathered.workload, catalog, &found))
}
