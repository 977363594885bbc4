//! What partitions have of their own before an index of the whole comes or goes is there again after the undo.

use std::path::Path;
use std::process::Output;

use pgassay::pg::connect::connection::Connection;
use serde_json::Value;

use crate::advice::bazaar;
use crate::support::{code, json, run, stderr, write_log};

/// One partition has the index that the whole lacks, another one in the other direction; the index of the whole that
/// is the beginning of another has parts with names and settings of their own, and one is under way.
const TABLES: &str = "CREATE TABLE readings (id bigint, account int, shop int, at date NOT NULL) PARTITION BY RANGE (at); \
    CREATE TABLE readings_1 PARTITION OF readings FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
    CREATE TABLE readings_2 PARTITION OF readings FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY LIST (shop); \
    CREATE TABLE readings_2_rest PARTITION OF readings_2 DEFAULT; \
    CREATE TABLE \"Readings ON 3\" PARTITION OF readings FOR VALUES FROM ('2026-03-01') TO ('2026-04-01'); \
    CREATE INDEX \"own ON 1\" ON readings_1 (account) WITH (fillfactor = 60); \
    COMMENT ON INDEX \"own ON 1\" IS 'of before'; \
    CREATE INDEX turned ON \"Readings ON 3\" (account DESC); \
    CREATE INDEX readings_shop ON ONLY readings (shop); \
    CREATE INDEX shop_1 ON readings_1 (shop) WITH (fillfactor = 70); \
    CREATE INDEX shop_2 ON readings_2 (shop); \
    CREATE INDEX \"shop ON 3\" ON \"Readings ON 3\" (shop); \
    ALTER INDEX readings_shop ATTACH PARTITION shop_1; \
    ALTER INDEX readings_shop ATTACH PARTITION shop_2; \
    ALTER INDEX readings_shop ATTACH PARTITION \"shop ON 3\"; \
    CREATE INDEX readings_shop_at ON readings (shop, at); \
    CREATE INDEX readings_under_way ON ONLY readings (shop, at); \
    INSERT INTO readings SELECT i, i % 5000, i % 7, date '2026-01-01' + i % 90 FROM generate_series(1, 60000) i; \
    ANALYZE readings";

fn ask(log: &Path) {
    let sql = "SELECT id FROM readings WHERE account = $1";
    write_log(log, &[(sql, &["7"], 9.0), (sql, &["8"], 9.0), (sql, &["9"], 9.0)]);
}

/// Each index with what makes it, the one that it is a part of, and its comment.
fn state(owner: &Connection) -> Vec<String> {
    let sql = "SELECT concat_ws(' | ', pg_get_indexdef(i.indexrelid), i.indisvalid, h.inhparent::regclass, \
               obj_description(i.indexrelid, 'pg_class')) \
               FROM pg_index i LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid \
               WHERE i.indrelid::regclass::text ILIKE '%readings%' ORDER BY 1";
    owner.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// What is advised for the table, as if a trial had accepted it.
fn accepted(log: &Path, flags: &[String]) -> Value {
    let output = run(&["analyze", "--format", "json", log.to_str().unwrap()], flags);
    done(&output);
    let mut found = json(&output);
    let all = found["recommendations"].as_array_mut().unwrap();
    all.retain(|one| one["table"] == "public.readings");
    all.iter_mut().for_each(|one| one["state"] = "accepted".into());
    found
}

fn statements(recommendation: &Value, key: &str) -> Vec<String> {
    let all = recommendation[key].as_array().unwrap();
    all.iter().map(|sql| sql.as_str().unwrap().to_owned()).collect()
}

fn execute(owner: &Connection, statements: &[String]) {
    for sql in statements {
        owner.batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

fn done(output: &Output) {
    assert_eq!(code(output), 0, "{}{}", String::from_utf8_lossy(&output.stdout), stderr(output));
}

#[test]
fn partitions_have_their_own_indexes_again_after_an_undo() {
    let Some((flags, owner)) = bazaar("parts") else { return };
    owner.batch(TABLES).unwrap();
    let before = state(&owner);
    let directory = tempfile::tempdir().unwrap();
    let (log, file) = (directory.path().join("readings.log"), directory.path().join("run.json"));
    ask(&log);
    let found = accepted(&log, &flags);
    let all = found["recommendations"].as_array().unwrap();
    let ids: Vec<&str> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["ix-readings_account", "drop-readings_shop"], "{all:?}");
    let caution = "partitions have it already: own ON 1, turned becomes part of it";
    assert!(all[0]["cautions"].to_string().contains(caution), "{}", all[0]);
    // As a person would, by hand.
    for one in all {
        execute(&owner, &statements(one, "sql"));
        assert_ne!(state(&owner), before);
        execute(&owner, &statements(one, "undo"));
        assert_eq!(state(&owner), before);
    }
    // By the tool, whose way of building is another, and which takes it back from the end.
    std::fs::write(&file, serde_json::to_vec(&found).unwrap()).unwrap();
    let apply = |more: &[&str]| run(&[&["apply", file.to_str().unwrap()], more].concat(), &flags);
    done(&apply(&["--execute"]));
    let between = state(&owner);
    assert!(!between.iter().any(|line| line.contains("INDEX readings_shop ")), "{between:?}");
    assert!(between.iter().any(|line| line.contains("own ON 1") && line.contains("account_idx")));
    done(&apply(&["--execute", "--undo"]));
    assert_eq!(state(&owner), before);
    done(&apply(&["--execute", "--undo"]));
    assert_eq!(state(&owner), before);
}

#[test]
fn a_migration_gives_partitions_their_own_indexes_back_in_one_transaction() {
    let Some((flags, owner)) = bazaar("parts_migrated") else { return };
    owner.batch(TABLES).unwrap();
    let before = state(&owner);
    let directory = tempfile::tempdir().unwrap();
    let (log, file) = (directory.path().join("readings.log"), directory.path().join("run.json"));
    ask(&log);
    std::fs::write(&file, serde_json::to_vec(&accepted(&log, &flags)).unwrap()).unwrap();
    let to = directory.path().join("migrations");
    let (to, file) = (to.to_str().unwrap(), file.to_str().unwrap());
    done(&run(&["apply", file, "--migrations", "plain", "--dir", to], &[]));
    for part in ["add_index_readings_account_idx", "drop_index_readings_shop"] {
        for way in ["up", "down"] {
            let mut files = std::fs::read_dir(to).unwrap().map(|entry| entry.unwrap().path());
            let ending = format!("{part}.{way}.sql");
            let path = files.find(|path| path.to_str().unwrap().ends_with(&ending)).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            owner.batch(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(state(&owner) == before, way == "down", "{text}");
        }
    }
}

#[test]
fn a_dump_tells_what_partitions_have_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let (log, schema) =
        (directory.path().join("readings.log"), directory.path().join("schema.sql"));
    ask(&log);
    let dumped = "CREATE TABLE public.readings (id bigint, account int, shop int, at date NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE public.readings_1 (id bigint, account int, shop int, at date NOT NULL);
        ALTER TABLE ONLY public.readings ATTACH PARTITION public.readings_1 FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE INDEX own_1 ON public.readings_1 USING btree (account) WITH (fillfactor='60');
        CREATE INDEX readings_shop ON ONLY public.readings USING btree (shop);
        CREATE INDEX shop_1 ON public.readings_1 USING btree (shop) WITH (fillfactor='70');
        CREATE INDEX readings_shop_at ON ONLY public.readings USING btree (shop, at);
        CREATE INDEX shop_at_1 ON public.readings_1 USING btree (shop, at);
        ALTER INDEX public.readings_shop ATTACH PARTITION public.shop_1;
        ALTER INDEX public.readings_shop_at ATTACH PARTITION public.shop_at_1;";
    std::fs::write(&schema, dumped).unwrap();
    let (log, schema) = (log.to_str().unwrap(), schema.to_str().unwrap());
    let found = json(&run(&["analyze", "--format", "json", "--schema", schema, log], &[]));
    let undo = |at: usize| statements(&found["recommendations"][at], "undo");
    assert_eq!(
        undo(0),
        [
            "DROP INDEX IF EXISTS public.readings_account_idx",
            "CREATE INDEX CONCURRENTLY own_1 ON public.readings_1 USING BTREE (account) WITH (fillfactor = '60')",
        ]
    );
    assert_eq!(
        undo(1),
        [
            "CREATE INDEX readings_shop ON ONLY public.readings USING BTREE (shop)",
            "CREATE INDEX CONCURRENTLY shop_1 ON public.readings_1 USING BTREE (shop) WITH (fillfactor = '70')",
            "ALTER INDEX public.readings_shop ATTACH PARTITION public.shop_1",
        ]
    );
}
