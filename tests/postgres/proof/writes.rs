//! What recommendations cost the writes.

use super::verify::mixed_log;
use crate::support::{Shop, code, json, run, server, server_of_its_own, stderr};

#[test]
fn writes_are_replayed_in_savepoints_and_their_price_is_told() {
    let Some(server) = server_of_its_own() else { return };
    let shop = Shop::new(server, true);
    shop.connect()
        .batch(
            "ALTER TABLE listings SET (fillfactor = 50); CREATE TABLE copy AS TABLE listings;
             DELETE FROM listings; INSERT INTO listings SELECT * FROM copy; DROP TABLE copy;
             INSERT INTO orders SELECT i, 1 + i % 1000, i FROM generate_series(5001, 80000) i;
             CREATE FUNCTION mail() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN PERFORM pg_notify('mail', ''); RETURN NEW; END $$;
             CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN NEW.created_at := now(); RETURN NEW; END $$;
             CREATE TRIGGER mail AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION mail();
             CREATE TRIGGER stamp BEFORE INSERT ON listings FOR EACH ROW EXECUTE FUNCTION stamp()",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    // The rows of the inserts are there already, as in the database that a log was taken from.
    let numbers: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    let one: Vec<[&str; 1]> = numbers.iter().map(|n| [n.as_str()]).collect();
    let add = "INSERT INTO listings (id, seller_id, category_id, title, description, created_at) \
               VALUES ($1, 5, 5, 'new', 'new', '2026-01-01')";
    let order = "INSERT INTO orders (id, buyer_id, total_cents) VALUES ($1, 5, 5)";
    let buyers = "SELECT count(*) FROM orders WHERE total_cents = $1";
    let mut more: Vec<(&str, &[&str], f64)> = Vec::new();
    for p in &one {
        more.extend([(add, p.as_slice(), 0.1), (order, p.as_slice(), 0.1)]);
        more.push(("UPDATE listings SET category_id = 9 WHERE id = $1", p.as_slice(), 0.1));
        more.push(("UPDATE listings SET title = 'x' WHERE id = $1", p.as_slice(), 0.1));
        more.push(("DELETE FROM listings WHERE id = $1", p.as_slice(), 0.1));
        more.push((buyers, p.as_slice(), 9.0));
    }
    mixed_log(&log, &more);
    let sums = "SELECT sum(id)::text, count(*), max(xmin::text::bigint) FROM listings";
    let before = shop.connect().row(sums, &[]).unwrap();
    let objects = shop.objects();
    let output = run(
        &["trial", "--writes", "--time-budget", "1", "--format", "json", log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let after = shop.connect().row(sums, &[]).unwrap();
    assert_eq!(before.get::<_, String>(0), after.get::<_, String>(0));
    assert_eq!(before.get::<_, i64>(2), after.get::<_, i64>(2), "a row was written anew");
    assert_eq!(shop.objects(), objects);
    let tried = json(&output);
    let trials = tried["trials"].as_array().unwrap();
    let writes = trials.iter().find(|trial| !trial["writes"].is_null()).unwrap();
    assert!(writes["recommendations"].as_array().unwrap().len() > 1, "that of the set");
    let writes = &writes["writes"];
    let [low, high] = [0, 1].map(|end| writes["interval_pct"][end].as_f64().unwrap());
    assert!(low < high, "{writes}");
    // What each costs by itself stands beside what they cost together.
    let own = writes["own"].as_array().unwrap();
    assert!(own.len() > 1, "{}", tried["recommendations"]);
    for own in own {
        let [before, after] = ["wal_before_bytes", "wal_after_bytes"].map(|key| own[key].as_u64());
        assert!(after > before, "{own}");
    }
    let of = |start: &str| {
        let named = tried["queries"].as_array().unwrap().iter();
        let known = named
            .filter(|q| q["normalized"].as_str().unwrap().starts_with(start))
            .map(|q| q["fingerprint"].clone())
            .next()
            .unwrap();
        let mut queries = writes["queries"].as_array().unwrap().iter();
        queries.find(|q| q["fingerprint"] == known).cloned()
    };
    let inserted = of("INSERT INTO listings").expect("room is made for rows that are there");
    let wal = |side: &str| inserted[side].as_f64().unwrap();
    assert!(wal("wal_after_bytes") > wal("wal_before_bytes"), "{inserted}");
    assert!(of("DELETE FROM listings").is_some());
    let hot = |query: &serde_json::Value, side: &str| query[side].as_f64().unwrap();
    let moved = of("UPDATE listings SET category_id").unwrap();
    let named = of("UPDATE listings SET title").unwrap();
    assert!(hot(&moved, "hot_after") == 0.0, "a column of an index: {moved}");
    // How many find room in their page is the chance of the order in which the arms ran.
    assert!(hot(&named, "hot_after") > 0.0, "no column of an index: {named}");
    assert!(hot(&moved, "hot_before") > 0.0, "not without the indexes: {moved}");
    // What may send mail is not replayed, and says so.
    let left_out = writes["left_out"].to_string();
    assert!(left_out.contains("orders has the trigger mail, which may perform"), "{tried:#}");
}

#[test]
fn without_being_asked_nothing_is_written() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    mixed_log(&log, &[("DELETE FROM listings WHERE id = $1", &["1"], 0.1)]);
    let output = run(
        &["trial", "--time-budget", "0.5", "--format", "json", log.to_str().unwrap()],
        &shop.flags(),
    );
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let tried = json(&output);
    assert!(tried["trials"].as_array().unwrap().iter().all(|trial| trial["writes"].is_null()));
    let dead = "SELECT n_dead_tup + n_tup_del FROM pg_stat_user_tables WHERE relname = 'listings'";
    assert_eq!(shop.connect().row(dead, &[]).unwrap().get::<_, i64>(0), 0);
}

#[test]
fn an_index_that_costs_the_writes_more_than_it_gains_is_taken_back() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    shop.connect()
        .batch(
            "CREATE TABLE visits (id bigserial PRIMARY KEY, page int, shown int, note text);
             INSERT INTO visits (page, shown, note) SELECT i, i, repeat('x', 40) \
               FROM generate_series(1, 20000) i;
             INSERT INTO orders SELECT i, 1 + i % 1000, i FROM generate_series(5001, 80000) i;
             ANALYZE visits",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    // A log does not tell how many rows a statement wrote, so that these count as one each.
    let load = "INSERT INTO visits (page, shown) SELECT (i * 7919) % 20011, i \
                FROM generate_series(1, $1) i";
    let page = "SELECT note FROM visits WHERE page = $1";
    let buyers = "SELECT count(*) FROM orders WHERE total_cents = $1";
    let mut entries: Vec<(&str, &[&str], f64)> = vec![(load, &["10000"], 60.0); 8];
    for number in [&["17"][..], &["4711"]] {
        entries.extend([(page, number, 9.0), (buyers, number, 9.0)]);
    }
    mixed_log(&log, &entries);
    for (asks, expected) in [(true, "rejected"), (false, "accepted")] {
        let mut args = vec!["trial", "--time-budget", "1", "--format", "json"];
        args.extend(asks.then_some("--writes"));
        args.push(log.to_str().unwrap());
        let output = run(&args, &shop.flags());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let tried = json(&output);
        let of = |table: &str| -> Vec<&serde_json::Value> {
            let all = tried["recommendations"].as_array().unwrap().iter();
            all.filter(|r| r["kind"] == "create-index" && r["table"] == table).collect()
        };
        let visits = of("public.visits");
        assert_eq!(visits.len(), 1, "{tried:#}");
        assert_eq!(visits[0]["state"], expected, "{tried:#}");
        let why = visits[0]["why"].as_str().unwrap_or_default();
        assert_eq!(why.starts_with("writes lose "), asks, "{why}");
        assert_eq!(of("public.orders")[0]["state"], "accepted", "{tried:#}");
        // What stands is what was tried and written last.
        let mut stands: Vec<String> = tried["recommendations"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|r| r["state"] == "accepted")
            .map(|r| r["id"].as_str().unwrap().to_owned())
            .collect();
        stands.sort();
        let writes = tried["trials"].as_array().unwrap().iter().filter(|t| !t["writes"].is_null());
        let with_writes: Vec<_> = writes.map(|t| t["recommendations"].clone()).collect();
        let expected = if asks { vec![serde_json::json!(stands)] } else { vec![] };
        assert_eq!(with_writes, expected);
    }
}
