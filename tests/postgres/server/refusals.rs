//! What a server can refuse, and what the program then says.

use std::process::Stdio;

use pgassay::pg::cluster::Throwaway;
use pgassay::pg::config::settings::Settings;
use pgassay::pg::connect::connection::Connection;
use pgassay::pg::session::guard::statement::Guard;

use crate::support::{
    Shop, code, flags, long_log, pgassay, programs, run, server, stderr, wait_until,
};

fn three_parts(text: &str) -> bool {
    ["error: ", "cause: ", "help:  "]
        .iter()
        .all(|part| text.lines().any(|line| line.starts_with(part)))
}

#[test]
fn each_refusal_has_its_sqlstate_its_help_and_its_exit_code() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let nowhere = Settings { database: "nowhere".into(), ..shop.settings() };
    let nobody = Settings { port: 1, ..shop.settings() };
    let app = Settings { user: "app".into(), ..shop.settings() };
    let counters: &[&str] = &["analyze", "--pg-stat-statements"];
    let cases: [(&[&str], Vec<String>, &str); 3] = [
        (&["analyze"], flags(&nowhere), "3D000"),
        (&["analyze"], flags(&nobody), "is the server running there?"),
        (counters, shop.flags(), "CREATE EXTENSION pg_stat_statements"),
    ];
    for (args, flags, expected) in cases {
        let output = run(args, &flags);
        assert_eq!(code(&output), 3, "{args:?}");
        assert!(
            three_parts(&stderr(&output)) && stderr(&output).contains(expected),
            "{}",
            stderr(&output)
        );
    }
    let owner = shop.connect();
    owner
        .batch("CREATE EXTENSION pg_stat_statements; REVOKE ALL ON pg_stat_statements FROM PUBLIC")
        .unwrap();
    owner.batch("REVOKE EXECUTE ON FUNCTION pg_stat_statements(boolean) FROM PUBLIC").unwrap();
    let denied = run(counters, &flags(&app));
    assert_eq!(code(&denied), 3);
    assert!(
        stderr(&denied).contains("42501") && stderr(&denied).contains("GRANT pg_read_all_stats"),
        "{}",
        stderr(&denied)
    );
}

#[test]
fn a_server_that_goes_away_in_the_middle_is_an_error_and_no_panic() {
    let Some(programs) = programs() else { return };
    let cluster = Throwaway::start(&programs, &std::env::temp_dir()).unwrap();
    let settings = cluster.settings("postgres");
    let owner = Connection::open(&settings).unwrap();
    owner
        .batch(
            include_str!("../shop.sql")
                .replace("GRANT SELECT ON ALL TABLES IN SCHEMA public TO app;", "")
                .as_str(),
        )
        .unwrap();
    owner.batch("ANALYZE").unwrap();
    drop(owner);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    long_log(&log);
    let child = pgassay()
        .args([
            "trial",
            "--quiet",
            "--time-budget",
            "120",
            "--rounds",
            "60",
            "--confirm",
            "postgres",
            log.to_str().unwrap(),
        ])
        .args(flags(&settings))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let watcher = Connection::open(&settings).unwrap();
    wait_until("the build", || {
        let built = "SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND granted AND relation > 16000";
        watcher.row(built, &[]).unwrap().get::<_, i64>(0) > 0
    });
    drop(watcher);
    drop(cluster);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(
        three_parts(&stderr(&output)) && !stderr(&output).contains("panicked"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_may_write_or_do_more_than_read_is_not_replayed() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let owner = shop.connect();
    owner
        .batch(
            "CREATE FUNCTION touch() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$; \
             CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b'; \
             CREATE VIEW sneaky AS SELECT id, touch() AS t FROM users; \
             CREATE VIEW nested AS SELECT id FROM sneaky",
        )
        .unwrap();
    let mut guard = Guard::default();
    for sql in [
        "SELECT pg_advisory_lock($1)",
        "SELECT pg_notify($1, $2)",
        "SELECT set_config($1, $2, $3)",
        "SELECT nextval($1)",
        "SELECT pg_terminate_backend($1)",
        "SELECT lo_create($1)",
        "SELECT touch()",
        "SELECT public.touch() FROM users",
        "SELECT id FROM sneaky",
        "SELECT id FROM nested WHERE id = $1",
        "SELECT id FROM users WHERE id = $1 FOR UPDATE",
        "INSERT INTO users VALUES ($1, $2)",
        "WITH gone AS (DELETE FROM users RETURNING id) SELECT id FROM gone",
        "COPY users TO PROGRAM $1",
        "SET TRANSACTION READ WRITE",
        "DO $1",
    ] {
        assert!(guard.check(&owner, &owner.caller(), sql).is_err(), "{sql}");
    }
    for sql in [
        "SELECT count(*) FROM users WHERE lower(email) = $1",
        "SELECT add($1, $2)",
        "SELECT now(), random()",
    ] {
        assert_eq!(guard.check(&owner, &owner.caller(), sql), Ok(()), "{sql}");
    }
}
