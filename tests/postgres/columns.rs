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
    // Values of more than a kilobyte are looked for by nothing that has to hold them.
    let of_body = "SELECT id FROM events WHERE body = 'a'";
    assert_eq!(indexes(&advised(&flags, &vec![(of_body, &[][..], 20.0); 30], &[])), [""; 0]);
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
