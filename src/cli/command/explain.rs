//! `explain`: the rules' own pages.

use std::fmt::Write;

use crate::cli::args;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::print;
use crate::rules::RULES;

/// # Errors
/// When there is no such rule.
pub fn run(args: &args::Explain) -> Result<Exit, Failure> {
    let Some(id) = &args.rule else {
        print(&list())?;
        return Ok(Exit::Done);
    };
    let rule = RULES.iter().find(|rule| rule.id == id).ok_or_else(|| {
        Failure::usage(format!("cannot explain {id}"), "there is no such rule")
            .with_help("pgassay explain lists the rules")
    })?;
    print(rule.page)?;
    Ok(Exit::Done)
}

fn list() -> String {
    let mut out = String::new();
    for rule in RULES {
        let _ = writeln!(out, "{:<24} {}", rule.id, rule.summary);
        let _ = writeln!(out, "{:<24} needs {}", "", rule.needs);
    }
    out
}
