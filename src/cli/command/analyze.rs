//! `analyze`: findings and recommendations.

use std::time::Duration;

use crate::cli::connection::{consent, flags_again, sources_again};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::now;
use crate::cli::progress::Progress;
use crate::cli::sources::{Needs, gather};
use crate::cli::{args, config, output};
use crate::model::finding::Level;
use crate::model::recommendation::Recommendation;
use crate::pg::planner::hypopg::BuildBudget;
use crate::pipeline::acting::acting;
use crate::pipeline::derive::derive;
use crate::pipeline::find::find;
use crate::pipeline::gather::Gathered;
use crate::pipeline::prove::{RunParts, record_run};
use crate::pipeline::recommend::{Building, recommend};
use crate::report::record_access::{access, policy};
use crate::report::words::bytes;

/// # Errors
/// When a source cannot be read, or nothing was understood.
pub fn run(args: &args::Analyze) -> Result<Exit, Failure> {
    output::check(&args.output, &args.sources.inputs())?;
    let config = config::load()?;
    let progress = Progress::new(args.output.quiet);
    let wanted = if args.build { Needs::Database } else { Needs::Anything };
    let mut gathered = gather(&args.sources, &args.connection, &config, wanted, &progress)?;
    let findings = find(&gathered, &config.analyze.ignore);
    let writable = match &gathered.live {
        Some(live) if args.build => {
            let what = "This builds indexes, inside a transaction that is rolled back.";
            let writable = consent(
                &live.connection,
                args.confirm.as_deref(),
                gathered.captured_on.as_deref(),
                what,
            )?;
            progress.say(&format!(
                "--build builds for {} s at most, and nothing estimated above {}",
                args.build_time,
                bytes(args.build_size.0)
            ));
            Some(writable)
        }
        _ => None,
    };
    let building = writable.as_ref().map(|writable| Building {
        writable,
        budget: BuildBudget {
            lock_timeout_ms: args.connection.lock_timeout,
            time: Duration::from_secs(args.build_time),
            size_bytes: args.build_size.0,
        },
    });
    let advice = recommend(&mut gathered, &findings, args.limits.limits(), building, &progress)?;
    let recommendations = &advice.recommendations;
    let parts = RunParts { findings: &findings, recommendations, trials: &[] };
    let mut run = record_run("analyze", now(), &gathered, parts, None);
    advice.explain(&mut run);
    if let Some(acting) = acting(&gathered) {
        let (derived, policies) = derive(&gathered, &acting);
        run.warnings.extend(acting.who.warnings.iter().chain(&derived.warnings).cloned());
        run.access = Some(access(&acting.who, &derived.tables, &policies));
        run.recommendations.extend(policies.iter().map(policy));
    }
    run.next = next(&gathered, recommendations, args);
    output::write(&run, &args.output)?;
    let worst = findings.iter().map(|finding| finding.level).max();
    let limit = args.fail_on.map(|level| match level {
        args::FailOn::Info => Level::Info,
        args::FailOn::Warning => Level::Warning,
        args::FailOn::Error => Level::Error,
    });
    Ok(if limit.is_some() && worst >= limit { Exit::Gate } else { Exit::Done })
}

fn next(
    gathered: &Gathered,
    recommendations: &[Recommendation],
    args: &args::Analyze,
) -> Option<String> {
    let sources = sources_again(&args.sources);
    let separator = if sources.is_empty() { "" } else { " " };
    Some(match (&gathered.live, &gathered.catalog) {
        (None, None) => format!(
            "pgassay analyze{separator}{sources} --schema schema.sql   (pg_dump --schema-only > schema.sql)"
        ),
        (None, Some(_)) => format!("pgassay trial{separator}{sources} -d STAGING_DATABASE"),
        (Some(live), _) if !recommendations.is_empty() => {
            format!(
                "pgassay trial{separator}{sources} {} -o run.json -o handover.md",
                flags_again(&live.settings)
            )
        }
        (Some(live), _) => {
            format!(
                "pgassay check{separator}{sources} {} --save-baseline baseline.json",
                flags_again(&live.settings)
            )
        }
    })
}
