//! `check`: sleeps through nothing and cries no wolf.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::support::{Shop, code, json, programs, run, server, stderr, write_log};

fn baseline(shop: &Shop, directory: &std::path::Path) -> String {
    let log = directory.join("app.log");
    let users: Vec<String> = (1..=30).map(|n| n.to_string()).collect();
    let parameters: Vec<[&str; 1]> = users.iter().map(|user| [user.as_str()]).collect();
    let mut entries: Vec<(&str, &[&str], f64)> = Vec::new();
    for own in &parameters {
        entries.push(("SELECT id, total_cents FROM orders WHERE buyer_id = $1", own, 0.2));
        entries.push(("SELECT email FROM users WHERE id = $1", own, 0.1));
        entries.push(("SELECT count(*) FROM listings WHERE category_id = $1", own, 9.0));
    }
    entries.push(("UPDATE orders SET total_cents = 1 WHERE id = $1", &["1"], 0.2));
    write_log(&log, &entries);
    let file = directory.join("baseline.json");
    let output = run(
        &["check", "--quiet", "--save-baseline", file.to_str().unwrap(), log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    file.to_str().unwrap().to_owned()
}

/// Statements that the check says something of which the clock has no part in: time alone is the machine's affair.
fn by_work(output: &std::process::Output) -> Vec<(String, String)> {
    let checks = json(output)["checks"].as_array().unwrap().clone();
    let told = checks.iter().filter(|check| check["status"] != "unchanged");
    let text = |check: &serde_json::Value, key: &str| check[key].as_str().unwrap().to_owned();
    told.map(|check| (text(check, "normalized"), text(check, "reason")))
        .filter(|(_, reason)| !reason.starts_with("time "))
        .collect()
}

#[test]
fn work_is_the_same_night_after_night_and_a_dropped_index_is_not() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let directory = tempfile::tempdir().unwrap();
    let file = baseline(&shop, directory.path());
    for _ in 0..3 {
        let args = ["check", "--quiet", "--format", "json", "--baseline", &file];
        assert_eq!(by_work(&run(&args, &shop.flags())), []);
    }
    shop.connect().batch("DROP INDEX orders_buyer_id").unwrap();
    let junit = directory.path().join("junit.xml");
    let output = run(
        &[
            "check",
            "--quiet",
            "--format",
            "json",
            "-o",
            junit.to_str().unwrap(),
            "--baseline",
            &file,
        ],
        &shop.flags(),
    );
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let [(statement, reason)] = &by_work(&output)[..] else { panic!("{}", json(&output)) };
    assert!(statement.contains("buyer_id = $1") && reason.starts_with("buffers"), "{reason}");
    let xml = std::fs::read_to_string(junit).unwrap();
    assert!(xml.contains("<failure message=\"buffers"), "{xml}");
}

#[test]
fn a_table_that_grew_is_no_regression() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let directory = tempfile::tempdir().unwrap();
    let file = baseline(&shop, directory.path());
    shop.connect()
        .batch("INSERT INTO listings SELECT id + 100000, seller_id, category_id, title, description, created_at FROM listings WHERE id <= 12000")
        .unwrap();
    shop.connect().batch("VACUUM (ANALYZE) listings").unwrap();
    let output = run(&["check", "--quiet", "--format", "json", "--baseline", &file], &shop.flags());
    let checks = json(&output)["checks"].clone();
    let others = by_work(&output).into_iter().filter(|(sql, _)| !sql.contains("listings"));
    assert_eq!(others.count(), 0, "{checks}");
    let grown = checks
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["normalized"].as_str().unwrap().contains("listings"))
        .unwrap();
    assert_eq!(grown["status"], "data-growth", "{grown}");
}

#[test]
fn a_statement_that_fails_tonight_is_an_error() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let directory = tempfile::tempdir().unwrap();
    let file = baseline(&shop, directory.path());
    shop.connect().batch("ALTER TABLE users RENAME COLUMN email TO mail").unwrap();
    let output = run(&["check", "--quiet", "--format", "json", "--baseline", &file], &shop.flags());
    assert_eq!(code(&output), 1);
    let checks = json(&output)["checks"].clone();
    assert!(checks.as_array().unwrap().iter().any(|c| c["status"] == "error"), "{checks}");
}

#[test]
fn a_statement_that_only_takes_longer_is_a_regression_too() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let function = |rounds: u32| {
        format!(
            "CREATE OR REPLACE FUNCTION fee(cents int) RETURNS int STABLE LANGUAGE plpgsql AS \
             $$ DECLARE n int := 0; BEGIN FOR i IN 1..{rounds} LOOP n := n + i % 7; END LOOP; RETURN cents / 10; END $$"
        )
    };
    shop.connect().batch(&function(10)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("fee.log");
    let sql = "SELECT fee(total_cents) FROM orders WHERE id = $1";
    write_log(&log, &[(sql, &["1"], 0.2), (sql, &["2"], 0.2), (sql, &["3"], 0.2)]);
    let file = directory.path().join("baseline.json").to_str().unwrap().to_owned();
    let saved =
        run(&["check", "--quiet", "--save-baseline", &file, log.to_str().unwrap()], &shop.flags());
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_eq!(code(&run(&["check", "--quiet", "--baseline", &file], &shop.flags())), 0);
    shop.connect().batch(&function(20_000)).unwrap();
    let output = run(&["check", "--quiet", "--format", "json", "--baseline", &file], &shop.flags());
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let check = json(&output)["checks"][0].clone();
    assert!(check["reason"].as_str().unwrap().contains("with the same buffers"), "{check}");
}

/// An aggregate whose steps tell others seems to read only, and what it tells is heard when it is committed.
#[test]
fn what_a_statement_tells_others_is_not_heard() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    shop.connect()
        .batch(
            "CREATE FUNCTION step(state int, id bigint) RETURNS int LANGUAGE plpgsql AS \
               $$ BEGIN PERFORM pg_notify('spy', 'heard'); RETURN state; END $$; \
             CREATE AGGREGATE loud(bigint) (SFUNC = step, STYPE = int, INITCOND = '0')",
        )
        .unwrap();
    let settings = shop.settings();
    let mut listener = Command::new(programs().unwrap().join("psql"))
        .args(["-X", "-h", &settings.host, "-p", &settings.port.to_string()])
        .args(["-U", &settings.user, "-d", &settings.database])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asks = listener.stdin.take().unwrap();
    let mut hears = BufReader::new(listener.stdout.take().unwrap()).lines().map(Result::unwrap);
    asks.write_all(b"LISTEN spy;\n\\echo ready\n").unwrap();
    assert!(hears.any(|line| line == "ready"));
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &[("SELECT loud(id) FROM users WHERE id = $1", &["1"], 1.0)]);
    let file = directory.path().join("baseline.json");
    let output = run(
        &["check", "--quiet", "--save-baseline", file.to_str().unwrap(), log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("calls the volatile function step"), "{}", stderr(&output));
    // One that is committed is heard, so that silence says something.
    shop.connect().batch("NOTIFY spy, 'committed'").unwrap();
    asks.write_all(b"SELECT 1;\n").unwrap();
    drop(asks);
    let heard: Vec<String> = hears.filter(|line| line.contains("notification")).collect();
    listener.wait().unwrap();
    assert!(heard.len() == 1 && heard[0].contains("committed"), "{heard:?}");
}

#[test]
fn a_statement_with_row_locks_is_measured_without_them() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &[("SELECT email FROM users WHERE id = $1 FOR UPDATE", &["1"], 1.0)]);
    let file = directory.path().join("baseline.json");
    let output = run(
        &["check", "--quiet", "--save-baseline", file.to_str().unwrap(), log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let saved: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert!(saved["queries"][0]["why_not"].is_null(), "{saved}");
    assert_eq!(saved["queries"][0]["measured"].as_array().unwrap().len(), 1, "{saved}");
}
