//! Costs and statistics from the planner of a server.

use std::collections::{HashMap, HashSet};

use super::explain;
use super::planning::Planning;
use crate::model::catalog::{Column, Table};
use crate::model::index::IndexDef;
use crate::model::name::TableName;
use crate::model::plan::{Plan, PlannedScan};
use crate::model::whatif::{Distinct, KeyGroups, PlanCost, RowGroups, Statistics, WhatIf};
use crate::model::workload::literal::Literal;
use crate::model::workload::{Query, Sample};
use crate::pg::catalog::distinct::{Counting, distinct, groups, longest, measured};
use crate::pg::catalog::gin_keys::keys;
use crate::pg::connect::caller::Caller;
use crate::pg::error::PgError;
use crate::sql::lex::identifier::quote_table;
use crate::sql::rewrite::for_replay::with_integers;

/// Part of the executions with parameters that is taken to run by the plan for none in particular, where the
/// server would choose that plan: most drivers never let it come to that.
const GENERIC_SHARE: f64 = 0.25;
/// The cost that the server adds to a custom plan for each execution: once for each relation and once more
/// (`cached_plan_cost` in PostgreSQL's `plancache.c`).
const PLANNING_COST: f64 = 2.5;

/// The planner of a server.
pub struct PlannerCosts<'c> {
    pub planning: Planning<'c>,
    /// Plans asked for so far.
    asked: u64,
    /// For each text that was asked about: as the server takes it, and how many parameters it has.
    parameters: HashMap<String, (String, usize)>,
    /// Texts that cannot be planned for no parameters in particular.
    custom_only: HashSet<String>,
}

/// A plan, and the part of all executions that run by it.
type Shared = (Plan, f64);

impl<'c> PlannerCosts<'c> {
    pub fn new(planning: Planning<'c>) -> Self {
        PlannerCosts { planning, asked: 0, parameters: HashMap::new(), custom_only: HashSet::new() }
    }

    /// Returns the estimated cost of a statement: the mean over its typical executions and, where there is none,
    /// or where a server that has prepared the statement would come to use it, the plan for no parameters in
    /// particular. `position` tells which of the offered indexes a name means.
    ///
    /// # Errors
    /// A sentence when the server cannot plan the statement.
    pub fn planned(
        &mut self,
        query: &Query,
        position: impl Fn(&str) -> Option<usize>,
    ) -> Result<PlanCost, String> {
        let plans = self.plans(query).map_err(|error| error.to_string())?;
        let mut planned = PlanCost::default();
        for (plan, share) in &plans {
            planned.cost += plan.cost * share;
            planned.full_cost += plan.full_cost * share;
            planned.rows += plan.expected_rows * share;
            for name in &plan.indexes {
                match position(name) {
                    Some(at) if !planned.used.contains(&at) => planned.used.push(at),
                    None if !planned.present.contains(name) => planned.present.push(name.clone()),
                    _ => {}
                }
            }
        }
        planned.used.sort_unstable();
        planned.scans = scans(&plans);
        Ok(planned)
    }

    fn counting<'a>(&'a self, caller: &'a Caller) -> Counting<'a> {
        Counting { connection: self.planning.connection, caller }
    }

    fn plans(&mut self, query: &Query) -> Result<Vec<Shared>, PgError> {
        let planning = self.planning;
        let Planning { connection, typicals, .. } = planning;
        let (caller, typicals) = typicals.of(connection, query, || planning.caller(query))?;
        self.asked += typicals.len() as u64;
        let mut plans = typicals
            .iter()
            .map(|typical| {
                let plan = explain::estimated(connection, &caller, &query.samples[typical.at])?;
                Ok((plan, typical.share))
            })
            .collect::<Result<Vec<Shared>, PgError>>()?;
        if plans.is_empty() {
            self.asked += 1;
            return Ok(vec![(self.generic(&caller, &query.normalized)?, 1.0)]);
        }
        // What is written out in the text of an execution stays as it is.
        let prepared = query.samples.iter().find(|sample| !sample.parameters.is_empty());
        let text = prepared.map(|sample| sample.text.clone());
        if let Some(text) = text.filter(|text| !self.custom_only.contains(&**text)) {
            self.asked += 1;
            match self.generic(&caller, &text) {
                Ok(generic) if is_chosen(&generic, &plans) => {
                    plans.iter_mut().for_each(|(_, share)| *share *= 1.0 - GENERIC_SHARE);
                    plans.push((generic, GENERIC_SHARE));
                }
                Ok(_) => {}
                Err(error) if !error.ends_the_run() => {
                    self.custom_only.insert(text.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(plans)
    }

    fn generic(&mut self, caller: &Caller, text: &str) -> Result<Plan, PgError> {
        if !self.parameters.contains_key(text) {
            let known = self.typed(caller, text)?;
            self.parameters.insert(text.to_owned(), known);
        }
        let (typed, count) = &self.parameters[text];
        explain::generic(self.planning.connection, caller, typed, *count)
    }

    /// The text as the server takes it, and how many parameters it has. Where a constant was taken out that alone told
    /// the type of something, the server finds no operator for it.
    fn typed(&self, caller: &Caller, text: &str) -> Result<(String, usize), PgError> {
        let connection = self.planning.connection;
        let error = match explain::parameters(connection, caller, text) {
            Ok(count) => return Ok((text.to_owned(), count)),
            Err(error) if !error.ends_the_run() => error,
            Err(error) => return Err(error),
        };
        let typed = with_integers(text).ok_or_else(|| error.clone())?;
        match explain::parameters(connection, caller, &typed) {
            Ok(count) => Ok((typed, count)),
            Err(again) if !again.ends_the_run() => Err(error),
            Err(again) => Err(again),
        }
    }
}

/// The server would use this plan for all parameters rather than one of its own for each.
fn is_chosen(generic: &Plan, plans: &[Shared]) -> bool {
    let own = |plan: &Plan| plan.cost + PLANNING_COST * (plan.scans.len() + 1) as f64;
    generic.cost < plans.iter().map(|(plan, share)| own(plan) * share).sum::<f64>()
}

/// The first scan of each relation: the mean over the plans.
fn scans(plans: &[Shared]) -> Vec<PlannedScan> {
    let mut all: Vec<PlannedScan> = Vec::new();
    for (plan, share) in plans {
        for (at, scan) in plan.scans.iter().enumerate() {
            if plan.scans[..at].iter().any(|first| first.relation == scan.relation) {
                continue;
            }
            let (rows, cost) = (scan.rows * share, scan.cost * share);
            match all.iter_mut().find(|known| known.relation == scan.relation) {
                Some(known) => {
                    known.rows += rows;
                    known.cost += cost;
                    known.by_index &= scan.by_index;
                }
                None => all.push(PlannedScan { rows, cost, ..scan.clone() }),
            }
        }
    }
    all
}

impl Statistics for PlannerCosts<'_> {
    fn rows(
        &mut self,
        table: &TableName,
        condition: &str,
        parameters: &[Literal],
    ) -> Result<f64, String> {
        self.asked += 1;
        let text = format!("SELECT 1 FROM {} WHERE {condition}", quote_table(table));
        let sample = Sample { text: text.into(), parameters: parameters.to_vec() };
        let Planning { connection, callers, .. } = self.planning;
        let plan = explain::estimated(connection, callers.path(), &sample)
            .map_err(|error| error.to_string())?;
        let rows = plan.scans.iter().map(|scan| scan.rows).reduce(|a, b| a + b);
        rows.ok_or_else(|| "the plan scans no table".to_owned())
    }

    fn distinct(&mut self, table: &Table, column: &str) -> Option<Distinct> {
        let caller = self.planning.counts_as(table, &[])?;
        distinct(self.counting(&caller), table, column)
    }

    fn measured(&mut self, table: &Table, expression: &str) -> Option<Column> {
        let caller = self.planning.counts_as(table, &[expression])?;
        measured(self.counting(&caller), table, expression)
    }

    fn longest(&mut self, table: &Table, expressions: &[String]) -> Option<Vec<u32>> {
        let all: Vec<&str> = expressions.iter().map(String::as_str).collect();
        let caller = self.planning.counts_as(table, &all)?;
        longest(self.counting(&caller), table, expressions)
    }

    fn groups(
        &mut self,
        table: &Table,
        columns: &[&str],
        condition: Option<&str>,
    ) -> Option<Vec<RowGroups>> {
        let caller = self.planning.counts_as(table, condition.as_slice())?;
        groups(self.counting(&caller), table, columns, condition)
    }

    fn keys(&mut self, table: &Table, index: &IndexDef) -> Option<Vec<KeyGroups>> {
        let keys_sql = index.keys.iter().filter(|key| !key.is_column).map(|key| &key.expression);
        let all: Vec<&str> = keys_sql.chain(&index.predicate).map(String::as_str).collect();
        let caller = self.planning.counts_as(table, &all)?;
        keys(self.counting(&caller), table, index)
    }
}

/// Costs with the existing indexes only: used without HypoPG, when candidates are built.
impl WhatIf for PlannerCosts<'_> {
    fn check(&mut self, _: &IndexDef) -> Result<(), String> {
        Err("HypoPG is not installed".to_owned())
    }

    fn plan(&mut self, query: &Query, _: &[&IndexDef]) -> Result<PlanCost, String> {
        self.planned(query, |_| None)
    }

    fn statistics(&mut self) -> &mut dyn Statistics {
        self
    }

    fn name(&self) -> &'static str {
        "the planner"
    }

    fn asked(&self) -> u64 {
        self.asked
    }
}
