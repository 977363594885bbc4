//! What one statement asks of several members of documents, of parts of composite values, and by functions in SQL.

use serde_json::Value;

use crate::advice::{advised, bazaar, indexes};
use crate::support::{code, json, run, stderr, write_log};

const HOMES: &str = "CREATE TYPE address AS (street text, \"City\" text); \
    CREATE TABLE homes (id int PRIMARY KEY, home address, data jsonb NOT NULL, name text NOT NULL, price int NOT NULL); \
    INSERT INTO homes SELECT i, row('s' || i, 'c' || i % 5000)::address, \
        jsonb_build_object('a', 'x' || i % 3000, 'b', 'y' || i % 4000, 'deep', jsonb_build_object('c', i % 7000)), \
        'Name ' || i % 20000, i FROM generate_series(1, 60000) i; \
    CREATE FUNCTION plainly(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(trim(t))'; \
    CREATE TABLE past (id int, key int); \
    CREATE TABLE past_1 () INHERITS (past); \
    INSERT INTO past_1 SELECT i, i % 5000 FROM generate_series(1, 30000) i; \
    ANALYZE";

type Entries<'e> = Vec<(&'e str, &'e [&'e str], f64)>;

/// One statement to all that count, of which each execution asks for one of three members.
fn of_members() -> Entries<'static> {
    let asked: [(&str, &[&str]); 3] = [
        ("SELECT id FROM homes WHERE data ->> 'a' = $1", &["x77"]),
        ("SELECT id FROM homes WHERE data ->> 'b' = $1", &["y77"]),
        ("SELECT id FROM homes WHERE data ->> 'missing' = $1", &["z"]),
    ];
    (0..20).flat_map(|_| asked.iter().map(|(sql, values)| (*sql, *values, 20.0))).collect()
}

fn why(found: &Value) -> &str {
    found["queries"][0]["no_index"].as_str().unwrap_or_default()
}

#[test]
fn each_member_that_is_asked_for_has_its_index() {
    let Some((flags, owner)) = bazaar("members") else { return };
    owner.batch(HOMES).unwrap();
    let found = advised(&flags, &of_members(), &[]);
    assert_eq!(found["queries"].as_array().unwrap().len(), 1);
    let wanted = ["a", "b", "missing"].map(|name| format!("public.homes ((data ->> '{name}'))"));
    let mut made = indexes(&found);
    made.sort();
    assert_eq!(made, wanted);
    for one in found["recommendations"].as_array().unwrap() {
        assert!(
            one["purpose"].as_str().unwrap().starts_with("serves 1 statement, 100.0 %"),
            "{one}"
        );
    }
    // Together they are found to help, and each of them is read.
    let directory = tempfile::tempdir().unwrap();
    let (log, schema) = (directory.path().join("app.log"), directory.path().join("schema.sql"));
    write_log(&log, &of_members());
    let args = ["trial", "--time-budget", "2", "--format", "json", log.to_str().unwrap()];
    let output = run(&args, &flags);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for one in json(&output)["recommendations"].as_array().unwrap() {
        assert_ne!(one["state"], "rejected", "{one}");
        assert!(one["measured"]["size_bytes"].is_u64(), "{one}");
    }
    // A schema alone says the same.
    std::fs::write(&schema, "CREATE TABLE homes (id int PRIMARY KEY, data jsonb NOT NULL);")
        .unwrap();
    let (log, schema) = (log.to_str().unwrap(), schema.to_str().unwrap());
    let offline = json(&run(&["analyze", "--format", "json", "--schema", schema, log], &[]));
    let mut made = indexes(&offline);
    made.sort();
    assert_eq!(made, wanted);
    // What nearly every execution names anew is no member that somebody chose.
    let texts: Vec<String> = (0..60)
        .map(|number| format!("SELECT id FROM homes WHERE data ->> 'k{number}' = 'v'"))
        .collect();
    let entries: Entries<'_> = texts.iter().map(|sql| (sql.as_str(), &[][..], 20.0)).collect();
    assert_eq!(indexes(&advised(&flags, &entries, &[])), [""; 0]);
}

#[test]
fn what_stands_in_a_statement_in_another_way_has_its_index_too() {
    let Some((flags, owner)) = bazaar("otherwise") else { return };
    owner.batch(HOMES).unwrap();
    let asked = [
        ("SELECT id FROM homes WHERE (home).\"City\" = 'c77'", "public.homes (((home).\"City\"))"),
        (
            "SELECT id FROM homes h WHERE plainly(h.name) = 'name 7'",
            "public.homes ((plainly(name)))",
        ),
        (
            "SELECT DISTINCT ON (name) name, price FROM homes ORDER BY name, price DESC",
            "public.homes (name, price DESC)",
        ),
        ("SELECT id FROM past WHERE key = 7", ""),
    ];
    for (sql, index) in asked {
        let found = advised(&flags, &vec![(sql, &[][..], 20.0); 30], &[]);
        let expected: Vec<&str> = index.split_terminator('\n').collect();
        assert_eq!(indexes(&found), expected, "{sql}: {}", why(&found));
        if index.is_empty() {
            assert!(why(&found).starts_with("the rows of public.past are in tables that inherit"));
            continue;
        }
        owner.batch(&format!("CREATE INDEX probe ON {index}; ANALYZE homes")).unwrap();
        let plan = owner.query(&format!("EXPLAIN {sql}"), &[]).unwrap();
        let is_used = plan.iter().any(|row| row.get::<_, String>(0).contains(" probe"));
        assert!(is_used, "{sql}");
        owner.batch("DROP INDEX probe").unwrap();
    }
}

#[test]
fn an_index_of_whole_documents_serves_who_asks_for_paths() {
    let Some((flags, owner)) = bazaar("documents") else { return };
    owner.batch(HOMES).unwrap();
    let asked = [
        "SELECT id FROM homes WHERE data @> '{\"a\": \"x77\"}'",
        "SELECT id FROM homes WHERE data ? 'zzz'",
    ];
    let entries: Entries<'_> =
        (0..30).flat_map(|_| asked.iter().map(|sql| (*sql, &[][..], 20.0))).collect();
    assert_eq!(indexes(&advised(&flags, &entries, &[])), ["public.homes USING gin (data)"]);
    let of_paths = &entries.iter().step_by(2).copied().collect::<Vec<_>>();
    assert_eq!(
        indexes(&advised(&flags, of_paths, &[])),
        ["public.homes USING gin (data jsonb_path_ops)"]
    );
}
