//! The part of the run file about who may reach which rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who acts in the workload, and which rows each may reach.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct RunAccess {
    pub identities: Vec<RunIdentity>,
    pub roles: Vec<RunActingRole>,
    #[serde(default)]
    pub tables: Vec<RunTableAccess>,
}

/// A table whose rows act, and how their key arrives.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunIdentity {
    /// `user` or `tenant`.
    pub name: String,
    pub table: String,
    pub column: String,
    #[serde(rename = "type")]
    pub type_name: String,
    /// The setting that holds the key.
    pub setting: Option<String>,
    /// Of a document in the setting, the member.
    pub member: Option<String>,
    /// `setting`, `claim`, `lookup` or `columns`.
    pub known_by: String,
    /// Fingerprint of the statement that looks who acts up.
    pub carrier: Option<String>,
    /// Transactions and traces, and those in which who acts is known.
    pub units: u64,
    pub units_known: u64,
}

/// A role of the database and whom it acts for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunActingRole {
    pub role: String,
    /// `user`, `anonymous`, `sign-in` or `service`.
    pub acts_for: String,
    /// The role is proposed, and another does this today.
    pub new: bool,
    pub applications: Vec<String>,
    pub units: u64,
    /// Fingerprints.
    pub queries: Vec<String>,
}

/// What is known of the rows of a table that each command reaches.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunTableAccess {
    pub table: String,
    pub commands: Vec<RunCommandAccess>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunCommandAccess {
    /// `select`, `insert`, `update` or `delete`.
    pub command: String,
    /// `owner`, `multi-party`, `join`, `membership`, `public-read`, `lookup`, `service-only`, `none` or
    /// `needs-decision`.
    pub verdict: String,
    /// Columns and paths by which rows belong to who acts.
    pub principal: Vec<String>,
    /// Columns that users set or name.
    pub columns: Vec<String>,
    pub using: Option<String>,
    pub check: Option<String>,
    pub executions: u64,
    pub actors: u64,
    pub rows_reached: u64,
    pub rows_explained: u64,
    /// Id of the recommendation.
    pub recommendation: Option<String>,
    pub why: Option<String>,
    pub alternatives: Vec<RunAlternative>,
}

/// Another condition that explains rows.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RunAlternative {
    pub using: String,
    pub rows_explained: u64,
}
