//! Commands and flags. Help, manual page and completions are made from these.

use std::path::PathBuf;

use clap::builder::PossibleValue;
use clap::{ArgAction, ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::apply::migration::Framework;

/// Finds the Postgres queries that hurt, proposes the index or the row-level policy, and proves it by
/// replay.
#[derive(Debug, Parser)]
#[command(
    name = "pgassay",
    version,
    disable_help_flag = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Args {
    /// Print help.
    #[arg(long, short = '?', global = true, action = ArgAction::Help)]
    help: Option<bool>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a throwaway PostgreSQL, load a marketplace, drive traffic, analyze, try, report.
    Demo(Demo),
    /// Examine connection, privileges, extensions and statistics.
    Doctor(Doctor),
    /// Gather logs and counters into one file, or merge such files.
    Capture(Capture),
    /// Findings and recommendations from logs, exports and a database.
    Analyze(Analyze),
    /// Replay with and without each recommendation, inside transactions that are rolled back.
    Trial(Trial),
    /// Measure against a baseline, and fail when something regressed.
    Check(Check),
    /// Print, execute or write as migrations the accepted recommendations of a run.
    Apply(Apply),
    /// Render a stored run again.
    Report(Report),
    /// Show a rule's page, or the list of rules.
    Explain(Explain),
    /// Write completions, the manual page, the schema of the run file or a configuration.
    Generate(Generate),
}

/// Where the database is; libpq's letters.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Server's host, or the directory of its socket.
    #[arg(short = 'h', long, value_name = "HOST")]
    pub host: Option<String>,
    /// Server's port.
    #[arg(short = 'p', long, value_name = "PORT")]
    pub port: Option<String>,
    /// User to connect as.
    #[arg(short = 'U', long, value_name = "NAME")]
    pub username: Option<String>,
    /// Database name, URL or connection string.
    #[arg(short = 'd', long, value_name = "DB")]
    pub dbname: Option<String>,
    /// Longest run of one statement, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub statement_timeout: u64,
    /// Longest wait for a lock, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    pub lock_timeout: u64,
}

/// Where the workload is.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Sources")]
pub struct Sources {
    /// Logs, exports of pg_stat_statements, captures; `-` is standard input. Formats are detected.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read pg_stat_statements over the connection.
    #[arg(long)]
    pub pg_stat_statements: bool,
    /// A schema dump (pg_dump --schema-only) in place of a database.
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// The server's log_line_prefix, where it is not detected.
    #[arg(long, value_name = "PREFIX")]
    pub log_line_prefix: Option<String>,
    /// Take only what ran on this database, as a log or an export names it. Without it: on the one that
    /// is connected to, where they name that one, and else everything.
    #[arg(long, value_name = "DBNAME")]
    pub log_database: Option<String>,
}

impl Sources {
    /// The files that are read.
    pub fn inputs(&self) -> Vec<&std::path::Path> {
        self.files.iter().chain(&self.schema).map(PathBuf::as_path).collect()
    }
}

/// Where the result goes.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Output")]
pub struct Output {
    /// Also write to FILE, format by its ending: .json .md .html .csv .xml .sarif .sql .txt; repeats.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub outputs: Vec<PathBuf>,
    /// Format on standard output.
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = format_names())]
    pub format: String,
    /// No bars and no phases on standard error.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

fn format_names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(
        crate::report::FORMATS.iter().map(|format| format.name),
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Info,
    Warning,
    Error,
}

#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// Directory for logs, run file and handover; made when missing.
    #[arg(long, value_name = "DIR", default_value = "pgassay-demo")]
    pub dir: PathBuf,
    /// Directory with the server's programs (initdb, postgres); found when not given.
    #[arg(long, value_name = "DIR", env = "PGASSAY_POSTGRES_BIN")]
    pub postgres_bin: Option<PathBuf>,
    /// Seed of data, traffic and order.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Seconds of replay for each recommendation.
    #[arg(long, value_name = "S", default_value_t = 8.0)]
    pub time_budget: f64,
    /// No bars and no phases on standard error.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Doctor {
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, ClapArgs)]
pub struct Capture {
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub connection: Connection,
    /// Where to write the capture; it holds parameters, mode 0600. `-` is standard output.
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub output: PathBuf,
    /// No bars and no phases on standard error.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

/// How much may be recommended.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct Limits {
    /// Size of all new indexes together, such as 200MB; bytes without a unit.
    #[arg(long, value_name = "SIZE")]
    pub budget: Option<Size>,
    /// New indexes, at most.
    #[arg(long, value_name = "N")]
    pub max_indexes: Option<usize>,
    /// What new indexes may add to the time of all writes, percent, as estimated.
    #[arg(long, value_name = "PCT", value_parser = percent)]
    pub max_write_overhead: Option<f64>,
}

impl Limits {
    pub fn limits(&self) -> crate::advice::input::Limits {
        crate::advice::input::Limits {
            budget_bytes: self.budget.as_ref().map(|size| size.0),
            max_indexes: self.max_indexes,
            max_write_overhead_pct: self.max_write_overhead,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim().trim_end_matches('%').trim_end().parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("expected a percentage, such as 10".to_owned()),
    }
}

const NO_SIZE: &str = "expected a number with kB, MB, GB or TB, such as 200MB";

/// A number of bytes, as `200MB`; units are those of the server, powers of 1,024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let unit = match text[end..].trim().to_lowercase().as_str() {
            "" | "b" => 1_u64,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            "t" | "tb" | "tib" => 1 << 40,
            _ => return Err(NO_SIZE.to_owned()),
        };
        match text[..end].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Size((number * unit as f64) as u64)),
            _ => Err(NO_SIZE.to_owned()),
        }
    }
}

#[derive(Debug, ClapArgs)]
pub struct Analyze {
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub limits: Limits,
    /// Cost candidates by building them in a rolled-back transaction; locks, so staging only.
    #[arg(long)]
    pub build: bool,
    /// Seconds after which --build builds no more.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, requires = "build")]
    pub build_time: u64,
    /// Estimated size of the largest index that --build builds.
    #[arg(long, value_name = "SIZE", default_value = "1GB", requires = "build")]
    pub build_size: Size,
    /// Name of the database, to consent to --build without a marker.
    #[arg(long, value_name = "DBNAME")]
    pub confirm: Option<String>,
    /// Exit with 1 when a finding has this level or a higher one.
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub fail_on: Option<FailOn>,
}

#[derive(Debug, ClapArgs)]
pub struct Trial {
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
    #[command(flatten)]
    pub limits: Limits,
    /// Try only this recommendation; repeats.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Name of the database, to consent without a marker.
    #[arg(long, value_name = "DBNAME")]
    pub confirm: Option<String>,
    /// Replay INSERT, UPDATE and DELETE as well, in savepoints, to see what the indexes cost them.
    #[arg(long)]
    pub writes: bool,
    /// Rounds of each trial, at most: 20, or as configured; fewer than 8 count as 8. It ends after 3 where work decides.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Seconds of replay for each recommendation: 20, or as configured.
    #[arg(long, value_name = "S")]
    pub time_budget: Option<f64>,
    /// Seed of order and resampling.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, ClapArgs)]
#[command(group(ArgGroup::new("mode").required(true).args(["save_baseline", "baseline"])))]
pub struct Check {
    #[command(flatten)]
    pub sources: Sources,
    #[command(flatten)]
    pub connection: Connection,
    #[command(flatten)]
    pub output: Output,
    /// Measure the workload and write a baseline; it holds parameters, mode 0600.
    #[arg(long, value_name = "F")]
    pub save_baseline: Option<PathBuf>,
    /// Measure again and compare.
    #[arg(long, value_name = "F")]
    pub baseline: Option<PathBuf>,
    /// Seed of order and sampling.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, ClapArgs)]
pub struct Report {
    /// A run file.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, ClapArgs)]
pub struct Apply {
    /// A run file.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    #[command(flatten)]
    pub connection: Connection,
    /// Take only this recommendation, accepted or not yet decided; repeats.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Take back what was applied, the last first.
    #[arg(long)]
    pub undo: bool,
    /// Execute the statements in the database; without it they are printed.
    #[arg(long)]
    pub execute: bool,
    /// Name of the database, to consent without a marker.
    #[arg(long, value_name = "DBNAME", requires = "execute")]
    pub confirm: Option<String>,
    /// The database is in production: its name in full, here or with -d.
    #[arg(long, value_name = "DBNAME", num_args = 0..=1, default_missing_value = "", requires = "execute")]
    pub production: Option<String>,
    /// Attempts for a statement that gets no lock; each waits twice as long as the one before.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub attempts: u32,
    /// Write migration files for this framework.
    #[arg(long, value_name = "FRAMEWORK", value_enum, conflicts_with_all = ["execute", "undo"])]
    pub migrations: Option<Framework>,
    /// Directory of the migrations; the framework's own when not given.
    #[arg(long, value_name = "DIR", requires = "migrations")]
    pub dir: Option<PathBuf>,
    /// No bars and no phases on standard error.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

impl ValueEnum for Framework {
    fn value_variants<'a>() -> &'a [Self] {
        use Framework::{Django, Flyway, Plain, Prisma, Rails};
        &[Plain, Rails, Django, Prisma, Flyway]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Framework::Plain => {
                PossibleValue::new("plain").help("Files ending in .up.sql and .down.sql")
            }
            Framework::Rails => PossibleValue::new("rails"),
            Framework::Django => PossibleValue::new("django"),
            Framework::Prisma => PossibleValue::new("prisma"),
            Framework::Flyway => PossibleValue::new("flyway"),
        })
    }
}

#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// Id of a rule; without it the list.
    #[arg(value_name = "RULE")]
    pub rule: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Generate {
    #[arg(value_enum)]
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Completions for bash.
    Bash,
    /// Completions for zsh.
    Zsh,
    /// Completions for fish.
    Fish,
    /// The manual page.
    Man,
    /// JSON schema of the run file.
    Schema,
    /// A configuration with every key and its default.
    Config,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
