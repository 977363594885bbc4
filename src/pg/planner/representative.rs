//! Selects the executions of a statement that are planned, in place of all that were kept.
//!
//! Executions with similar row estimates form one group. One execution of each group is planned, weighted by the
//! size of its group.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::explain;
use crate::model::plan::Plan;
use crate::model::workload::fingerprint::Fingerprint;
use crate::model::workload::{Query, Sample};
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;

/// Executions of one statement that are looked at, at most.
const LOOKED_AT: usize = 16;
/// The same once the statements are many.
const LOOKED_AT_OF_MANY: usize = 3;
/// Looks after which the statements are many: some seconds of waiting.
const MANY: usize = 10_000;
/// Kinds of executions that are told apart, at most: each is planned for each question.
const KINDS: usize = 4;
/// Estimates of two executions of one kind differ by less than this factor.
const ALIKE: f64 = 4.0;
/// Fewer rows are all one: they are found at once.
const FEW_ROWS: f64 = 10.0;
/// A plan of less cost takes no time to speak of.
const LITTLE_COST: f64 = 25.0;

/// An execution that stands for others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Representative {
    /// Position among the samples of its statement.
    pub at: usize,
    /// Part of all executions that it stands for.
    pub share: f64,
}

/// A statement, by the first of its executions as well: of some statements each part is asked for by itself.
type Statement = (Fingerprint, Option<Sample>);

/// Who executes a statement, and its typical executions.
type Executions = (Caller, Rc<[Representative]>);

/// The typical executions of the statements that were asked for so far.
#[derive(Default)]
pub struct Representatives {
    known: RefCell<HashMap<Statement, Executions>>,
    looks: Cell<usize>,
}

impl Representatives {
    /// Who executes a statement, and its typical executions; none where none was kept. Executions that cannot be planned
    /// are left out. `caller` is asked for once for each statement.
    ///
    /// # Errors
    /// That of `caller`, or the server's where no execution can be planned, or where the server is gone.
    pub fn of(
        &self,
        connection: &Connection,
        query: &Query,
        caller: impl FnOnce() -> Result<Caller, PgError>,
    ) -> Result<Executions, PgError> {
        let key = (query.fingerprint, query.samples.first().cloned());
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        let caller = caller()?;
        let most = if self.looks.get() < MANY { LOOKED_AT } else { LOOKED_AT_OF_MANY };
        let step = query.samples.len().div_ceil(most).max(1);
        let mut looked_at: Vec<(usize, Expected)> = Vec::new();
        let mut refused = None;
        for (at, sample) in query.samples.iter().enumerate().step_by(step) {
            self.looks.set(self.looks.get() + 1);
            match explain::estimated(connection, &caller, sample) {
                Ok(plan) => looked_at.push((at, Expected::of(&plan))),
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused.filter(|_| looked_at.is_empty()) {
            return Err(error);
        }
        let typical: Rc<[Representative]> = typical(&looked_at).into();
        self.known.borrow_mut().insert(key, (caller.clone(), typical.clone()));
        Ok((caller, typical))
    }
}

/// The planner's expectation for an execution.
struct Expected {
    /// Estimated rows of all scans of each relation.
    rows: BTreeMap<String, f64>,
    cost: f64,
}

impl Expected {
    fn of(plan: &Plan) -> Expected {
        let mut rows = BTreeMap::new();
        for scan in &plan.scans {
            *rows.entry(scan.relation.clone()).or_insert(0.0) += scan.rows;
        }
        Expected { rows, cost: plan.full_cost }
    }

    /// The largest factor between what is expected of the one and of the other.
    fn factor(&self, other: &Expected) -> f64 {
        let factor = |a: f64, b: f64, least: f64| {
            let (a, b) = (a.max(least), b.max(least));
            (a / b).max(b / a)
        };
        let rows = |of: &Expected, relation: &str| of.rows.get(relation).copied().unwrap_or(0.0);
        let relations = self.rows.keys().chain(other.rows.keys());
        relations
            .map(|relation| factor(rows(self, relation), rows(other, relation), FEW_ROWS))
            .fold(factor(self.cost, other.cost, LITTLE_COST), f64::max)
    }
}

/// Executions that the planner takes for alike.
struct AlikeExecutions<'e> {
    /// Position of the first of them among the samples.
    at: usize,
    /// The estimates for the first execution.
    expected: &'e Expected,
    count: f64,
}

impl AlikeExecutions<'_> {
    fn cost(&self) -> f64 {
        self.count * self.expected.cost
    }
}

/// The first of each kind; of more kinds than can be told apart those that take the most.
fn typical(looked_at: &[(usize, Expected)]) -> Vec<Representative> {
    let mut kinds: Vec<AlikeExecutions<'_>> = Vec::new();
    for (at, expected) in looked_at {
        match kinds.iter_mut().find(|kind| kind.expected.factor(expected) < ALIKE) {
            Some(kind) => kind.count += 1.0,
            None => kinds.push(AlikeExecutions { at: *at, expected, count: 1.0 }),
        }
    }
    kinds.sort_by(|a, b| b.cost().total_cmp(&a.cost()));
    let others = kinds.split_off(kinds.len().min(KINDS));
    for other in others {
        let factor = |kind: &AlikeExecutions<'_>| kind.expected.factor(other.expected);
        let nearest = kinds.iter_mut().min_by(|a, b| factor(a).total_cmp(&factor(b)));
        nearest.into_iter().for_each(|kind| kind.count += other.count);
    }
    let all = looked_at.len() as f64;
    kinds.iter().map(|kind| Representative { at: kind.at, share: kind.count / all }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn execution(rows: f64, cost: f64) -> Expected {
        Expected { rows: BTreeMap::from([("feed".to_owned(), rows)]), cost }
    }

    fn typical_of(executions: &[(f64, f64)]) -> Vec<(usize, f64)> {
        let looked_at: Vec<(usize, Expected)> =
            executions.iter().map(|(rows, cost)| execution(*rows, *cost)).enumerate().collect();
        typical(&looked_at).iter().map(|typical| (typical.at, typical.share)).collect()
    }

    #[test]
    fn what_finds_about_as_many_rows_is_planned_once() {
        assert_eq!(typical_of(&[(1.0, 500.0), (9.0, 500.0), (30.0, 520.0)]), [(0, 1.0)]);
    }

    #[test]
    fn what_finds_many_more_rows_is_planned_for_itself_and_counts_for_as_many_as_there_are() {
        let few = (3.0, 900.0);
        let many = (80_000.0, 990.0);
        assert_eq!(typical_of(&[few, few, many, few]), [(0, 0.75), (2, 0.25)]);
    }

    #[test]
    fn of_many_kinds_the_dearest_stay_and_the_rest_is_with_the_nearest() {
        let kinds: Vec<(f64, f64)> =
            (1..=6).map(|kind| (10_f64.powi(kind), 100.0 * 10_f64.powi(kind))).collect();
        let found = typical_of(&kinds);
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [5, 4, 3, 2]);
        assert!((found.iter().map(|(_, share)| share).sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(found[3].1, 0.5);
    }

    #[test]
    fn nothing_stands_for_nothing() {
        assert!(typical_of(&[]).is_empty());
    }
}
