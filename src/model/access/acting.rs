//! Who acts in a workload: identities, and the roles that act for them.

use crate::model::name::TableName;
use crate::model::workload::fingerprint::Fingerprint;

/// Who acts, as far as the workload tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WhoActs {
    pub identities: Vec<Identity>,
    pub roles: Vec<ActingRole>,
    pub warnings: Vec<String>,
}

/// A table whose rows act, and how their key arrives.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub kind: IdentityKind,
    pub table: TableName,
    /// Its key.
    pub column: String,
    /// Type of the key, as the server writes it.
    pub type_name: String,
    pub arrives: Arrival,
    pub units: u64,
    pub units_known: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentityKind {
    User,
    Tenant,
}

impl IdentityKind {
    pub fn word(self) -> &'static str {
        match self {
            IdentityKind::User => "user",
            IdentityKind::Tenant => "tenant",
        }
    }
}

/// How the key of who acts is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrival {
    /// A setting, or a member of the document in it.
    Setting { name: String, member: Option<String> },
    /// A statement at the beginning that looks him up.
    LookUp(Fingerprint),
}

/// For whom a unit of work acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActsFor {
    User,
    Anonymous,
    SignIn,
    Service,
}

impl ActsFor {
    pub fn word(self) -> &'static str {
        match self {
            ActsFor::User => "user",
            ActsFor::Anonymous => "anonymous",
            ActsFor::SignIn => "sign-in",
            ActsFor::Service => "service",
        }
    }
}

/// A role of the database, of today or proposed, and whom it acts for.
#[derive(Debug, Clone, PartialEq)]
pub struct ActingRole {
    pub role: String,
    pub acts_for: ActsFor,
    /// It is proposed: today another role does this as well.
    pub is_new: bool,
    pub applications: Vec<String>,
    pub units: u64,
    pub queries: Vec<Fingerprint>,
}
