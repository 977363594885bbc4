//! What one scan asks of an index, key by key.

use crate::model::catalog::{IndexKey, Table};
use crate::model::shape::{Key, Operator, Predicate, Scan};
use crate::model::workload::Query;
use crate::sql::ident::{quote, quote_literal};

/// Types that no btree holds.
const WITHOUT_BTREE: &[&str] = &[
    "json", "jsonb", "xml", "point", "box", "polygon", "path", "circle", "line", "lseg", "tsquery",
];

/// A filter that an index key can serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub key: IndexKey,
    /// Columns the key is made of.
    pub columns: Vec<String>,
    /// The condition as SQL, where its constant is part of the statement.
    pub condition: Option<String>,
    /// Distinct values of the column; unknown ones count as few.
    pub distinct: f64,
}

/// What one scan asks of a btree.
#[derive(Debug, Clone, Default)]
pub struct Wants {
    /// Compared with one value, most selective first.
    pub equal: Vec<Wanted>,
    /// Compared with a list of values.
    pub lists: Vec<Wanted>,
    /// Compared by `<` and its kin, or by a prefix.
    pub ranges: Vec<Wanted>,
    /// All keys of the order that is asked for, or none; what the least or greatest is asked of.
    pub sort: Vec<IndexKey>,
    /// Conditions that only a partial index can serve: `<>`, `IS NOT NULL`.
    pub only_conditions: Vec<String>,
    /// Columns that the rows of another scan are joined by.
    pub joins: Vec<Wanted>,
}

/// What `scan` asks for. `conditions` are those of [`super::pinned::conditions`], one a filter.
pub fn wants(query: &Query, table: &Table, scan: &Scan, conditions: &[Option<String>]) -> Wants {
    let mut wants = Wants::default();
    for (filter, condition) in scan.filters.iter().zip(conditions) {
        let wanted = |distinct: f64| {
            Some(Wanted {
                key: index_key(query, table, &filter.key)?,
                columns: filter.key.columns().into_iter().map(str::to_owned).collect(),
                condition: condition.clone(),
                distinct,
            })
        };
        match filter.operator {
            Operator::Equal => wants.equal.extend(wanted(distinct(table, &filter.key))),
            Operator::IsNull => wants.equal.extend(wanted(0.0)),
            Operator::In => wants.lists.extend(wanted(distinct(table, &filter.key))),
            Operator::Range => wants.ranges.extend(wanted(0.0)),
            Operator::Like if is_prefix(query, filter) => {
                wants.ranges.extend(wanted(0.0).map(|wanted| by_pattern(table, wanted)));
            }
            Operator::IsNotNull | Operator::NotEqual => {
                wants.only_conditions.extend(condition.clone());
            }
            _ => {}
        }
    }
    // The most selective first, so that the index also serves statements with fewer conditions. The
    // sort is stable: where nothing is known, the order of the statement stays.
    wants.equal.sort_by(|a, b| b.distinct.total_cmp(&a.distinct));
    wants.sort = sort(query, table, scan);
    for join in &scan.joins {
        let key = Key::Column(join.column.clone());
        if let Some(index_key) = index_key(query, table, &key)
            && !wants.joins.iter().any(|known| known.key == index_key)
        {
            wants.joins.push(Wanted {
                key: index_key,
                columns: vec![join.column.clone()],
                condition: None,
                distinct: distinct(table, &key),
            });
        }
    }
    wants
}

fn sort(query: &Query, table: &Table, scan: &Scan) -> Vec<IndexKey> {
    let keys: Vec<IndexKey> = scan
        .sort
        .iter()
        .map_while(|sort| {
            index_key(query, table, &sort.key).map(|key| IndexKey {
                descending: sort.descending,
                nulls_first: sort.nulls_first,
                ..key
            })
        })
        .collect();
    if keys.len() < scan.sort.len() {
        return Vec::new();
    }
    // The planner reads an index from either end.
    let extreme = scan.extreme.as_ref().and_then(|key| index_key(query, table, key));
    if keys.is_empty() { extreme.into_iter().collect() } else { keys }
}

/// Distinct values of a key's column; unknown ones count as few.
fn distinct(table: &Table, key: &Key) -> f64 {
    let column = key.column().and_then(|name| table.column(name));
    let known = column.and_then(|column| column.distinct_count(table.rows.unwrap_or(1_000_000.0)));
    // An expression is written for a lookup more often than not.
    known.unwrap_or(if key.column().is_none() { 1_000.0 } else { 1.0 })
}

/// The pattern begins with a letter, as far as is known.
fn is_prefix(query: &Query, filter: &Predicate) -> bool {
    !values(query, filter).iter().any(|value| value.starts_with(['%', '_']))
}

/// Values that were seen on the other side of a filter.
pub fn values<'q>(query: &'q Query, filter: &Predicate) -> Vec<&'q str> {
    filter
        .slots
        .iter()
        .filter_map(|slot| query.slots.get(usize::from(*slot).checked_sub(1)?))
        .flat_map(|values| values.kept())
        .filter_map(|kept| kept.value.expose())
        .collect()
}

/// A prefix is found by the order of bytes: another operator class is needed where the column is
/// ordered as a dictionary is.
fn by_pattern(table: &Table, wanted: Wanted) -> Wanted {
    let column = wanted.columns.first().and_then(|name| table.column(name));
    let storage = column.and_then(|column| column.storage);
    if storage.is_none_or(|storage| storage.bytewise) {
        return wanted;
    }
    let class = match column.map(|column| column.type_name.as_str()) {
        Some(name) if name.starts_with("character varying") => "varchar_pattern_ops",
        Some(name) if name.starts_with("character(") => "bpchar_pattern_ops",
        _ => "text_pattern_ops",
    };
    Wanted { key: IndexKey { operator_class: Some(class.to_owned()), ..wanted.key }, ..wanted }
}

/// A key for a btree, `None` when it cannot be one.
fn index_key(query: &Query, table: &Table, key: &Key) -> Option<IndexKey> {
    match key {
        Key::Column(name) => {
            let column = table.column(name)?;
            let unfit = WITHOUT_BTREE.iter().any(|unfit| column.type_name == *unfit);
            (!unfit).then(|| IndexKey::column(name))
        }
        Key::Expression { sql, columns } => expression(query, table, sql, columns)
            .map(|sql| IndexKey { is_column: false, expression: sql, ..IndexKey::column("") }),
    }
}

/// The expression as an index can hold it: immutable, and with its constants in place.
///
/// Only what is immutable for every type it takes; the server would refuse the rest.
fn expression(query: &Query, table: &Table, sql: &str, columns: &[String]) -> Option<String> {
    let [column] = columns else { return None };
    let type_name = table.column(column)?.type_name.as_str();
    let lower = sql.to_lowercase();
    let quoted = quote(column);
    if let Some(function) = ["lower", "upper"]
        .iter()
        .find(|function| lower == format!("{function}({})", column.to_lowercase()))
    {
        return Some(format!("{function}({quoted})"));
    }
    let is_text_of_document = type_name == "jsonb"
        && (lower.starts_with(&format!("{} ->> ", column.to_lowercase()))
            || lower.starts_with(&format!("{quoted} ->> ").to_lowercase()));
    if is_text_of_document {
        let key = sql.split_once(" ->> ")?.1;
        return Some(format!("{quoted} ->> {}", constant(query, key)?));
    }
    let is_day = type_name == "timestamp without time zone"
        && [
            format!("{column}::date"),
            format!("cast({column} as date)"),
            format!("date({column})"),
        ]
        .contains(&lower);
    if is_day {
        return Some(format!("{quoted}::date"));
    }
    None
}

/// The constant at one position of an expression: what always stood there.
fn constant(query: &Query, placeholder: &str) -> Option<String> {
    let Some(number) = placeholder.strip_prefix('$') else {
        return placeholder.starts_with('\'').then(|| placeholder.to_owned());
    };
    let values = query.slots.get(number.parse::<usize>().ok()?.checked_sub(1)?)?;
    match values.kept() {
        [only] if only.count == values.seen && only.value.expose().is_some() => {
            Some(quote_literal(&only.value))
        }
        _ => None,
    }
}
