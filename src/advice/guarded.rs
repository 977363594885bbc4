//! What stands before an index where policies hold: until they have left a row to a role, a condition of its own
//! sees the row only if it is LEAKPROOF, and so no index finds rows by one that is not.
//!
//! Source: "Rules and Privileges" and "Row Security Policies" in the manual; `restriction_is_securely_promotable` of
//! the planner.

use crate::model::catalog::Table;
use crate::model::shape::{Key, Operator};
use crate::model::workload::Query;

/// Policies of the table hold for every role that executed the statement, and leave it not all rows.
pub fn is_guarded(query: &Query, table: &Table) -> bool {
    let is_bound = |user: &String| table.bound.contains(user);
    !query.users.is_empty() && query.users.iter().all(is_bound) && has_barrier(table)
}

/// Some condition of a policy stands before those of a statement. One that leaves all rows does not.
pub fn has_barrier(table: &Table) -> bool {
    let leaves_all = |using: &Option<String>| using.as_deref() == Some("true");
    let reads = |command: &str| matches!(command, "ALL" | "SELECT");
    let mut permissive = table.policies.iter().filter(|policy| policy.permissive);
    let mut restrictive = table.policies.iter().filter(|policy| !policy.permissive);
    let is_open = permissive.any(|policy| reads(&policy.command) && leaves_all(&policy.using))
        && restrictive.all(|policy| leaves_all(&policy.using));
    table.row_security && !table.policies.is_empty() && !is_open
}

/// The comparison is LEAKPROOF. Of an expression it is not, as most functions are not.
pub fn is_leakproof(table: &Table, key: &Key, operator: Operator) -> bool {
    use Operator::{Equal, In, IsNotNull, IsNull, NotEqual, Range};
    let storage = key.column().and_then(|name| table.column(name)?.storage);
    match operator {
        IsNull | IsNotNull => key.column().is_some(),
        Equal | In | NotEqual | Range => storage.is_some_and(|storage| storage.leakproof),
        _ => false,
    }
}
