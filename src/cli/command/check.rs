//! `check`: the nightly gate.

use std::collections::BTreeMap;

use crate::check::baseline::{Baseline, BaselineQuery, Measured, StoredSample};
use crate::check::gate::{Checked, Compared, Status};
use crate::check::measure::{
    CheckedStatement, Measurements, PASSES, SecondLook, Timeouts, look_again, measure,
};
use crate::check::{baseline, gate};
use crate::cli::connection::flags_again;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::now;
use crate::cli::progress::Progress;
use crate::cli::sources::{Needs, gather};
use crate::cli::{args, config, output};
use crate::model::name::TableName;
use crate::model::run::{Run, RunCheck};
use crate::model::workload::shape::{Shape, StatementKind};
use crate::model::workload::{Query, Sample};
use crate::pg::session::callers::Callers;
use crate::pg::session::guard::statement::Guard;
use crate::pipeline::gather::{Gathered, Live, run_of};
use crate::sql::normalize::normalizer::normalize;
use crate::sql::rewrite::for_replay::without_locks;
use crate::stats::random::Random;
use crate::trial::plan::parameters::readable;

/// Parameter sets of a statement in a baseline, at most.
const MOST_SETS: usize = 8;
/// Statements in a baseline, at most: those with the longest time.
const MOST_QUERIES: usize = 200;

/// # Errors
/// When a source, the baseline or the database cannot be read.
pub fn run(args: &args::Check) -> Result<Exit, Failure> {
    let mut inputs = args.sources.inputs();
    inputs.extend(args.baseline.as_deref());
    output::check(&args.output, &inputs)?;
    args.save_baseline.iter().try_for_each(|file| output::unless_input(file, &inputs))?;
    let config = config::load()?;
    let progress = Progress::new(args.output.quiet);
    let wanted = if args.baseline.is_some() { Needs::DatabaseAlone } else { Needs::Database };
    let gathered = gather(&args.sources, &args.connection, &config, wanted, &progress)?;
    let Some(live) = &gathered.live else {
        return Err(
            Failure::usage("cannot check", "no database was given").with_help("-d DATABASE")
        );
    };
    let mut random = Random::new(args.seed);
    match (&args.save_baseline, &args.baseline) {
        (Some(path), _) => save(args, &gathered, live, path, &mut random, &progress),
        (None, Some(path)) => compare(args, &gathered, live, path, &mut random, &progress),
        (None, None) => Err(Failure::usage(
            "nothing to check",
            "neither --baseline nor --save-baseline was given",
        )),
    }
}

fn limits(args: &args::Check) -> Timeouts {
    Timeouts {
        statement_timeout_ms: args.connection.statement_timeout,
        lock_timeout_ms: args.connection.lock_timeout,
    }
}

fn table_rows(gathered: &Gathered) -> BTreeMap<String, f64> {
    let tables = gathered.catalog.iter().flat_map(|catalog| &catalog.tables);
    tables.filter_map(|table| Some((table.name.to_string(), table.rows?))).collect()
}

/// Statements of the workload that can be replayed, and the others with the reason.
fn statements(gathered: &Gathered, live: &Live, random: &mut Random) -> Vec<BaselineQuery> {
    let mut guard = live.guard.borrow_mut();
    gathered
        .workload
        .understood()
        // Only what reads a table is worth watching.
        .filter(|(_, shape)| shape.kind == StatementKind::Select && !shape.scans.is_empty())
        .filter(|(_, shape)| shape.scans.iter().any(|scan| scan.known))
        .take(MOST_QUERIES)
        .map(|(query, shape)| statement(query, shape, live, &mut guard, random))
        .collect()
}

fn statement(
    query: &Query,
    shape: &Shape,
    live: &Live,
    guard: &mut Guard,
    random: &mut Random,
) -> BaselineQuery {
    let caller = live.callers.of(query);
    let found = readable(&live.connection, &caller, guard, (query, shape), MOST_SETS, random);
    let (samples, why_not) = match found {
        Ok((samples, _)) => (samples, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    BaselineQuery {
        fingerprint: query.fingerprint.to_string(),
        normalized: query.normalized.clone(),
        tables: shape.tables().iter().map(ToString::to_string).collect(),
        users: query.users.clone(),
        samples: samples.iter().map(StoredSample::from_sample).collect(),
        measured: Vec::new(),
        why_not,
    }
}

/// The tables that a statement of a baseline reads.
fn tables(query: &BaselineQuery) -> impl Iterator<Item = TableName> {
    let names = query.tables.iter().filter_map(|name| name.split_once('.'));
    names.map(|(schema, name)| TableName::new(schema, name))
}

/// The statements as they are measured. Each text passes the guard again: a file may hold any.
fn to_measure(
    gathered: &Gathered,
    live: &Live,
    queries: &[BaselineQuery],
) -> Result<Vec<CheckedStatement>, Failure> {
    let mut users: Vec<String> = queries.iter().flat_map(|query| query.users.clone()).collect();
    users.sort_unstable();
    users.dedup();
    let mut callers = Callers::named(&live.connection, &live.settings, users)?;
    callers.ask_privileges(&live.connection, &queries.iter().flat_map(tables).collect())?;
    gathered.catalog.iter().for_each(|catalog| callers.note_policies(catalog));
    let mut guard = live.guard.borrow_mut();
    let statement = |query: &BaselineQuery| {
        let needed: Vec<_> = tables(query).map(|table| (table, "SELECT")).collect();
        let caller = callers.of_users(&query.users, &needed);
        let samples: Vec<Sample> = query.samples.iter().map(StoredSample::to_sample).collect();
        // Its texts may have lost their row locks.
        let known = [query.normalized.clone(), without_locks(&query.normalized)];
        let check = |sample: &Sample| match known.contains(&normalize(&sample.text).text) {
            true => guard.check(&live.connection, &caller, &sample.text),
            false => Err("its text is another statement than the one it stands for".to_owned()),
        };
        let refused = samples.iter().map(check).find_map(Result::err);
        CheckedStatement { caller, samples, refused }
    };
    Ok(queries.iter().map(statement).collect())
}

fn measured(
    live: &Live,
    statements: &[CheckedStatement],
    args: &args::Check,
    random: &mut Random,
    progress: &Progress,
    name: &str,
) -> Result<Measurements, Failure> {
    let phase = progress.phase(name, PASSES + 1);
    Ok(measure(&live.settings, statements, limits(args), random, &mut |done, of| {
        phase.set(done, of)
    })?)
}

fn save(
    args: &args::Check,
    gathered: &Gathered,
    live: &Live,
    path: &std::path::Path,
    random: &mut Random,
    progress: &Progress,
) -> Result<Exit, Failure> {
    let mut queries = statements(gathered, live, random);
    let statements = to_measure(gathered, live, &queries)?;
    let night = measured(live, &statements, args, random, progress, "measuring the baseline")?;
    for (query, outcome) in queries.iter_mut().zip(night.outcomes) {
        match outcome {
            Ok(measured) if query.why_not.is_none() => query.measured = measured,
            Ok(_) => {}
            Err(why) => query.why_not = Some(why),
        }
    }
    let usable = queries.iter().filter(|query| query.why_not.is_none()).count();
    if usable == 0 {
        return Err(Failure::unreadable("no statement can be measured", first_reason(&queries))
            .with_help(
                "give a log with parameters, or pg_stat_statements of a workload that reads tables",
            ));
    }
    let target = gathered.target.as_ref();
    let baseline = Baseline {
        pgassay_baseline: baseline::VERSION,
        created_at: Some(jiff::Timestamp::now().to_string()),
        server_version: target.and_then(|target| target.server_version.clone()),
        database: target.and_then(|target| target.database.clone()),
        table_rows: table_rows(gathered),
        machine_us: night.machine_us,
        queries,
    };
    output::unless_interrupted()?;
    // It holds parameters: only its owner may read it.
    baseline::render(&baseline)
        .map_err(std::io::Error::from)
        .and_then(|text| output::write_beside(path, text.as_bytes(), Some(0o600)))
        .map_err(|error| {
            Failure::usage(format!("cannot write {}", path.display()), error.to_string())
        })?;
    let mut run = run_of("check", now(), gathered);
    run.checks = baseline.queries.iter().map(saved).collect();
    run.warnings
        .push(format!("{} holds parameters of your statements; its mode is 0600", path.display()));
    run.next = Some(format!(
        "pgassay check {} --baseline {}",
        flags_again(&live.settings),
        path.display()
    ));
    output::write(&run, &args.output)?;
    Ok(Exit::Done)
}

fn first_reason(queries: &[BaselineQuery]) -> String {
    queries
        .iter()
        .find_map(|query| query.why_not.clone())
        .unwrap_or_else(|| "the workload has no SELECT on a table of this database".to_owned())
}

fn saved(query: &BaselineQuery) -> RunCheck {
    let (status, reason) = match &query.why_not {
        Some(why) => (Status::NotEstimable, why.clone()),
        None => (Status::Unchanged, "saved".to_owned()),
    };
    unmeasured(query.fingerprint.clone(), status, reason, query.normalized.clone())
}

/// A statement with a status and no figures.
fn unmeasured(fingerprint: String, status: Status, reason: String, normalized: String) -> RunCheck {
    RunCheck {
        fingerprint,
        status: status.word().to_owned(),
        reason,
        normalized,
        change_pct: None,
        buffers_before: None,
        buffers_after: None,
    }
}

fn compare(
    args: &args::Check,
    gathered: &Gathered,
    live: &Live,
    path: &std::path::Path,
    random: &mut Random,
    progress: &Progress,
) -> Result<Exit, Failure> {
    let baseline = baseline::read(path).map_err(|cause| {
        Failure::unreadable(format!("cannot read the baseline {}", path.display()), cause)
            .with_help("pgassay check … --save-baseline F writes one")
    })?;
    let rows_now = table_rows(gathered);
    let statements = to_measure(gathered, live, &baseline.queries)?;
    let night = measured(live, &statements, args, random, progress, "measuring")?;
    let outcomes = &night.outcomes;
    if let Some(Err(why)) = outcomes.first().filter(|_| outcomes.iter().all(Result::is_err)) {
        let from = baseline.database.as_deref().unwrap_or("another");
        return Err(Failure::unreadable("no statement of the baseline runs in this database", why)
            .with_help(format!(
                "the baseline was made in {from}; this is {}",
                live.settings.database
            )));
    }
    let machine = gate::machine_shift(&baseline.machine_us, &night.machine_us);
    let mut compared =
        gate::compare(&baseline.queries, outcomes, &baseline.table_rows, &rows_now, machine);
    second_look(args, live, (&baseline, &statements), &night, &mut compared, progress)?;
    let mut run = run_of("check", now(), gathered);
    warn(&mut run, &baseline, gathered, &compared);
    run.checks = compared.checked.iter().map(checked).collect();
    if !args.sources.files.is_empty() || args.sources.pg_stat_statements {
        add_new_and_missing(&mut run, gathered, &baseline);
    }
    output::write(&run, &args.output)?;
    Ok(verdict(&compared.checked))
}

/// Statements that only time has flagged are looked at again, until they are cleared or it is sure.
fn second_look(
    args: &args::Check,
    live: &Live,
    (baseline, statements): (&Baseline, &[CheckedStatement]),
    night: &Measurements,
    compared: &mut Compared,
    progress: &Progress,
) -> Result<(), Failure> {
    let flagged: Vec<usize> = (0..compared.checked.len())
        .filter(|at| compared.checked[*at].status_without_time.is_some())
        .collect();
    if flagged.is_empty() {
        return Ok(());
    }
    let _phase = progress.phase("looking again", 0);
    // The machine may have become faster or slower since the first look.
    let shift = |machine_us: &[f64]| {
        let first = compared.shift.unwrap_or(0.0);
        first + gate::machine_shift(&night.machine_us, machine_us).unwrap_or(0.0)
    };
    let before = |at: usize| baseline.queries[flagged[at]].measured.as_slice();
    let statements: Vec<CheckedStatement> =
        flagged.iter().map(|at| statements[*at].clone()).collect();
    let first: Vec<&[Measured]> = flagged
        .iter()
        .map(|at| night.outcomes[*at].as_ref().map_or(&[][..], Vec::as_slice))
        .collect();
    let growth: Vec<f64> = flagged.iter().map(|at| compared.checked[*at].growth).collect();
    let is_slower = |look: &SecondLook, at: usize| {
        let shift = shift(&look.machine_us);
        gate::is_still_slower(before(at), &look.measured[at], shift, growth[at], compared.band)
    };
    let look = look_again(&live.settings, &statements, &first, limits(args), &|look| {
        !(0..flagged.len()).any(|at| is_slower(look, at))
    })?;
    for (at, place) in flagged.iter().enumerate() {
        if !is_slower(&look, at) {
            gate::clear(&mut compared.checked[*place]);
        }
    }
    Ok(())
}

fn verdict(checked: &[Checked]) -> Exit {
    let any =
        |statuses: &[Status]| checked.iter().any(|checked| statuses.contains(&checked.status));
    if any(&[Status::Regressed, Status::Error]) {
        Exit::Gate
    } else if checked.iter().all(|checked| checked.status == Status::NotEstimable) {
        Exit::Inconclusive
    } else {
        Exit::Done
    }
}

fn warn(run: &mut Run, baseline: &Baseline, gathered: &Gathered, compared: &Compared) {
    let version = gathered.target.as_ref().and_then(|target| target.server_version.clone());
    if version != baseline.server_version {
        run.warnings.push(format!(
            "the baseline was measured on PostgreSQL {}, this is {}",
            baseline.server_version.as_deref().unwrap_or("unknown"),
            version.as_deref().unwrap_or("unknown")
        ));
    }
    if let Some(shift) = compared.shift_pct().filter(|shift| shift.abs() > 10.0) {
        run.warnings.push(format!(
            "all statements together shifted by {shift:+.0} %: the machine, not a statement"
        ));
    }
}

fn checked(checked: &Checked) -> RunCheck {
    RunCheck {
        fingerprint: checked.fingerprint.clone(),
        status: checked.status.word().to_owned(),
        reason: checked.reason.clone(),
        normalized: checked.normalized.clone(),
        change_pct: checked.change_pct,
        buffers_before: checked.buffers.map(|(before, _)| before),
        buffers_after: checked.buffers.map(|(_, after)| after),
    }
}

/// Statements that only one of the two knows. They are shown and never gate.
fn add_new_and_missing(run: &mut Run, gathered: &Gathered, baseline: &Baseline) {
    let known =
        |fingerprint: &str| baseline.queries.iter().any(|query| query.fingerprint == fingerprint);
    for (query, shape) in gathered.workload.understood() {
        let reads = shape.kind == StatementKind::Select && shape.scans.iter().any(|s| s.known);
        let name = query.fingerprint.to_string();
        if reads && !known(&name) {
            let reason = "not in the baseline".to_owned();
            run.checks.push(unmeasured(name, Status::New, reason, query.normalized.clone()));
        }
    }
    for check in &mut run.checks {
        let seen = gathered
            .workload
            .queries
            .iter()
            .any(|own| own.fingerprint.to_string() == check.fingerprint);
        if !seen && check.status == Status::Unchanged.word() {
            check.status = Status::Missing.word().to_owned();
            check.reason = "not in this workload any more; unchanged when measured".to_owned();
        }
    }
}
