//! `apply`: what is accepted is made, once, and nothing half-made stays.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgassay::model::run::{Run, RunRecommendation, Target};
use pgassay::pg::connect::connection::Connection;
use pgassay::report::record;

use crate::support::{Shop, code, flags, pgassay, run, server, stderr, wait_until};

const CREATE: &str =
    "CREATE INDEX CONCURRENTLY listings_seller_id_idx ON public.listings (seller_id)";
const DROP: &str = "DROP INDEX CONCURRENTLY IF EXISTS public.listings_seller_id_idx";

fn recommendation(id: &str, state: &str, sql: &[&str], undo: &[&str]) -> RunRecommendation {
    RunRecommendation {
        id: id.to_owned(),
        kind: "create-index".to_owned(),
        table: Some("public.listings".to_owned()),
        sql: sql.iter().map(|sql| (*sql).to_owned()).collect(),
        undo: undo.iter().map(|sql| (*sql).to_owned()).collect(),
        after: Vec::new(),
        because: Vec::new(),
        state: state.to_owned(),
        requires: None,
        purpose: None,
        why: None,
        cautions: Vec::new(),
        estimated: None,
        takes: None,
        measured: None,
        without: None,
    }
}

/// An index on the sellers of listings.
fn seller(state: &str) -> RunRecommendation {
    recommendation("ix-listings_seller_id", state, &[CREATE], &[DROP])
}

/// An index on an expression.
fn lower_email() -> RunRecommendation {
    let made = recommendation(
        "ix-users_lower_email",
        "accepted",
        &["CREATE INDEX CONCURRENTLY users_lower_email_idx ON public.users ((lower(email)))"],
        &["DROP INDEX CONCURRENTLY IF EXISTS public.users_lower_email_idx"],
    );
    RunRecommendation { after: vec!["ANALYZE public.users".to_owned()], ..made }
}

/// A run file in a directory of its own.
struct File {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn file(recommendations: Vec<RunRecommendation>) -> File {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run.json");
    let target = Some(Target {
        database: Some("staging".to_owned()),
        server_version: None,
        origin: "live".to_owned(),
        description: None,
    });
    let run = Run { recommendations, target, ..record::empty("trial", None) };
    std::fs::write(&path, pgassay::report::format::json::render(&run).unwrap()).unwrap();
    File { _directory: directory, path }
}

impl File {
    fn apply(&self, args: &[&str], flags: &[String]) -> std::process::Output {
        run(&[&["apply", self.path.to_str().unwrap()], args].concat(), flags)
    }

    fn start(&self, args: &[&str], flags: &[String]) -> Child {
        pgassay()
            .args(["apply", self.path.to_str().unwrap(), "--execute"])
            .args(args)
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Name and validity of every index of the table.
fn indexes(shop: &Shop, table: &str) -> Vec<(String, bool)> {
    let sql = "SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = $1::text::regclass ORDER BY 1";
    let rows = shop.connect().query(sql, &[&table]).unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn listings(shop: &Shop) -> Vec<(String, bool)> {
    indexes(shop, "listings")
}

fn made() -> Vec<(String, bool)> {
    vec![("listings_pkey".to_owned(), true), ("listings_seller_id_idx".to_owned(), true)]
}

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Somebody's transaction that has read a table, and by that keeps concurrent builds waiting.
fn reader(shop: &Shop, table: &str) -> Connection {
    let reader = shop.connect();
    let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM {table}");
    reader.batch(&sql).unwrap();
    reader
}

#[test]
fn what_is_accepted_is_printed_made_once_and_taken_back() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let proposed = recommendation("drop-x", "proposed", &["DROP INDEX CONCURRENTLY x"], &[]);
    let caution = "a row may fail";
    let with_caution =
        RunRecommendation { cautions: vec![caution.to_owned()], ..seller("accepted") };
    let file = file(vec![with_caution, proposed, lower_email()]);

    let printed = file.apply(&[], &[]);
    assert_eq!(code(&printed), 0, "{}", stderr(&printed));
    let text = stdout(&printed);
    let statements: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    assert!(statements.contains(&format!("{CREATE};").as_str()), "{text}");
    assert!(statements.contains(&"ANALYZE public.users;"), "{text}");
    assert!(text.contains(&format!("-- undo: {DROP};")), "{text}");
    assert!(text.contains(&format!("-- caution: {caution}\n")), "{text}");
    assert!(!text.contains("DROP INDEX CONCURRENTLY x") && stderr(&printed).contains("drop-x"));

    let applied = file.apply(&["--execute"], &shop.flags());
    assert_eq!(code(&applied), 0, "{}", stderr(&applied));
    assert_eq!(listings(&shop), made());
    assert!(stdout(&applied).contains("advice   made for the database staging\n"));
    assert!(stdout(&applied).contains("caution  ix-listings_seller_id: a row may fail\n"));
    let analyzed = shop
        .connect()
        .row("SELECT count(*) FROM pg_stats WHERE tablename = 'users_lower_email_idx'", &[])
        .unwrap();
    assert_eq!(analyzed.get::<_, i64>(0), 1, "the expression has statistics");

    let again = file.apply(&["--execute"], &shop.flags());
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    assert!(stdout(&again).contains("there    index listings_seller_id_idx"), "{}", stdout(&again));

    let undone = file.apply(&["--undo", "--execute"], &shop.flags());
    assert_eq!(code(&undone), 0, "{}", stderr(&undone));
    assert!(!stdout(&undone).contains("caution"), "{}", stdout(&undone));
    assert_eq!(listings(&shop), [("listings_pkey".to_owned(), true)]);
    let text = stdout(&undone);
    assert!(text.find("users_lower").unwrap() < text.find("listings_seller").unwrap(), "{text}");
    let nothing = file.apply(&["--undo", "--execute"], &shop.flags());
    assert!(code(&nothing) == 0 && stdout(&nothing).contains("gone     "), "{}", stdout(&nothing));
}

#[test]
fn only_what_is_accepted_is_taken_unless_it_is_named() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let proposed = file(vec![seller("proposed")]);
    let nothing = proposed.apply(&["--execute"], &shop.flags());
    assert_eq!(code(&nothing), 0);
    assert!(stderr(&nothing).contains("nothing to apply: 0 of 1"), "{}", stderr(&nothing));
    assert_eq!(listings(&shop).len(), 1);
    let named = proposed.apply(&["--execute", "--only", "ix-listings_seller_id"], &shop.flags());
    assert_eq!(code(&named), 0, "{}", stderr(&named));
    assert_eq!(listings(&shop), made());

    let rejected = file(vec![RunRecommendation {
        why: Some("no statement uses it".to_owned()),
        ..seller("rejected")
    }]);
    let refused = rejected.apply(&["--only", "ix-listings_seller_id"], &[]);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("rejected: no statement uses it"), "{}", stderr(&refused));
    let unknown = rejected.apply(&["--only", "ix-nothing"], &[]);
    assert!(code(&unknown) == 2 && stderr(&unknown).contains("ix-listings_seller_id"));
}

#[test]
fn a_database_that_does_not_consent_is_not_written_to() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let file = file(vec![seller("accepted")]);
    for args in [
        &["--execute"][..],
        &["--execute", "--confirm", "another"],
        &["--execute", "--production", "another"],
    ] {
        let refused = file.apply(args, &shop.flags());
        assert_eq!(code(&refused), 2, "{args:?}: {}", stderr(&refused));
        assert_eq!(listings(&shop).len(), 1, "{args:?}");
    }
    let refused = file.apply(&["--execute"], &shop.flags());
    let help = format!("--production {}", shop.name);
    assert!(stderr(&refused).contains(&help), "{}", stderr(&refused));
    // Named by the environment alone, nobody has typed it.
    let settings = shop.settings();
    let silent = pgassay()
        .args(["apply", file.path.to_str().unwrap(), "--execute", "--production"])
        .env("PGHOST", &settings.host)
        .env("PGPORT", settings.port.to_string())
        .env("PGUSER", &settings.user)
        .env("PGDATABASE", &settings.database)
        .output()
        .unwrap();
    assert_eq!(code(&silent), 2, "{}", stderr(&silent));
    assert!(stderr(&silent).contains(&help), "{}", stderr(&silent));
    assert_eq!(listings(&shop).len(), 1);
    let nowhere = file.apply(&["--execute"], &[]);
    assert!(code(&nowhere) == 2 && stderr(&nowhere).contains("no database was given"));

    let typed = file.apply(&["--execute", "--production", &shop.name], &shop.flags());
    assert_eq!(code(&typed), 0, "{}", stderr(&typed));
    assert_eq!(listings(&shop), made());
}

#[test]
fn an_index_that_an_earlier_build_left_not_valid_is_built_again() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let file = file(vec![seller("accepted")]);
    // Killed outright while it waits for somebody's transaction: the server sees it only afterwards.
    let reader = reader(&shop, "listings");
    let mut child = file.start(&[], &shop.flags());
    wait_until("the build", || listings(&shop).len() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    let stop = "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index \
                WHERE datname = current_database()";
    wait_until("the end of the build", || shop.connect().query(stop, &[]).unwrap().is_empty());
    assert_eq!(listings(&shop)[1], ("listings_seller_id_idx".to_owned(), false));
    drop(reader);
    let resumed = file.apply(&["--execute"], &shop.flags());
    assert_eq!(code(&resumed), 0, "{}", stderr(&resumed));
    assert!(stderr(&resumed).contains("dropped listings_seller_id_idx"), "{}", stderr(&resumed));
    assert_eq!(listings(&shop), made());
}

#[test]
fn ctrl_c_in_a_build_leaves_nothing_behind() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let first = recommendation(
        "ix-users_email",
        "accepted",
        &["CREATE INDEX CONCURRENTLY users_email_idx ON public.users (email)"],
        &["DROP INDEX CONCURRENTLY IF EXISTS public.users_email_idx"],
    );
    let file = file(vec![first, seller("accepted")]);
    let writer = shop.connect();
    writer.batch("BEGIN; UPDATE listings SET title = title WHERE id = 1").unwrap();
    let child = file.start(&["--lock-timeout", "60000"], &shop.flags());
    wait_until("the build", || listings(&shop).len() == 2);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    // What cleans up waits for the writer as well.
    std::thread::sleep(std::time::Duration::from_millis(300));
    writer.batch("COMMIT").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 130, "{}", stderr(&output));
    assert!(stderr(&output).contains("goes on from there"), "{}", stderr(&output));
    assert_eq!(listings(&shop), [("listings_pkey".to_owned(), true)]);
    assert!(indexes(&shop, "users").contains(&("users_email_idx".to_owned(), true)));
}

#[test]
fn a_lock_is_waited_for_again_and_in_the_end_given_up() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let file = file(vec![seller("accepted")]);
    let holder = shop.connect();
    holder.batch("BEGIN; LOCK TABLE listings IN ACCESS EXCLUSIVE MODE").unwrap();
    let patience = ["--execute", "--lock-timeout", "100", "--attempts", "2"];
    let given_up = file.apply(&patience, &shop.flags());
    assert_eq!(code(&given_up), 3, "{}", stderr(&given_up));
    assert!(stderr(&given_up).contains("attempt 1 of 2"), "{}", stderr(&given_up));
    assert!(stderr(&given_up).contains("SQLSTATE 55P03"), "{}", stderr(&given_up));

    let child = file.start(&["--lock-timeout", "100", "--attempts", "9"], &shop.flags());
    wait_until("the wait for the lock", || {
        let sql =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'listings'::regclass";
        holder.row(sql, &[]).unwrap().get::<_, i64>(0) > 0
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    holder.batch("COMMIT").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(listings(&shop), made());
}

#[test]
fn a_statement_that_fails_stops_neither_the_others_nor_the_truth() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let broken = recommendation(
        "ix-listings_gone",
        "accepted",
        &["CREATE INDEX CONCURRENTLY listings_gone_idx ON public.listings (gone)"],
        &["DROP INDEX CONCURRENTLY IF EXISTS public.listings_gone_idx"],
    );
    let taken = recommendation(
        "ix-users_email",
        "accepted",
        &["CREATE INDEX CONCURRENTLY orders_buyer_id ON public.users (email)"],
        &["DROP INDEX CONCURRENTLY IF EXISTS public.orders_buyer_id"],
    );
    let file = file(vec![broken, taken, seller("accepted")]);
    let before = indexes(&shop, "orders");
    let output = file.apply(&["--execute"], &shop.flags());
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("SQLSTATE 42703"), "{}", stderr(&output));
    assert!(stderr(&output).contains("another index of public.orders has this name"));
    assert!(stderr(&output).contains("2 of 3 statements failed"), "{}", stderr(&output));
    assert_eq!(listings(&shop), made());
    // The undo of the second would drop an index that is none of ours.
    let undo = file.apply(&["--undo", "--execute"], &shop.flags());
    assert_eq!(code(&undo), 3, "{}", stderr(&undo));
    assert!(stderr(&undo).contains("another than the one that was proposed"), "{}", stderr(&undo));
    assert_eq!(indexes(&shop, "orders"), before);
}

#[test]
fn two_at_once_do_not_get_into_each_others_way() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let file = file(vec![seller("accepted")]);
    let reader = reader(&shop, "listings");
    let child = file.start(&[], &shop.flags());
    wait_until("the build", || listings(&shop).len() == 2);
    let second = file.apply(&["--execute"], &shop.flags());
    assert_eq!(code(&second), 2, "{}", stderr(&second));
    assert!(stderr(&second).contains("another apply is at work"), "{}", stderr(&second));
    drop(reader);
    let first = child.wait_with_output().unwrap();
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    assert_eq!(listings(&shop), made());
}

#[test]
fn a_partitioned_table_gets_its_index_partition_by_partition() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    shop.connect()
        .batch(
            "CREATE TABLE events (id bigint, kind int, at date) PARTITION BY RANGE (at);
             CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
             CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (kind);
             CREATE TABLE events_new_1 PARTITION OF events_new FOR VALUES IN (1);
             CREATE TABLE \"Events 2\" PARTITION OF events_new FOR VALUES IN (2);
             INSERT INTO events SELECT i, 1 + i % 2, date '2025-06-01' + i % 400 FROM generate_series(1, 4000) i;",
        )
        .unwrap();
    let file = file(vec![recommendation(
        "ix-events_id",
        "accepted",
        &["CREATE INDEX events_id_idx ON public.events (id)"],
        &["DROP INDEX IF EXISTS public.events_id_idx"],
    )]);
    let all = || {
        let sql = "SELECT count(*), count(*) FILTER (WHERE indisvalid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
                   WHERE c.relname ILIKE 'events%'";
        let row = shop.connect().row(sql, &[]).unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    // Its writers go on: one is at work on another partition, and a plain build would wait for it.
    let writer = shop.connect();
    writer.batch("BEGIN; INSERT INTO events_old VALUES (0, 1, '2025-02-02')").unwrap();
    let stuck =
        file.apply(&["--execute", "--lock-timeout", "20", "--attempts", "1"], &shop.flags());
    assert_eq!(code(&stuck), 3, "{}", stderr(&stuck));
    assert!(all().1 < 5, "{:?}", all());
    writer.batch("COMMIT").unwrap();
    let applied = file.apply(&["--execute"], &shop.flags());
    assert_eq!(code(&applied), 0, "{}", stderr(&applied));
    assert_eq!(all(), (5, 5));
    let again = file.apply(&["--execute"], &shop.flags());
    assert!(stdout(&again).contains("there "), "{}", stdout(&again));
    let undone = file.apply(&["--undo", "--execute"], &shop.flags());
    assert_eq!(code(&undone), 0, "{}", stderr(&undone));
    assert_eq!(all(), (0, 0));
}

#[test]
fn a_role_without_the_privilege_is_told_so() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let app = pgassay::pg::config::settings::Settings { user: "app".into(), ..shop.settings() };
    // Such a role sees that somebody builds an index, and not which one.
    let other = Shop::new(server, true);
    let reader = reader(&other, "orders");
    let builder = other.connect();
    let build = std::thread::spawn(move || {
        builder.batch("CREATE INDEX CONCURRENTLY orders_slow_idx ON orders (id)")
    });
    wait_until("the build", || indexes(&other, "orders").iter().any(|i| i.0.contains("slow")));
    let refused = file(vec![seller("accepted")]).apply(&["--execute"], &flags(&app));
    drop(reader);
    build.join().unwrap().unwrap();
    assert_eq!(code(&refused), 3);
    assert!(stderr(&refused).contains("SQLSTATE 42501"), "{}", stderr(&refused));
    assert_eq!(listings(&shop).len(), 1);
}

/// The files of SQL whose names begin and end so, as a framework's tool sends them: each whole.
fn execute_files(shop: &Shop, directory: &Path, (beginning, ending): (&str, &str)) {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => directories.push(path),
                false => files.push(path),
            }
        }
    }
    let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
    files.retain(|file| name(file).starts_with(beginning) && name(file).ends_with(ending));
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        shop.connect().batch(&text).unwrap_or_else(|error| panic!("{}: {error:?}", file.display()));
    }
}

#[test]
fn migrations_of_sql_do_the_same_and_take_it_back() {
    let Some(server) = server() else { return };
    let trigrams = recommendation(
        "ix-listings_title_gin",
        "accepted",
        &[
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
            "CREATE INDEX CONCURRENTLY listings_title_gin_idx ON public.listings USING gin (title gin_trgm_ops)",
        ],
        &["DROP INDEX CONCURRENTLY IF EXISTS public.listings_title_gin_idx"],
    );
    let file = file(vec![seller("accepted"), trigrams, lower_email()]);
    for (framework, up, down) in [
        ("plain", ("", ".up.sql"), ("", ".down.sql")),
        ("prisma", ("", "migration.sql"), ("", "down.sql")),
        ("flyway", ("V", ".sql"), ("U", ".sql")),
    ] {
        let shop = Shop::new(server, true);
        let project = tempfile::tempdir().unwrap();
        let directory = project.path().join("migrations");
        let args = ["--migrations", framework, "--dir", directory.to_str().unwrap()];
        let written = file.apply(&args, &[]);
        assert_eq!(code(&written), 0, "{framework}: {}", stderr(&written));
        let count = stdout(&written).matches("written  ").count();
        let again = file.apply(&args, &[]);
        assert_eq!(stdout(&again).matches("written  ").count(), 0, "{}", stdout(&again));
        assert!(stdout(&again).matches("there    ").count() >= 5, "{count}: {}", stdout(&again));
        execute_files(&shop, &directory, up);
        assert_eq!(listings(&shop).len(), 3);
        execute_files(&shop, &directory, down);
        assert_eq!(listings(&shop), [("listings_pkey".to_owned(), true)], "{framework}");
    }
}

#[test]
fn an_index_goes_only_when_the_one_that_takes_its_place_is_there() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let wide = recommendation(
        "ix-orders_buyer_id_total_cents",
        "accepted",
        &[
            "CREATE INDEX CONCURRENTLY orders_buyer_id_total_cents_idx ON public.orders (buyer_id, total_cents)",
        ],
        &["DROP INDEX CONCURRENTLY IF EXISTS public.orders_buyer_id_total_cents_idx"],
    );
    let old = RunRecommendation {
        kind: "drop-index".to_owned(),
        requires: Some(wide.id.clone()),
        ..recommendation(
            "drop-orders_buyer_id",
            "proposed",
            &["DROP INDEX CONCURRENTLY IF EXISTS public.orders_buyer_id"],
            &["CREATE INDEX CONCURRENTLY orders_buyer_id ON public.orders USING btree (buyer_id)"],
        )
    };
    let names =
        || -> Vec<String> { indexes(&shop, "orders").into_iter().map(|(name, _)| name).collect() };
    let file = file(vec![wide, old]);
    let only = ["--execute", "--only", "drop-orders_buyer_id"];
    let early = file.apply(&only, &shop.flags());
    assert_eq!(code(&early), 3, "{}", stderr(&early));
    assert!(stderr(&early).contains("takes its place is not there"), "{}", stderr(&early));
    assert!(names().contains(&"orders_buyer_id".to_owned()));
    let both = [&only[..], &["--only", "ix-orders_buyer_id_total_cents"]].concat();
    let applied = file.apply(&both, &shop.flags());
    assert_eq!(code(&applied), 0, "{}", stderr(&applied));
    assert_eq!(names(), ["orders_buyer_id_total_cents_idx", "orders_pkey"]);
    let undone = file.apply(&[&both[..], &["--undo"]].concat(), &shop.flags());
    assert_eq!(code(&undone), 0, "{}", stderr(&undone));
    assert_eq!(names(), ["orders_buyer_id", "orders_pkey"]);
}
