//! The indexes that would serve one scan: equality first, then order, then one range.

use crate::model::catalog::{IndexKey, Table};
use crate::model::recommendation::IndexPlan;
use crate::model::shape::{Key, Operator, Predicate, Scan};

/// Types that no btree holds.
const WITHOUT_BTREE: &[&str] =
    &["json", "xml", "point", "box", "polygon", "path", "circle", "line", "lseg"];

/// Candidates for a scan, the one for its equalities and order first.
///
/// `join_column` is set when the scan is looked up by the rows of another.
pub fn candidates(table: &Table, scan: &Scan, join_column: Option<&str>) -> Vec<IndexPlan> {
    let mut plans = Vec::new();
    let keys = btree_keys(table, scan, join_column);
    if !keys.is_empty() {
        plans.push(plan(table, "btree", keys));
    }
    for filter in &scan.filters {
        plans.extend(inverted(table, filter));
    }
    plans
}

fn plan(table: &Table, method: &str, keys: Vec<IndexKey>) -> IndexPlan {
    IndexPlan {
        table: table.name.clone(),
        method: method.to_owned(),
        keys,
        include: Vec::new(),
        predicate: None,
    }
}

fn btree_keys(table: &Table, scan: &Scan, join_column: Option<&str>) -> Vec<IndexKey> {
    let mut keys: Vec<IndexKey> = Vec::new();
    let push = |keys: &mut Vec<IndexKey>, key: IndexKey| {
        if !keys.iter().any(|known| known.expression == key.expression) {
            keys.push(key);
        }
    };
    let mut equal: Vec<&Predicate> = scan
        .filters
        .iter()
        .filter(|filter| matches!(filter.operator, Operator::Equal | Operator::IsNull))
        .collect();
    // The most selective first, so that the index also serves statements with fewer conditions. The
    // sort is stable: where nothing is known, the order of the statement stays.
    equal.sort_by(|a, b| distinct(table, b).total_cmp(&distinct(table, a)));
    if let Some(column) = join_column {
        push(&mut keys, IndexKey::column(column));
    }
    for filter in equal {
        if let Some(key) = index_key(table, &filter.key) {
            push(&mut keys, key);
        }
    }
    let sort: Vec<IndexKey> = scan
        .sort
        .iter()
        .filter(|_| scan.limited)
        .map_while(|sort| {
            index_key(table, &sort.key).map(|key| IndexKey {
                descending: sort.descending,
                nulls_first: sort.nulls_first,
                ..key
            })
        })
        .collect();
    if sort.len() == scan.sort.len() && !sort.is_empty() {
        sort.into_iter().for_each(|key| push(&mut keys, key));
        return keys;
    }
    // A list or a range ends the use of later keys, so there is at most one of either.
    for operator in [Operator::In, Operator::Range] {
        let next = scan.filters.iter().filter(|filter| filter.operator == operator);
        if let Some(key) = next.filter_map(|filter| index_key(table, &filter.key)).next() {
            push(&mut keys, key);
        }
    }
    keys
}

/// Distinct values of a predicate's column; unknown ones count as few.
fn distinct(table: &Table, filter: &Predicate) -> f64 {
    if filter.operator == Operator::IsNull {
        return 0.0;
    }
    let column = filter.key.column().and_then(|name| table.column(name));
    let known = column.and_then(|column| column.distinct_count(table.rows.unwrap_or(1_000_000.0)));
    known.unwrap_or(1.0)
}

/// A key for a btree, `None` when it cannot be one.
fn index_key(table: &Table, key: &Key) -> Option<IndexKey> {
    match key {
        Key::Column(name) => {
            let column = table.column(name)?;
            let unfit =
                WITHOUT_BTREE.iter().any(|t| column.type_name == *t) || column.type_name == "jsonb";
            (!unfit).then(|| IndexKey::column(name))
        }
        // Only what is immutable may be indexed. Of the functions met in filters these two are, for
        // every type they take.
        Key::Expression { sql, columns } => {
            let plain = columns.len() == 1
                && ["lower", "upper"].iter().any(|function| {
                    sql.to_lowercase() == format!("{function}({})", columns[0].to_lowercase())
                });
            plain.then(|| IndexKey {
                is_column: false,
                expression: format!(
                    "{}({})",
                    sql[..5].to_lowercase(),
                    crate::sql::ident::quote(&columns[0])
                ),
                ..IndexKey::column("")
            })
        }
    }
}

/// GIN for what a btree cannot find: text by a part of it, elements of arrays and documents.
fn inverted(table: &Table, filter: &Predicate) -> Option<IndexPlan> {
    let column = table.column(filter.key.column()?)?;
    let is_text = column.type_name.starts_with("text")
        || column.type_name.starts_with("character varying")
        || column.type_name.starts_with("varchar");
    let class = match filter.operator {
        Operator::ILike if is_text => Some("gin_trgm_ops".to_owned()),
        Operator::Contains if column.type_name == "jsonb" || column.type_name.ends_with("[]") => {
            None
        }
        Operator::Contains if column.type_name == "tsvector" => None,
        _ => return None,
    };
    let key = IndexKey { operator_class: class, ..IndexKey::column(&column.name) };
    Some(plan(table, "gin", vec![key]))
}
