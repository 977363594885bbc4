//! What a planner says of the recommendations.

use std::collections::HashMap;

use crate::model::recommendation::{Estimate, Kind, Recommendation, State};
use crate::model::shape::{Shape, StatementKind};
use crate::model::whatif::WhatIf;
use crate::model::workload::Workload;

/// Share of the cost that must go for an index to be worth a trial: below it, the estimate is within
/// its own error.
const SMALLEST_GAIN: f64 = 0.02;

/// Fills `estimated` of every `create-index`, and rejects those that the planner would not use.
///
/// The costs are sums over the statements that scan the table: calls × planner cost. They are the
/// planner's unit, not time.
pub fn estimate(
    recommendations: &mut [Recommendation],
    workload: &Workload,
    shapes: &[Option<Shape>],
    whatif: &mut dyn WhatIf,
) {
    let mut before: HashMap<usize, Option<f64>> = HashMap::new();
    for recommendation in recommendations.iter_mut().filter(|r| r.kind == Kind::CreateIndex) {
        let Some(plan) = recommendation.index.clone() else { continue };
        // Only statements that scan the table can change; the others need not be planned again.
        let concerned: Vec<usize> = shapes
            .iter()
            .enumerate()
            .filter(|(_, shape)| {
                shape.as_ref().is_some_and(|shape| {
                    shape.kind == StatementKind::Select
                        && shape.scans.iter().any(|scan| scan.table == plan.table)
                })
            })
            .map(|(at, _)| at)
            .collect();
        for at in &concerned {
            before.entry(*at).or_insert_with(|| whatif.cost(&workload.queries[*at]).ok());
        }
        let planned: Vec<usize> = concerned
            .into_iter()
            .filter(|at| before.get(at).copied().flatten().is_some())
            .collect();
        let queries: Vec<_> = planned.iter().map(|at| &workload.queries[*at]).collect();
        match whatif.costs_with(&plan, &queries) {
            Ok(with) => {
                let (mut cost_before, mut cost_after) = (0.0, 0.0);
                for (at, after) in planned.iter().zip(&with.costs) {
                    let (Some(Some(cost)), Some(after)) = (before.get(at), after) else { continue };
                    let calls = workload.queries[*at].calls as f64;
                    cost_before += calls * cost;
                    cost_after += calls * after;
                }
                recommendation.estimated = Some(Estimate {
                    cost_before,
                    cost_after,
                    size_bytes: with.size_bytes,
                    write_overhead_pct: None,
                });
                if cost_after > cost_before * (1.0 - SMALLEST_GAIN) {
                    recommendation.state = State::Rejected;
                    recommendation.why = Some(format!(
                        "the planner would hardly use it: cost {cost_before:.0} before, {cost_after:.0} with it ({})",
                        whatif.method()
                    ));
                }
            }
            Err(why) => recommendation.why = Some(format!("no estimate: {why}")),
        }
    }
}

/// Says why there is no estimate, where no planner could be asked.
pub fn without_planner(recommendations: &mut [Recommendation], why: &str) {
    for recommendation in recommendations.iter_mut() {
        if recommendation.kind == Kind::CreateIndex && recommendation.why.is_none() {
            recommendation.why = Some(format!("no estimate: {why}"));
        }
    }
}
