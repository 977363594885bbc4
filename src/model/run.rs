//! The run file: the one record of what a command did, and a public contract.
//!
//! Keys are append-only within a major `schema_version`. Units are in key names. What is absent is
//! `null`, never zero.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run_access::RunAccess;

/// Raised only when a key changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    pub schema_version: u32,
    pub tool: Tool,
    /// The command that made the run.
    pub command: String,
    /// When the run was made, RFC 3339.
    pub created_at: Option<String>,
    pub target: Option<Target>,
    pub coverage: RunCoverage,
    pub queries: Vec<RunQuery>,
    pub findings: Vec<RunFinding>,
    pub recommendations: Vec<RunRecommendation>,
    /// The size of all proposed indexes together, before any was tried.
    #[serde(default)]
    pub takes: Option<RunTakes>,
    pub trials: Vec<RunTrial>,
    pub checks: Vec<RunCheck>,
    /// Who acts in the workload, and which rows each may reach.
    #[serde(default)]
    pub access: Option<RunAccess>,
    pub warnings: Vec<String>,
    /// Seed of the order of arms and of the resampling, so that a run can be repeated.
    pub seed: Option<u64>,
    /// The command to run next.
    pub next: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    pub database: Option<String>,
    pub server_version: Option<String>,
    /// `live` or `ddl`.
    pub origin: String,
    /// The server's address, the role, and the setting that named them; never a password.
    pub description: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct RunCoverage {
    pub lines: u64,
    pub statements: u64,
    pub understood: u64,
    pub skipped: Vec<RunSkipped>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunSkipped {
    pub reason: String,
    pub count: u64,
    pub example: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunQuery {
    /// 16 hexadecimal digits.
    pub fingerprint: String,
    pub queryid: Option<i64>,
    pub normalized: String,
    pub calls: u64,
    pub total_us: Option<u64>,
    pub mean_us: Option<u64>,
    /// Only where single durations were observed, never from means.
    pub p50_us: Option<u64>,
    pub p95_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub max_us: Option<u64>,
    pub rows: Option<u64>,
    pub tables: Vec<String>,
    pub parsed: bool,
    /// `observed`, `measured` or `estimated`.
    pub provenance: String,
    /// Share of the time of the workload, percent.
    pub share_pct: f64,
    /// The plan of the slowest execution that `auto_explain` logged, without values.
    #[serde(default)]
    pub observed_plan: Option<String>,
    /// Why a statement that takes much of the time gets no index.
    #[serde(default)]
    pub no_index: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunFinding {
    pub id: String,
    pub rule: String,
    /// `error`, `warning` or `info`.
    pub level: String,
    pub impact_pct: f64,
    pub subject: RunSubject,
    pub message: String,
    /// Objects with a `kind`.
    pub evidence: Vec<Value>,
    /// Advice in words for a recommendation without SQL.
    pub advice: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct RunSubject {
    pub table: Option<String>,
    pub columns: Vec<String>,
    pub index: Option<String>,
    pub policy: Option<String>,
    pub query: Option<String>,
    pub parent_query: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunRecommendation {
    pub id: String,
    /// `create-index` or `drop-index`.
    pub kind: String,
    pub table: Option<String>,
    pub sql: Vec<String>,
    pub undo: Vec<String>,
    /// To be executed once it is real, so that the planner knows what it needs to know of it.
    #[serde(default)]
    pub after: Vec<String>,
    pub because: Vec<String>,
    /// `proposed`, `accepted`, `rejected` or `undecided`.
    pub state: String,
    /// Id of the recommendation that has to be made real first.
    #[serde(default)]
    pub requires: Option<String>,
    /// Its purpose and its cost, in words.
    #[serde(default)]
    pub purpose: Option<String>,
    pub why: Option<String>,
    /// Cautions, one sentence each.
    #[serde(default)]
    pub cautions: Vec<String>,
    pub estimated: Option<RunEstimate>,
    /// The index's size as it counts against the limits; present even without a planner's estimate of its gain.
    #[serde(default)]
    pub takes: Option<RunTakes>,
    pub measured: Option<RunMeasured>,
    /// The work of its statements without it but with the other new indexes, where one of those could replace it.
    #[serde(default)]
    pub without: Option<RunWithout>,
}

/// How the statements of an index fare without it, beside the other new indexes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunWithout {
    pub queries: Vec<RunWithoutQuery>,
    /// The indexes that they use in its place: ids of recommendations, and names of existing indexes.
    pub served_by: Vec<String>,
}

/// One statement beside the other new indexes, without one of them and with it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunWithoutQuery {
    pub fingerprint: String,
    /// The work of these statements: `before` without the index, `after` with it.
    pub work: Option<RunWork>,
    pub p50_without_us: Option<f64>,
    pub p50_with_us: Option<f64>,
    /// Without the index it was stopped at a time limit.
    pub stopped: bool,
}

/// The work of one execution: the mean over the parameter sets that were explained.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunWork {
    pub parameter_sets: u64,
    /// Shared and local blocks hit and read, and blocks of temporary files.
    pub blocks_before: u64,
    pub blocks_after: u64,
    /// Rows that scans produced or filtered out.
    pub rows_before: u64,
    pub rows_after: u64,
    /// The plans have the same nodes, whatever their indexes are called.
    pub same_nodes: bool,
}

/// Size and write overhead of one index, or of several together, estimated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunTakes {
    pub size_bytes: u64,
    /// The index's share of the time of its table's writes, or of all writes for several indexes, percent.
    pub write_overhead_pct: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunEstimate {
    pub cost_before: f64,
    pub cost_after: f64,
    pub size_bytes: Option<u64>,
    pub write_overhead_pct: Option<f64>,
}

/// The result of a trial for the statement that the recommendation helps most.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunMeasured {
    pub fingerprint: Option<String>,
    pub p95_before_us: f64,
    pub p95_after_us: f64,
    /// What the verdict rests on: `work`, `p50`, `p95`, or `rows`.
    #[serde(default = "p95")]
    pub judged_by: String,
    /// The quantile that the change is one of: `p95`, or `p50` where there were too few executions for it.
    #[serde(default)]
    pub quantile: Option<String>,
    #[serde(default)]
    pub work: Option<RunWork>,
    /// That quantile, without the change and with it.
    #[serde(default)]
    pub judged_before_us: Option<f64>,
    #[serde(default)]
    pub judged_after_us: Option<f64>,
    /// Executions without the change were stopped at a time limit: they take at least what stands here.
    #[serde(default)]
    pub stopped_before: bool,
    pub change_pct: f64,
    pub interval_pct: [f64; 2],
    pub verdict: String,
    pub size_bytes: Option<u64>,
    pub build_ms: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunTrial {
    pub recommendations: Vec<String>,
    /// `transaction`: the index was built in a transaction that was rolled back.
    pub mode: String,
    pub rounds: u32,
    pub builds: u32,
    pub noise_floor_pct: f64,
    pub build_ms: f64,
    pub size_bytes: Option<u64>,
    pub queries: Vec<RunQueryTrial>,
    pub left_out: Vec<RunLeftOut>,
    pub failed: Option<String>,
    /// The outcome for each index.
    #[serde(default)]
    pub indexes: Vec<RunTriedIndex>,
    /// Their cost to writes, where it was measured.
    #[serde(default)]
    pub writes: Option<RunWrites>,
}

/// `INSERT`, `UPDATE` and `DELETE` of the workload without and with the indexes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunWrites {
    pub rounds: u32,
    /// Change of the time that all writes as the workload has them take in the server, percent: positive is slower.
    pub change_pct: Option<f64>,
    /// 95 % interval of the change.
    pub interval_pct: Option<[f64; 2]>,
    /// 95 % interval of control against before.
    pub control_interval_pct: Option<[f64; 2]>,
    pub queries: Vec<RunWriteQuery>,
    /// For several indexes, the cost of each without the others.
    #[serde(default)]
    pub own: Vec<RunOwnWriteCost>,
    pub left_out: Vec<RunLeftOut>,
    pub failed: Option<String>,
    /// Sequences that gave values, which no rollback takes back.
    #[serde(default)]
    pub sequences: Vec<RunSequence>,
    /// Rows that were written and rolled back: they are dead until the next vacuum.
    #[serde(default)]
    pub dead_rows: u64,
}

/// A sequence that a trial advanced.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunSequence {
    pub name: String,
    /// Values that it gave.
    pub advanced: i64,
}

/// The cost of one of several new indexes for the writes of its table.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunOwnWriteCost {
    pub recommendation: String,
    /// Change of the time of all writes of the table, percent: positive is slower.
    pub change_pct: f64,
    /// 95 % interval of the change.
    pub interval_pct: [f64; 2],
    /// Write-ahead log of a write in the mean.
    pub wal_before_bytes: Option<u64>,
    pub wal_after_bytes: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunWriteQuery {
    pub fingerprint: String,
    pub before: RunArm,
    pub after: RunArm,
    /// Change of the median, percent: positive is slower.
    pub change_pct: f64,
    /// 95 % interval of the change.
    pub interval_pct: [f64; 2],
    /// Write-ahead log of one execution.
    pub wal_before_bytes: Option<u64>,
    pub wal_after_bytes: Option<u64>,
    /// Blocks that one execution touches.
    #[serde(default)]
    pub blocks_before: Option<u64>,
    #[serde(default)]
    pub blocks_after: Option<u64>,
    /// Part of its updated rows that changed no index (HOT).
    pub hot_before: Option<f64>,
    pub hot_after: Option<f64>,
}

/// One index of a trial.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunTriedIndex {
    pub recommendation: String,
    pub build_ms: f64,
    pub size_bytes: Option<u64>,
    /// Fingerprints of the statements that were replayed and whose plan uses it.
    pub used_by: Vec<String>,
    /// Why it could not be built.
    pub failed: Option<String>,
}

/// The effect of one recommendation alone on a statement, beside the effect of the set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunAlone {
    pub recommendation: String,
    pub change_pct: f64,
    /// 95 % interval of the change.
    pub interval_pct: [f64; 2],
    pub verdict: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunLeftOut {
    pub fingerprint: String,
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunQueryTrial {
    pub fingerprint: String,
    pub before: RunArm,
    pub after: RunArm,
    pub control: RunArm,
    /// Change of the quantile in `quantile`, percent: negative is faster.
    pub change_pct: f64,
    /// 95 % interval of the change; of fewer than eight rounds, the range of the changes of each.
    pub interval_pct: [f64; 2],
    /// 95 % interval of control against before.
    pub control_interval_pct: [f64; 2],
    /// The quantile that the change is one of: `p95`, or `p50` where there were too few executions for p95.
    #[serde(default)]
    pub quantile: Option<String>,
    /// Change of the median, percent, with its interval.
    #[serde(default)]
    pub p50_change_pct: Option<f64>,
    #[serde(default)]
    pub p50_interval_pct: Option<[f64; 2]>,
    /// `improved`, `regressed`, `unchanged` or `inconclusive`.
    pub verdict: String,
    pub why: Option<String>,
    /// What the verdict rests on: `work` (blocks, rows and plans), `p50`, `p95`, or `rows` where those differ.
    #[serde(default = "p95")]
    pub judged_by: String,
    pub rows_identical: Option<bool>,
    /// The work of an execution; `None` where executions were cancelled.
    #[serde(default)]
    pub work: Option<RunWork>,
    pub buffers_before: Option<u64>,
    pub buffers_after: Option<u64>,
    pub plan_before: String,
    pub plan_after: String,
    /// The origin of the parameters.
    pub parameters: String,
    /// Why the log has another latency than the replay, where it is far from it.
    #[serde(default)]
    pub log_gap: Option<String>,
    /// In a trial of several recommendations: what each of them did alone.
    #[serde(default)]
    pub alone: Vec<RunAlone>,
    /// In a trial of several recommendations: slower than with one of them alone.
    #[serde(default)]
    pub slower_than_alone: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct RunArm {
    pub n: u64,
    /// Executions that were stopped at their time limit: they take at least as long as is written, and so does a
    /// quantile that falls on them.
    #[serde(default)]
    pub timed_out: u64,
    pub p50_us: Option<f64>,
    pub p95_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// Non-empty buckets: highest value in the bucket in microseconds, count.
    pub histogram: Vec<[u64; 2]>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunCheck {
    pub fingerprint: String,
    /// `regressed`, `plan-changed`, `data-growth`, `improved`, `unchanged`, `not-estimable`,
    /// `error`, `new` or `missing`.
    pub status: String,
    pub reason: String,
    pub normalized: String,
    /// Change of the time floors, percent, with the common shift of all statements removed.
    pub change_pct: Option<f64>,
    pub buffers_before: Option<u64>,
    pub buffers_after: Option<u64>,
}

impl RunQueryTrial {
    /// The quantile that `change_pct` is of. Before it had a key of its own, `judged_by` named it.
    pub fn quantile(&self) -> &str {
        quantile(self.quantile.as_deref(), &self.judged_by)
    }
}

impl RunMeasured {
    /// The quantile that `change_pct` is of.
    pub fn quantile(&self) -> &str {
        quantile(self.quantile.as_deref(), &self.judged_by)
    }
}

fn quantile<'r>(quantile: Option<&'r str>, judged_by: &'r str) -> &'r str {
    quantile.unwrap_or(if judged_by == "p50" { "p50" } else { "p95" })
}

/// The basis of the verdict in run files that were written before the key existed.
fn p95() -> String {
    "p95".to_owned()
}
