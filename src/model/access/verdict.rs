//! Who may reach which rows of a table, as the workload shows it.

use crate::model::name::TableName;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    Select,
    Insert,
    Update,
    Delete,
}

impl Command {
    pub const ALL: [Command; 4] =
        [Command::Select, Command::Insert, Command::Update, Command::Delete];

    pub fn word(self) -> &'static str {
        match self {
            Command::Select => "select",
            Command::Insert => "insert",
            Command::Update => "update",
            Command::Delete => "delete",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Owner,
    MultiParty,
    Join,
    Membership,
    PublicRead,
    Lookup,
    ServiceOnly,
    None,
    NeedsDecision,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Owner => "owner",
            Verdict::MultiParty => "multi-party",
            Verdict::Join => "join",
            Verdict::Membership => "membership",
            Verdict::PublicRead => "public-read",
            Verdict::Lookup => "lookup",
            Verdict::ServiceOnly => "service-only",
            Verdict::None => "none",
            Verdict::NeedsDecision => "needs-decision",
        }
    }
}

/// One command on one table.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandAccess {
    pub command: Command,
    pub verdict: Verdict,
    /// How rows belong to who acts.
    pub principal: Vec<String>,
    /// Columns that users name or set.
    pub columns: Vec<String>,
    /// The condition on rows that are there.
    pub using: Option<String>,
    /// The condition on rows that are written.
    pub check: Option<String>,
    pub executions: u64,
    pub actors: u64,
    pub rows_reached: u64,
    pub rows_explained: u64,
    pub why: Option<String>,
    /// Other conditions, with the rows that each explains.
    pub alternatives: Vec<(String, u64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TableAccess {
    pub table: TableName,
    pub commands: Vec<CommandAccess>,
}
