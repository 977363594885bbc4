//! Planner costs with an index that is not there: HypoPG, or a build that is rolled back.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::built::{Built as BuiltIndex, build};
use super::connect::Connection;
use super::distinct::{distinct, groups, measured};
use super::error::PgError;
use super::explain;
use super::guard::Writable;
use super::inverted::keys;
use crate::model::catalog::{Column, Table};
use crate::model::name::TableName;
use crate::model::plan::Plan;
use crate::model::recommendation::IndexPlan;
use crate::model::shape::Shape;
use crate::model::whatif::{
    Build as WhatIfByBuilding, Built, Distinct, Groups, Keys, Planned, PlannedScan, Statistics,
    WhatIf,
};
use crate::model::workload::{Query, Sample};
use crate::sql::ident::quote_table;
use crate::sql::index_ddl::{Build, create, name};

/// What a candidate is called while it is built; its own name may be taken.
const CANDIDATE: &str = "pgassay_candidate";
/// Executions of one statement that are planned: enough to see skew, few enough to stay quick.
const SAMPLES: usize = 3;

/// The planner of a server.
struct Planner<'c> {
    connection: &'c Connection,
    /// Plans asked for so far.
    asked: u64,
    /// How many parameters a text has.
    parameters: HashMap<String, usize>,
    /// Texts that cannot be planned for no parameters in particular.
    custom_only: HashSet<String>,
}

impl<'c> Planner<'c> {
    fn new(connection: &'c Connection) -> Self {
        Planner { connection, asked: 0, parameters: HashMap::new(), custom_only: HashSet::new() }
    }

    /// What the planner says of a statement: the mean over some of its executions and, where it came with
    /// parameters, or there is no execution, the plan for none in particular: a server that has prepared
    /// the statement may come to use either. `position` tells which of the offered indexes a name means.
    fn plan(
        &mut self,
        query: &Query,
        position: impl Fn(&str) -> Option<usize>,
    ) -> Result<Planned, String> {
        let plans = self.plans(query).map_err(|error| error.to_string())?;
        self.asked += plans.len() as u64;
        let count = plans.len().max(1) as f64;
        let mut planned = Planned::default();
        for plan in &plans {
            planned.cost += plan.cost / count;
            planned.full_cost += plan.full_cost / count;
            for name in &plan.indexes {
                match position(name) {
                    Some(at) if !planned.used.contains(&at) => planned.used.push(at),
                    None if !planned.present.contains(name) => planned.present.push(name.clone()),
                    _ => {}
                }
            }
        }
        planned.used.sort_unstable();
        let scans = plans.first().map(|plan| plan.scans.clone()).unwrap_or_default();
        planned.scans = scans
            .into_iter()
            .map(|(relation, rows, cost)| PlannedScan { relation, rows, cost })
            .collect();
        Ok(planned)
    }

    fn plans(&mut self, query: &Query) -> Result<Vec<Plan>, PgError> {
        let step = query.samples.len().div_ceil(SAMPLES).max(1);
        let samples = query.samples.iter().step_by(step);
        let mut plans = samples
            .map(|sample| explain::estimated(self.connection, sample))
            .collect::<Result<Vec<Plan>, PgError>>()?;
        // What is written out in the text of an execution stays as it is.
        let prepared = query.samples.iter().find(|sample| !sample.parameters.is_empty());
        match prepared.map(|sample| &sample.text) {
            None if plans.is_empty() => plans.push(self.generic(&query.normalized)?),
            Some(text) if !self.custom_only.contains(&**text) => match self.generic(text) {
                Ok(plan) => plans.push(plan),
                Err(error) if error.sqlstate.is_some() => {
                    self.custom_only.insert(text.to_string());
                }
                Err(error) => return Err(error),
            },
            _ => {}
        }
        Ok(plans)
    }

    fn generic(&mut self, text: &str) -> Result<Plan, PgError> {
        let parameters = match self.parameters.get(text) {
            Some(known) => *known,
            None => {
                let count = explain::parameters(self.connection, text)?;
                self.parameters.insert(text.to_owned(), count);
                count
            }
        };
        explain::generic(self.connection, text, parameters)
    }
}

impl Statistics for Planner<'_> {
    fn rows(&mut self, table: &TableName, condition: &str) -> Result<f64, String> {
        self.asked += 1;
        let text = format!("SELECT 1 FROM {} WHERE {condition}", quote_table(table));
        let sample = Sample { text: text.into(), parameters: Vec::new() };
        let plan =
            explain::estimated(self.connection, &sample).map_err(|error| error.to_string())?;
        let rows = plan.scans.iter().map(|(_, rows, _)| *rows).reduce(|a, b| a + b);
        rows.ok_or_else(|| "the plan scans no table".to_owned())
    }

    fn distinct(&mut self, table: &Table, column: &str) -> Option<Distinct> {
        distinct(self.connection, table, column)
    }

    fn measured(&mut self, table: &Table, expression: &str) -> Option<Column> {
        measured(self.connection, table, expression)
    }

    fn groups(
        &mut self,
        table: &Table,
        columns: &[&str],
        condition: Option<&str>,
    ) -> Option<Vec<Groups>> {
        groups(self.connection, table, columns, condition)
    }

    fn keys(&mut self, table: &Table, index: &IndexPlan) -> Option<Vec<Keys>> {
        keys(self.connection, table, index)
    }
}

/// What-if by the HypoPG extension: nothing is built, nothing is locked.
pub struct HypoPg<'c> {
    planner: Planner<'c>,
    schema: String,
    /// What the extension pretends to have at present.
    present: Vec<Pretended>,
}

struct Pretended {
    plan: IndexPlan,
    oid: u32,
    name: String,
}

impl<'c> HypoPg<'c> {
    /// `None` when the extension is not installed in this database.
    ///
    /// # Errors
    /// The server's error.
    pub fn open(connection: &'c Connection) -> Result<Option<Self>, PgError> {
        let rows = connection.query(
            "SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
             WHERE e.extname = 'hypopg'",
            &[],
        )?;
        let Some(row) = rows.first() else { return Ok(None) };
        let schema = crate::sql::ident::quote(row.get(0));
        // pg_hint_plan looks up the names of all indexes that a hint leaves aside, and ends the server at one that
        // is pretended (its issue 205). Where it is not loaded the setting means nothing.
        connection.batch(&format!(
            "SET pg_hint_plan.enable_hint = off; SELECT {schema}.hypopg_reset()"
        ))?;
        Ok(Some(HypoPg { planner: Planner::new(connection), schema, present: Vec::new() }))
    }

    /// Makes the extension pretend these indexes and no others, in one exchange each way: a selection asks
    /// thousands of times.
    fn arrange(&mut self, wanted: &[&IndexPlan]) -> Result<(), String> {
        let schema = &self.schema;
        let is_wanted = |pretended: &Pretended| wanted.contains(&&pretended.plan);
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.present).into_iter().partition(is_wanted);
        self.present = kept;
        if !gone.is_empty() {
            let oids: Vec<u32> = gone.iter().map(|pretended| pretended.oid).collect();
            let drop = format!(
                "SELECT count({schema}.hypopg_drop_index(oid)) FROM unnest($1::oid[]) AS gone(oid)"
            );
            self.planner.connection.row(&drop, &[&oids]).map_err(|error| error.to_string())?;
        }
        let is_present = |plan: &IndexPlan| self.present.iter().any(|known| known.plan == *plan);
        let new: Vec<&IndexPlan> =
            wanted.iter().copied().filter(|plan| !is_present(plan)).collect();
        if !new.is_empty() {
            let pretended = self.pretend(&new)?;
            self.present.extend(pretended);
        }
        Ok(())
    }

    fn pretend(&self, plans: &[&IndexPlan]) -> Result<Vec<Pretended>, String> {
        let statements: Vec<String> =
            plans.iter().map(|plan| create(plan, &name(plan), Build::Plain)).collect();
        let schema = &self.schema;
        let create = format!(
            "SELECT made.indexrelid, made.indexname::text FROM unnest($1::text[]) WITH ORDINALITY \
             AS wanted(ddl, number), LATERAL {schema}.hypopg_create_index(wanted.ddl) AS made \
             ORDER BY wanted.number"
        );
        let rows = self
            .planner
            .connection
            .query(&create, &[&statements])
            .map_err(|error| error.to_string())?;
        let pretended = |(plan, row): (&&IndexPlan, &Row)| Pretended {
            plan: (*plan).clone(),
            oid: row.get(0),
            name: row.get(1),
        };
        Ok(plans.iter().zip(&rows).map(pretended).collect())
    }
}

impl WhatIf for HypoPg<'_> {
    fn check(&mut self, index: &IndexPlan) -> Result<(), String> {
        if index.is_inverted() {
            return Err(format!("HypoPG has no {} indexes; --build can cost them", index.method));
        }
        self.arrange(&[index])?;
        // Others ask the same session, and are not to see it.
        self.arrange(&[])
    }

    /// HypoPG leaves the columns of a condition and of an expression as those of the first relation of the query
    /// (`hypo_injectHypotheticalIndex` copies them without `ChangeVarNodes`). At any other place the planner finds
    /// no use for such an index, or the wrong one; and where HypoPG estimates how many rows meet the condition, it
    /// reads behind the end of an array, which can end the server.
    fn sees(&self, index: &IndexPlan, shape: &Shape) -> Result<(), String> {
        let is_plain = index.predicate.is_none() && index.keys.iter().all(|key| key.is_column);
        if is_plain || shape.first.as_ref() == Some(&index.table) {
            return Ok(());
        }
        let kind =
            if index.predicate.is_some() { "partial indexes" } else { "indexes on expressions" };
        Err(format!(
            "HypoPG shows {kind} only of the table that a statement names first, and not of partitions; \
             --build can cost them"
        ))
    }

    fn plan(&mut self, query: &Query, indexes: &[&IndexPlan]) -> Result<Planned, String> {
        self.arrange(indexes)?;
        let present = &self.present;
        let position = |name: &str| {
            let pretended = present.iter().find(|pretended| pretended.name == name)?;
            indexes.iter().position(|index| **index == pretended.plan)
        };
        self.planner.plan(query, position)
    }

    fn statistics(&mut self) -> &mut dyn Statistics {
        &mut self.planner
    }

    fn name(&self) -> &'static str {
        "HypoPG"
    }

    fn asked(&self) -> u64 {
        self.planner.asked
    }
}

impl Drop for HypoPg<'_> {
    /// Other sessions never see what is pretended; ours shall not go on seeing it.
    fn drop(&mut self) {
        let reset =
            format!("SELECT {}.hypopg_reset(); RESET pg_hint_plan.enable_hint", self.schema);
        let _ = self.planner.connection.batch(&reset);
    }
}

/// The planner with what is there and nothing else: where HypoPG is missing and candidates are built.
pub struct RealPlanner<'c> {
    planner: Planner<'c>,
}

impl<'c> RealPlanner<'c> {
    pub fn new(connection: &'c Connection) -> Self {
        RealPlanner { planner: Planner::new(connection) }
    }
}

impl WhatIf for RealPlanner<'_> {
    fn check(&mut self, _: &IndexPlan) -> Result<(), String> {
        Err("HypoPG is not installed".to_owned())
    }

    fn plan(&mut self, query: &Query, _: &[&IndexPlan]) -> Result<Planned, String> {
        self.planner.plan(query, |_| None)
    }

    fn statistics(&mut self) -> &mut dyn Statistics {
        &mut self.planner
    }

    fn name(&self) -> &'static str {
        "the planner"
    }

    fn asked(&self) -> u64 {
        self.planner.asked
    }
}

/// How much may be built, and how long.
#[derive(Debug, Clone, Copy)]
pub struct BuildRoom {
    pub lock_timeout_ms: u64,
    /// From the first build to the end of the last.
    pub time: Duration,
    /// Estimated size of the largest index.
    pub size_bytes: u64,
}

/// What-if by building: the only way for GIN. Locks the table against writes while it builds, and rolls
/// back.
pub struct RolledBackBuild<'c> {
    connection: &'c Connection,
    planner: Planner<'c>,
    room: BuildRoom,
    /// When the first build began.
    began: Option<Instant>,
    /// For each candidate that was not built, why.
    refused: Vec<String>,
}

impl<'c> RolledBackBuild<'c> {
    pub fn new(connection: &'c Connection, _: &Writable, room: BuildRoom) -> Self {
        let planner = Planner::new(connection);
        RolledBackBuild { connection, planner, room, began: None, refused: Vec::new() }
    }

    /// How many candidates were not built, and why, in one sentence; `None` if all were.
    pub fn not_built(&self) -> Option<String> {
        let first = self.refused.first()?;
        let count = self.refused.len();
        let plural = if count == 1 { " was" } else { "s were" };
        Some(format!("{count} candidate{plural} not built; the first: {first}"))
    }

    fn inside(
        &mut self,
        index: &IndexPlan,
        size_bytes: f64,
        queries: &[&Query],
    ) -> Result<Built, String> {
        let BuildRoom { lock_timeout_ms, time, size_bytes: most_bytes } = self.room;
        if size_bytes > most_bytes as f64 {
            return Err("it would be larger than --build-size allows".to_owned());
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let left_ms = time.saturating_sub(began.elapsed()).as_millis();
        if left_ms == 0 {
            return Err(format!("the {} s of --build-time were over", time.as_secs()));
        }
        let text = |error: PgError| error.to_string();
        self.connection
            .batch(&format!(
                "BEGIN READ WRITE; SET LOCAL lock_timeout = {lock_timeout_ms}; \
                 SET LOCAL statement_timeout = {left_ms}"
            ))
            .map_err(text)?;
        let BuiltIndex { build_ms, size_bytes, names } = build(self.connection, index, CANDIDATE)
            .map_err(|error| {
            match error.sqlstate.as_deref() {
                Some("57014") => format!("the {} s of --build-time were over", time.as_secs()),
                _ => error.to_string(),
            }
        })?;
        let position = |used: &str| names.iter().any(|name| name == used).then_some(0);
        let mut plans = Vec::new();
        for query in queries {
            // A statement that cannot be planned aborts the transaction; a savepoint keeps the index.
            self.connection.batch("SAVEPOINT pgassay").map_err(text)?;
            let planned = self.planner.plan(query, position).ok();
            self.connection.batch("ROLLBACK TO pgassay").map_err(text)?;
            plans.push(planned);
        }
        Ok(Built { size_bytes, build_ms, plans })
    }
}

impl WhatIfByBuilding for RolledBackBuild<'_> {
    fn alone(
        &mut self,
        index: &IndexPlan,
        size_bytes: f64,
        queries: &[&Query],
    ) -> Result<Built, String> {
        let outcome = self.inside(index, size_bytes, queries);
        let rolled_back = self.connection.batch("ROLLBACK").map_err(|error| error.to_string());
        let outcome = rolled_back.and(outcome);
        if let Err(why) = &outcome {
            self.refused.push(format!("{}: {why}", name(index)));
        }
        outcome
    }
}
