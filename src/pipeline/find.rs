//! Findings of all rules, with loops confirmed where there is a database.

use super::confirm_loops::confirm_loops;
use super::gather::Gathered;
use crate::model::finding::Finding;
use crate::rules;
use crate::rules::input::Input;

/// Runs the rules, without those named in `ignored`. With a database, the earlier query of a loop is run again to see
/// whether it returns the keys.
pub fn find(gathered: &Gathered, ignored: &[String]) -> Vec<Finding> {
    let input = Input::new(&gathered.workload, gathered.catalog.as_ref());
    let mut findings = rules::find_all(&input);
    findings.retain(|finding| !ignored.iter().any(|rule| rule == finding.rule));
    if let Some(live) = &gathered.live {
        confirm_loops(live, &input, &mut findings);
    }
    findings
}
