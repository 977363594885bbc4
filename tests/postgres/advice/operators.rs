//! Indexes for what only some operators ask of a server: shapes, networks, pairs, text that is alike, what is
//! nearest. Each proposal is built, used and known again.

use serde_json::Value;

use crate::advice::{advised, bazaar, indexes};
use crate::support::{code, json, run, stderr, write_log};

const SITES: &str = "
    CREATE EXTENSION pg_trgm;
    CREATE EXTENSION hstore;
    CREATE EXTENSION ltree;
    CREATE TABLE sites (id bigint PRIMARY KEY, place point NOT NULL, seen_from inet NOT NULL, facts hstore,
                        title text NOT NULL, code varchar(12), span int4range NOT NULL, note text NOT NULL,
                        words tsvector NOT NULL, branch ltree NOT NULL);
    INSERT INTO sites
      SELECT g, point(g * 7919 % 1000, g * 104729 % 1000), ('10.' || g % 200 || '.' || g * 7 % 256 || '.9')::inet,
             hstore('k' || g % 500, 'v' || g % 1000), md5(g::text) || ' ' || md5((g * 3)::text),
             upper(left(md5(g::text), 10)), int4range((g * 7919 % 100000)::int, (g * 7919 % 100000 + 10)::int), repeat('x', 100),
             to_tsvector('simple', 'w' || g % 5000 || ' v' || g % 7), ('top.b' || g % 40 || '.c' || g % 3000 || '.d' || g)::ltree
        FROM generate_series(1::bigint, 50000) g;
    ANALYZE sites";

/// Statement and index.
const ASKED: &[(&str, &str)] = &[
    ("SELECT id FROM sites ORDER BY place <-> '(10,10)' LIMIT 10", "USING gist (place)"),
    ("SELECT id FROM sites WHERE place <@ '((3,3),(1,1))'::box", "USING gist (place)"),
    ("SELECT id FROM sites WHERE seen_from <<= '10.7.0.0/16'", "(seen_from)"),
    ("SELECT id FROM sites WHERE seen_from << '10.9.63.0/24'", "(seen_from)"),
    ("SELECT id FROM sites WHERE seen_from >>= '10.7.49.9'", "USING gist (seen_from inet_ops)"),
    ("SELECT id FROM sites WHERE facts @> 'k7=>v7'", "USING gin (facts)"),
    ("SELECT id FROM sites WHERE facts ? 'k7'", "USING gin (facts)"),
    (
        "SELECT id FROM sites WHERE title % 'c4ca4238a0b923820dcc509a6f75849b'",
        "USING gin (title gin_trgm_ops)",
    ),
    (
        "SELECT id FROM sites ORDER BY title <-> 'c4ca4238' LIMIT 5",
        "USING gist (title gist_trgm_ops)",
    ),
    ("SELECT id FROM sites WHERE span << '[5,9)' ORDER BY id LIMIT 2000", "USING gist (span)"),
    ("SELECT id FROM sites WHERE span @> 77", "USING gist (span)"),
    ("SELECT id FROM sites WHERE branch <@ 'top.b7.c47'", "USING gist (branch)"),
    ("SELECT id FROM sites WHERE branch ~ '*.c47.d47'", "USING gist (branch)"),
    // The other way round.
    ("SELECT id FROM sites WHERE 77 <@ span", "USING gist (span)"),
    ("SELECT id FROM sites WHERE inet '10.7.0.0/16' >> seen_from", "(seen_from)"),
    ("SELECT id FROM sites WHERE hstore 'k7=>v7' <@ facts", "USING gin (facts)"),
    ("SELECT id FROM sites WHERE to_tsquery('simple', 'w77') @@ words", "USING gin (words)"),
    // The server of these tests orders text by bytes.
    ("SELECT id FROM sites WHERE starts_with(code, 'C4CA4')", "(code)"),
    ("SELECT id FROM sites WHERE code ^@ 'C4CA4'", "(code)"),
    // What holds what it is asked for is found; what is part of it is not.
    ("SELECT id FROM sites WHERE facts <@ 'k7=>v7, k8=>v8'", ""),
    ("SELECT id FROM sites WHERE id % 7 = 3", ""),
];

#[test]
fn operators_get_the_index_that_serves_them() {
    let Some((flags, owner)) = bazaar("operators") else { return };
    owner.batch(SITES).unwrap();
    for (sql, expected) in ASKED {
        let entries: Vec<(&str, &[&str], f64)> = vec![(sql, &[], 20.0); 30];
        let expected: Vec<String> =
            expected.split_terminator('\n').map(|index| format!("public.sites {index}")).collect();
        assert_eq!(indexes(&advised(&flags, &entries, &["--build"])), expected, "{sql}");
        // A model, where the planner cannot be asked, comes to the same.
        let found = advised(&flags, &entries, &[]);
        assert_eq!(indexes(&found), expected, "{sql}");
        for index in expected {
            owner.batch(&format!("CREATE INDEX probe ON {index}; ANALYZE sites")).unwrap();
            let size = "SELECT pg_relation_size('probe')";
            let real: i64 = owner.row(size, &[]).unwrap().get(0);
            let estimated = &found["recommendations"][0]["takes"]["size_bytes"];
            let error = estimated.as_f64().unwrap() / real as f64 - 1.0;
            assert!(error.abs() <= 0.25, "{index}: {estimated} for {real}");
            let plan: Value =
                owner.row(&format!("EXPLAIN (FORMAT JSON) {sql}"), &[]).unwrap().get(0);
            assert!(plan.to_string().contains("\"probe\""), "{sql}: {plan}");
            let again = advised(&flags, &entries, &[]);
            assert_eq!(indexes(&again), [""; 0], "{sql}");
            let findings = again["findings"].as_array().unwrap();
            let is_unserved = |f: &&Value| {
                let of_sites = f["subject"]["table"] == "public.sites";
                of_sites && f["rule"].as_str().unwrap().starts_with("unindexed")
            };
            assert!(!findings.iter().any(|f| is_unserved(&f)), "{sql}: {findings:?}");
            owner.batch("DROP INDEX probe; ANALYZE sites").unwrap();
        }
    }
}

#[test]
fn the_operator_classes_of_an_extension_are_found_wherever_it_is() {
    let Some((flags, owner)) = bazaar("elsewhere") else { return };
    owner.batch("CREATE SCHEMA \"Ext\"; CREATE EXTENSION pg_trgm SCHEMA \"Ext\"").unwrap();
    let asked = "SELECT id FROM people WHERE email LIKE '%77@mail%'";
    let entries: Vec<(&str, &[&str], f64)> = vec![(asked, &[], 20.0); 30];
    let found = advised(&flags, &entries, &["--build"]);
    let wanted = "public.people USING gin (email \"Ext\".gin_trgm_ops)";
    assert_eq!(indexes(&found), [wanted]);
    assert_eq!(found["recommendations"][0]["sql"].as_array().unwrap().len(), 1);
    let directory = tempfile::tempdir().unwrap();
    let (file, log) = (directory.path().join("run.json"), directory.path().join("app.log"));
    write_log(&log, &entries);
    let trial =
        run(&["trial", "--time-budget", "1", "--format", "json", log.to_str().unwrap()], &flags);
    let mut tried = json(&trial);
    assert!(tried["recommendations"][0]["measured"]["size_bytes"].is_u64(), "{}", stderr(&trial));
    tried["recommendations"][0]["state"] = "accepted".into();
    std::fs::write(&file, serde_json::to_vec(&tried).unwrap()).unwrap();
    let applied = run(&["apply", "--execute", file.to_str().unwrap()], &flags);
    assert_eq!(code(&applied), 0, "{}", stderr(&applied));
    // Known again, by apply and by who is asked anew.
    let again = run(&["apply", "--execute", file.to_str().unwrap()], &flags);
    assert!(String::from_utf8_lossy(&again.stdout).contains("there "), "{}", stderr(&again));
    assert_eq!(indexes(&advised(&flags, &entries, &["--build"])), [""; 0]);
    let undone = run(&["apply", "--execute", "--undo", file.to_str().unwrap()], &flags);
    assert_eq!(code(&undone), 0, "{}", stderr(&undone));
    assert_eq!(indexes(&advised(&flags, &entries, &["--build"])), [wanted]);
}

#[test]
fn a_dump_says_where_the_operator_classes_are() {
    let directory = tempfile::tempdir().unwrap();
    let (log, schema) = (directory.path().join("app.log"), directory.path().join("schema.sql"));
    let asked = "SELECT id FROM people WHERE email LIKE '%77@mail%'";
    write_log(&log, &[(asked, &[][..], 20.0); 30]);
    let table = "CREATE TABLE public.people (id int, email text);";
    let trigrams =
        |place: &str| format!("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA {place};");
    let there = "CREATE INDEX there ON public.people USING gin (email public.gin_trgm_ops);";
    for (dump, index) in [
        (trigrams("ext") + table, Some("public.people USING gin (email ext.gin_trgm_ops)")),
        (trigrams("public") + table, Some("public.people USING gin (email gin_trgm_ops)")),
        (trigrams("public") + table + there, None),
    ] {
        std::fs::write(&schema, &dump).unwrap();
        let args = ["analyze", "--format", "json", "--schema", schema.to_str().unwrap()];
        let found = json(&run(&[&args[..], &[log.to_str().unwrap()]].concat(), &[]));
        assert_eq!(indexes(&found).first().map(String::as_str), index, "{dump}");
    }
}
