//! The input of trials: target, workload, effort.

use std::cell::RefCell;

use crate::model::catalog::Catalog;
use crate::model::index::NewIndex;
use crate::model::workload::Workload;
use crate::pg::config::settings::Settings;
use crate::pg::connect::connection::Connection;
use crate::pg::session::callers::Callers;
use crate::pg::session::guard::consent::Writable;
use crate::pg::session::guard::statement::Guard;

/// How long and how carefully to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub rounds: usize,
    /// Time for the executions of one recommendation, seconds.
    pub budget_s: f64,
    pub lock_timeout_ms: u64,
    pub statement_timeout_ms: u64,
    pub seed: u64,
}

/// One index of a trial, and the recommendation it comes from.
#[derive(Debug, Clone, Copy)]
pub struct NewlyBuilt<'r> {
    pub recommendation: &'r str,
    pub index: &'r NewIndex,
}

/// The server and the options of a trial.
#[derive(Clone, Copy)]
pub struct TrialTarget<'s> {
    pub settings: &'s Settings,
    pub callers: &'s Callers,
    pub consent: &'s Writable,
    pub effort: Effort,
}

/// The workload and the recommendations of a trial.
pub struct TrialInput<'c> {
    pub connection: &'c Connection,
    /// Which statements are executed; it remembers what it decided.
    pub guard: &'c RefCell<Guard>,
    pub workload: &'c Workload,
    pub catalog: Option<&'c Catalog>,
    pub target: TrialTarget<'c>,
    /// Replay what writes as well, to see what the accepted indexes cost it.
    pub with_writes: bool,
}
