//! `trial`: measures, and leaves nothing behind however it ends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{
    LONG, Shop, browse_log, code, json, long_log, pgassay, run, server, stderr, wait_until,
    write_log,
};

#[test]
fn an_index_that_helps_is_accepted_and_nothing_stays() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let before = shop.objects();
    let output = run(
        &["trial", "--time-budget", "3", "--format", "json", log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let tried = json(&output);
    let recommendation = &tried["recommendations"][0];
    assert_eq!(recommendation["state"], "accepted", "{recommendation}");
    let query = &tried["trials"][0]["queries"][0];
    assert_eq!(
        (query["verdict"].as_str(), query["rows_identical"].as_bool()),
        (Some("improved"), Some(true))
    );
    assert_eq!(
        (query["judged_by"].as_str(), &tried["trials"][0]["rounds"]),
        (Some("work"), &3.into())
    );
    assert!(
        query["buffers_after"].as_u64().unwrap() * 10 < query["buffers_before"].as_u64().unwrap()
    );
    assert!(query["p50_change_pct"].as_f64().unwrap() < 0.0, "{query}");
    assert!(query["plan_after"].as_str().unwrap().contains("listings_category_id_created_at_idx"));
    assert!(!query["before"]["histogram"].as_array().unwrap().is_empty());
    assert_eq!(shop.objects(), before);
}

#[test]
fn without_consent_nothing_is_built() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let log = log.to_str().unwrap();
    let refused = run(&["trial", log], &shop.flags());
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("nothing says that it is staging"), "{}", stderr(&refused));
    let wrong = run(&["trial", "--confirm", "another", log], &shop.flags());
    assert_eq!(code(&wrong), 2);
    let right =
        run(&["trial", "--time-budget", "0.5", "--confirm", &shop.name, log], &shop.flags());
    assert_eq!(code(&right), 0, "{}", stderr(&right));
}

#[test]
fn a_target_that_others_are_using_is_refused() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let users: Vec<_> = (0..3)
        .map(|_| {
            let settings = pgassay::pg::config::settings::Settings {
                application_name: "web".into(),
                ..shop.settings()
            };
            let user = pgassay::pg::connect::connection::Connection::open(&settings).unwrap();
            user.batch("BEGIN; SELECT count(*) FROM users").unwrap();
            user
        })
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let refused = run(&["trial", log.to_str().unwrap()], &shop.flags());
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("looks like production"), "{}", stderr(&refused));
    drop(users);
}

#[test]
fn a_trial_that_could_not_be_held_at_all_is_an_error() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let app = pgassay::pg::config::settings::Settings { user: "app".into(), ..shop.settings() };
    let output = run(&["trial", "-q", log.to_str().unwrap()], &crate::support::flags(&app));
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("must be owner of table listings"), "{}", stderr(&output));
}

/// A trial that goes on for long, with its index built.
fn under_way(shop: &Shop, log: &std::path::Path) -> Child {
    let child = pgassay()
        .args([
            "trial",
            "--quiet",
            "--time-budget",
            "300",
            "--rounds",
            "100",
            log.to_str().unwrap(),
        ])
        .args(shop.flags())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the build", || holders(shop) > 0);
    child
}

/// Sessions that hold a lock on the table that only a build takes.
fn holders(shop: &Shop) -> i64 {
    shop.connect()
        .row(
            "SELECT count(*) FROM pg_locks WHERE relation = 'listings'::regclass AND mode = 'ShareLock' AND granted",
            &[],
        )
        .unwrap()
        .get(0)
}

fn sessions(shop: &Shop) -> i64 {
    shop.connect()
        .row(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name LIKE 'pgassay%' AND pid <> pg_backend_pid()",
            &[],
        )
        .unwrap()
        .get(0)
}

#[test]
fn a_killed_trial_leaves_no_index_no_lock_and_no_session() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    long_log(&log);
    let before = shop.objects();
    let mut child = under_way(&shop, &log);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the end of its sessions", || sessions(&shop) == 0);
    assert_eq!(holders(&shop), 0);
    assert_eq!(shop.objects(), before);
}

#[test]
fn a_killed_build_stops_waiting_and_building() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    // Its lock waits for this one, and would do so for ten minutes.
    let writer = shop.connect();
    writer.batch("BEGIN; UPDATE listings SET title = title WHERE id = 1").unwrap();
    let mut child = pgassay()
        .args(["analyze", "--quiet", "--build", "--lock-timeout", "600000", log.to_str().unwrap()])
        .args(["--statement-timeout", "600000"])
        .args(shop.flags())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE relation = 'listings'::regclass AND NOT granted";
    wait_until("the build", || shop.connect().row(waiting, &[]).unwrap().get::<_, i64>(0) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    // The other one is that of the writer.
    wait_until("the end of its session", || sessions(&shop) == 1);
    writer.batch("ROLLBACK").unwrap();
}

#[test]
fn ctrl_c_cleans_up_and_exits_with_130() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    long_log(&log);
    let before = shop.objects();
    // SIGHUP comes when the terminal is closed.
    for signal in [Signal::SIGINT, Signal::SIGHUP] {
        let child = under_way(&shop, &log);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 130, "{signal}: {}", stderr(&output));
        wait_until("the end of its sessions", || sessions(&shop) == 0);
        assert_eq!(shop.objects(), before, "{signal}");
    }
}

/// The run file of a trial that was interrupted as soon as it had said a line that begins so for the `nth` time.
fn interrupted(shop: &Shop, entries: &[(&str, &[&str], f64)], line: &str, nth: usize) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let (log, kept) = (directory.path().join("app.log"), directory.path().join("run.json"));
    write_log(&log, entries);
    let mut child = pgassay()
        .args(["trial", "--writes", "--time-budget", "5", "-o", kept.to_str().unwrap()])
        .arg(&log)
        .args(shop.flags())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.by_ref().filter(|said| said.starts_with(line)).nth(nth - 1).is_some());
    // What is known is on the disk at each step.
    if nth > 1 {
        let so_far: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
        assert_eq!(so_far["trials"].as_array().unwrap().len(), nth - 1);
        assert!(so_far["warnings"].to_string().contains("still under way"), "{so_far}");
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert!(said.last().is_some_and(|line| line.starts_with("interrupted: ")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
    serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap()
}

#[test]
fn what_was_tried_before_ctrl_c_is_kept() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let browse =
        "SELECT id, title FROM listings WHERE category_id = $1 ORDER BY created_at DESC LIMIT 20";
    // What was found and advised is not lost either.
    let entries = [(LONG, &["7"][..], 9_000.0)].repeat(20);
    let run = interrupted(&shop, &entries, "trying ix-", 1);
    assert_eq!(run["trials"], serde_json::json!([]));
    assert_eq!(run["recommendations"][0]["state"], "undecided");
    assert!(run["warnings"].to_string().contains("stopped before one was complete"), "{run}");
    // The first of the two is quick, the second is under way when the signal comes.
    let entries = [(browse, &["7"][..], 9_000.0), (LONG, &["7"], 1.0)].repeat(20);
    let run = interrupted(&shop, &entries, "trying ix-", 2);
    assert_eq!(run["trials"].as_array().unwrap().len(), 1);
    assert_eq!(run["trials"][0]["queries"][0]["verdict"], "improved");
    let reasons: Vec<&str> = run["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["kind"] == "create-index")
        .map(|r| (r["state"].as_str().unwrap(), r["why"].as_str().unwrap()))
        .map(|(state, why)| if state == "undecided" { why } else { state })
        .collect();
    let together = "the trials were stopped before it was tried together with the others";
    assert_eq!(reasons, [together, "the trials were stopped before this one"]);
    assert!(run["warnings"].to_string().contains("stopped after 1 trial: "), "{run}");
}

#[test]
fn a_verdict_stays_when_only_the_replay_of_the_writes_was_stopped() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let browse =
        "SELECT id, title FROM listings WHERE category_id = $1 ORDER BY created_at DESC LIMIT 20";
    let write = "UPDATE listings SET category_id = $1 WHERE seller_id = $2";
    let entries = [(browse, &["7"][..], 15.0), (write, &["9", "5"], 1.0)].repeat(30);
    let run = interrupted(&shop, &entries, "replaying the writes", 1);
    let states: Vec<&str> = run["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["sql"].to_string().contains("(category_id"))
        .map(|r| r["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["accepted"], "{run}");
    assert_eq!(run["trials"].as_array().unwrap().len(), 1);
    assert!(run["warnings"].to_string().contains("stopped after 1 trial: "), "{run}");
}

#[test]
fn a_killed_trial_leaves_what_it_had_measured_on_the_disk() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let (log, kept) = (directory.path().join("app.log"), directory.path().join("run.json"));
    let browse =
        "SELECT id, title FROM listings WHERE category_id = $1 ORDER BY created_at DESC LIMIT 20";
    let entries = [(browse, &["7"][..], 9_000.0), (LONG, &["7"], 1.0)].repeat(20);
    write_log(&log, &entries);
    let mut child = pgassay()
        .args(["trial", "--time-budget", "5", "-o", kept.to_str().unwrap()])
        .arg(&log)
        .args(shop.flags())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.by_ref().filter(|said| said.starts_with("trying ix-")).nth(1).is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    let run: Value = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
    assert_eq!(run["trials"][0]["queries"][0]["verdict"], "improved");
    let new =
        run["recommendations"].as_array().unwrap().iter().filter(|r| r["kind"] == "create-index");
    let states: Vec<&Value> = new.map(|r| &r["state"]).collect();
    assert!(
        states.iter().all(|state| *state == "undecided"),
        "nothing is accepted yet: {states:?}"
    );
    let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let partial = left.filter(|name| name.to_string_lossy().ends_with(".partial")).count();
    assert_eq!(partial, 0);
}

#[test]
fn a_trial_says_goodbye_to_the_server() {
    let Some(programs) = crate::support::programs() else { return };
    // A server of its own, whose log no other test writes.
    let cluster = pgassay::pg::cluster::Throwaway::start(&programs, &std::env::temp_dir()).unwrap();
    let owner =
        pgassay::pg::connect::connection::Connection::open(&cluster.settings("postgres")).unwrap();
    owner.batch("CREATE ROLE app LOGIN").unwrap();
    owner.batch(include_str!("../shop.sql")).unwrap();
    owner.batch("VACUUM (ANALYZE)").unwrap();
    drop(owner);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let flags = crate::support::flags(&cluster.settings("postgres"));
    let args =
        ["trial", "-q", "--time-budget", "1", "--confirm", "postgres", log.to_str().unwrap()];
    let output = run(&args, &flags);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = std::fs::read_to_string(cluster.log_file("log")).unwrap();
    assert!(!text.contains("unexpected EOF"), "{text}");
}

#[test]
fn a_statement_that_took_another_time_in_the_log_is_named_with_the_likely_reason() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    shop.connect()
        .batch(
            "ALTER TABLE listings ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY own ON listings TO app USING (seller_id = 5)",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    let browse =
        "SELECT id, title FROM listings WHERE category_id = $1 ORDER BY created_at DESC LIMIT 20";
    // Ten minutes each, as no replay takes.
    let entries: Vec<(&str, &[&str], f64)> = (0..30).map(|_| (browse, &["7"][..], 6e5)).collect();
    write_log(&log, &entries);
    let output = run(
        &["trial", "--time-budget", "1", "--format", "json", log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let tried = json(&output);
    let gap = tried["trials"][0]["queries"][0]["log_gap"].as_str().unwrap();
    assert!(gap.contains("it ran as app, for whom the policies of public.listings hold"), "{gap}");
}
