//! The command line. Alone prints, reads the environment and knows exit codes.

pub mod advice;
mod analyze;
mod apply;
pub mod args;
pub mod capture;
pub mod check;
pub mod config;
mod confirm;
pub mod connection;
pub mod demo;
pub mod doctor;
pub mod exit;
pub mod explain;
pub mod gather;
pub mod generate;
mod migrations;
pub mod output;
pub mod progress;
pub mod report;
mod stored;
pub mod trial;

use std::process::ExitCode;

use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use args::{Args, Command};
use exit::{Exit, Failure};

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("error: pgassay {} has a fault", env!("CARGO_PKG_VERSION"));
        eprintln!("cause: {info}");
        eprintln!("help:  please report it with the command that led here");
    }));
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version come this way too, and are no errors.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return code.into();
        }
    };
    watch_signals();
    match run(args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print();
            failure.exit().into()
        }
    }
}

fn run(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Demo(args) => demo::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Capture(args) => capture::run(&args),
        Command::Analyze(args) => analyze::run(&args),
        Command::Trial(args) => trial::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Apply(args) => apply::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Generate(args) => generate::run(&args),
    }
}

/// Ctrl-C and `kill` cancel what the server is doing for us; whoever waits for it then unwinds, and
/// everything is rolled back and removed on the way out.
fn watch_signals() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    std::thread::spawn(move || {
        let mut before = false;
        for _ in signals.forever() {
            let open = crate::pg::interrupt::trigger();
            // With no connection there is nothing to roll back; a second signal means it.
            if open == 0 || before {
                eprintln!("interrupted");
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            before = true;
            eprintln!("interrupted: cleaning up");
        }
    });
}
