//! Recommendations for a gathered workload: with HypoPG, by building, or from a schema alone.

use super::error::Error;
use super::gather::{Gathered, Live};
use super::progress::Progress;
use crate::advice::candidates::key_length::Longest;
use crate::advice::explain::cautions::to_know;
use crate::advice::explain::recommendation::with_planner;
use crate::advice::input::{Input, Limits};
use crate::advice::with_planner::advise;
use crate::advice::without_planner::without_planner;
use crate::model::finding::Finding;
use crate::model::recommendation::{Recommendation, Takes};
use crate::model::run::Run;
use crate::model::whatif::{IndexBuilder, WhatIf};
use crate::model::workload::fingerprint::Fingerprint;
use crate::pg::error::PgError;
use crate::pg::planner::hypopg::{BuildBudget, HypoPg, RolledBackBuild};
use crate::pg::planner::planner_costs::PlannerCosts;
use crate::pg::planner::planning::Planning;
use crate::pg::planner::representative::Representatives;
use crate::pg::session::guard::consent::Writable;
use crate::report::record;
use crate::report::words::{count, plural};
use crate::source::collect::resolve_all::resolve_spellings;

/// Consent to build, and room for it.
#[derive(Clone, Copy)]
pub struct Building<'w> {
    pub writable: &'w Writable,
    pub budget: BuildBudget,
}

/// Recommendations, and why some statements get none.
#[derive(Default)]
pub struct Advice {
    pub recommendations: Vec<Recommendation>,
    /// Expensive statements without an index, with the reason.
    pub no_index: Vec<(Fingerprint, String)>,
    /// Size and write overhead of all new indexes together.
    takes: Option<Takes>,
    /// The planner's name and the number of its plans; `None` without one.
    planner: Option<String>,
    /// Requests that could not be met.
    warnings: Vec<String>,
}

impl Advice {
    /// Puts the reasons beside the statements of a run.
    pub fn explain(&self, run: &mut Run) {
        run.warnings.extend(self.warnings.iter().cloned());
        run.takes = self.takes.as_ref().map(record::takes);
        for (fingerprint, why) in &self.no_index {
            let name = fingerprint.to_string();
            for query in run.queries.iter_mut().filter(|query| query.fingerprint == name) {
                query.no_index = Some(why.clone());
            }
        }
    }
}

/// Why there are no figures.
const NO_HYPOPG: &str = "HypoPG is not installed in this database; CREATE EXTENSION hypopg, or analyze --build on staging";

fn offline(input: &Input<'_>, why: &str) -> Advice {
    let Limits { budget_bytes, max_write_overhead_pct, .. } = input.limits;
    let flags: Vec<&str> =
        [budget_bytes.map(|_| "--budget"), max_write_overhead_pct.map(|_| "--max-write-overhead")]
            .into_iter()
            .flatten()
            .collect();
    let not_kept = format!("{} cannot be kept to: {why}", flags.join(" and "));
    let recommendations = without_planner(input, why);
    let said = to_know(input, &recommendations, &Longest::new());
    Advice {
        recommendations,
        warnings: (!flags.is_empty()).then_some(not_kept).into_iter().chain(said).collect(),
        ..Advice::default()
    }
}

/// Recommends indexes for what was gathered, and resolves the spellings of its statements for that.
///
/// # Errors
/// When the server goes away, or the user interrupts.
pub fn recommend(
    gathered: &mut Gathered,
    findings: &[Finding],
    limits: Limits,
    building: Option<Building<'_>>,
    progress: &dyn Progress,
) -> Result<Advice, Error> {
    let Some(catalog) = &gathered.catalog else { return Ok(Advice::default()) };
    resolve_spellings(&mut gathered.workload, catalog);
    let input = Input { workload: &gathered.workload, catalog, findings, limits };
    let Some(live) = &gathered.live else {
        return Ok(offline(&input, "no database to ask, only a schema"));
    };
    progress.begin("asking the planner");
    let advice = with_server(&input, live, building)?;
    progress.end();
    if let Some(planner) = &advice.planner {
        progress.note(planner);
    }
    PgError::unless_interrupted()?;
    Ok(advice)
}

/// Size and write overhead of several new indexes together.
fn together(recommendations: &[Recommendation], write_overhead_pct: Option<f64>) -> Option<Takes> {
    let new: Vec<&Takes> = recommendations.iter().filter_map(|r| r.takes.as_ref()).collect();
    let size_bytes = new.iter().map(|takes| takes.size_bytes).sum();
    (new.len() > 1).then_some(Takes { size_bytes, write_overhead_pct })
}

/// A warning about statements that the server cannot plan, and that get no index.
fn not_planned(input: &Input<'_>, unplanned: &[(usize, String)]) -> Option<String> {
    let (_, why) = unplanned.first()?;
    let of = |at: usize| input.workload.share_pct(input.workload.queries[at].total_us);
    let share_pct: f64 = unplanned.iter().map(|(at, _)| of(*at)).sum();
    Some(format!(
        "the server cannot plan {}, {share_pct:.1} % of the time, and no index was looked for there; the first: {why}",
        plural(unplanned.len(), "statement", "statements"),
    ))
}

fn with_server(
    input: &Input<'_>,
    live: &Live,
    building: Option<Building<'_>>,
) -> Result<Advice, Error> {
    let typicals = Representatives::default();
    let planning = Planning {
        connection: &live.connection,
        callers: &live.callers,
        guard: &live.guard,
        typicals: &typicals,
    };
    let mut builds =
        building.map(|building| RolledBackBuild::new(planning, building.writable, building.budget));
    let build = builds.as_mut().map(|builds| builds as &mut dyn IndexBuilder);
    let chosen = |whatif: &mut dyn WhatIf, build: Option<&mut dyn IndexBuilder>| {
        let advised = advise(input, whatif, build);
        let fingerprint = |at: usize| input.workload.queries[at].fingerprint;
        let planner = format!("asked {} for {} plans", whatif.name(), count(whatif.asked()));
        let recommendations = with_planner(input, advised.chosen, &advised.longest);
        let said = to_know(input, &recommendations, &advised.longest);
        Advice {
            takes: together(&recommendations, advised.write_overhead_pct),
            planner: Some(planner),
            warnings: not_planned(input, &advised.unplanned).into_iter().chain(said).collect(),
            no_index: advised
                .no_index
                .into_iter()
                .map(|(at, why)| (fingerprint(at), why))
                .collect(),
            recommendations,
        }
    };
    let mut advice = if let Some(mut hypopg) = HypoPg::open(planning)? {
        chosen(&mut hypopg, build)
    } else if build.is_some() {
        chosen(&mut PlannerCosts::new(planning), build)
    } else {
        return Ok(offline(input, NO_HYPOPG));
    };
    advice.warnings.extend(builds.and_then(|builds| builds.not_built()));
    Ok(advice)
}
