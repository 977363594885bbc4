//! Planner costs with an index that is not there: HypoPG, or a build that is rolled back.

use super::connect::Connection;
use super::error::PgError;
use super::explain;
use super::guard::Writable;
use crate::model::recommendation::IndexPlan;
use crate::model::whatif::{WhatIf, WithIndex};
use crate::model::workload::Query;
use crate::sql::index_ddl::{Build, create, name};

/// Executions of one statement whose cost is asked for: enough to see skew, few enough to stay quick.
const SAMPLES: usize = 5;

/// The planner's cost of a statement: the mean over some of its executions, or, without any, of the
/// plan for no parameters in particular.
fn cost(connection: &Connection, query: &Query) -> Result<f64, String> {
    if query.samples.is_empty() {
        return explain::generic(connection, &query.normalized)
            .map(|plan| plan.cost)
            .map_err(|error| error.to_string());
    }
    let mut total = 0.0;
    let samples = &query.samples[..query.samples.len().min(SAMPLES)];
    for sample in samples {
        total += explain::estimated(connection, sample).map_err(|error| error.to_string())?.cost;
    }
    Ok(total / samples.len() as f64)
}

/// What-if by the HypoPG extension: nothing is built, nothing is locked.
pub struct HypoPg<'c> {
    connection: &'c Connection,
    schema: String,
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
        Ok(rows
            .first()
            .map(|row| HypoPg { connection, schema: crate::sql::ident::quote(row.get(0)) }))
    }

    fn reset(&self) -> Result<(), String> {
        self.connection
            .batch(&format!("SELECT {}.hypopg_reset()", self.schema))
            .map_err(|error| error.to_string())
    }
}

impl WhatIf for HypoPg<'_> {
    fn cost(&mut self, query: &Query) -> Result<f64, String> {
        cost(self.connection, query)
    }

    fn costs_with(&mut self, index: &IndexPlan, queries: &[&Query]) -> Result<WithIndex, String> {
        if matches!(index.method.as_str(), "gin" | "gist") {
            return Err(format!("HypoPG has no {} indexes; --build can cost them", index.method));
        }
        self.reset()?;
        let statement = create(index, &name(index), Build::Plain);
        let schema = &self.schema;
        let row = self
            .connection
            .row(
                &format!(
                    "SELECT {schema}.hypopg_relation_size(indexrelid) FROM {schema}.hypopg_create_index($1)"
                ),
                &[&statement],
            )
            .map_err(|error| error.to_string())?;
        let size: i64 = row.get(0);
        let costs = queries.iter().map(|query| cost(self.connection, query).ok()).collect();
        self.reset()?;
        Ok(WithIndex { costs, size_bytes: u64::try_from(size).ok() })
    }

    fn method(&self) -> &'static str {
        "hypopg"
    }
}

/// What-if by building: the only way for GIN, and where HypoPG is missing. Locks the table against
/// writes while it builds, and rolls back.
pub struct RolledBackBuild<'c> {
    connection: &'c Connection,
    lock_timeout_ms: u64,
}

impl<'c> RolledBackBuild<'c> {
    pub fn new(connection: &'c Connection, _: &Writable, lock_timeout_ms: u64) -> Self {
        RolledBackBuild { connection, lock_timeout_ms }
    }
}

impl WhatIf for RolledBackBuild<'_> {
    fn cost(&mut self, query: &Query) -> Result<f64, String> {
        cost(self.connection, query)
    }

    fn costs_with(&mut self, index: &IndexPlan, queries: &[&Query]) -> Result<WithIndex, String> {
        let outcome = self.inside(index, queries);
        let rolled_back = self.connection.batch("ROLLBACK").map_err(|error| error.to_string());
        rolled_back.and(outcome)
    }

    fn method(&self) -> &'static str {
        "rolled-back build"
    }
}

impl RolledBackBuild<'_> {
    fn inside(&self, index: &IndexPlan, queries: &[&Query]) -> Result<WithIndex, String> {
        let text = |error: PgError| error.to_string();
        let name = name(index);
        let extension =
            if needs_trigrams(index) { "CREATE EXTENSION IF NOT EXISTS pg_trgm;" } else { "" };
        self.connection
            .batch(&format!(
                "BEGIN READ WRITE; SET LOCAL lock_timeout = {}; {extension} {}",
                self.lock_timeout_ms,
                create(index, &name, Build::Plain)
            ))
            .map_err(text)?;
        let size: i64 = self
            .connection
            .row(
                "SELECT coalesce((SELECT sum(pg_relation_size(relid))::bigint FROM pg_partition_tree(c.oid)), \
                        pg_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = $2",
                &[&index.table.schema, &name],
            )
            .map_err(text)?
            .get(0);
        let mut costs = Vec::new();
        for query in queries {
            // A statement that cannot be planned aborts the transaction; a savepoint keeps the index.
            self.connection.batch("SAVEPOINT pgassay").map_err(text)?;
            let cost = cost(self.connection, query).ok();
            self.connection.batch("ROLLBACK TO pgassay").map_err(text)?;
            costs.push(cost);
        }
        Ok(WithIndex { costs, size_bytes: u64::try_from(size).ok() })
    }
}

/// The index is made of trigrams, which an extension brings.
pub fn needs_trigrams(index: &IndexPlan) -> bool {
    index
        .keys
        .iter()
        .any(|key| key.operator_class.as_deref().is_some_and(|class| class.contains("trgm")))
}
