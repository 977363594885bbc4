//! The weight of each statement in the choice: its share of the observed time.

use std::collections::HashMap;

use super::what_if::{Costs, Set};
use crate::model::workload::Workload;

/// Time of one unit of planner cost where no time was observed, microseconds: a page from cache.
const COST_UNIT_US: f64 = 10.0;
/// Longest time of one unit of planner cost, microseconds: a page read at random from a disk. A longer observed time
/// does not belong to the current plan, as in a log that is older than the indexes.
const MOST_UNIT_US: f64 = 100.0;
/// Part of the whole time that one statement counts for at most when space is priced.
const MOST_OF_ONE_STATEMENT: f64 = 0.05;
/// Steps in which the whole time is evened out: after so many it hardly changes any more.
const EVENING_STEPS: usize = 40;

/// The statements that some candidate can matter to, with their time.
pub fn weighed(
    workload: &Workload,
    costs: &mut Costs<'_>,
    relevant: &HashMap<usize, Set>,
) -> Vec<WeightedStatement> {
    let mut queries: Vec<usize> = relevant.keys().copied().collect();
    queries.sort_unstable();
    let costed: Vec<(usize, f64)> =
        queries.into_iter().filter_map(|query| Some((query, costs.cost(query, &[])?))).collect();
    let observed = |query: usize| {
        let query = &workload.queries[query];
        (query.calls as f64, query.total_us as f64 / query.calls.max(1) as f64)
    };
    let pace = pace(costed.iter().map(|(query, cost)| (observed(*query).1, *cost)));
    let weigh = |(query, cost): (usize, f64)| {
        let (calls, mean_us) = observed(query);
        let believed_us = believed_us(calls, mean_us, cost * pace);
        let weight = calls * believed_us.min(cost * MOST_UNIT_US);
        WeightedStatement { query, weight, cost, least_change: calls * LEAST_CHANGE_US }
    };
    costed.into_iter().map(weigh).collect()
}

/// Time of one unit of planner cost in this workload, microseconds: the median of its statements.
fn pace(statements: impl Iterator<Item = (f64, f64)>) -> f64 {
    let timed = statements.filter(|(mean_us, cost)| *mean_us > 0.0 && *cost > 0.0);
    let mut paces: Vec<f64> = timed.map(|(mean_us, cost)| mean_us / cost).collect();
    paces.sort_by(f64::total_cmp);
    paces.get(paces.len() / 2).copied().unwrap_or(COST_UNIT_US)
}

/// The time of a statement: observed over its calls, with the planner's estimate as one call more. A statement
/// that ran once may have met a cold cache or a lock; the logarithms of such times scatter about as widely as
/// those of what the planner misjudges, so both are averaged by their number.
fn believed_us(calls: f64, mean_us: f64, planned_us: f64) -> f64 {
    match (mean_us > 0.0, planned_us > 0.0) {
        (true, true) => ((calls * mean_us.ln() + planned_us.ln()) / (calls + 1.0)).exp(),
        (true, false) => mean_us,
        _ => planned_us,
    }
}

/// Time of all statements, none of which counts for more than a part of it. A statement that takes most
/// of the time is cured by one index; it shall not make the indexes of all the others look dear.
pub fn damped(weights: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let part = MOST_OF_ONE_STATEMENT.max(2.0 / weights.len().max(1) as f64);
    let mut whole: f64 = weights.clone().sum();
    // Falls towards the one value that fits: each step takes off at most what one statement has too much.
    for _ in 0..EVENING_STEPS {
        let most = part * whole;
        whole = weights.clone().map(|weight| weight.min(most)).sum();
    }
    whole
}

/// A statement as the selection sees it.
#[derive(Debug, Clone)]
pub struct WeightedStatement {
    /// Position in the workload.
    pub query: usize,
    /// Its present cost, in units that all statements share.
    pub weight: f64,
    /// Its cost with nothing added.
    pub cost: f64,
    /// The least change of its weight that counts: [`LEAST_CHANGE_US`] for each execution.
    pub least_change: f64,
}

/// The least change of one execution that counts, microseconds: half of what every execution takes whatever its
/// plan. Between two plans that both find their rows at once the planner decides by what it assumes of the cache
/// and of the order of rows on disk.
pub const LEAST_CHANGE_US: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::{COST_UNIT_US, believed_us, damped, pace};

    #[test]
    fn what_ran_often_is_believed_and_what_ran_once_is_weighed_against_the_plan() {
        assert!((believed_us(1.0, 60_000_000.0, 600_000.0) - 6_000_000.0).abs() < 1.0);
        let often = believed_us(10_000.0, 60_000_000.0, 600_000.0);
        assert!((often / 60_000_000.0 - 1.0).abs() < 0.001, "{often}");
    }

    #[test]
    fn the_plan_counts_alone_where_no_time_was_observed_and_the_time_where_there_is_no_plan() {
        assert_eq!(believed_us(5.0, 0.0, 70.0), 70.0);
        assert_eq!(believed_us(5.0, 70.0, 0.0), 70.0);
    }

    #[test]
    fn the_pace_is_the_median_of_the_timed_and_assumed_where_nothing_is_timed() {
        let timed = [(100.0, 10.0), (0.0, 10.0), (9_000.0, 10.0), (200.0, 10.0)];
        assert_eq!(pace(timed.into_iter()), 20.0);
        assert_eq!(pace([(0.0, 10.0)].into_iter()), COST_UNIT_US);
    }

    #[test]
    fn one_statement_that_takes_nearly_all_counts_for_a_part_of_it() {
        let mut weights = vec![1.0; 95];
        weights.push(1e9);
        let whole = damped(weights.into_iter());
        assert!((whole - 100.0).abs() < 0.01, "{whole}");
    }
}
