//! What a column is, its collation, its domain, how long its values are, decides about its indexes.

use crate::advice::{advised, advised_on, bazaar, indexes};

#[test]
fn an_index_serves_only_its_own_collation_and_a_domain_is_what_it_is_made_of() {
    let Some((flags, owner)) = bazaar("columns") else { return };
    owner
        .batch(
            "CREATE DOMAIN code AS varchar(20); CREATE DOMAIN long_code AS code CHECK (length(value) > 1);
             CREATE TABLE cards (id int PRIMARY KEY, nm text, a int, r text NOT NULL, code long_code, pad text, short varchar(20));
             INSERT INTO cards SELECT g, 'Name ' || g, g % 7, 'r' || g, 'c' || g, repeat('x', 100), 'c' || g FROM generate_series(1, 60000) g;
             CREATE INDEX cards_de ON cards (nm COLLATE \"de-x-icu\"); CREATE INDEX cards_nm ON cards (nm);
             CREATE INDEX cards_r_c ON cards (r COLLATE \"C\", a); CREATE INDEX cards_r ON cards (r);
             ANALYZE cards",
        )
        .unwrap();
    let looked = |sql| advised(&flags, &vec![(sql, &[][..], 20.0); 30], &[]);
    // Neither does what the other does.
    let found = looked("SELECT id FROM cards WHERE nm = 'Name 5'");
    let drops: Vec<&str> = found["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["id"].as_str()?.strip_prefix("drop-cards_"))
        .collect();
    assert_eq!(drops, ["de", "r", "r_c"], "unused, for all that is known, and nothing else");
    for drop in found["findings"].as_array().unwrap() {
        assert_ne!(drop["rule"], "duplicate-index", "{drop}");
    }
    for (sql, index) in [
        (
            "SELECT id FROM cards WHERE nm COLLATE \"fr-x-icu\" = 'Name 5'",
            "public.cards (nm COLLATE \"fr-x-icu\")",
        ),
        (
            "SELECT id FROM cards ORDER BY nm COLLATE \"fr-x-icu\" LIMIT 10",
            "public.cards (nm COLLATE \"fr-x-icu\")",
        ),
        // They are there.
        ("SELECT id FROM cards WHERE nm COLLATE \"de-x-icu\" = 'Name 5'", ""),
        ("SELECT id FROM cards ORDER BY nm COLLATE \"de-x-icu\" LIMIT 10", ""),
        (
            "SELECT id FROM cards WHERE lower(code::text) = 'c77'",
            "public.cards ((lower(code::text)))",
        ),
        ("SELECT id FROM cards WHERE upper(code) = 'C77'", "public.cards ((upper(code)))"),
        ("SELECT id FROM cards WHERE code LIKE 'c4321%'", "public.cards (code)"),
        ("SELECT id FROM cards WHERE code = 'c4321'", "public.cards (code)"),
        (
            "SELECT id FROM cards WHERE id::text LIKE '4321%'",
            "public.cards ((id::text) text_pattern_ops)",
        ),
    ] {
        let expected: Vec<&str> = index.split_terminator('\n').collect();
        let found = looked(sql);
        assert_eq!(indexes(&found), expected, "{sql}");
        let findings = found["findings"].as_array().unwrap();
        let is_unserved = |f: &serde_json::Value| {
            let of_cards = f["subject"]["table"] == "public.cards";
            let rule = f["rule"].as_str().unwrap();
            of_cards && (rule.starts_with("unindexed") || rule == "non-sargable-predicate")
        };
        assert_eq!(findings.iter().any(is_unserved), !index.is_empty(), "{sql}: {findings:?}");
    }
    // What only the database and its application know stays with them.
    let found = looked("SELECT id FROM cards WHERE md5(nm || 's3cr3t-pepper') = 'abc'");
    assert_eq!(indexes(&found), [""; 0]);
    assert!(!found.to_string().contains("pepper"), "{found}");
    // Spelled in two ways it is one index still.
    let both: Vec<(&str, &[&str], f64)> = (0..30)
        .flat_map(|_| {
            [
                ("SELECT id FROM cards WHERE lower(short) = 'c77'", &[][..], 20.0),
                ("SELECT id FROM cards WHERE lower(short::text) = 'c78'", &[][..], 20.0),
            ]
        })
        .collect();
    for flags_of_it in [&[][..], &["--build"]] {
        let made = indexes(&advised(&flags, &both, flags_of_it));
        assert_eq!(made.len(), 1, "{made:?}");
    }
}

#[test]
fn what_may_grow_long_is_no_part_of_an_index_that_does_not_search_by_it() {
    let Some((flags, owner)) = bazaar("lengths") else { return };
    // VACUUM takes no row for visible to all whose commit may not be on disk yet.
    owner.batch("SET synchronous_commit = on").unwrap();
    owner
        .batch(
            "CREATE TABLE events (id bigint PRIMARY KEY, sid int NOT NULL, kind text NOT NULL, data jsonb, note text,
                                  labels text[], label varchar(30), body text);
             INSERT INTO events
               SELECT g, g % 20, 'kind ' || g % 20, jsonb_build_object('n', g), left(repeat(md5(g::text), 20), g % 600),
                      ARRAY[md5(g::text)], 'label ' || g, repeat(md5(g::text), 40)
                 FROM generate_series(1, 60000) g",
        )
        .unwrap();
    owner.batch("VACUUM ANALYZE events").unwrap();
    for (columns, included) in [
        ("id, kind, label", " INCLUDE (id, kind, label)"),
        ("id, data", ""),
        ("id, note", ""),
        ("id, labels", ""),
    ] {
        let sql = format!("SELECT {columns} FROM events WHERE sid = 7");
        let found = advised(&flags, &vec![(&*sql, &[][..], 20.0); 30], &[]);
        assert_eq!(indexes(&found), [format!("public.events (sid){included}")], "{sql}");
    }
    // Values of more than a kilobyte are looked for by what need not hold them.
    let of_body = "SELECT id FROM events WHERE body = 'a'";
    let found = advised(&flags, &vec![(of_body, &[][..], 20.0); 30], &[]);
    assert_eq!(indexes(&found), ["public.events USING hash (body)"]);
}

#[test]
fn what_counters_leave_out_is_named_and_what_may_be_left_out_is_asked_for_where_it_is_given() {
    let Some((flags, owner)) = bazaar("given") else { return };
    owner
        .batch(
            "CREATE TABLE notes (id bigint PRIMARY KEY, owner_id int NOT NULL, state text, data jsonb);
             INSERT INTO notes SELECT g, g % 9000, 'state ' || g % 3, jsonb_build_object('n', g) FROM generate_series(1, 60000) g;
             ANALYZE notes",
        )
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let export = directory.path().join("statements.csv");
    let asked = "SELECT id FROM notes WHERE data -> $1 ->> $2 = $3";
    std::fs::write(
        &export,
        format!("queryid,query,calls,total_exec_time,rows\n1,\"{asked}\",100,3000,9\n"),
    )
    .unwrap();
    let found = advised_on(&flags, &export, &[]);
    let why = found["queries"][0]["no_index"].as_str().unwrap();
    assert!(why.contains("has to hold its constants, which counters leave out"), "{why}");
    // One page for all filters: those that are not wanted are NULL.
    let page = "SELECT id FROM notes WHERE ($1::int IS NULL OR owner_id = $1) AND ($2::text IS NULL OR state = $2) ORDER BY id LIMIT 20";
    let found = advised(&flags, &vec![(page, &["77", "state 1"][..], 20.0); 30], &[]);
    let made = indexes(&found);
    assert!(made.iter().any(|index| index.starts_with("public.notes (owner_id")), "{made:?}");
    assert!(made.iter().all(|index| !index.contains("WHERE")), "{made:?}");
}

#[test]
fn a_value_that_no_btree_row_holds_is_searched_by_hash_and_one_that_may_fail_is_told() {
    let Some((flags, owner)) = bazaar("long") else { return };
    owner
        .batch(
            "CREATE TABLE links (id int PRIMARY KEY, url text, short text, longish text, data jsonb, hits int, n int, d int) WITH (fillfactor = 70);
             INSERT INTO links
               SELECT g, 'https://example.com/' || g, 's' || g, 'l' || g,
                      jsonb_build_object('ref', 'r' || g, 'n', g, 'big', 'b' || g), g, g, 1 + g % 50
                 FROM generate_series(1, 40000) g;
             -- Of what cannot be made shorter.
             INSERT INTO links (id, url, short, longish, data, hits, d)
               SELECT 40000 + g, long, 's', left(long, 1500), jsonb_build_object('ref', 'r', 'big', long), 1, 1
                 FROM (SELECT g, string_agg(md5(g::text || i), '') AS long
                         FROM generate_series(1, 3) g, generate_series(1, 200) i GROUP BY g) made;
             ANALYZE links",
        )
        .unwrap();
    let cautions = |found: &serde_json::Value| -> String {
        let all = found["recommendations"].as_array().unwrap().iter();
        let new = all.filter(|r| r["kind"] == "create-index");
        new.flat_map(|r| r["cautions"].as_array().unwrap())
            .map(|caution| caution.as_str().unwrap())
            .collect::<Vec<_>>()
            .join("; ")
    };
    for (sql, index, caution) in [
        ("SELECT id FROM links WHERE url = 'x'", "public.links USING hash (url)", ""),
        ("SELECT id FROM links WHERE url = 'x' AND d = 3", "public.links USING hash (url)", ""),
        ("SELECT id FROM links WHERE url IN ('x', 'y')", "public.links USING hash (url)", ""),
        (
            "SELECT id FROM links WHERE upper(url) = 'X'",
            "public.links USING hash ((upper(url)))",
            "",
        ),
        (
            "SELECT id FROM links WHERE data ->> 'big' = 'X'",
            "public.links USING hash ((data ->> 'big'))",
            "",
        ),
        ("SELECT id FROM links ORDER BY url LIMIT 5", "", ""),
        ("SELECT id FROM links WHERE url LIKE 'https://example.com/77%'", "", ""),
        ("SELECT id FROM links WHERE short = 'x'", "public.links (short)", ""),
        ("SELECT id FROM links WHERE lower(short) = 'x'", "public.links ((lower(short)))", ""),
        ("SELECT id FROM links WHERE data ->> 'ref' = 'x'", "public.links ((data ->> 'ref'))", ""),
        (
            "SELECT id FROM links WHERE longish = 'x'",
            "public.links (longish)",
            "its longest row has about 1500 bytes; one of more than 2,704 cannot be written once it is there",
        ),
        (
            "SELECT id FROM links WHERE (data ->> 'n')::int = 7",
            "public.links (((data ->> 'n')::int))",
            "a row for which `(data ->> 'n')::int` fails (a value that is no int) cannot be written once it is there",
        ),
        (
            "SELECT id FROM links WHERE 1000000 / n = 4",
            "public.links ((1000000 / n))",
            "a row for which `1000000 / n` fails (a division by zero) cannot be written once it is there",
        ),
    ] {
        let found = advised(&flags, &vec![(sql, &[][..], 20.0); 30], &[]);
        let expected: Vec<&str> = index.split_terminator('\n').collect();
        assert_eq!(indexes(&found), expected, "{sql}");
        assert_eq!(cautions(&found), caution, "{sql}");
        if index.is_empty() {
            let why = found["queries"][0]["no_index"].as_str().unwrap();
            assert!(why.contains("too long for a btree"), "{sql}: {why}");
        }
        let may_grow = !index.contains("hash") && index.contains(['s', '>']) && caution.is_empty();
        let told = "are short now (";
        assert_eq!(
            found["warnings"].to_string().contains(told),
            may_grow && !index.is_empty(),
            "{sql}: {}",
            found["warnings"]
        );
        for recommendation in found["recommendations"].as_array().unwrap() {
            if recommendation["kind"] == "create-index" {
                let build = recommendation["sql"][0].as_str().unwrap().replace("CONCURRENTLY ", "");
                owner.batch(&format!("BEGIN; {build}")).unwrap();
                let name = build.split_whitespace().nth(2).unwrap();
                let size =
                    owner.row("SELECT pg_relation_size($1::text::regclass)", &[&name]).unwrap();
                let (real, said) = (
                    size.get::<_, i64>(0) as f64,
                    recommendation["takes"]["size_bytes"].as_f64().unwrap(),
                );
                owner.batch("ROLLBACK").unwrap();
                assert!((said / real - 1.0).abs() < 0.15, "{sql}: {said} for {real}");
            }
        }
    }
    // Reads gain by it more than the writes lose, and those who write should know.
    let updates = "UPDATE links SET hits = hits + 1 WHERE id = 17";
    let mut entries = vec![("SELECT id FROM links ORDER BY hits DESC LIMIT 5", &[][..], 20.0); 30];
    entries.extend(vec![(updates, &[][..], 0.1); 50]);
    let found = advised(&flags, &entries, &[]);
    assert_eq!(indexes(&found).len(), 1);
    assert!(
        cautions(&found)
            .starts_with("50 updates of the workload set hits, which no index holds now"),
        "{found:#}"
    );
    // Two rare reads are not worth many updates each of which is dearer by it.
    let mut entries = vec![("SELECT id FROM links ORDER BY hits DESC LIMIT 5", &[][..], 9.0); 2];
    entries.extend(vec![(updates, &[][..], 0.1); 4_000]);
    assert_eq!(indexes(&advised(&flags, &entries, &[])), [""; 0]);
}

#[test]
fn what_is_set_otherwise_is_no_duplicate_and_what_goes_with_an_index_is_told() {
    let Some((flags, owner)) = bazaar("settings") else { return };
    owner
        .batch(
            "CREATE EXTENSION IF NOT EXISTS pg_trgm;
             CREATE TABLE logs (id int, at int, note text, a int, b int);
             INSERT INTO logs SELECT g, g, 'note ' || g, g % 100, g FROM generate_series(1, 2000) g;
             CREATE INDEX brin_1 ON logs USING brin (at) WITH (pages_per_range = 4);
             CREATE INDEX brin_2 ON logs USING brin (at) WITH (pages_per_range = 128);
             CREATE INDEX gist_1 ON logs USING gist (note gist_trgm_ops (siglen = 12));
             CREATE INDEX gist_2 ON logs USING gist (note gist_trgm_ops (siglen = 200));
             CREATE INDEX gin_1 ON logs USING gin (note gin_trgm_ops) WITH (fastupdate = off);
             CREATE INDEX gin_2 ON logs USING gin (note gin_trgm_ops);
             CREATE INDEX full_1 ON logs (a); CREATE INDEX full_2 ON logs (a) WITH (fillfactor = 60);
             CREATE INDEX e_1 ON logs ((a % 7)); CREATE INDEX e_2 ON logs ((b % 7));
             CREATE INDEX e_3 ON logs ((b % 7), a);
             CLUSTER logs USING full_2; ANALYZE logs",
        )
        .unwrap();
    let found = advised(&flags, &[("SELECT id FROM logs WHERE b = 1", &[][..], 1.0)], &[]);
    let findings = found["findings"].as_array().unwrap().iter();
    let duplicates: Vec<&str> = findings
        .filter(|finding| finding["rule"] == "duplicate-index")
        .map(|finding| finding["message"].as_str().unwrap())
        .filter(|message| !message.contains("listings"))
        .collect();
    assert_eq!(duplicates, ["index e_2 is the beginning of e_3", "index full_2 repeats full_1"]);
    let drop = |id: &str| {
        let mut all = found["recommendations"].as_array().unwrap().iter();
        all.find(|r| r["id"] == id).unwrap_or_else(|| panic!("{found:#}"))
    };
    let caution = |id: &str| drop(id)["cautions"][0].as_str().unwrap_or_default().to_owned();
    assert!(caution("drop-full_2").starts_with("CLUSTER goes by it"));
    assert!(caution("drop-e_1").starts_with("the planner has statistics of `(a % 7)`"));
    assert_eq!(caution("drop-e_2"), "", "the other has them as well");
    let undo = drop("drop-full_2")["undo"].to_string();
    assert!(undo.contains("CLUSTER ON full_2"), "{undo}");
    // Of two that nothing has read in a few days one stays.
    let ids: Vec<&str> = found["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|r| r["id"].as_str())
        .collect();
    assert!(!ids.contains(&"drop-full_1") && !ids.contains(&"drop-e_3"), "{ids:?}");
}
