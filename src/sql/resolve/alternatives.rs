//! Conditions that hold in one of several ways: lists, alternatives, rows.

use sqlparser::ast::{BinaryOperator, Expr};

use super::expr_walk::{conjuncts, joined_by, names, slots, unqualified};
use super::predicate::{Conjunct, classify};
use super::scope::Scope;
use crate::model::catalog::Catalog;
use crate::model::workload::shape::{Key, Operator, Predicate, Scan};

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
