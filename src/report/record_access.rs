//! Who acts, as the run file has it.

use crate::model::access::acting::{ActingRole, Arrival, Identity, WhoActs};
use crate::model::run_access::{RunAccess, RunActingRole, RunIdentity};

/// Identities and roles.
pub fn access(who: &WhoActs) -> RunAccess {
    RunAccess {
        identities: who.identities.iter().map(identity).collect(),
        roles: who.roles.iter().map(role).collect(),
        tables: Vec::new(),
    }
}

fn identity(own: &Identity) -> RunIdentity {
    let (setting, member, known_by, carrier) = match &own.arrives {
        Arrival::Setting { name, member: None } => (Some(name.clone()), None, "setting", None),
        Arrival::Setting { name, member } => (Some(name.clone()), member.clone(), "claim", None),
        Arrival::LookUp(fingerprint) => (None, None, "lookup", Some(fingerprint.to_string())),
    };
    RunIdentity {
        name: own.kind.word().to_owned(),
        table: own.table.to_string(),
        column: own.column.clone(),
        type_name: own.type_name.clone(),
        setting,
        member,
        known_by: known_by.to_owned(),
        carrier,
        units: own.units,
        units_known: own.units_known,
    }
}

fn role(own: &ActingRole) -> RunActingRole {
    RunActingRole {
        role: own.role.clone(),
        acts_for: own.acts_for.word().to_owned(),
        new: own.is_new,
        applications: own.applications.clone(),
        units: own.units,
        queries: own.queries.iter().map(ToString::to_string).collect(),
    }
}
