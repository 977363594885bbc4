//! Resolves row-level security policies, once for each catalog.

use super::resolver::shape;
use crate::model::catalog::Catalog;
use crate::model::name::TableName;
use crate::model::workload::shape::Operator;
use crate::sql::lex::identifier::quote_table;

/// Notes in each policy the columns that its `USING` compares with one value by equality.
pub fn resolve_policies(catalog: &mut Catalog) {
    let mut compared = Vec::new();
    for (table, of) in catalog.tables.iter().enumerate() {
        for (policy, using) in of.policies.iter().enumerate() {
            let Some(using) = &using.using else { continue };
            compared.push((table, policy, compared_columns(&of.name, using, catalog)));
        }
    }
    for (table, policy, columns) in compared {
        catalog.tables[table].policies[policy].compared = columns;
    }
}

fn compared_columns(table: &TableName, using: &str, catalog: &Catalog) -> Vec<String> {
    let sql = format!("SELECT 1 FROM {} WHERE {using}", quote_table(table));
    let found = shape(&sql, Some(catalog)).ok();
    let scan = found.and_then(|found| found.scans.into_iter().find(|scan| scan.table == *table));
    let filters = scan.into_iter().flat_map(|scan| scan.filters);
    let equal = filters.filter(|filter| filter.operator == Operator::Equal);
    equal.filter_map(|filter| filter.key.column().map(str::to_owned)).collect()
}
