//! Plans and costs, with real and with hypothetical indexes.
//!
//! In: statements and indexes. Out: plans and costs. Implements `model::whatif`.
//! Never: an index that outlives its transaction.

pub mod build_index;
pub mod explain;
pub mod hypopg;
pub mod plan_json;
pub mod planner_costs;
pub mod planning;
pub mod representative;
