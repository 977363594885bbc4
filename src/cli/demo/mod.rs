//! `demo`: the main job from end to end, on a server of its own.
//!
//! In: flags. Out: a folder with logs, run file and handover.
//! Never: a server that outlives the command.

mod traffic;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::advice::input::Limits;
use crate::cli::command::trial::{UNDER_WAY, show};
use crate::cli::config::Config;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::now;
use crate::cli::progress::Progress;
use crate::cli::sources::{Needs, gather};
use crate::cli::{args, output};
use crate::model::recommendation::Recommendation;
use crate::model::trial::Trial;
use crate::pg::cluster::{Throwaway, find_server};
use crate::pg::config::settings::Settings;
use crate::pg::connect::connection::Connection;
use crate::pg::session::guard::consent::{self, Claim};
use crate::pipeline::find::find;
use crate::pipeline::prove::{RunParts, prove, record_run};
use crate::pipeline::recommend::recommend;
use crate::trial::config::Effort;
use crate::trial::procedure::TrialResults;

/// Longest wait for the server's log to hold what was executed.
const LOG_WAIT: Duration = Duration::from_secs(5);

/// # Errors
/// When no server is installed, or a step of the demo fails.
pub fn run(args: &args::Demo) -> Result<Exit, Failure> {
    let progress = Progress::new(args.quiet);
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = find_server(args.postgres_bin.as_deref(), &path).ok_or_else(|| {
        Failure::unreadable("cannot start a throwaway PostgreSQL", "no server is installed: initdb and postgres were not found")
            .with_help("make setup installs one; or name its folder: --postgres-bin /usr/lib/postgresql/15/bin")
    })?;
    std::fs::create_dir_all(&args.dir).map_err(|error| {
        Failure::usage(format!("cannot make {}", args.dir.display()), error.to_string())
    })?;
    let phase = progress.phase("starting a throwaway PostgreSQL", 0);
    let cluster = Throwaway::start(&programs, &std::env::temp_dir())?;
    drop(phase);
    load(&cluster, args.seed, &progress)?;
    let phase = progress.phase("driving traffic", traffic::ALL_PAGES);
    traffic::drive(&application(&cluster), args.seed, &|| phase.step())?;
    drop(phase);
    let files = keep(&cluster, &programs, &args.dir)?;
    let run = find_and_prove(&cluster, &files, args, &progress)?;
    for name in ["run.json", "handover.md", "handover.html", "before_after.csv"] {
        output::write_file(&run, &args.dir.join(name))?;
    }
    output::print(&summary(&run, &args.dir)?)?;
    Ok(Exit::Done)
}

/// How the marketplace's application connects.
fn application(cluster: &Throwaway) -> Settings {
    Settings {
        user: "app".to_owned(),
        application_name: "marketplace".to_owned(),
        ..cluster.settings("shop")
    }
}

/// Makes the database, its rows and the role of the application, whose sessions are logged whole.
fn load(cluster: &Throwaway, seed: u64, progress: &Progress) -> Result<(), Failure> {
    let _phase = progress.phase("loading the marketplace", 0);
    let admin = Connection::open(&cluster.settings("postgres"))?;
    admin.batch("CREATE DATABASE shop")?;
    admin.batch("ALTER DATABASE shop SET pgassay.environment = 'throwaway'")?;
    admin.batch("CREATE ROLE app LOGIN; ALTER ROLE app SET log_min_duration_statement = 0")?;
    drop(admin);
    let owner = Connection::open(&cluster.settings("shop"))?;
    owner.batch("CREATE EXTENSION pg_stat_statements")?;
    // Where HypoPG or trigrams are not installed the demo goes on without.
    for extension in ["hypopg", "pg_trgm"] {
        let _ = owner.batch(&format!("CREATE EXTENSION IF NOT EXISTS {extension}"));
    }
    owner.batch(include_str!("schema.sql"))?;
    // setseed() takes -1 to 1; the data depend on it and on nothing else.
    let start = (seed % 1_000) as f64 / 1_000.0;
    owner.batch(&format!("SELECT setseed({start})"))?;
    owner.batch(include_str!("data.sql"))?;
    owner.batch("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app")?;
    owner.batch("VACUUM (ANALYZE)")?;
    owner.batch("CHECKPOINT")?;
    owner.batch("SELECT pg_stat_statements_reset()")?;
    Ok(())
}

/// Files kept from the cluster.
struct Kept {
    log: PathBuf,
}

/// Copies logs, counters and schema out of the cluster.
fn keep(cluster: &Throwaway, programs: &Path, dir: &Path) -> Result<Kept, Failure> {
    wait_for_log(&cluster.log_file("log"));
    for (extension, name) in
        [("log", "shop.stderr.log"), ("csv", "shop.csv"), ("json", "shop.json")]
    {
        let from = cluster.log_file(extension);
        if from.exists() {
            copy(&from, &dir.join(name))?;
        }
    }
    let connection = Connection::open(&cluster.settings("shop"))?;
    let target = dir.join("pg_stat_statements.csv");
    std::fs::write(&target, counters(&connection)?).map_err(|error| {
        Failure::usage(format!("cannot write {}", target.display()), error.to_string())
    })?;
    dump_schema(cluster, programs, &dir.join("schema.sql"))?;
    Ok(Kept { log: dir.join("shop.stderr.log") })
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::copy(from, to).map(drop).map_err(|error| {
        Failure::usage(format!("cannot write {}", to.display()), error.to_string())
    })
}

/// The log is written by a process of its own: waits until it has stopped growing.
fn wait_for_log(file: &Path) {
    let length = || std::fs::metadata(file).map(|metadata| metadata.len()).unwrap_or(0);
    let started = Instant::now();
    let mut before = length();
    while started.elapsed() < LOG_WAIT {
        sleep(Duration::from_millis(300));
        let now = length();
        if now == before && now > 0 {
            return;
        }
        before = now;
    }
}

/// `pg_stat_statements` of the application's role, all columns, as `COPY … CSV HEADER` writes it.
fn counters(connection: &Connection) -> Result<Vec<u8>, Failure> {
    Ok(connection.copy_out(
        "COPY (SELECT s.* FROM pg_stat_statements s \
                 JOIN pg_roles r ON r.oid = s.userid AND r.rolname = 'app' \
                ORDER BY s.total_exec_time DESC) TO STDOUT (FORMAT csv, HEADER)",
    )?)
}

fn dump_schema(cluster: &Throwaway, programs: &Path, file: &Path) -> Result<(), Failure> {
    let settings = cluster.settings("shop");
    let output = Command::new(programs.join("pg_dump"))
        .args([
            "--schema-only",
            "-h",
            &settings.host,
            "-p",
            &settings.port.to_string(),
            "-U",
            &settings.user,
            "shop",
        ])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            std::fs::write(file, output.stdout).map_err(|error| {
                Failure::usage(format!("cannot write {}", file.display()), error.to_string())
            })
        }
        Ok(output) => Err(Failure::unreadable(
            "cannot dump the schema",
            String::from_utf8_lossy(&output.stderr).trim(),
        )),
        // A server without its client programs still shows everything else.
        Err(_) => Ok(()),
    }
}

/// Analyze, try, and record: the same steps as the commands of these names.
fn find_and_prove(
    cluster: &Throwaway,
    files: &Kept,
    args: &args::Demo,
    progress: &Progress,
) -> Result<crate::model::run::Run, Failure> {
    let settings = cluster.settings("shop");
    let connection = args::Connection {
        host: Some(settings.host.clone()),
        port: Some(settings.port.to_string()),
        username: Some(settings.user.clone()),
        dbname: Some(settings.database.clone()),
        statement_timeout: 30_000,
        lock_timeout: 2_000,
    };
    let sources = args::Sources { files: vec![files.log.clone()], ..args::Sources::default() };
    let config = Config::default();
    let mut gathered = gather(&sources, &connection, &config, Needs::Database, progress)?;
    let findings = find(&gathered, &config.analyze.ignore);
    let advice = recommend(&mut gathered, &findings, Limits::default(), None, progress)?;
    let mut recommendations = advice.recommendations.clone();
    let Some(live) = &gathered.live else {
        return Err(Failure::unreadable("cannot hold a trial", "the throwaway server went away"));
    };
    let writable = consent::consent(&live.connection, Claim::default())?;
    let effort = Effort {
        rounds: config.trial.rounds,
        budget_s: args.time_budget,
        lock_timeout_ms: connection.lock_timeout,
        statement_timeout_ms: connection.statement_timeout,
        seed: args.seed,
    };
    let mut save = |recommendations: &[Recommendation], trials: &[&Trial]| {
        let parts = RunParts { findings: &findings, recommendations, trials };
        let mut run = record_run("demo", now(), &gathered, parts, Some(args.seed));
        run.warnings.push(UNDER_WAY.to_owned());
        // That it cannot be written is told at the end, when it is tried again.
        let _ = output::write_file(&run, &args.dir.join("run.json"));
    };
    let TrialResults { trials, stopped } = prove(
        &gathered,
        live,
        &writable,
        &mut recommendations,
        (effort, true),
        &mut show(progress, effort, &mut save),
    );
    if let Some(error) = stopped {
        return Err(error.into());
    }
    let all: Vec<&Trial> = trials.iter().collect();
    let parts = RunParts { findings: &findings, recommendations: &recommendations, trials: &all };
    let mut run = record_run("demo", now(), &gathered, parts, Some(args.seed));
    advice.explain(&mut run);
    if let Some(target) = &mut run.target {
        // The socket is gone when anybody reads this.
        target.description = Some(format!(
            "shop on a throwaway PostgreSQL {}",
            target.server_version.as_deref().unwrap_or("")
        ));
    }
    run.next = Some(format!("pgassay report {}", args.dir.join("run.json").display()));
    Ok(run)
}

/// Returns the list of what was created and where; the handover itself is in its file.
fn summary(run: &crate::model::run::Run, dir: &Path) -> Result<String, Failure> {
    let mut out = crate::report::format::text::render(run)
        .map_err(|error| Failure::usage("cannot render the summary", error.to_string()))?;
    let next = run.next.clone().map(|next| format!("next: {next}\n")).unwrap_or_default();
    let body = out.strip_suffix(&next).unwrap_or(&out).to_owned();
    out = body;
    out.push_str(&format!("\nfiles in {}:\n", dir.display()));
    for (name, what) in [
        ("handover.html", "the report, one file, for the browser"),
        ("handover.md", "the same for a pull request"),
        ("before_after.csv", "every figure of the trials"),
        ("run.json", "the run; pgassay report renders it again"),
        (
            "shop.stderr.log",
            "the server's log; shop.csv and shop.json are the same in other formats",
        ),
        ("pg_stat_statements.csv", "the counters"),
        ("schema.sql", "the schema"),
    ] {
        if dir.join(name).exists() {
            out.push_str(&format!("  {name:<24} {what}\n"));
        }
    }
    out.push_str(&next);
    Ok(out)
}
