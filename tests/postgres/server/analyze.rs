//! `analyze` against a server.

use pgassay::pg::connect::connection::InWorkload;

use crate::support::{Shop, browse_log, code, json, run, server, stderr, write_log};

#[test]
fn a_log_and_a_database_give_an_index_with_its_undo_and_leave_nothing_behind() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let before = shop.objects();
    let output = run(&["analyze", "--format", "json", log.to_str().unwrap()], &shop.flags());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found = json(&output);
    assert_eq!(found["target"]["origin"], "live");
    let index = found["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|r| r["kind"] == "create-index")
        .unwrap();
    assert_eq!(
        index["sql"][0],
        "CREATE INDEX CONCURRENTLY listings_category_id_created_at_idx ON public.listings (category_id, created_at DESC)"
    );
    assert_eq!(
        index["undo"][0],
        "DROP INDEX CONCURRENTLY IF EXISTS public.listings_category_id_created_at_idx"
    );
    // HypoPG is not in this database: no figure, and the reason.
    assert!(index["estimated"].is_null() && index["why"].as_str().unwrap().contains("HypoPG"));
    assert_eq!(shop.objects(), before);
    // The SQL and its undo are what a server takes, word for word.
    let owner = shop.connect();
    for sql in ["sql", "undo"].iter().flat_map(|key| index[key].as_array().unwrap()) {
        owner.batch(sql.as_str().unwrap()).unwrap();
        let changed = shop.objects() != before;
        assert_eq!(changed, sql.as_str().unwrap().starts_with("CREATE"), "{sql}");
    }
}

#[test]
fn candidates_are_costed_by_hypopg_or_by_a_build_that_is_rolled_back() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    browse_log(&log);
    let log = log.to_str().unwrap();
    let before = shop.objects();
    let built = run(&["analyze", "--build", "--format", "json", log], &shop.flags());
    assert_eq!(code(&built), 0, "{}", stderr(&built));
    let estimate = json(&built)["recommendations"][0]["estimated"].clone();
    assert!(
        estimate["cost_after"].as_f64().unwrap() < 0.1 * estimate["cost_before"].as_f64().unwrap(),
        "{estimate}"
    );
    assert!(estimate["size_bytes"].as_u64().unwrap() > 100_000);
    assert_eq!(shop.objects(), before);
    if shop.connect().batch("CREATE EXTENSION hypopg").is_err() {
        return;
    }
    let before = shop.objects();
    let estimate = json(&run(&["analyze", "--format", "json", log], &shop.flags()))["recommendations"][0]["estimated"].clone();
    assert!(
        estimate["cost_after"].as_f64().unwrap() < 0.1 * estimate["cost_before"].as_f64().unwrap(),
        "{estimate}"
    );
    assert_eq!(shop.objects(), before);
}

#[test]
fn the_counters_of_a_server_are_a_workload() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let owner = shop.connect();
    owner.batch("CREATE EXTENSION pg_stat_statements").unwrap();
    let application = InWorkload::of_application(&owner);
    let statement = application.prepare("SELECT id FROM listings WHERE seller_id = $1").unwrap();
    for seller in ["1", "2", "3"] {
        application
            .measure(&statement, &[pgassay::model::workload::literal::Literal::text(seller)])
            .unwrap();
    }
    let output = run(&["analyze", "--pg-stat-statements", "--format", "json"], &shop.flags());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found = json(&output);
    let query = found["queries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|query| query["normalized"] == "SELECT id FROM listings WHERE seller_id = $1")
        .unwrap()
        .clone();
    assert_eq!((query["calls"].as_u64(), query["rows"].as_u64()), (Some(3), Some(120)));
    assert!(query["queryid"].is_i64());
    // Counters have means and no percentiles.
    assert!(query["mean_us"].is_u64() && query["p95_us"].is_null());
    // What the tool itself asks is no part of the workload, also the second time.
    let again = json(&run(&["analyze", "--pg-stat-statements", "--format", "json"], &shop.flags()));
    assert!(!again["queries"].to_string().contains("pg_attribute"), "{}", again["queries"]);
    assert!(
        found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|f| f["id"] == "unindexed-filter:public.listings(seller_id)")
    );
}

#[test]
fn a_schema_alone_names_tables_without_row_level_rules_and_foreign_keys_without_index() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let found = json(&run(&["analyze", "--format", "json"], &shop.flags()));
    let ids: Vec<&str> =
        found["findings"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap()).collect();
    for id in [
        "rls-disabled:public.listings",
        "rls-disabled:public.orders",
        "rls-disabled:public.users",
        "unindexed-foreign-key:public.listings(seller_id)",
    ] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
    }
    assert!(!ids.contains(&"unindexed-foreign-key:public.orders(buyer_id)"));
    // The extension is not there, and that is said.
    assert!(found["warnings"].to_string().contains("pg_stat_statements"));
}

#[test]
fn a_partitioned_table_gets_sql_that_a_partitioned_table_takes() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let owner = shop.connect();
    owner
        .batch(
            "CREATE TABLE events (id bigint, account int, at date NOT NULL) PARTITION BY RANGE (at); \
             CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
             CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); \
             INSERT INTO events SELECT i, i % 500, date '2026-01-01' + i % 59 FROM generate_series(1, 20000) i; \
             ANALYZE events",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("events.log");
    let sql = "SELECT id FROM events WHERE account = $1";
    write_log(&log, &[(sql, &["7"], 9.0), (sql, &["8"], 9.0)]);
    let output = run(
        &["trial", "--time-budget", "1", "--format", "json", log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let index = json(&output)["recommendations"][0].clone();
    assert!(index["measured"]["size_bytes"].as_u64().unwrap() > 100_000, "{index}");
    for sql in ["sql", "undo"].iter().flat_map(|key| index[key].as_array().unwrap()) {
        owner.batch(sql.as_str().unwrap()).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// A page of listings and a lookup for each: once for sellers that the page named, once for others.
#[test]
fn a_loop_is_held_against_the_rows_that_gave_its_keys() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, false);
    let page =
        "SELECT id, seller_id, title FROM listings WHERE category_id = $1 ORDER BY id LIMIT 12";
    let lookup = "SELECT id, email FROM users WHERE id = $1";
    let sellers: Vec<String> = shop
        .connect()
        .query(&page.replace("$1", "3"), &[])
        .unwrap()
        .iter()
        .map(|row| row.get::<_, i64>("seller_id").to_string())
        .collect();
    let strangers: Vec<String> = (0..12).map(|n| (9_000_000 + n).to_string()).collect();
    let directory = tempfile::tempdir().unwrap();
    for (keys, confirmed, level) in [(sellers, true, "warning"), (strangers, false, "info")] {
        let log = directory.path().join(format!("{level}.log"));
        let values: Vec<[&str; 1]> = keys.iter().map(|key| [key.as_str()]).collect();
        let mut entries: Vec<(&str, &[&str], f64)> = vec![(page, &["3"], 5.0)];
        entries.extend(values.iter().map(|value| (lookup, value.as_slice(), 1.0)));
        write_log(&log, &entries);
        let output = run(&["analyze", "--format", "json", log.to_str().unwrap()], &shop.flags());
        let run = json(&output);
        let findings = run["findings"].as_array().unwrap();
        let found = findings.iter().find(|finding| finding["rule"] == "n-plus-one").unwrap();
        let evidence = found["evidence"].as_array().unwrap();
        let last = evidence.iter().find(|e| e["kind"] == "confirmation").unwrap();
        assert_eq!(last["confirmed"], confirmed, "{last}");
        assert_eq!(found["level"], level, "{found}");
    }
}
