//! Planner costs with an index that is not there: HypoPG, or a build that is rolled back.

use std::time::{Duration, Instant};

use super::connect::Connection;
use super::distinct::distinct;
use super::error::PgError;
use super::explain;
use super::guard::Writable;
use crate::model::catalog::Table;
use crate::model::name::TableName;
use crate::model::plan::Plan;
use crate::model::recommendation::IndexPlan;
use crate::model::whatif::{
    Build as WhatIfByBuilding, Built, Distinct, Planned, PlannedScan, WhatIf,
};
use crate::model::workload::{Query, Sample};
use crate::sql::ident::quote_table;
use crate::sql::index_ddl::{Build, create, name};

/// No build begins later than this after the first: what a user waits for without a word.
const BUILDING: Duration = Duration::from_secs(300);
/// What a candidate is called while it is built; its own name may be taken.
const CANDIDATE: &str = "pgassay_candidate";
/// Executions of one statement that are planned: enough to see skew, few enough to stay quick.
const SAMPLES: usize = 3;

/// What the planner says of a statement: the mean over some of its executions, or, without any, the
/// plan for no parameters in particular. `position` tells which of the offered indexes a name means.
fn plan(
    connection: &Connection,
    query: &Query,
    asked: &mut u64,
    position: &dyn Fn(&str) -> Option<usize>,
) -> Result<Planned, String> {
    let plans: Result<Vec<Plan>, PgError> = if query.samples.is_empty() {
        explain::generic(connection, &query.normalized).map(|plan| vec![plan])
    } else {
        let step = query.samples.len().div_ceil(SAMPLES);
        query
            .samples
            .iter()
            .step_by(step)
            .map(|sample| explain::estimated(connection, sample))
            .collect()
    };
    let plans = plans.map_err(|error| error.to_string())?;
    *asked += plans.len() as u64;
    let count = plans.len().max(1) as f64;
    let mut planned = Planned::default();
    for plan in &plans {
        planned.cost += plan.cost / count;
        planned.full_cost += plan.full_cost / count;
        for at in plan.indexes.iter().filter_map(|name| position(name)) {
            if !planned.used.contains(&at) {
                planned.used.push(at);
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

/// Rows of a table that the planner expects to meet a condition.
fn rows(connection: &Connection, table: &TableName, condition: &str) -> Result<f64, String> {
    let text = format!("SELECT 1 FROM {} WHERE {condition}", quote_table(table));
    let sample = Sample { text: text.into(), parameters: Vec::new() };
    let plan = explain::estimated(connection, &sample).map_err(|error| error.to_string())?;
    let rows = plan.scans.iter().map(|(_, rows, _)| *rows).reduce(|a, b| a + b);
    rows.ok_or_else(|| "the plan scans no table".to_owned())
}

/// What-if by the HypoPG extension: nothing is built, nothing is locked.
pub struct HypoPg<'c> {
    connection: &'c Connection,
    schema: String,
    /// What the extension pretends to have at present.
    present: Vec<Pretended>,
    asked: u64,
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
        connection.batch(&format!("SELECT {schema}.hypopg_reset()"))?;
        Ok(Some(HypoPg { connection, schema, present: Vec::new(), asked: 0 }))
    }

    /// Makes the extension pretend these indexes and no others.
    fn arrange(&mut self, wanted: &[&IndexPlan]) -> Result<(), String> {
        let schema = &self.schema;
        let (connection, mut failed) = (self.connection, None);
        self.present.retain(|pretended| {
            let keep = wanted.contains(&&pretended.plan);
            if !keep {
                let drop = format!("SELECT {schema}.hypopg_drop_index($1)");
                failed = connection.query(&drop, &[&pretended.oid]).err().or(failed.take());
            }
            keep
        });
        if let Some(error) = failed {
            return Err(error.to_string());
        }
        for plan in wanted {
            if !self.present.iter().any(|pretended| pretended.plan == **plan) {
                let pretended = self.pretend(plan)?;
                self.present.push(pretended);
            }
        }
        Ok(())
    }

    fn pretend(&self, plan: &IndexPlan) -> Result<Pretended, String> {
        let statement = create(plan, &name(plan), Build::Plain);
        let schema = &self.schema;
        let row = self
            .connection
            .row(
                &format!(
                    "SELECT indexrelid, indexname::text FROM {schema}.hypopg_create_index($1)"
                ),
                &[&statement],
            )
            .map_err(|error| error.to_string())?;
        Ok(Pretended { plan: plan.clone(), oid: row.get(0), name: row.get(1) })
    }
}

impl WhatIf for HypoPg<'_> {
    fn check(&mut self, index: &IndexPlan) -> Result<(), String> {
        if matches!(index.method.as_str(), "gin" | "gist") {
            return Err(format!("HypoPG has no {} indexes; --build can cost them", index.method));
        }
        self.arrange(&[index])
    }

    fn plan(&mut self, query: &Query, indexes: &[&IndexPlan]) -> Result<Planned, String> {
        self.arrange(indexes)?;
        let present = &self.present;
        let position = |name: &str| {
            let pretended = present.iter().find(|pretended| pretended.name == name)?;
            indexes.iter().position(|index| **index == pretended.plan)
        };
        plan(self.connection, query, &mut self.asked, &position)
    }

    fn rows(&mut self, table: &TableName, condition: &str) -> Result<f64, String> {
        self.asked += 1;
        rows(self.connection, table, condition)
    }

    fn distinct(&mut self, table: &Table, column: &str) -> Option<Distinct> {
        distinct(self.connection, table, column)
    }

    fn method(&self) -> &'static str {
        "hypopg"
    }

    fn asked(&self) -> u64 {
        self.asked
    }
}

impl Drop for HypoPg<'_> {
    /// Other sessions never see what is pretended; ours shall not go on seeing it.
    fn drop(&mut self) {
        let _ = self.connection.batch(&format!("SELECT {}.hypopg_reset()", self.schema));
    }
}

/// The planner with what is there and nothing else: where HypoPG is missing and candidates are built.
pub struct RealPlanner<'c> {
    connection: &'c Connection,
    asked: u64,
}

impl<'c> RealPlanner<'c> {
    pub fn new(connection: &'c Connection) -> Self {
        RealPlanner { connection, asked: 0 }
    }
}

impl WhatIf for RealPlanner<'_> {
    fn check(&mut self, _: &IndexPlan) -> Result<(), String> {
        Err("HypoPG is not installed".to_owned())
    }

    fn plan(&mut self, query: &Query, _: &[&IndexPlan]) -> Result<Planned, String> {
        plan(self.connection, query, &mut self.asked, &|_| None)
    }

    fn rows(&mut self, table: &TableName, condition: &str) -> Result<f64, String> {
        self.asked += 1;
        rows(self.connection, table, condition)
    }

    fn distinct(&mut self, table: &Table, column: &str) -> Option<Distinct> {
        distinct(self.connection, table, column)
    }

    fn method(&self) -> &'static str {
        "rolled-back build"
    }

    fn asked(&self) -> u64 {
        self.asked
    }
}

/// What-if by building: the only way for GIN. Locks the table against writes while it builds, and rolls
/// back.
pub struct RolledBackBuild<'c> {
    connection: &'c Connection,
    lock_timeout_ms: u64,
    until: Instant,
}

impl<'c> RolledBackBuild<'c> {
    pub fn new(connection: &'c Connection, _: &Writable, lock_timeout_ms: u64) -> Self {
        RolledBackBuild { connection, lock_timeout_ms, until: Instant::now() + BUILDING }
    }

    fn inside(&self, index: &IndexPlan, queries: &[&Query]) -> Result<Built, String> {
        if Instant::now() > self.until {
            return Err(format!("the {} s for building were over", BUILDING.as_secs()));
        }
        let text = |error: PgError| error.to_string();
        let extension =
            if needs_trigrams(index) { "CREATE EXTENSION IF NOT EXISTS pg_trgm;" } else { "" };
        let started = Instant::now();
        self.connection
            .batch(&format!(
                "BEGIN READ WRITE; SET LOCAL lock_timeout = {}; {extension} {}",
                self.lock_timeout_ms,
                create(index, CANDIDATE, Build::Plain)
            ))
            .map_err(text)?;
        let build_ms = started.elapsed().as_secs_f64() * 1_000.0;
        let size: i64 = self
            .connection
            .row(
                "SELECT coalesce((SELECT sum(pg_relation_size(relid))::bigint FROM pg_partition_tree(c.oid)), \
                        pg_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = $2",
                &[&index.table.schema, &CANDIDATE],
            )
            .map_err(text)?
            .get(0);
        let position = |used: &str| (used == CANDIDATE).then_some(0);
        let mut plans = Vec::new();
        for query in queries {
            // A statement that cannot be planned aborts the transaction; a savepoint keeps the index.
            self.connection.batch("SAVEPOINT pgassay").map_err(text)?;
            let planned = plan(self.connection, query, &mut 0, &position).ok();
            self.connection.batch("ROLLBACK TO pgassay").map_err(text)?;
            plans.push(planned);
        }
        Ok(Built { size_bytes: u64::try_from(size).unwrap_or(0), build_ms, plans })
    }
}

impl WhatIfByBuilding for RolledBackBuild<'_> {
    fn alone(&mut self, index: &IndexPlan, queries: &[&Query]) -> Result<Built, String> {
        let outcome = self.inside(index, queries);
        let rolled_back = self.connection.batch("ROLLBACK").map_err(|error| error.to_string());
        rolled_back.and(outcome)
    }
}

/// The index is made of trigrams, which an extension brings.
pub fn needs_trigrams(index: &IndexPlan) -> bool {
    index
        .keys
        .iter()
        .any(|key| key.operator_class.as_deref().is_some_and(|class| class.contains("trgm")))
}
