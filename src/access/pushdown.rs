//! Which conditions can use an index when row-level security applies: policies are evaluated first, and only LEAKPROOF
//! conditions are pushed below them.
//!
//! Source: "Rules and Privileges" and "Row Security Policies" in the manual; `restriction_is_securely_promotable` of
//! the planner.

use crate::model::catalog::{Column, Policy, Table};
use crate::model::index::{AccessMethod, Index, IndexDef, IndexKey};
use crate::model::workload::Query;
use crate::model::workload::shape::{Key, Operator, Predicate};
use crate::sql::expression::types::TypeClass;

/// Policies apply to every role that executed the statement, and do not let it see all rows.
pub fn is_guarded(query: &Query, table: &Table) -> bool {
    let is_bound = |user: &String| table.bound.contains(user);
    !query.users.is_empty() && query.users.iter().all(is_bound) && has_barrier(table)
}

/// A policy restricts the rows of the table. `USING (true)` does not.
pub fn has_barrier(table: &Table) -> bool {
    let leaves_all = |using: &Option<String>| using.as_deref() == Some("true");
    let mut permissive = table.policies.iter().filter(|policy| policy.permissive);
    let mut restrictive = table.policies.iter().filter(|policy| !policy.permissive);
    let is_open = permissive.any(|policy| is_of_reads(policy) && leaves_all(&policy.using))
        && restrictive.all(|policy| leaves_all(&policy.using));
    table.row_security && !table.policies.is_empty() && !is_open
}

fn is_of_reads(policy: &Policy) -> bool {
    matches!(policy.command.as_str(), "ALL" | "SELECT")
}

/// Policies prevent every index from serving the condition.
pub fn is_kept_back(query: &Query, table: &Table, filter: &Predicate) -> bool {
    is_guarded(query, table) && !is_leakproof(table, &filter.key, filter.operator)
}

/// The comparison is LEAKPROOF. Of an expression it is not, as most functions are not.
pub fn is_leakproof(table: &Table, key: &Key, operator: Operator) -> bool {
    use Operator::{Equal, In, IsNotNull, IsNull, NotEqual, Range};
    let column = key.column();
    match operator {
        IsNull | IsNotNull => column.is_some(),
        Equal | In | NotEqual | Range => {
            column.and_then(|name| table.column(name)).is_some_and(compares_leakproof)
        }
        _ => false,
    }
}

/// The comparisons of the column's values are LEAKPROOF, as the server says or, without one, by the type.
pub fn compares_leakproof(column: &Column) -> bool {
    let by_type =
        || TypeClass::of(&column.type_name).is_leakproof() && !column.type_name.contains("citext");
    column.storage.map_or_else(by_type, |storage| storage.leakproof)
}

/// Columns that the policies compare with one value for every visible row. For an index, each statement of the roles
/// they apply to has these conditions as well.
pub fn compared_by_policies(table: &Table) -> Vec<String> {
    if !has_barrier(table) {
        return Vec::new();
    }
    let compared = |policy: &Policy| policy.compared.clone();
    let of_reads = table.policies.iter().filter(|policy| is_of_reads(policy));
    let (permissive, restrictive): (Vec<&Policy>, Vec<&Policy>) =
        of_reads.partition(|policy| policy.permissive);
    // A row has to pass one of the permissive ones, and all others.
    let common = permissive
        .into_iter()
        .map(compared)
        .reduce(|all, own| all.into_iter().filter(|column| own.contains(column)).collect());
    let mut columns = common.unwrap_or_default();
    columns.extend(restrictive.into_iter().flat_map(compared));
    columns.sort();
    columns.dedup();
    columns
}

/// An existing index serves the same rows together with the conditions of the policies: `(tenant_id, code)` serves
/// `code`.
pub fn is_served_through_policies(table: &Table, def: &IndexDef, compared: &[String]) -> bool {
    let is_compared = |key: &IndexKey| key.is_column && compared.contains(&key.expression);
    let others = |keys: &'_ [IndexKey]| -> Vec<IndexKey> {
        keys.iter().filter(|key| !is_compared(key)).cloned().collect()
    };
    let own = others(&def.keys);
    let is_plain =
        def.method == AccessMethod::Btree && def.predicate.is_none() && def.include.is_empty();
    let serves = |index: &Index| {
        index.valid
            && index.def.method == AccessMethod::Btree
            && index.def.predicate.is_none()
            && index.def.keys.first().is_some_and(is_compared)
            && others(&index.def.keys).starts_with(&own)
    };
    !compared.is_empty() && is_plain && table.indexes.iter().any(serves)
}
