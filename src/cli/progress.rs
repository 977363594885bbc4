//! Bars on a terminal, one line a phase elsewhere, nothing when asked for quiet. All on stderr.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::stderr;
use crate::pipeline;

/// Says what is going on.
pub struct Progress {
    quiet: bool,
    terminal: bool,
    /// The step of a pipeline that is under way.
    step: RefCell<Option<Phase>>,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::stderr().is_terminal() && !dumb;
        Progress { quiet, terminal, step: RefCell::default() }
    }

    /// A line of its own, when no bar is shown.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            stderr::line(line);
        }
    }

    /// Starts a phase of `steps` steps; zero when their number is not known.
    pub fn phase(&self, name: &str, steps: usize) -> Phase {
        if self.quiet {
            return Phase(ProgressBar::hidden());
        }
        if !self.terminal {
            stderr::line(name);
            return Phase(ProgressBar::hidden());
        }
        let (bar, template) = match steps {
            0 => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
            steps => (ProgressBar::new(steps as u64), "{msg:40} {bar:30} {pos}/{len}  {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Phase(bar)
    }
}

impl pipeline::progress::Progress for Progress {
    fn begin(&self, step: &str) {
        self.end();
        *self.step.borrow_mut() = Some(self.phase(step, 0));
    }

    fn end(&self) {
        self.step.borrow_mut().take();
    }

    fn note(&self, line: &str) {
        self.say(line);
    }
}

/// A phase; ends when dropped.
pub struct Phase(ProgressBar);

impl Phase {
    pub fn set(&self, done: usize, of: usize) {
        self.0.set_length(of as u64);
        self.0.set_position(done as u64);
    }

    pub fn name(&self, name: &str) {
        self.0.set_message(name.to_owned());
    }

    pub fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
