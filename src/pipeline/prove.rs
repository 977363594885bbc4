//! Tries recommendations, and records what came of it.

use super::gather::{Gathered, Live, run_of};
use crate::model::finding::Finding;
use crate::model::recommendation::Recommendation;
use crate::model::run::Run;
use crate::model::trial::{Trial, WriteTrial};
use crate::pg::session::guard::consent::Writable;
use crate::report::record;
use crate::trial::config::{Effort, TrialInput, TrialTarget};
use crate::trial::procedure::{TrialResults, TrialStep, verify};

/// Tries every index that is proposed, alone and all together. `tell` hears of each step.
pub fn prove(
    gathered: &Gathered,
    live: &Live,
    consent: &Writable,
    recommendations: &mut [Recommendation],
    (effort, with_writes): (Effort, bool),
    tell: &mut dyn FnMut(TrialStep<'_>),
) -> TrialResults {
    let input = TrialInput {
        connection: &live.connection,
        guard: &live.guard,
        workload: &gathered.workload,
        catalog: gathered.catalog.as_ref(),
        target: TrialTarget { settings: &live.settings, callers: &live.callers, consent, effort },
        with_writes,
    };
    verify(&input, recommendations, tell)
}

/// Findings, recommendations and trials of a run.
#[derive(Clone, Copy)]
pub struct RunParts<'o> {
    pub findings: &'o [Finding],
    pub recommendations: &'o [Recommendation],
    pub trials: &'o [&'o Trial],
}

/// The run file of a command. `at` is the present time, as RFC 3339 has it.
pub fn record_run(
    command: &str,
    at: String,
    gathered: &Gathered,
    parts: RunParts<'_>,
    seed: Option<u64>,
) -> Run {
    let RunParts { findings, recommendations, trials } = parts;
    let mut run = run_of(command, at, gathered);
    run.findings = findings.iter().map(record::finding).collect();
    run.recommendations =
        recommendations.iter().map(|r| record::recommendation(r, trials)).collect();
    run.trials = trials.iter().map(|trial| record::trial(trial, trials)).collect();
    run.warnings.extend(trials.iter().filter_map(|trial| left_behind(trial.writes.as_ref()?)));
    run.seed = seed;
    run
}

/// What replayed writes leave although they were rolled back.
fn left_behind(writes: &WriteTrial) -> Option<String> {
    let sequences = writes.sequences.iter().map(|(name, by)| format!("{name} advanced by {by}"));
    let dead = (writes.dead_rows > 0)
        .then(|| format!("{} rows are dead until the next vacuum", writes.dead_rows));
    let all: Vec<String> = dead.into_iter().chain(sequences).collect();
    (!all.is_empty())
        .then(|| format!("the replayed writes were rolled back, but {}", all.join(", ")))
}
