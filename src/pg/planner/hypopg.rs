//! Planner costs with an index that does not exist: HypoPG, or a build that is rolled back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::build_index::{BuiltIndex, build};
use super::planner_costs::PlannerCosts;
use super::planning::Planning;
use crate::index::ddl::{BuildMode, create, name};
use crate::model::index::IndexDef;
use crate::model::whatif::{Built, IndexBuilder, PlanCost, Statistics, WhatIf};
use crate::model::workload::Query;
use crate::model::workload::shape::Shape;
use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;
use crate::pg::session::guard::consent::Writable;
use crate::sql::lex::identifier::unquote;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// Name of a candidate while it is built; its own name may be taken.
const CANDIDATE: &str = "pgassay_candidate";

/// What-if by the HypoPG extension: nothing is built, nothing is locked.
pub struct HypoPg<'c> {
    planner: PlannerCosts<'c>,
    schema: String,
    /// Hypothetical indexes that exist at present.
    present: Vec<Pretended>,
    /// Names of functions that the planner may put the text of in the place of a call.
    inlined: HashSet<String>,
}

/// Functions that an index may hold and that are written in SQL, all of their name.
fn inlined(connection: &Connection) -> Result<HashSet<String>, PgError> {
    let sql = "SELECT p.proname::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
               WHERE p.prokind = 'f' GROUP BY p.proname \
               HAVING bool_and(l.lanname = 'sql' AND p.provolatile = 'i' AND NOT p.proretset)";
    Ok(connection.query(sql, &[])?.iter().map(|row| row.get(0)).collect())
}

struct Pretended {
    def: IndexDef,
    oid: u32,
}

impl Pretended {
    /// The extension begins a name with the number and cuts it after 63 bytes, in the middle of a character too.
    fn is_called(&self, name: &str) -> bool {
        let number = name.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        number.is_some_and(|(number, _)| number.parse() == Ok(self.oid))
    }
}

impl<'c> HypoPg<'c> {
    /// `None` when the extension is not installed in this database.
    ///
    /// # Errors
    /// The server's error.
    pub fn open(planning: Planning<'c>) -> Result<Option<Self>, PgError> {
        let connection = planning.connection;
        let rows = connection.query(
            "SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
             WHERE e.extname = 'hypopg'",
            &[],
        )?;
        let Some(row) = rows.first() else { return Ok(None) };
        let schema = crate::sql::lex::identifier::quote(row.get(0));
        // pg_hint_plan looks up the names of all indexes that a hint leaves aside, and ends the server at one that
        // is pretended (its issue 205). Where it is not loaded the setting means nothing.
        connection.batch(&format!(
            "SET pg_hint_plan.enable_hint = off; SELECT {schema}.hypopg_reset()"
        ))?;
        Ok(Some(HypoPg {
            planner: PlannerCosts::new(planning),
            schema,
            present: Vec::new(),
            inlined: inlined(connection)?,
        }))
    }

    /// Makes the extension pretend these indexes and no others, in one exchange each way: a selection asks
    /// thousands of times.
    fn arrange(&mut self, wanted: &[&IndexDef]) -> Result<(), String> {
        let schema = &self.schema;
        let is_wanted = |pretended: &Pretended| wanted.contains(&&pretended.def);
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.present).into_iter().partition(is_wanted);
        self.present = kept;
        if !gone.is_empty() {
            let oids: Vec<u32> = gone.iter().map(|pretended| pretended.oid).collect();
            let drop = format!(
                "SELECT count({schema}.hypopg_drop_index(oid)) FROM unnest($1::oid[]) AS gone(oid)"
            );
            self.planner
                .planning
                .connection
                .row(&drop, &[&oids])
                .map_err(|error| error.to_string())?;
        }
        let is_present = |def: &IndexDef| self.present.iter().any(|known| known.def == *def);
        let new: Vec<&IndexDef> = wanted.iter().copied().filter(|def| !is_present(def)).collect();
        if !new.is_empty() {
            let pretended = self.pretend(&new)?;
            self.present.extend(pretended);
        }
        Ok(())
    }

    fn pretend(&self, plans: &[&IndexDef]) -> Result<Vec<Pretended>, String> {
        let statements: Vec<String> =
            plans.iter().map(|def| create(def, &name(def), BuildMode::Plain)).collect();
        let schema = &self.schema;
        let create = format!(
            "SELECT made.indexrelid FROM pg_catalog.unnest($1) WITH ORDINALITY AS wanted(ddl, number), \
             LATERAL {schema}.hypopg_create_index(wanted.ddl) AS made ORDER BY wanted.number"
        );
        // What the indexes are on is written as the workload writes it.
        let Planning { connection, callers, .. } = self.planner.planning;
        let rows = connection
            .as_workload(callers.path(), |workload| workload.own_rows(&create, &[&statements]))
            .map_err(|error| error.to_string())?;
        let pretended =
            |(def, row): (&&IndexDef, &Row)| Pretended { def: (*def).clone(), oid: row.get(0) };
        Ok(plans.iter().zip(&rows).map(pretended).collect())
    }
}

impl WhatIf for HypoPg<'_> {
    fn check(&mut self, index: &IndexDef) -> Result<(), String> {
        if index.method.is_inverted() {
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
    ///
    /// Nor does it do to an expression what the planner does to that of a real index and to the statement alike: put the
    /// text of a function in SQL in the place of its call.
    fn sees(&self, index: &IndexDef, shape: &Shape) -> Result<(), String> {
        let expressions = index.keys.iter().filter(|key| !key.is_column).map(|key| &key.expression);
        let mut words = expressions.chain(&index.predicate).flat_map(|sql| tokens(sql));
        let name = |word: &Token<'_>| match word.kind {
            TokenKind::Word => word.text.to_lowercase(),
            _ => unquote(word.text),
        };
        if words.any(|word| self.inlined.contains(&name(&word))) {
            return Err(
                "HypoPG shows no indexes on what functions in SQL give; --build can cost them"
                    .to_owned(),
            );
        }
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

    fn plan(&mut self, query: &Query, indexes: &[&IndexDef]) -> Result<PlanCost, String> {
        self.arrange(indexes)?;
        let present = &self.present;
        let position = |name: &str| {
            let pretended = present.iter().find(|pretended| pretended.is_called(name))?;
            indexes.iter().position(|index| **index == pretended.def)
        };
        self.planner.planned(query, position)
    }

    fn statistics(&mut self) -> &mut dyn Statistics {
        &mut self.planner
    }

    fn name(&self) -> &'static str {
        "HypoPG"
    }

    fn asked(&self) -> u64 {
        self.planner.asked()
    }
}

impl Drop for HypoPg<'_> {
    /// Other sessions never see what is pretended; ours shall not go on seeing it.
    fn drop(&mut self) {
        let reset =
            format!("SELECT {}.hypopg_reset(); RESET pg_hint_plan.enable_hint", self.schema);
        let _ = self.planner.planning.connection.batch(&reset);
    }
}

/// How much may be built, and how long.
#[derive(Debug, Clone, Copy)]
pub struct BuildBudget {
    pub lock_timeout_ms: u64,
    /// From the first build to the end of the last.
    pub time: Duration,
    /// Estimated size of the largest index.
    pub size_bytes: u64,
}

/// What-if by building: the only way for GIN. Locks the table against writes while it builds, and rolls
/// back.
pub struct RolledBackBuild<'c> {
    planner: PlannerCosts<'c>,
    budget: BuildBudget,
    /// When the first build began.
    began: Option<Instant>,
    /// For each candidate that was not built, why.
    refused: Vec<String>,
}

impl<'c> RolledBackBuild<'c> {
    pub fn new(planning: Planning<'c>, _: &Writable, budget: BuildBudget) -> Self {
        let planner = PlannerCosts::new(planning);
        RolledBackBuild { planner, budget, began: None, refused: Vec::new() }
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
        index: &IndexDef,
        size_bytes: f64,
        queries: &[&Query],
    ) -> Result<Built, String> {
        let BuildBudget { lock_timeout_ms, time, size_bytes: most_bytes } = self.budget;
        if size_bytes > most_bytes as f64 {
            return Err("it would be larger than --build-size allows".to_owned());
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let left_ms = time.saturating_sub(began.elapsed()).as_millis();
        if left_ms == 0 {
            return Err(format!("the {} s of --build-time were over", time.as_secs()));
        }
        let text = |error: PgError| error.to_string();
        let Planning { connection, callers, .. } = self.planner.planning;
        connection
            .batch(&format!(
                "BEGIN READ WRITE; SET LOCAL lock_timeout = {lock_timeout_ms}; \
                 SET LOCAL statement_timeout = {left_ms}"
            ))
            .map_err(text)?;
        let built =
            connection.without_limit(|| build(connection, callers.path(), index, CANDIDATE));
        let BuiltIndex { build_ms, size_bytes, names } =
            built.map_err(|error| match error.sqlstate.as_deref() {
                Some("57014") => format!("the {} s of --build-time were over", time.as_secs()),
                _ => error.to_string(),
            })?;
        let position = |used: &str| names.iter().any(|name| name == used).then_some(0);
        let mut plans = Vec::new();
        for query in queries {
            // A statement that cannot be planned aborts the transaction; a savepoint keeps the index.
            connection.control("SAVEPOINT pgassay").map_err(text)?;
            let planned = self.planner.planned(query, position).ok();
            connection.control("ROLLBACK TO pgassay").map_err(text)?;
            plans.push(planned);
        }
        Ok(Built { size_bytes, build_ms, plans })
    }
}

impl IndexBuilder for RolledBackBuild<'_> {
    fn alone(
        &mut self,
        index: &IndexDef,
        size_bytes: f64,
        queries: &[&Query],
    ) -> Result<Built, String> {
        let outcome = self.inside(index, size_bytes, queries);
        let rolled_back =
            self.planner.planning.connection.control("ROLLBACK").map_err(|error| error.to_string());
        let outcome = rolled_back.and(outcome);
        if let Err(why) = &outcome {
            self.refused.push(format!("{}: {why}", name(index)));
        }
        outcome
    }
}
