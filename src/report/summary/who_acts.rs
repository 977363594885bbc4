//! Who acts, in words.

use serde::Serialize;

use crate::model::run::Run;
use crate::model::run_access::RunIdentity;
use crate::report::words::plural;

/// Who acts, for the terminal and the handover.
#[derive(Debug, Serialize)]
pub struct WhoActs {
    pub identities: Vec<String>,
    pub roles: Vec<RoleRow>,
}

/// A role and whom it acts for.
#[derive(Debug, Serialize)]
pub struct RoleRow {
    pub role: String,
    pub acts_for: String,
    pub applications: String,
    pub units: String,
    pub statements: String,
}

/// `None` where nobody is known to act.
pub fn who_acts(run: &Run) -> Option<WhoActs> {
    let access = run.access.as_ref().filter(|access| !access.identities.is_empty())?;
    let roles = access.roles.iter().map(|role| RoleRow {
        role: if role.new { format!("{} (proposed)", role.role) } else { role.role.clone() },
        acts_for: role.acts_for.clone(),
        applications: role.applications.join(", "),
        units: role.units.to_string(),
        statements: role.queries.len().to_string(),
    });
    Some(WhoActs {
        identities: access.identities.iter().map(|own| identity(run, own)).collect(),
        roles: roles.collect(),
    })
}

fn identity(run: &Run, own: &RunIdentity) -> String {
    let arrives = match (&own.setting, &own.member, &own.carrier) {
        (Some(setting), Some(member), _) => {
            format!("from the member {member} of the setting {setting}")
        }
        (Some(setting), None, _) => format!("from the setting {setting}"),
        (None, _, Some(carrier)) => {
            let query = run.queries.iter().find(|query| query.fingerprint == *carrier);
            let text = query.map_or(carrier.as_str(), |query| &query.normalized);
            format!("looked up by {text}")
        }
        _ => "from columns".to_owned(),
    };
    let units = usize::try_from(own.units).unwrap_or(usize::MAX);
    format!(
        "the {} is a row of {} by {}, {arrives}: known in {} of {}",
        own.name,
        own.table,
        own.column,
        own.units_known,
        plural(units, "transaction or trace", "transactions and traces"),
    )
}
