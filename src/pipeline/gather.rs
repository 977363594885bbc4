//! Reads all sources into one workload, and the catalog beside it.

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::progress::Progress;
use crate::model::catalog::{Catalog, TableKind};
use crate::model::name::TableName;
use crate::model::run::{Run, Target};
use crate::model::workload::Workload;
use crate::model::workload::shape::{Scan, Shape};
use crate::pg::config::settings::Settings;
use crate::pg::connect::connection::Connection;
use crate::pg::session::callers::Callers;
use crate::pg::session::guard::statement::Guard;
use crate::report::record;
use crate::source;
use crate::source::collect::collector::{Collector, CounterKey};
use crate::source::collect::resolve_all::resolve_all;
use crate::source::collect::statement::CountedCalls;
use crate::source::format::framer::Options;
use crate::source::message::database::{self, Database, choose};
use crate::sql;
use crate::sql::resolve::policies::resolve_policies;

/// Share of the time on unknown tables from which on it is said, percent.
const NOTICEABLE_PCT: f64 = 1.0;

/// Everything that rules and advice look at.
pub struct Gathered {
    pub workload: Workload,
    pub catalog: Option<Catalog>,
    pub live: Option<Live>,
    pub target: Option<Target>,
    /// The identifier of the server that a capture among the sources was taken on.
    pub captured_on: Option<String>,
    pub warnings: Vec<String>,
}

/// An open database.
pub struct Live {
    pub settings: Settings,
    pub connection: Connection,
    /// Who executes the statements of the workload.
    pub callers: Callers,
    /// Which of them are planned and executed.
    pub guard: RefCell<Guard>,
}

impl Live {
    pub fn new(settings: Settings, connection: Connection) -> Live {
        let callers = Callers::connected(&connection);
        Live { settings, connection, callers, guard: RefCell::default() }
    }
}

/// The sources of a workload and its catalog.
#[derive(Debug, Default)]
pub struct Sources {
    /// Logs, exports of `pg_stat_statements` and captures; `-` is standard input.
    pub files: Vec<PathBuf>,
    pub counters: Counters,
    /// A schema dump, where there is no database.
    pub schema: Option<PathBuf>,
    /// The `log_line_prefix` of stderr logs, where it is not detected.
    pub log_line_prefix: Option<String>,
    /// Only what ran on this database, as a log or an export names it.
    pub log_database: Option<String>,
}

/// Whether `pg_stat_statements` is read over the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counters {
    #[default]
    No,
    /// Read them if no file gives a workload; a failure is only a warning.
    IfNoFile,
    /// Read them; a failure is an error.
    Yes,
}

/// The sources as they were read.
pub struct Collected {
    pub collector: Collector,
    pub live: Option<Live>,
    pub warnings: Vec<String>,
}

/// Reads files, and counters over the connection.
///
/// # Errors
/// When a source cannot be read at all.
pub fn collect(
    sources: &Sources,
    live: Option<Live>,
    progress: &dyn Progress,
) -> Result<Collected, Error> {
    let mut warnings = Vec::new();
    let mut collector = Collector::new();
    read_files(sources, &mut collector, progress)?;
    let wants_counters = match sources.counters {
        Counters::No => false,
        Counters::IfNoFile => sources.files.is_empty(),
        Counters::Yes => true,
    };
    if let Some(live) = live.as_ref().filter(|_| wants_counters) {
        read_counters(sources, live, &mut collector, &mut warnings)?;
    }
    Ok(Collected { collector, live, warnings })
}

/// Reads files, counters and catalog, and resolves every statement.
///
/// # Errors
/// When a source cannot be read at all, or nothing in any of them was understood.
pub fn gather(
    sources: &Sources,
    live: Option<Live>,
    progress: &dyn Progress,
) -> Result<Gathered, Error> {
    let Collected { mut collector, mut live, mut warnings } = collect(sources, live, progress)?;
    let captured = collector.catalog().cloned();
    let captured_on = captured.as_ref().and_then(|catalog| catalog.system_identifier.clone());
    collector.settle();
    let advised = match &live {
        Some(live) => Some(live.settings.database.as_str()),
        None => captured.as_ref().and_then(|catalog| catalog.database.as_deref()),
    };
    warnings.extend(one_database(sources, advised, &mut collector)?);
    let mut workload = collector.finish();
    if let Some(Live { settings, connection, callers, .. }) = &mut live {
        *callers = Callers::of_workload(connection, settings, &workload)?;
    }
    let (mut catalog, target) = catalog(sources, live.as_ref(), captured, &mut workload)?;
    if let (Some(live), Some(catalog)) = (&live, &catalog) {
        warnings.extend(looked_up_as(&live.callers, catalog));
    }
    progress.begin("resolving statements");
    if let Some(catalog) = &mut catalog {
        resolve_policies(catalog);
    }
    resolve_all(&mut workload, catalog.as_ref());
    if let Some(Live { connection, callers, .. }) = &mut live {
        let shapes = workload.understood().map(|(_, shape)| shape);
        let tables = shapes.flat_map(|shape| shape.tables().into_iter().cloned()).collect();
        callers.ask_privileges(connection, &tables)?;
        catalog.iter().for_each(|catalog| callers.note_policies(catalog));
        warnings.extend(callers.superuser_warning(&workload.queries));
    }
    progress.end();
    if !sources.files.is_empty() && workload.coverage.understood == 0 {
        return Err(nothing_understood(&workload));
    }
    warnings.append(&mut workload.warnings);
    warnings.extend(catalog.as_ref().and_then(|catalog| views(&workload, catalog)));
    warnings.extend(catalog.as_ref().and_then(|catalog| elsewhere(&workload, catalog)));
    if catalog.is_none() {
        warnings.push(
            "no catalog: rules about indexes and row-level security need a database (-d) or a schema (--schema FILE)"
                .to_owned(),
        );
    }
    Ok(Gathered { workload, catalog, live, target, captured_on, warnings })
}

/// Says whose search path holds, where it is not that of the connected role.
fn looked_up_as(callers: &Callers, catalog: &Catalog) -> Option<String> {
    let user = callers.path_of()?;
    let path = catalog.search_path.join(", ");
    Some(format!("names are looked up as for {user}, whose search_path is {path}"))
}

/// Lets go what ran on other databases than the one that the command is about, as far as the sources
/// tell; `advised` is the one that advice is for. Returns what the reader has to know about it.
///
/// # Errors
/// When a database was asked for that no source names.
pub fn one_database(
    sources: &Sources,
    advised: Option<&str>,
    collector: &mut Collector,
) -> Result<Option<String>, Error> {
    let wanted = match (&sources.log_database, advised) {
        (Some(name), _) => database::DatabaseFilter::Only(name),
        (None, Some(name)) => database::DatabaseFilter::For(name),
        (None, None) => database::DatabaseFilter::Any,
    };
    let (read, all) = collector.shares();
    let choice = choose(&read, all, wanted).map_err(|cause| {
        let name = sources.log_database.as_deref().unwrap_or_default();
        Error::unreadable(format!("no statement of the database {name}"), cause).with_help(
            "log_line_prefix has %d where a log names databases; an export needs datname",
        )
    })?;
    collector.leave_out(&choice.left_out);
    Ok(choice.warning)
}

fn read_files(
    sources: &Sources,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let options =
        Options { log_line_prefix: sources.log_line_prefix.clone(), ..Options::default() };
    let mut files = Vec::new();
    for file in &sources.files {
        files.extend(expand(file));
    }
    // A rotated set may be given in any order; what one file leaves open another goes on with.
    files.sort_by_cached_key(|file| begins(file));
    for file in &files {
        let name = if file.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            file.display().to_string()
        };
        progress.begin(&format!("reading {name}"));
        let outcome = if file.as_os_str() == "-" {
            source::read(std::io::stdin(), &name, &options, collector)
        } else {
            source::read(open_file(file)?, &name, &options, collector)
        };
        progress.end();
        outcome.map_err(|error| Error::source(&name, &error))?;
    }
    Ok(())
}

/// The files that a pattern names, for shells that leave patterns alone.
fn expand(path: &Path) -> Vec<PathBuf> {
    let is_pattern = |text: &str| text.contains(['*', '?', '[']) && !path.exists();
    let found: Vec<PathBuf> = match path.to_str().filter(|text| is_pattern(text)) {
        Some(pattern) => glob::glob(pattern).into_iter().flatten().filter_map(Result::ok).collect(),
        None => Vec::new(),
    };
    if found.is_empty() { vec![path.to_owned()] } else { found }
}

/// When a file begins; `None`, which comes first, where that cannot be told.
fn begins(path: &Path) -> Option<(i64, i64)> {
    if path.as_os_str() == "-" {
        return None;
    }
    // A named pipe can be read only once.
    let file = File::open(path).ok()?;
    file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    source::begins(file)
}

fn open_file(path: &Path) -> Result<File, Error> {
    let fail = |cause: String| {
        Error::unreadable(format!("cannot read {}", path.display()), cause)
            .with_help("check the path, and that you may read the file")
    };
    let file = File::open(path).map_err(|error| fail(error.to_string()))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(fail("it is a directory".to_owned())
            .with_help(format!("{}/*.log names its files", path.display())));
    }
    Ok(file)
}

/// Counters are read when asked for, and tried when there is nothing else to read.
fn read_counters(
    sources: &Sources,
    live: &Live,
    collector: &mut Collector,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    match crate::pg::catalog::pg_stat_statements::read(&live.connection) {
        Ok(rows) => {
            collector.begin("pg_stat_statements");
            for row in rows {
                let counted = CountedCalls {
                    calls: row.calls,
                    total_us: row.total_us,
                    rows: row.rows,
                    blocks: Some(row.blocks),
                };
                // They are of the database that the connection is to, whatever a log calls it.
                let of = CounterKey {
                    queryid: row.queryid,
                    database: Database::UNKNOWN,
                    user: row.user.as_bytes(),
                };
                collector.counted(&row.query, of, &counted);
            }
            Ok(())
        }
        Err(error) if sources.counters == Counters::Yes => Err(error.into()),
        Err(error) => {
            let help = error.help.clone().map(|help| format!("; {help}")).unwrap_or_default();
            warnings.push(format!("no workload was read: {error}{help}"));
            Ok(())
        }
    }
}

fn nothing_understood(workload: &Workload) -> Error {
    let coverage = &workload.coverage;
    let cause = match coverage.skipped.first() {
        Some(skipped) => {
            format!("{} × {} (first: {})", skipped.count, skipped.reason, skipped.example)
        }
        None => format!("{} lines, and none of them holds a statement", coverage.lines),
    };
    Error::unreadable("nothing in the input was understood", cause).with_help(
        "does the server log statements? log_min_duration_statement = 0, or log_statement = 'all'",
    )
}

fn catalog(
    sources: &Sources,
    live: Option<&Live>,
    captured: Option<Catalog>,
    workload: &mut Workload,
) -> Result<(Option<Catalog>, Option<Target>), Error> {
    if let Some(live) = live {
        let catalog = crate::pg::catalog::load::load(&live.connection, live.callers.path())?;
        let description = live.settings.describe(catalog.server_version.as_deref());
        let target = record::target(&catalog, Some(description));
        return Ok((Some(catalog), Some(target)));
    }
    let Some(path) = &sources.schema else {
        let target = captured.as_ref().map(|catalog| {
            record::target(catalog, Some("catalog in the capture, no connection".to_owned()))
        });
        return Ok((captured, target));
    };
    let bytes = std::fs::read(path).map_err(|error| {
        Error::unreadable(format!("cannot read {}", path.display()), error.to_string())
            .with_help("pg_dump --schema-only makes a schema")
    })?;
    let (catalog, coverage) = sql::dump::catalog::catalog(&String::from_utf8_lossy(&bytes));
    if catalog.tables.is_empty() {
        return Err(Error::unreadable(
            format!("cannot use {}", path.display()),
            "it creates no table",
        )
        .with_help("pg_dump --schema-only makes a schema"));
    }
    for skipped in coverage.skipped {
        workload.coverage.skip(&skipped.reason, skipped.count, || {
            format!("{}: {}", path.display(), skipped.example)
        });
    }
    let description = format!("schema file {}, {} tables", path.display(), catalog.tables.len());
    let target = record::target(&catalog, Some(description));
    Ok((Some(catalog), Some(target)))
}

/// Says which share of the time reads views: the tables behind them are not looked into.
fn views(workload: &Workload, catalog: &Catalog) -> Option<String> {
    let is_view =
        |scan: &Scan| catalog.table(&scan.table).is_some_and(|table| table.kind == TableKind::View);
    let (mut count, mut total_us) = (0, 0);
    for (query, shape) in workload.understood() {
        if shape.scans.iter().any(is_view) {
            count += 1;
            total_us += query.total_us;
        }
    }
    (count > 0).then(|| {
        format!(
            "{count} statements ({:.1} % of the time) read views; the tables behind views are not looked into",
            workload.share_pct(total_us)
        )
    })
}

/// Says which share of the time reads tables that the catalog does not have: it may be that of another
/// database.
fn elsewhere(workload: &Workload, catalog: &Catalog) -> Option<String> {
    let unknown = |shape: &Shape| {
        let mut tables = shape.tables().into_iter();
        tables.find(|table| catalog.table(table).is_none() && !is_of_the_system(table)).cloned()
    };
    let (mut first, mut total_us) = (None, 0);
    for (query, shape) in workload.understood() {
        if let Some(table) = unknown(shape) {
            first.get_or_insert(table);
            total_us += query.total_us;
        }
    }
    let share_pct = workload.share_pct(total_us);
    first.filter(|_| share_pct >= NOTICEABLE_PCT).map(|table| {
        format!(
            "{share_pct:.1} % of the time is spent on tables that are not there, such as {table}: is this the database that the workload ran on?"
        )
    })
}

fn is_of_the_system(table: &TableName) -> bool {
    table.name.starts_with("pg_") || matches!(&*table.schema, "pg_catalog" | "information_schema")
}

/// A run with what was gathered in it. `at` is the present time, as RFC 3339 has it.
pub fn run_of(command: &str, at: String, gathered: &Gathered) -> Run {
    let mut run = record::empty(command, Some(at));
    run.target.clone_from(&gathered.target);
    run.coverage = record::coverage(&gathered.workload.coverage);
    run.queries = record::queries(&gathered.workload);
    run.warnings.clone_from(&gathered.warnings);
    run
}
