//! `generate`: what packagers and editors need, made from the flags themselves.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::{self, Args, What};
use crate::cli::config::TEMPLATE;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::print;

/// # Errors
/// When nobody reads the output.
pub fn run(args: &args::Generate) -> Result<Exit, Failure> {
    print(&text(args.what))?;
    Ok(Exit::Done)
}

fn text(what: What) -> String {
    match what {
        What::Bash => completions(Shell::Bash),
        What::Zsh => completions(Shell::Zsh),
        What::Fish => completions(Shell::Fish),
        What::Man => {
            let mut page = Vec::new();
            // Writing to memory does not fail.
            let _ = clap_mangen::Man::new(Args::command()).render(&mut page);
            String::from_utf8_lossy(&page).into_owned()
        }
        What::Schema => crate::report::format::json::schema(),
        What::Config => TEMPLATE.to_owned(),
    }
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pgassay", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
