//! The pipeline, called as a library.

use pgassay::advice::input::Limits;
use pgassay::model::recommendation::State;
use pgassay::pg::session::guard::consent;
use pgassay::pipeline::error::ErrorKind;
use pgassay::pipeline::find::find;
use pgassay::pipeline::gather::{Live, Sources, gather};
use pgassay::pipeline::progress::Silent;
use pgassay::pipeline::prove::{RunParts, prove, record_run};
use pgassay::pipeline::recommend::recommend;
use pgassay::trial::config::Effort;

use crate::support::{Shop, browse_log, server};

#[test]
fn a_program_gathers_recommends_and_proves_without_the_command_line() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let live = Live::new(shop.settings(), shop.connect());
    let sources = Sources { files: vec![log], ..Sources::default() };
    let mut gathered = gather(&sources, Some(live), &Silent).unwrap();
    let findings = find(&gathered, &[]);
    assert!(findings.iter().any(|finding| finding.rule == "unindexed-filter"));
    assert!(find(&gathered, &["unindexed-filter".to_owned()]).len() < findings.len());
    let advice = recommend(&mut gathered, &findings, Limits::default(), None, &Silent).unwrap();
    let mut recommendations = advice.recommendations.clone();
    let live = gathered.live.as_ref().unwrap();
    let consent = consent::consent(&live.connection, consent::Claim::default()).unwrap();
    let effort = Effort {
        rounds: 10,
        budget_s: 2.0,
        lock_timeout_ms: 2_000,
        statement_timeout_ms: 30_000,
        seed: 1,
    };
    let held = prove(&gathered, live, &consent, &mut recommendations, (effort, false), &mut |_| {});
    assert!(held.stopped.is_none());
    assert!(recommendations.iter().any(|one| one.state == State::Accepted), "{recommendations:?}");
    let trials: Vec<_> = held.trials.iter().collect();
    let parts =
        RunParts { findings: &findings, recommendations: &recommendations, trials: &trials };
    let run = record_run("trial", "2026-01-01T00:00:00Z".to_owned(), &gathered, parts, Some(1));
    assert_eq!(run.created_at.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(run.recommendations.len(), recommendations.len());
}

#[test]
fn what_cannot_be_read_is_an_error_in_three_parts() {
    let sources = Sources { files: vec!["no/such/file.log".into()], ..Sources::default() };
    let Err(error) = gather(&sources, None, &Silent) else { panic!("it was read") };
    assert_eq!(error.kind, ErrorKind::Unreadable);
    assert!(error.what.contains("no/such/file.log") && error.help.is_some(), "{error:?}");
}
