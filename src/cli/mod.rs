//! The command line.
//!
//! In: arguments, environment, configuration. Out: output and exit codes.
//! Never: work that a library user would need; that is in `pipeline`. No other module prints or reads the environment.

pub mod args;
pub mod command;
pub mod config;
pub mod connection;
pub mod demo;
pub mod exit;
pub mod output;
pub mod progress;
pub mod sources;
pub mod stderr;
mod stored;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use exit::{Exit, Failure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        if strange_answer(info.payload()).is_some() {
            stderr::line("error: cannot read an answer of the server");
            stderr::line(&format!(
                "cause: it has other columns than PostgreSQL gives: {}",
                strange_answer(info.payload()).unwrap_or_default()
            ));
            stderr::line("help:  is it PostgreSQL, and not a relative of it or a proxy before it?");
            return;
        }
        stderr::line(&format!("error: pgassay {} has a fault", env!("CARGO_PKG_VERSION")));
        stderr::line(&format!("cause: {info}"));
        stderr::line("help:  please report it with the command that led here");
    }));
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way too, and are no errors.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            match code {
                // An argument in the wrong place may be a connection string.
                Exit::Usage => stderr::write(&error.render().to_string()),
                _ => drop(error.print()),
            }
            return code.into();
        }
    };
    watch_signals();
    // The driver panics where a column is missing or of another type; that is the server's fault and no crash of ours.
    let ended =
        std::panic::catch_unwind(|| run(args)).unwrap_or_else(|panic| {
            match strange_answer(&*panic).is_some() {
                true => Ok(Exit::Unreadable),
                false => std::panic::resume_unwind(panic),
            }
        });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit().into()
        }
    }
}

/// How the driver's panic about a column begins.
const STRANGE_ANSWER: &str = "error retrieving column";

fn strange_answer(payload: &(dyn std::any::Any + Send)) -> Option<&str> {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.filter(|text| text.starts_with(STRANGE_ANSWER))
}

fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Demo(args) => demo::run(&args),
        Command::Doctor(args) => crate::cli::command::doctor::run(&args),
        Command::Capture(args) => crate::cli::command::capture::run(&args),
        Command::Analyze(args) => crate::cli::command::analyze::run(&args),
        Command::Trial(args) => crate::cli::command::trial::run(&args),
        Command::Check(args) => crate::cli::command::check::run(&args),
        Command::Apply(args) => crate::cli::command::apply::run(&args),
        Command::Report(args) => crate::cli::command::report::run(&args),
        Command::Explain(args) => crate::cli::command::explain::run(&args),
        Command::Generate(args) => crate::cli::command::generate::run(&args),
    }
}

/// Ctrl-C and `kill` cancel what the server is doing for us; whoever waits for it then unwinds, and
/// everything is rolled back and removed on the way out.
fn watch_signals() {
    let mut all = vec![SIGINT, SIGTERM];
    // Under nohup it is ignored, and stays so.
    all.extend((!is_ignored(SIGHUP)).then_some(SIGHUP));
    let Ok(mut signals) = Signals::new(all) else { return };
    std::thread::spawn(move || {
        let mut before = false;
        for _ in signals.forever() {
            let open = crate::pg::connect::cancel::trigger();
            // With no connection there is nothing to roll back; a second signal means it.
            if open == 0 || before {
                stderr::line("interrupted");
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            before = true;
            stderr::line("interrupted: cleaning up");
        }
    });
}

/// The process was started with this signal ignored, as far as the system tells.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
