//! Classifies one condition: a filter, a join, alternatives, or something else.

use sqlparser::ast::{BinaryOperator, Expr, Function, Query, UnaryOperator};

use super::expr_walk::{conjuncts, is_name, joined_by, names, slots, unqualified};
use super::operator::{condition_call, operator, turned};
use super::scope::{Origin, Scope};
use crate::model::catalog::Catalog;
use crate::model::workload::shape::{Key, Lookup, Operator, Predicate, Scan};

/// The role of a conjunct for the scans around it.
pub enum Conjunct<'e> {
    Filter {
        scan: usize,
        predicate: Predicate,
    },
    /// The filters of each alternative on one scan.
    Alternatives {
        scan: usize,
        filters: Vec<Vec<Predicate>>,
    },
    Join {
        left: Origin,
        right: Origin,
    },
    /// Scans, with what each is looked up by.
    Lookups(Vec<(usize, Lookup)>),
    SemiJoin {
        left: Origin,
        subquery: &'e Query,
    },
    Other,
}

impl<'e> Conjunct<'e> {
    /// Returns `self`, or `other()` where `self` is [`Conjunct::Other`].
    fn or(self, other: impl FnOnce() -> Conjunct<'e>) -> Conjunct<'e> {
        match self {
            Conjunct::Other => other(),
            found => found,
        }
    }
}

pub fn classify<'e>(
    expr: &'e Expr,
    scope: &Scope<'_>,
    scans: &[Scan],
    catalog: Option<&Catalog>,
) -> Conjunct<'e> {
    let key_of = |expr: &Expr| key(expr, scope, scans, catalog);
    let filter = |left: &Expr, operator: Operator, right: &[&Expr]| match key_of(left) {
        Some((scan, key)) if right.iter().all(|side| is_constant(side, scope, scans, catalog)) => {
            let slots = right.iter().flat_map(|side| slots(side)).collect();
            let sql = unqualified(expr);
            Conjunct::Filter { scan, predicate: Predicate { key, operator, slots, sql } }
        }
        _ => Conjunct::Other,
    };
    match expr {
        Expr::BinaryOp { left, op, right } => {
            comparison(expr, (left, op, right), &filter, (scope, scans, catalog))
        }
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
            filter(left, Operator::In, &[right])
                .or(|| filter(right, Operator::Element, &[left]))
                .or(|| lookups(&[(left, right)], scope, scans, catalog))
        }
        Expr::InList { expr, list, negated: false } if let Expr::Tuple(row) = &**expr => {
            let values: Option<Vec<&Vec<Expr>>> = list.iter().map(fields).collect();
            values.map_or(Conjunct::Other, |values| rows(Operator::Equal, row, &values, &key_of))
        }
        Expr::InList { expr, list, negated } => {
            let operator = if *negated { Operator::NotEqual } else { Operator::In };
            filter(expr, operator, &list.iter().collect::<Vec<_>>())
        }
        Expr::InSubquery { expr, subquery, negated: false } => {
            match scope.column(expr, scans, catalog) {
                Some(left) => Conjunct::SemiJoin { left, subquery },
                None => Conjunct::Other,
            }
        }
        Expr::Between { expr, negated: false, low, high } => {
            filter(expr, Operator::Range, &[low, high])
        }
        Expr::Like { negated: false, expr, pattern, .. } => {
            filter(expr, Operator::Like, &[pattern])
        }
        Expr::ILike { negated: false, expr, pattern, .. }
        | Expr::SimilarTo { negated: false, expr, pattern, .. } => {
            filter(expr, Operator::ILike, &[pattern])
        }
        Expr::Function(function) => call(function, &filter),
        Expr::IsNull(inner) => filter(inner, Operator::IsNull, &[]),
        Expr::IsNotNull(inner) => filter(inner, Operator::IsNotNull, &[]),
        Expr::IsTrue(inner) | Expr::IsFalse(inner) => filter(inner, Operator::Equal, &[]),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } if is_name(expr) => {
            filter(expr, Operator::Equal, &[])
        }
        expr if is_name(expr) => filter(expr, Operator::Equal, &[]),
        _ => Conjunct::Other,
    }
}

/// Makes a filter of a key, an operator and the values beside it, where it is one.
type Filter<'f, 'e> = dyn Fn(&Expr, Operator, &[&Expr]) -> Conjunct<'e> + 'f;

fn comparison<'e>(
    expr: &'e Expr,
    (left, op, right): (&'e Expr, &BinaryOperator, &'e Expr),
    filter: &Filter<'_, 'e>,
    (scope, scans, catalog): (&Scope<'_>, &[Scan], Option<&Catalog>),
) -> Conjunct<'e> {
    let operator = match op {
        BinaryOperator::Or if let Some(wanted) = if_given(left, right) => {
            return match classify(wanted, scope, scans, catalog) {
                Conjunct::Filter { scan, predicate } => {
                    Conjunct::Alternatives { scan, filters: vec![vec![predicate]] }
                }
                _ => Conjunct::Other,
            };
        }
        BinaryOperator::Or => {
            return any_of(expr, scope, scans, catalog)
                .or_else(|| alternatives(expr, scope, scans, catalog))
                .unwrap_or(Conjunct::Other);
        }
        // An AND inside of an OR says nothing that holds for every row.
        BinaryOperator::And => return Conjunct::Other,
        op => operator(op),
    };
    if let (Expr::Tuple(left), Expr::Tuple(right)) = (left, right) {
        return rows(operator, left, &[right], &|expr| key(expr, scope, scans, catalog));
    }
    if operator == Operator::Equal {
        let (l, r) = (scope.column(left, scans, catalog), scope.column(right, scans, catalog));
        if let (Some(left), Some(right)) = (l, r) {
            return Conjunct::Join { left, right };
        }
    }
    let found = filter(left, operator, &[right]);
    let found = match turned(op) {
        Some(turned) => found.or(|| filter(right, turned, &[left])),
        None => found,
    };
    match operator {
        Operator::Equal => {
            found.or(|| lookups(&[(left, right), (right, left)], scope, scans, catalog))
        }
        _ => found,
    }
}

/// A function that is a condition, such as `starts_with(a, $1)`.
fn call<'e>(function: &'e Function, filter: &Filter<'_, 'e>) -> Conjunct<'e> {
    let Some((operator, arguments)) = condition_call(function) else {
        return Conjunct::Other;
    };
    let own = |at: usize| {
        let others = arguments.iter().enumerate().filter(|(number, _)| *number != at);
        let others: Vec<&Expr> = others.map(|(_, argument)| *argument).collect();
        filter(arguments[at], operator, &others)
    };
    match operator {
        Operator::Contains => own(0).or(|| own(1)),
        _ => own(0),
    }
}

/// `$1 IS NULL OR a = $1`: the condition on the column, which holds wherever a value is given, and of other rows
/// says nothing. Planned with that value it is all that is left.
fn if_given<'e>(left: &'e Expr, right: &'e Expr) -> Option<&'e Expr> {
    let is_absent = |expr: &Expr| matches!(bare(expr), Expr::IsNull(value) if names(&**value).is_empty() && !slots(value).is_empty());
    match (is_absent(left), is_absent(right)) {
        (true, false) => Some(bare(right)),
        (false, true) => Some(bare(left)),
        _ => None,
    }
}

/// Without the parentheses around it.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        expr => expr,
    }
}

/// The column or expression of one scan that an index could hold.
pub fn key(
    expr: &Expr,
    scope: &Scope<'_>,
    scans: &[Scan],
    catalog: Option<&Catalog>,
) -> Option<(usize, Key)> {
    if let Some((scan, column)) = scope.column(expr, scans, catalog) {
        return Some((scan, Key::Column(column)));
    }
    let inner = match expr {
        Expr::Nested(inner) => return key(inner, scope, scans, catalog),
        Expr::Cast { expr: inner, data_type, .. }
            if let Some((scan, column)) = scope.column(inner, scans, catalog)
                && is_relabelling(&scans[scan], &column, &data_type.to_string(), catalog) =>
        {
            return Some((scan, Key::Column(column)));
        }
        Expr::Function(_)
        | Expr::Cast { .. }
        | Expr::Collate { .. }
        | Expr::BinaryOp { .. }
        | Expr::CompoundFieldAccess { .. }
        | Expr::Extract { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::AtTimeZone { .. } => expr,
        _ => return None,
    };
    let mut owner = None;
    let mut columns = Vec::new();
    for name in names(inner) {
        let (scan, column) = scope.column(&name, scans, catalog)?;
        if *owner.get_or_insert(scan) != scan {
            return None;
        }
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Some((owner?, Key::Expression { sql: unqualified(inner), columns }))
}

/// A cast between types of the same bytes, which an index on the column serves as if it were not
/// there; so are those to the pseudo-types in the server's own queries.
fn is_relabelling(scan: &Scan, column: &str, to: &str, catalog: Option<&Catalog>) -> bool {
    let family = |name: &str| -> String {
        let name = name.to_lowercase();
        match name.split('(').next().unwrap_or("").trim() {
            "text" | "varchar" | "character varying" => "text",
            "timestamp" | "timestamp without time zone" => "timestamp",
            "timestamptz" | "timestamp with time zone" => "timestamptz",
            "int" | "int4" | "integer" => "integer",
            "bigint" | "int8" => "bigint",
            "bool" | "boolean" => "boolean",
            other => other,
        }
        .to_owned()
    };
    if to.to_lowercase().starts_with("pg_catalog.any") {
        return true;
    }
    // A length cuts values off.
    if to.contains('(') {
        return false;
    }
    let table = catalog.and_then(|catalog| catalog.table(&scan.table));
    table
        .and_then(|table| table.column(column))
        .is_some_and(|column| family(&column.type_name) == family(to))
}

/// Reads each pair of equal expressions as a lookup of the scan that one side belongs to, by a value that does
/// not come from that scan.
fn lookups<'e>(
    pairs: &[(&Expr, &Expr)],
    scope: &Scope<'_>,
    scans: &[Scan],
    catalog: Option<&Catalog>,
) -> Conjunct<'e> {
    let lookup = |(own, other): &(&Expr, &Expr)| {
        let (scan, key) = key(own, scope, scans, catalog)?;
        let others = names(*other);
        let is_own =
            |name: &Expr| scope.column(name, scans, catalog).is_some_and(|(of, _)| of == scan);
        let for_few = others.iter().all(|name| scope.is_of_few(name));
        (!others.is_empty() && !others.iter().any(is_own))
            .then_some((scan, Lookup { key, for_few }))
    };
    let found: Vec<(usize, Lookup)> = pairs.iter().filter_map(lookup).collect();
    if found.is_empty() { Conjunct::Other } else { Conjunct::Lookups(found) }
}

/// Holds no column of the scans around it: a constant, a parameter, a call without columns, or a
/// sub-query that does not look outside.
fn is_constant(expr: &Expr, scope: &Scope<'_>, scans: &[Scan], catalog: Option<&Catalog>) -> bool {
    names(expr).iter().all(|name| {
        // A name that resolves to nothing is no column (`current_date` and its kin).
        scope.column(name, scans, catalog).is_none()
            && matches!(name, Expr::Identifier(ident) if ident.quote_style.is_none()
                && crate::sql::lex::keyword::is_reserved(&ident.value.to_lowercase()))
    })
}

/// Alternatives of one condition that are looked at: more of them are a list of keys that somebody wrote out.
const MOST_ALTERNATIVES: usize = 16;

/// `a = 1 OR a = 2` is `a IN (1, 2)`.
pub(super) fn any_of<'e>(
    expr: &'e Expr,
    scope: &Scope<'_>,
    scans: &[Scan],
    catalog: Option<&Catalog>,
) -> Option<Conjunct<'e>> {
    let mut found: Option<(usize, Predicate)> = None;
    for part in joined_by(&BinaryOperator::Or, expr) {
        let Conjunct::Filter { scan, predicate } = classify(part, scope, scans, catalog) else {
            return None;
        };
        if !matches!(predicate.operator, Operator::Equal | Operator::In) {
            return None;
        }
        match &mut found {
            None => found = Some((scan, Predicate { operator: Operator::In, ..predicate })),
            Some((known, whole)) if *known == scan && whole.key == predicate.key => {
                whole.slots.extend(predicate.slots);
            }
            Some(_) => return None,
        }
    }
    found.map(|(scan, predicate)| Conjunct::Filter {
        scan,
        predicate: Predicate { sql: unqualified(expr), ..predicate },
    })
}

/// `a = 1 OR b = 2 AND c > 3`: what the alternatives say of a scan of which every one says something.
pub(super) fn alternatives<'e>(
    expr: &'e Expr,
    scope: &Scope<'_>,
    scans: &[Scan],
    catalog: Option<&Catalog>,
) -> Option<Conjunct<'e>> {
    let parts = joined_by(&BinaryOperator::Or, expr);
    if parts.len() > MOST_ALTERNATIVES {
        return None;
    }
    let said: Vec<Vec<(usize, Predicate)>> = parts
        .into_iter()
        .map(|part| {
            let filters = conjuncts(part).into_iter().filter_map(|conjunct| {
                match classify(conjunct, scope, scans, catalog) {
                    Conjunct::Filter { scan, predicate } => Some((scan, predicate)),
                    _ => None,
                }
            });
            filters.collect()
        })
        .collect();
    let is_everywhere =
        |scan: &usize| said.iter().all(|said| said.iter().any(|(of, _)| of == scan));
    let scan = said.first()?.iter().map(|(scan, _)| *scan).find(is_everywhere)?;
    let of_scan = |said: Vec<(usize, Predicate)>| {
        said.into_iter().filter(|(of, _)| *of == scan).map(|(_, predicate)| predicate).collect()
    };
    Some(Conjunct::Alternatives { scan, filters: said.into_iter().map(of_scan).collect() })
}

/// The fields of a row that is written out.
pub(super) fn fields(expr: &Expr) -> Option<&Vec<Expr>> {
    match expr {
        Expr::Tuple(fields) => Some(fields),
        Expr::Nested(inner) => fields(inner),
        _ => None,
    }
}

/// A row compared with rows of values: field by field where it has to equal one of them. What comes before or
/// after a row does so by its first field, or has it in common.
pub(super) fn rows<'e>(
    operator: Operator,
    row: &[Expr],
    values: &[&Vec<Expr>],
    key_of: &dyn Fn(&Expr) -> Option<(usize, Key)>,
) -> Conjunct<'e> {
    let most = if operator == Operator::Range { 1 } else { row.len() };
    let mut owner = None;
    let mut filters = Vec::new();
    for (at, field) in row.iter().take(most).enumerate() {
        let others: Option<Vec<&Expr>> = values.iter().map(|values| values.get(at)).collect();
        let (Some((scan, key)), Some(others)) = (key_of(field), others) else {
            return Conjunct::Other;
        };
        let is_fit = matches!(operator, Operator::Equal | Operator::Range)
            && *owner.get_or_insert(scan) == scan
            && others.iter().all(|value| names(*value).is_empty());
        if !is_fit {
            return Conjunct::Other;
        }
        let slots = others.into_iter().flat_map(slots).collect();
        filters.push(Predicate { key, operator, slots, sql: String::new() });
    }
    match (owner, operator) {
        (Some(scan), Operator::Range) => match filters.pop() {
            Some(predicate) => Conjunct::Filter { scan, predicate },
            None => Conjunct::Other,
        },
        (Some(scan), _) => Conjunct::Alternatives { scan, filters: vec![filters] },
        (None, _) => Conjunct::Other,
    }
}
