//! A trial to the fate of its recommendation.

use super::plan::LESS_TIME;
use crate::model::recommendation::State;
use crate::model::trial::{QueryTrial, Trial, Verdict};

/// What a trial says of its recommendation: accepted, rejected or undecided, with the reason.
pub fn decide(trial: &Trial) -> (State, Option<String>) {
    if let Some(why) = &trial.failed {
        return (State::Undecided, Some(format!("the trial could not be held: {why}")));
    }
    let any = |wanted: fn(&QueryTrial) -> bool| trial.queries.iter().any(wanted);
    if any(|query| query.rows_identical == Some(false)) {
        return (State::Rejected, Some("a statement returned other rows with it".to_owned()));
    }
    if any(|query| query.verdict == Verdict::Regressed) {
        return (State::Rejected, Some("a statement became slower with it".to_owned()));
    }
    if any(|query| query.verdict == Verdict::Improved) {
        return (State::Accepted, None);
    }
    if !any(|query| query.plan_after.shape != query.plan_before.shape) {
        let unseen = trial.left_out.iter().filter(|(_, why)| why != LESS_TIME).count();
        return if unseen > 0 {
            let why = format!(
                "no statement that was replayed used it, and {unseen} that read the table could not be replayed"
            );
            (State::Undecided, Some(why))
        } else {
            (State::Rejected, Some("no statement used it".to_owned()))
        };
    }
    (State::Undecided, Some("no statement became measurably faster".to_owned()))
}
