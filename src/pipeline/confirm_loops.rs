//! Confirms loops against the database: the earlier query runs again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::gather::Live;
use crate::model::finding::{Finding, Level};
use crate::model::workload::Workload;
use crate::model::workload::timeline::{SlotHash, Timeline};
use crate::rules::input::Input;
use crate::rules::loops::detect::find::{Parent, StatementLoops};
use crate::rules::loops::n_plus_one;
use crate::trial::confirm_loop::{Claim, Confirmation, confirm};

/// Loops of each finding whose earlier query is run again.
const LOOPS: usize = 3;
/// Time for all findings together: whoever reads the findings waits for it.
const TIME: Duration = Duration::from_secs(20);

/// Adds to each loop whether its keys are among the rows of the earlier query. A loop whose keys are
/// not there at all becomes a suspicion.
pub fn confirm_loops(live: &Live, input: &Input<'_>, findings: &mut [Finding]) {
    if !findings.iter().any(|finding| finding.rule == n_plus_one::RULE.id) {
        return;
    }
    let started = Instant::now();
    let mut guard = live.guard.borrow_mut();
    let workload = input.workload;
    for found in &input.loops().reads {
        let fingerprint = workload.queries[found.child].fingerprint;
        let finding = findings.iter_mut().find(|finding| {
            finding.rule == n_plus_one::RULE.id && finding.subject.query == Some(fingerprint)
        });
        let (Some(finding), Some(parent)) = (finding, &found.parent) else { continue };
        let query = &workload.queries[parent.query];
        let outcome = if started.elapsed() >= TIME {
            Err("no time was left for it".to_owned())
        } else if live.callers.is_as_superuser(query) {
            Err("it would be executed with the power of a superuser".to_owned())
        } else {
            let claims = claims(workload, found, parent);
            let caller = live.callers.of(query);
            confirm(&live.connection, &caller, &mut guard, query, &claims, LOOPS)
        };
        note(finding, outcome);
    }
}

fn claims<'a>(workload: &'a Workload, found: &StatementLoops, parent: &Parent) -> Vec<Claim<'a>> {
    let timeline: &Timeline = &workload.timeline;
    let slots = |place: u32| -> &'a [SlotHash] {
        let execution = &workload.timeline.executions[place as usize];
        timeline.slots(execution, workload.queries[execution.query as usize].slots.len())
    };
    let key = |place: &u32| {
        let key = slots(*place).get(usize::from(parent.slot.number) - 1).copied();
        key.filter(|hash| hash.is_scalar())
    };
    found
        .loops
        .iter()
        .filter_map(|l| {
            let keys: HashSet<SlotHash> = l.children.iter().filter_map(key).collect();
            Some(Claim { parent_slots: slots(l.parent?), keys })
        })
        .filter(|claim| !claim.keys.is_empty())
        .collect()
}

fn note(finding: &mut Finding, outcome: Result<Confirmation, String>) {
    let confirmation = match outcome {
        Ok(confirmation) => confirmation,
        Err(why) => {
            finding.evidence.push(json!({"kind": "confirmation", "provenance": "measured", "confirmed": null, "why": why}));
            return;
        }
    };
    if confirmation.is_refuted() {
        finding.level = Level::Info;
        finding.message.push_str("; the earlier query, run again, returned none of the keys");
    } else if confirmation.is_sure() {
        finding.level = Level::Warning;
        finding.message.push_str("; the earlier query, run again, returned the keys");
    }
    finding.evidence.push(json!({
        "kind": "confirmation",
        "provenance": "measured",
        "confirmed": confirmation.is_sure(),
        "loops": confirmation.loops,
        "keys": confirmation.keys,
        "keys_returned": confirmation.given,
    }));
}
