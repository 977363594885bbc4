//! `trial`: measures recommendations by replay.

use crate::cli::connection::consent;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::now;
use crate::cli::progress::Progress;
use crate::cli::sources::{Needs, gather};
use crate::cli::{args, config, output};
use crate::model::recommendation::{Recommendation, State};
use crate::model::run::Run;
use crate::model::trial::{Arm, Trial};
use crate::pg::error::PgErrorKind;
use crate::pipeline::find::find;
use crate::pipeline::prove::{RunParts, prove, record_run};
use crate::pipeline::recommend::recommend;
use crate::report::words::{interval, milliseconds, plural};
use crate::trial::config::Effort;
use crate::trial::forecast;
use crate::trial::procedure::{TrialResults, TrialStep};

/// The note in a run file that was written before the trials ended.
pub const UNDER_WAY: &str = "the trials were still under way when this was written";

/// # Errors
/// When a source or the database cannot be read, or the target may not be written to.
pub fn run(args: &args::Trial) -> Result<Exit, Failure> {
    output::check(&args.output, &args.sources.inputs())?;
    let config = config::load()?;
    let progress = Progress::new(args.output.quiet);
    let mut gathered =
        gather(&args.sources, &args.connection, &config, Needs::Database, &progress)?;
    let findings = find(&gathered, &config.analyze.ignore);
    let advice = recommend(&mut gathered, &findings, args.limits.limits(), None, &progress)?;
    let mut recommendations = advice.recommendations.clone();
    select(&mut recommendations, &args.only)?;
    let Some(live) = &gathered.live else {
        return Err(
            Failure::usage("cannot hold a trial", "no database was given").with_help("-d DATABASE")
        );
    };
    let what =
        "This builds indexes and replays statements, inside transactions that are rolled back.";
    let writable =
        consent(&live.connection, args.confirm.as_deref(), gathered.captured_on.as_deref(), what)?;
    let effort = Effort {
        rounds: args.rounds.unwrap_or(config.trial.rounds),
        budget_s: args.time_budget.unwrap_or(config.trial.time_budget),
        lock_timeout_ms: args.connection.lock_timeout,
        statement_timeout_ms: args.connection.statement_timeout,
        seed: args.seed,
    };
    let mut save = |recommendations: &[Recommendation], trials: &[&Trial]| {
        let parts = RunParts { findings: &findings, recommendations, trials };
        let mut run = record_run("trial", now(), &gathered, parts, Some(args.seed));
        advice.explain(&mut run);
        run.warnings.push(UNDER_WAY.to_owned());
        output::write_stored(&run, &args.output);
    };
    let TrialResults { trials, stopped } = prove(
        &gathered,
        live,
        &writable,
        &mut recommendations,
        (effort, args.writes),
        &mut show(&progress, effort, &mut save),
    );
    let stopped = match stopped {
        Some(error) if trials.is_empty() && error.kind != PgErrorKind::Interrupted => {
            return Err(error.into());
        }
        stopped => stopped,
    };
    let all: Vec<&Trial> = trials.iter().collect();
    let parts = RunParts { findings: &findings, recommendations: &recommendations, trials: &all };
    let mut run = record_run("trial", now(), &gathered, parts, Some(args.seed));
    advice.explain(&mut run);
    run.warnings.extend(dearer_than_allowed(&run, args.limits.max_write_overhead));
    let stored = args
        .output
        .outputs
        .iter()
        .find(|file| file.extension().is_some_and(|ending| ending == "json"));
    run.next = Some(match stored {
        Some(file) => format!("pgassay report {} -o handover.md -o handover.html", file.display()),
        None => "pgassay trial … -o run.json -o handover.md".to_owned(),
    });
    if let Some(error) = stopped {
        let done = match trials.len() {
            0 => "before one was complete".to_owned(),
            count => format!("after {}", plural(count, "trial", "trials")),
        };
        run.warnings.push(format!("the trials were stopped {done}: {error}"));
        output::write_what_there_is(&run, &args.output)?;
        return Err(error.into());
    }
    output::write(&run, &args.output)?;
    match trials.iter().find_map(|trial| trial.failed.clone()) {
        Some(why) if trials.iter().all(|trial| trial.failed.is_some()) => {
            Err(Failure::unreadable("no trial could be held", why).with_help(
                "a trial needs the owner's privileges on the table, and nobody else's lock on it",
            ))
        }
        _ => Ok(Exit::Done),
    }
}

/// The limit was kept by an estimate; what was measured has the last word.
fn dearer_than_allowed(run: &Run, limit_pct: Option<f64>) -> Option<String> {
    let limit_pct = limit_pct?;
    let writes = run.trials.iter().rev().find_map(|trial| trial.writes.as_ref())?;
    let [low_pct, high_pct] = writes.interval_pct?;
    (low_pct > limit_pct).then(|| {
        format!(
            "the writes take {} more time with the new indexes, which is more than --max-write-overhead allows",
            interval(low_pct, high_pct)
        )
    })
}

/// Keeps what `--only` names; an unknown id is an error with the list.
fn select(recommendations: &mut Vec<Recommendation>, only: &[String]) -> Result<(), Failure> {
    for id in only {
        if !recommendations.iter().any(|recommendation| recommendation.id == *id) {
            let known = recommendations.iter().map(|recommendation| recommendation.id.as_str());
            return Err(Failure::unknown_id(format!("cannot try {id}"), known));
        }
    }
    if !only.is_empty() {
        recommendations.retain(|recommendation| only.contains(&recommendation.id));
        // Named is wanted, whatever the planner thinks of it.
        for recommendation in recommendations.iter_mut().filter(|r| r.state == State::Rejected) {
            recommendation.state = State::Proposed;
        }
    }
    Ok(())
}

/// Shows the steps of a trial, and hands on what is known so far.
pub fn show<'s>(
    progress: &'s Progress,
    effort: Effort,
    so_far: &'s mut dyn FnMut(&[Recommendation], &[&Trial]),
) -> impl FnMut(TrialStep<'_>) + 's {
    let mut phase = None;
    move |step| match step {
        TrialStep::Begin { what, left_s } => {
            phase = None;
            let name = format!("{what} (about {} left)", forecast::duration(left_s));
            phase = Some(progress.phase(&name, effort.rounds));
        }
        TrialStep::Rounds { done, of } => {
            if let Some(phase) = &phase {
                phase.set(done, of);
            }
        }
        TrialStep::Judged { recommendation, trial, .. } => {
            phase = None;
            progress.say(&judged(recommendation, trial));
        }
        TrialStep::SoFar { recommendations, trials } => so_far(recommendations, trials),
    }
}

/// Returns the outcome of one recommendation as one line.
fn judged(recommendation: &Recommendation, trial: Option<&Trial>) -> String {
    let best = trial.and_then(|trial| {
        let improved = trial.queries.iter().filter(|query| query.is_improved());
        improved.min_by(|a, b| a.p50.change_pct.total_cmp(&b.p50.change_pct))
    });
    let id = &recommendation.id;
    match (recommendation.state, best) {
        (State::Accepted, Some(query)) => {
            let median = |arm: &Arm| arm.median_us().map_or("–".to_owned(), milliseconds);
            let (before, after) = (median(&query.before), median(&query.after));
            let stopped = if query.before.timed_out > 0 { "> " } else { "" };
            let blocks = query.work.mean().map_or(String::new(), |(before, after)| {
                format!(", {} → {} blocks", before.blocks, after.blocks)
            });
            format!("  {id}: improved alone, {stopped}{before} → {after}{blocks}")
        }
        (state, _) => {
            let why = recommendation.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            format!("  {id}: {}{why}", state.word())
        }
    }
}
