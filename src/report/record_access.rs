//! Who acts, as the run file has it.

use crate::model::access::acting::{ActingRole, Arrival, Identity, WhoActs};
use crate::model::access::recommendation::AccessRecommendation;
use crate::model::access::verdict::{CommandAccess, TableAccess};
use crate::model::run::RunRecommendation;
use crate::model::run_access::{
    RunAccess, RunActingRole, RunAlternative, RunCommandAccess, RunIdentity, RunTableAccess,
};

/// Identities, roles and what was derived for each table.
pub fn access(
    who: &WhoActs,
    tables: &[TableAccess],
    policies: &[AccessRecommendation],
) -> RunAccess {
    RunAccess {
        identities: who.identities.iter().map(identity).collect(),
        roles: who.roles.iter().map(role).collect(),
        tables: tables.iter().map(|own| table(own, policies)).collect(),
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

/// A recommendation of policies or privileges.
pub fn policy(own: &AccessRecommendation) -> RunRecommendation {
    RunRecommendation {
        id: own.id.clone(),
        kind: own.kind.to_owned(),
        table: own.table.as_ref().map(ToString::to_string),
        sql: own.sql.clone(),
        undo: own.undo.clone(),
        after: Vec::new(),
        because: own.because.clone(),
        state: if own.is_undecided { "undecided" } else { "proposed" }.to_owned(),
        requires: own.requires.clone(),
        purpose: Some(own.purpose.clone()),
        why: own.why.clone(),
        cautions: own.cautions.clone(),
        estimated: None,
        takes: None,
        measured: None,
        without: None,
    }
}

fn table(own: &TableAccess, policies: &[AccessRecommendation]) -> RunTableAccess {
    let id = policies.iter().find(|policy| policy.table.as_ref() == Some(&own.table));
    let id = id.map(|policy| policy.id.as_str());
    RunTableAccess {
        table: own.table.to_string(),
        commands: own.commands.iter().map(|own| command(own, id)).collect(),
    }
}

fn command(own: &CommandAccess, recommendation: Option<&str>) -> RunCommandAccess {
    let alternative = |(using, rows_explained): &(String, u64)| RunAlternative {
        using: using.clone(),
        rows_explained: *rows_explained,
    };
    RunCommandAccess {
        command: own.command.word().to_owned(),
        verdict: own.verdict.word().to_owned(),
        principal: own.principal.clone(),
        columns: own.columns.clone(),
        using: own.using.clone(),
        check: own.check.clone(),
        executions: own.executions,
        actors: own.actors,
        rows_reached: own.rows_reached,
        rows_explained: own.rows_explained,
        recommendation: recommendation.map(str::to_owned),
        why: own.why.clone(),
        alternatives: own.alternatives.iter().map(alternative).collect(),
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
