//! Index keys that one scan can use: equality, lists, ranges, order, joins.

use std::collections::BTreeMap;

use crate::access::pushdown::{compares_leakproof, is_guarded, is_kept_back};
use crate::model::catalog::{Column, Table, UserFunction};
use crate::model::index::IndexKey;
use crate::model::workload::Query;
use crate::model::workload::shape::{Key, Lookup, Operator, Predicate, Scan};
use crate::sql::expression::immutability::{Indexable, column_name, indexable, without_collation};
use crate::sql::expression::types::TypeClass;
use crate::sql::lex::identifier::quote_literal;

/// Types that no btree holds.
const WITHOUT_BTREE: &[&str] = &[
    "json",
    "jsonb",
    "xml",
    "point",
    "box",
    "polygon",
    "path",
    "circle",
    "line",
    "lseg",
    "tsquery",
    "geometry",
    "geography",
];

/// A filter that an index key can serve.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexableFilter {
    pub key: IndexKey,
    /// Columns the key is made of.
    pub columns: Vec<String>,
    /// The condition as SQL, where its constant is part of the statement.
    pub condition: Option<String>,
    /// Distinct values of the column; unknown ones count as few.
    pub distinct: f64,
    /// Asked for by `IS NULL`, which finds rows as one value does; but to the planner it is none, and what stands
    /// behind it in an index is in no order.
    pub is_null: bool,
}

/// The conditions and orders of one scan that a btree can serve.
#[derive(Debug, Clone, Default)]
pub struct ScanNeeds {
    /// Compared with one value, most selective first.
    pub equal: Vec<IndexableFilter>,
    /// Compared with a list of values.
    pub lists: Vec<IndexableFilter>,
    /// Compared by `<` and its kin, or by a prefix.
    pub ranges: Vec<IndexableFilter>,
    /// All keys of the order that is asked for, or none; what the least or greatest is asked of.
    pub sort: Vec<IndexKey>,
    /// Conditions that only a partial index can serve: `<>`, `IS NOT NULL`.
    pub only_conditions: Vec<String>,
    /// Columns that the rows of another scan are joined by: each alone, and all that join the same scan
    /// together, most selective first.
    pub joins: Vec<Vec<IndexableFilter>>,
}

/// One scan of a statement, as the keys of its indexes are read from it.
#[derive(Clone, Copy)]
pub struct ScanContext<'a> {
    pub query: &'a Query,
    pub table: &'a Table,
    pub scan: &'a Scan,
    /// Functions of the database's own.
    pub functions: &'a [UserFunction],
    /// The same scan as some executions spelled it, with their constants.
    pub spelled: &'a [&'a Scan],
}

/// Returns the conditions and orders of a scan that a btree can serve. `conditions` are those of
/// [`super::partial::conditions`], one a filter.
pub fn needs(asked: ScanContext<'_>, conditions: &[Option<String>]) -> ScanNeeds {
    let ScanContext { query, table, scan, .. } = asked;
    let mut needs = ScanNeeds::default();
    for (number, (filter, condition)) in scan.filters.iter().zip(conditions).enumerate() {
        let wanted = |distinct: f64| {
            Some(IndexableFilter {
                key: asked.index_key(&filter.key, |scan| Some(&scan.filters.get(number)?.key))?,
                columns: filter.key.columns().into_iter().map(str::to_owned).collect(),
                condition: condition.clone(),
                distinct,
                is_null: filter.operator == Operator::IsNull,
            })
        };
        if !asked.is_open(filter) {
            // The rows that an index holds are a matter of its own condition alone.
            needs.only_conditions.extend(condition.clone());
            continue;
        }
        match filter.operator {
            Operator::Equal => needs.equal.extend(wanted(distinct(table, &filter.key))),
            Operator::IsNull => needs.equal.extend(wanted(0.0)),
            Operator::In => needs.lists.extend(wanted(distinct(table, &filter.key))),
            Operator::Range => needs.ranges.extend(wanted(0.0)),
            // The addresses of a network follow each other in a btree.
            Operator::Within if asked.kind_of(&filter.key) == Some(TypeClass::Network) => {
                needs.ranges.extend(wanted(0.0));
            }
            Operator::Like if is_prefix(query, filter) => {
                needs.ranges.extend(wanted(0.0).and_then(|wanted| by_pattern(table, wanted)));
            }
            Operator::IsNotNull | Operator::NotEqual => {
                needs.only_conditions.extend(condition.clone());
            }
            _ => {}
        }
    }
    // The most selective first, so that the index also serves statements with fewer conditions. The
    // sort is stable: where nothing is known, the order of the statement stays.
    needs.equal.sort_by(|a, b| b.distinct.total_cmp(&a.distinct));
    needs.sort = asked.sort();
    needs.joins = joins(table, scan);
    needs.joins.extend(asked.lookups());
    if is_guarded(query, table) {
        let is_open = |wanted: &IndexableFilter| {
            let column = table.column(&wanted.key.expression);
            wanted.key.is_column && column.is_some_and(compares_leakproof)
        };
        needs.joins.retain(|join| join.iter().all(is_open));
    }
    needs
}

/// Returns the join conditions by which the rows of other scans look up this one.
fn joins(table: &Table, scan: &Scan) -> Vec<Vec<IndexableFilter>> {
    let mut joins: Vec<Vec<IndexableFilter>> = Vec::new();
    let mut together: BTreeMap<usize, Vec<IndexableFilter>> = BTreeMap::new();
    for join in &scan.joins {
        let Some(key) = column_key(table, &join.column) else { continue };
        let wanted = IndexableFilter {
            key,
            columns: vec![join.column.clone()],
            condition: None,
            distinct: distinct(table, &Key::Column(join.column.clone())),
            is_null: false,
        };
        let same = together.entry(join.other_scan).or_default();
        if !same.contains(&wanted) {
            same.push(wanted.clone());
        }
        let alone = vec![wanted];
        if !joins.contains(&alone) {
            joins.push(alone);
        }
    }
    for mut several in together.into_values().filter(|columns| columns.len() > 1) {
        several.sort_by(|a, b| b.distinct.total_cmp(&a.distinct));
        if !joins.contains(&several) {
            joins.push(several);
        }
    }
    joins
}

impl ScanContext<'_> {
    /// No policy keeps an index from finding rows by the condition.
    pub fn is_open(self, filter: &Predicate) -> bool {
        !is_kept_back(self.query, self.table, filter)
    }

    /// Returns the lookups by the rows of something that is no table, each alone. An expression only where it is
    /// looked up for few: mostly the planner cannot be asked about it.
    fn lookups(self) -> Vec<Vec<IndexableFilter>> {
        let wanted = |(number, lookup): (usize, &Lookup)| {
            let Lookup { key, for_few } = lookup;
            if key.column().is_none() && !for_few {
                return None;
            }
            let wanted = IndexableFilter {
                key: self.index_key(key, |scan| Some(&scan.lookups.get(number)?.key))?,
                columns: key.columns().into_iter().map(str::to_owned).collect(),
                condition: None,
                distinct: distinct(self.table, key),
                is_null: false,
            };
            Some(vec![wanted])
        };
        self.scan.lookups.iter().enumerate().filter_map(wanted).collect()
    }

    fn sort(self) -> Vec<IndexKey> {
        let mut keys = Vec::new();
        for (number, sort) in self.scan.sort.iter().enumerate() {
            let Some(key) = self.index_key(&sort.key, |scan| Some(&scan.sort.get(number)?.key))
            else {
                return Vec::new();
            };
            let (descending, nulls_first) = (sort.descending, sort.nulls_first);
            keys.push(IndexKey { descending, nulls_first, ..key });
        }
        // The planner reads an index from either end.
        let extreme = self.scan.extreme.as_ref();
        let extreme = extreme.and_then(|key| self.index_key(key, |scan| scan.extreme.as_ref()));
        if keys.is_empty() { extreme.into_iter().collect() } else { keys }
    }

    /// A key for a btree, `None` when it cannot be one. `same` finds it in the scan as it was spelled.
    fn index_key<'s>(
        self,
        key: &Key,
        same: impl Fn(&'s Scan) -> Option<&'s Key>,
    ) -> Option<IndexKey>
    where
        Self: 's,
    {
        match key {
            Key::Column(name) => column_key(self.table, name),
            Key::Expression { sql, .. } => {
                let found = self.expression(sql, same)?;
                let is_ordered = !matches!(
                    found.kind,
                    TypeClass::Document | TypeClass::Words | TypeClass::Geometry | TypeClass::Pairs
                );
                is_ordered.then(|| expression_key(found))
            }
        }
    }

    /// The kind of the values of a key that is a column.
    fn kind_of(self, key: &Key) -> Option<TypeClass> {
        Some(TypeClass::of(&self.table.column(key.column()?)?.type_name))
    }

    /// The expression as an index can hold it: immutable, and with its constants in place.
    pub fn expression<'s>(
        self,
        sql: &str,
        same: impl Fn(&'s Scan) -> Option<&'s Key>,
    ) -> Option<Indexable>
    where
        Self: 's,
    {
        let constant = |placeholder: &str| constant(self.query, placeholder);
        let found = indexable(sql, self.table, self.functions, &constant)?;
        // As it was spelled a number is a number, which decides about the type of what it stands by.
        let spelled: Option<Vec<&str>> =
            self.spelled.iter().map(|scan| same(scan).map(Key::sql)).collect();
        match spelled.as_deref() {
            Some([first, rest @ ..]) if rest.iter().all(|other| other == first) => {
                Some(indexable(first, self.table, self.functions, &|_| None).unwrap_or(found))
            }
            _ => Some(found),
        }
    }
}

/// The expression as a key: a collation is not a part of the expression, but of the key.
pub fn expression_key(found: Indexable) -> IndexKey {
    let Some((inner, collation)) = without_collation(&found.sql) else {
        return IndexKey { is_column: false, ..IndexKey::column(found.sql) };
    };
    let column = column_name(&inner);
    let is_column = column.is_some();
    let collation = Some(collation);
    IndexKey { is_column, collation, ..IndexKey::column(column.unwrap_or(inner)) }
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
/// ordered as a dictionary is, or may be. `None` for a type that has none, as `citext`.
fn by_pattern(table: &Table, wanted: IndexableFilter) -> Option<IndexableFilter> {
    let column = wanted.columns.first().and_then(|name| table.column(name));
    // What is made of something else than text is ordered as the database orders text, which may be either way.
    let is_text = |column: &&Column| TypeClass::of(&column.type_name) == TypeClass::Text;
    if column.filter(is_text).is_some_and(Column::is_bytewise) {
        return Some(wanted);
    }
    let type_name = column.filter(|_| wanted.key.is_column).map(|column| column.type_name.as_str());
    let class = match type_name {
        // What an expression gives is text.
        None | Some("text") => "text_pattern_ops",
        Some(name) if name.starts_with("character varying") || name.starts_with("varchar") => {
            "varchar_pattern_ops"
        }
        Some(name) if name.starts_with("char") || name.starts_with("bpchar") => {
            "bpchar_pattern_ops"
        }
        Some(_) => return None,
    };
    Some(IndexableFilter {
        key: IndexKey { operator_class: Some(class.to_owned()), ..wanted.key },
        ..wanted
    })
}

/// A key for a btree, `None` when no btree holds the type.
fn column_key(table: &Table, name: &str) -> Option<IndexKey> {
    let column = table.column(name)?;
    let unfit = WITHOUT_BTREE.iter().any(|unfit| column.type_name == *unfit);
    (!unfit).then(|| IndexKey::column(name))
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
