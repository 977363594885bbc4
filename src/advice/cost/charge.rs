//! The cost of one execution, from the planner's estimate.

use crate::model::whatif::PlanCost;

/// Part of what a statement would cost without stopping early that counts as its cost: the planner takes
/// the rows that a `LIMIT` waits for to lie evenly, and where they do not, the whole is paid.
const EARLY_STOP_DOUBT: f64 = 0.02;

/// The overhead of every execution, in the planner's unit: a tenth of a millisecond of protocol, parsing and
/// planning, where a page from cache takes a few microseconds.
pub const EACH_EXECUTION: f64 = 25.0;

/// Returns the charge of an execution: its plan's cost, corrected for early stops, and the overhead that every
/// execution has.
pub fn charged(planned: &PlanCost) -> f64 {
    let doubt = EARLY_STOP_DOUBT * (planned.full_cost - planned.cost).max(0.0);
    EACH_EXECUTION + planned.cost + doubt
}
