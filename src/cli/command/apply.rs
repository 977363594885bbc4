//! `apply`: the accepted recommendations of a run, printed, executed or written as migrations.

use super::migrations;
use crate::apply::execute::{Event, Outcome, Patience, Report, execute};
use crate::apply::file::comment;
use crate::apply::steps::{Step, backward, forward};
use crate::apply::verify::verify;
use crate::cli::connection::{consent, flags_again, is_given, settings, unpooled};
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::{Phase, Progress};
use crate::cli::{args, config, output, stderr, stored};
use crate::model::run::{Run, RunRecommendation};
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::session::guard::consent::{self, Writable};
use crate::report::format::text::reasons;
use crate::report::words::{bytes, milliseconds, plural, printable};

/// # Errors
/// When the run file cannot be read, an id is unknown, nobody consents, or a statement fails.
pub fn run(args: &args::Apply) -> Result<Exit, Failure> {
    let run = stored::read(&args.run)?;
    let chosen = chosen(&run, args)?;
    if chosen.is_empty() {
        return nothing(&run, args);
    }
    for recommendation in &chosen {
        verify(recommendation).map_err(|why| {
            Failure::usage(format!("will not apply {}", recommendation.id), why)
                .with_help("it was written by another program, or changed; hold the trial again")
        })?;
    }
    match args.migrations {
        Some(framework) => migrations::write(framework, args.dir.as_deref(), &chosen),
        None if args.execute => perform(&run, args, &chosen),
        None => output::print(&script(&run, args, &chosen)),
    }?;
    left_out(&run, args, &chosen);
    Ok(Exit::Done)
}

/// The recommendations to apply, in the order they are applied.
fn chosen<'r>(run: &'r Run, args: &args::Apply) -> Result<Vec<&'r RunRecommendation>, Failure> {
    let mut chosen = Vec::new();
    for id in &args.only {
        let what = format!("cannot apply {id}");
        let Some(found) = run.recommendations.iter().find(|known| known.id == *id) else {
            let known = run.recommendations.iter().map(|known| known.id.as_str());
            return Err(Failure::unknown_id(what, known));
        };
        if found.state == "rejected" && !args.undo {
            let why = found.why.as_deref().unwrap_or("no reason is known");
            return Err(Failure::usage(what, format!("it was rejected: {why}"))
                .with_help("hold another trial if you doubt it: pgassay trial … --only ID"));
        }
        if !chosen.contains(&found.id.as_str()) {
            chosen.push(found.id.as_str());
        }
    }
    let is_chosen = |recommendation: &&RunRecommendation| match chosen.is_empty() {
        true => recommendation.state == "accepted",
        false => chosen.contains(&recommendation.id.as_str()),
    };
    let mut chosen: Vec<&RunRecommendation> =
        run.recommendations.iter().filter(is_chosen).collect();
    if args.undo {
        chosen.reverse();
    }
    Ok(chosen)
}

/// Nothing is accepted: no error, for a trial may well end so, and the nightly script goes on.
fn nothing(run: &Run, args: &args::Apply) -> Result<Exit, Failure> {
    let states = |state: &str| run.recommendations.iter().filter(|r| r.state == state).count();
    let mut line = format!(
        "nothing to apply: {} of {} accepted",
        states("accepted"),
        plural(run.recommendations.len(), "recommendation", "recommendations")
    );
    if states("proposed") > 0 {
        line.push_str(
            ". Proposed is not proven: hold a trial (pgassay trial … -o run.json), or name one with --only ID",
        );
    }
    if !args.quiet {
        stderr::line(&line);
    }
    Ok(Exit::Done)
}

/// Prints which recommendations were left out, and how to include them.
fn left_out(run: &Run, args: &args::Apply, chosen: &[&RunRecommendation]) {
    let others: Vec<&str> = run
        .recommendations
        .iter()
        .filter(|other| ["proposed", "undecided"].contains(&other.state.as_str()))
        .filter(|other| !chosen.iter().any(|known| known.id == other.id))
        .map(|other| other.id.as_str())
        .collect();
    if !others.is_empty() && args.only.is_empty() && !args.quiet && !args.undo {
        stderr::line(&format!(
            "not taken, for no trial has accepted them: {}; --only ID does",
            others.join(" ")
        ));
    }
}

fn steps_of(run: &Run, args: &args::Apply, recommendation: &RunRecommendation) -> Vec<Step> {
    if args.undo {
        return backward(recommendation);
    }
    let required = recommendation.requires.as_ref();
    let required = required.and_then(|id| run.recommendations.iter().find(|r| r.id == *id));
    forward(recommendation, required)
}

/// The statements as a script, with the reasons and the undo as comments.
fn script(run: &Run, args: &args::Apply, chosen: &[&RunRecommendation]) -> String {
    let mut out = format!(
        "-- pgassay {}: {} of {}\n-- Each statement by itself, outside a transaction, as psql -f does it.\n\
         SET lock_timeout = '{}ms';\n",
        run.tool.version,
        plural(chosen.len(), "change", "changes"),
        args.run.display(),
        args.connection.lock_timeout,
    );
    for recommendation in chosen {
        out.push('\n');
        out.push_str(&comment("--", &reasons(recommendation)));
        for step in steps_of(run, args, recommendation) {
            out.push_str(&format!("{};\n", step.sql));
        }
        if !args.undo {
            let undo = backward(recommendation).into_iter();
            let undo: Vec<String> = undo.map(|step| format!("undo: {};", step.sql)).collect();
            out.push_str(&comment("--", &undo));
        }
    }
    printable(out)
}

/// Executes the statements, and says of each what became of it.
fn perform(run: &Run, args: &args::Apply, chosen: &[&RunRecommendation]) -> Result<(), Failure> {
    let config = config::load()?;
    if !is_given(&args.connection, &config) {
        return Err(Failure::usage("cannot apply", "no database was given")
            .with_help("-d DATABASE; without --execute the statements are printed"));
    }
    let settings = settings(&args.connection, &config)?;
    let connection = unpooled(&settings)?;
    connection.look_up_own_names()?;
    let writable = allowed(args, &connection)?;
    let version = connection.version_text();
    output::print(&format!("target   {}\n", settings.describe(Some(&version))))?;
    if let Some(of) = made_for(run).filter(|of| *of != connection.database) {
        output::print(&format!("advice   made for the database {of}\n"))?;
    }
    for recommendation in chosen.iter().filter(|_| !args.undo) {
        for caution in &recommendation.cautions {
            let line = format!("caution  {}: {caution}\n", recommendation.id);
            output::print(&printable(line))?;
        }
    }
    let steps: Vec<Step> =
        chosen.iter().flat_map(|recommendation| steps_of(run, args, recommendation)).collect();
    let patience =
        Patience { lock_timeout_ms: args.connection.lock_timeout, attempts: args.attempts };
    let mut reports = Vec::new();
    let ended = {
        let mut teller =
            Teller { progress: Progress::new(args.quiet), phase: None, doing: String::new() };
        execute(
            &connection,
            &writable,
            &steps,
            patience,
            &mut |event| teller.tell(event),
            &mut reports,
        )
    };
    let failed = tell(&reports)?;
    if let Err(error) = ended {
        return Err(stopped(error, &reports));
    }
    if failed > 0 {
        return Err(Failure::unreadable(
            format!("{failed} of {} failed", plural(steps.len(), "statement", "statements")),
            "the reasons stand above",
        )
        .with_help("apply again when they are gone: what is there is not done twice"));
    }
    let target = flags_again(&settings);
    let file = args.run.display();
    let only: String = args.only.iter().map(|id| format!(" --only {id}")).collect();
    output::print(&match args.undo {
        true => format!("next: pgassay trial … {target}\n"),
        false => format!(
            "undo: pgassay apply {file} {target}{only} --undo --execute\nnext: pgassay check LOG {target} --save-baseline baseline.json\n"
        ),
    })
}

/// The database that the advice was made for, which need not be the one that it is applied to.
fn made_for(run: &Run) -> Option<&str> {
    run.target.as_ref()?.database.as_deref()
}

/// Consent to write for good: staging says so itself, production only by its name in full.
fn allowed(args: &args::Apply, connection: &Connection) -> Result<Writable, Failure> {
    let Some(typed) = &args.production else {
        let what = match args.undo {
            true => "This drops what was applied, for good.",
            false => "This applies the recommendations, for good.",
        };
        return consent(connection, args.confirm.as_deref(), None, what).map_err(|failure| {
            failure.and_help(format!("in production: --production {}", connection.database))
        });
    };
    // With -d the name stands on the command line already.
    let typed = match (typed.as_str(), &args.connection.dbname) {
        ("", Some(_)) => connection.database.as_str(),
        ("", None) => {
            return Err(Failure::usage(
                format!("will not write to {}", connection.database),
                "nothing on the command line names it",
            )
            .with_help(format!("--production {}", connection.database)));
        }
        (typed, _) => typed,
    };
    Ok(consent::consent_to_production(connection, typed)?)
}

/// Says what is going on.
struct Teller {
    progress: Progress,
    phase: Option<Phase>,
    doing: String,
}

impl Teller {
    fn tell(&mut self, event: Event<'_>) {
        let line = match event {
            Event::Partition { done, of } => {
                if let Some(phase) = &self.phase {
                    phase.name(&format!("{}: {done} of {of}", self.doing));
                }
                return;
            }
            Event::Begin(step) => {
                self.doing = step.summary();
                None
            }
            Event::Cleaned { name, is_own: true } => {
                Some(format!("dropped {name} again, which was not finished"))
            }
            Event::Cleaned { name, is_own: false } => {
                Some(format!("dropped {name}, which an earlier attempt left not valid"))
            }
            Event::Again { attempt, of, why } => {
                Some(format!("attempt {attempt} of {of}: {}; once more", why.cause))
            }
        };
        // What is said between two bars stands on a line of its own.
        self.phase = None;
        if let Some(line) = line {
            self.progress.say(&line);
        }
        self.phase = Some(self.progress.phase(&self.doing, 0));
    }
}

/// Prints the outcome of each statement on standard output, and errors on standard error. Returns their number.
fn tell(reports: &[Report]) -> Result<usize, Failure> {
    let mut failed = 0;
    for (step, outcome) in reports {
        let summary = step.summary();
        let line = match outcome {
            Ok(Outcome::Done { took_ms, size_bytes }) => {
                let size = size_bytes.map_or(String::new(), |size| format!(", {}", bytes(size)));
                format!("done     {summary}  ({}{size})", milliseconds(took_ms * 1e3))
            }
            Ok(Outcome::AlreadyThere(name)) => format!("there    {summary}  (as {name})"),
            Ok(Outcome::AlreadyGone) => format!("gone     {summary}"),
            Err(_) => format!("failed   {summary}"),
        };
        output::print(&printable(format!("{line}\n")))?;
        if let Err(error) = outcome
            && error.kind != PgErrorKind::Interrupted
        {
            failed += 1;
            Failure::from(error.clone()).print();
        }
    }
    Ok(failed)
}

/// The end before the end: what was done stays, and the next attempt goes on from there.
fn stopped(error: PgError, reports: &[Report]) -> Failure {
    if error.kind != PgErrorKind::Interrupted {
        return error.into();
    }
    let done = reports.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    Failure::new(
        Exit::Interrupted,
        "interrupted",
        format!(
            "{} stay, the rest was not done; the same command goes on from there",
            plural(done, "statement that was done", "statements that were done")
        ),
    )
}
