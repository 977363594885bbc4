//! Indexes on expressions: what is taken for immutable, held against what the server takes for it, and where
//! HypoPG can be asked about them.

use pgassay::model::index::{AccessMethod, IndexDef, IndexKey};
use pgassay::model::name::TableName;
use pgassay::model::whatif::WhatIf;
use pgassay::pg::catalog::load;
use pgassay::pg::connect::connection::Connection;
use pgassay::pg::planner::hypopg::HypoPg;
use pgassay::pg::planner::planning::Planning;
use pgassay::pg::planner::representative::Representatives;
use pgassay::pg::session::callers::Callers;
use pgassay::sql::dump::catalog;
use pgassay::sql::expression::immutability::indexable;
use pgassay::sql::resolve::resolver::shape;
use serde_json::Value;

use crate::advice::{advised, bazaar, indexes};
use crate::support::server;

/// A column of each type that an expression may be made of.
const TABLE: &str = "CREATE TABLE public.every (
    id bigint, txt text, vc varchar(40), bc character(4), i integer, n numeric(10, 2), f double precision,
    b boolean, d date, ts timestamp, tz timestamptz, tm time, iv interval, u uuid, j json, jb jsonb,
    w tsvector, r tstzrange, arr text[], e mood, ip inet, \"Mixed\" text);";

/// Expressions of one column, written `$c`.
const FORMS: &[&str] = &[
    "lower($c)",
    "UPPER($c::text)",
    "upper(CAST($c AS varchar))",
    "trim($c)",
    "TRIM(LEADING FROM $c)",
    "btrim(lower($c))",
    "left($c, 3)",
    "substring($c from 1 for 3)",
    "SUBSTRING($c, 2)",
    "md5($c)",
    "md5($c::text)",
    "length($c)",
    "reverse($c)",
    "initcap($c)",
    "replace($c, 'a', 'b')",
    "regexp_replace($c, '[^a-z]', '', 'g')",
    "split_part($c, '@', 2)",
    "$c || 'x'",
    "$c || ' ' || $c",
    "coalesce($c, 'x')",
    "coalesce($c, 0)",
    "coalesce($c, false)",
    "nullif($c, '')",
    "greatest($c, $c)",
    "$c::text",
    "$c::int",
    "$c::bigint",
    "$c::numeric(12,3)",
    "$c::boolean",
    "$c::date",
    "$c::timestamp",
    "$c::timestamptz",
    "$c::uuid",
    "$c::jsonb",
    "date($c)",
    "date_trunc('day', $c)",
    "date_trunc('month', $c::timestamp)",
    "extract(year from $c)",
    "extract(epoch from $c)",
    "date_part('month', $c)",
    "$c AT TIME ZONE 'UTC'",
    "($c AT TIME ZONE 'Europe/Berlin')::date",
    "age($c)",
    "to_char($c, 'YYYY')",
    "concat($c, 'x')",
    "to_tsvector($c)",
    "to_tsvector('english', $c)",
    "to_tsvector('simple', coalesce($c, '') || ' ' || coalesce($c, ''))",
    "setweight($c, 'A')",
    "setweight(to_tsvector('english', $c), 'A') || to_tsvector('english', $c)",
    "abs($c)",
    "round($c, 1)",
    "round($c)",
    "floor($c)",
    "ceil($c / 10)",
    "$c % 10",
    "$c + 1",
    "$c * 1.5",
    "-$c",
    "mod($c, 7)",
    "$c ->> 'k'",
    "$c -> 'a' ->> 'b'",
    "$c -> 0",
    "$c #>> '{a,b}'",
    "($c ->> 'k')::int",
    "($c ->> 'k')::date",
    "lower($c ->> 'k')",
    "($c -> 'k')::text",
    "jsonb_array_length($c)",
    "jsonb_extract_path_text($c, 'a')",
    "jsonb_typeof($c)",
    "lower($c) || upper($c)",
    "array_length($c, 1)",
    "cardinality($c)",
    "isempty($c)",
    "now()",
    "random()",
    "$c + now()",
    "$c - interval '1 day'",
    "'today'::date",
    "host($c)",
];

fn columns() -> Vec<&'static str> {
    vec![
        "txt",
        "vc",
        "bc",
        "i",
        "n",
        "f",
        "b",
        "d",
        "ts",
        "tz",
        "tm",
        "iv",
        "u",
        "j",
        "jb",
        "w",
        "r",
        "arr",
        "e",
        "ip",
        "\"Mixed\"",
    ]
}

fn database(name: &str) -> Option<Connection> {
    let server = server()?;
    let admin = Connection::open(&server.settings("postgres")).unwrap();
    admin.batch(&format!("CREATE DATABASE {name}")).unwrap();
    let connection = Connection::open(&server.settings(name)).unwrap();
    connection.batch("CREATE TYPE mood AS ENUM ('good', 'bad')").unwrap();
    connection.batch(TABLE).unwrap();
    Some(connection)
}

/// Whatever is called immutable can stand in an index, of every expression on every type. A condition is
/// asked, since it needs no operator class.
#[test]
fn the_server_takes_every_expression_that_is_called_immutable() {
    let Some(connection) = database("every_expression") else { return };
    let (catalog, _) = catalog::catalog(TABLE);
    let table = catalog.table(&TableName::new("public", "every")).unwrap();
    let (mut taken, mut missed) = (0, Vec::new());
    for form in FORMS {
        for column in columns() {
            let written = form.replace("$c", column);
            let condition =
                |sql: &str| format!("CREATE INDEX probe ON every (id) WHERE ({sql}) IS NOT NULL");
            if connection.batch(&format!("SELECT ({written}) FROM every")).is_err() {
                continue;
            }
            match indexable(&written, table, &[], &|_| None) {
                Some(found) => {
                    let refused = connection.batch(&condition(&found.sql)).err();
                    assert!(refused.is_none(), "{written} as {}: {refused:?}", found.sql);
                    connection.batch("DROP INDEX probe").unwrap();
                    taken += 1;
                }
                None => {
                    if connection.batch(&condition(&written)).is_ok() {
                        connection.batch("DROP INDEX probe").unwrap();
                        missed.push(written);
                    }
                }
            }
        }
    }
    println!("{taken} taken; immutable, but not known to be: {missed:?}");
    assert!(taken > 250, "{taken}");
}

/// The index is written otherwise than the statement, and still found by it.
#[test]
fn the_planner_knows_the_expression_again() {
    let Some(connection) = database("known_expression") else { return };
    let (catalog, _) = catalog::catalog(TABLE);
    let table = catalog.table(&TableName::new("public", "every")).unwrap();
    connection.batch("INSERT INTO every (id) SELECT g FROM generate_series(1, 100) g").unwrap();
    connection.batch("SET enable_seqscan = off").unwrap();
    let mut known = 0;
    for form in FORMS {
        for column in columns() {
            let written = form.replace("$c", column);
            let Some(found) = indexable(&written, table, &[], &|_| None) else { continue };
            if connection.batch(&format!("SELECT ({written}) FROM every")).is_err() {
                continue;
            }
            // Types without an order have no btree.
            if connection.batch(&format!("CREATE INDEX probe ON every (({}))", found.sql)).is_err()
            {
                continue;
            }
            let explain =
                format!("EXPLAIN (FORMAT JSON) SELECT id FROM every WHERE ({written}) IS NOT NULL");
            let plan: serde_json::Value = connection.row(&explain, &[]).unwrap().get(0);
            assert!(plan.to_string().contains("\"probe\""), "{written} as {}: {plan}", found.sql);
            connection.batch("DROP INDEX probe").unwrap();
            known += 1;
        }
    }
    assert!(known > 200, "{known}");
}

const BOOKINGS: &str =
    "CREATE TABLE bookings (id bigint PRIMARY KEY, during tstzrange NOT NULL, note text NOT NULL);
    INSERT INTO bookings SELECT g, tstzrange(at, at + interval '2 hours'), repeat('x', 100)
      FROM (SELECT g, timestamptz '2026-01-01 00:00+00' + g * interval '10 minutes' AS at
              FROM generate_series(1, 50000) g) g;
    ANALYZE bookings";

/// One that is declared immutable, and two of a name of which one is not.
const FUNCTIONS: &str = "
    CREATE FUNCTION plain(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN translate(lower(t), '@.', '  '); END $$;
    CREATE FUNCTION \"Sales\".\"Rank\"(a numeric, b int DEFAULT 1) RETURNS numeric LANGUAGE plpgsql IMMUTABLE
        AS $$ BEGIN RETURN a * b; END $$;
    CREATE FUNCTION today(t text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN t || current_date; END $$;
    CREATE FUNCTION unsure(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN t; END $$;
    CREATE FUNCTION unsure(n numeric) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN n::text; END $$";

/// As frameworks write them: statement, index, and one that is used for it.
const ASKED: &[(&str, &str)] = &[
    (
        "SELECT id FROM \"people\" WHERE UPPER(\"people\".\"email\"::text) = UPPER('P77@mail.test')",
        "public.people ((upper(email::text)))",
    ),
    (
        "SELECT id FROM people WHERE UPPER(email::text) LIKE UPPER('%777@mail%')",
        "public.people USING gin ((upper(email::text)) gin_trgm_ops)",
    ),
    (
        "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE to_tsvector('english', title) @@ plainto_tsquery('english', 'c4ca4238a0b923820dcc509a6f75849b')",
        "\"Sales\".\"Items\" USING gin ((to_tsvector('english', title)))",
    ),
    ("SELECT \"Id\" FROM \"Sales\".\"Items\" i WHERE (i.attrs ->> 'size')::int = 99", ""),
    (
        "SELECT id FROM people WHERE (joined AT TIME ZONE 'UTC')::date = '2025-06-01'",
        "public.people (((joined at time zone 'UTC')::date))",
    ),
    ("SELECT id FROM people WHERE joined::date = '2025-06-01'", ""),
    ("SELECT id FROM people WHERE extract(year from joined AT TIME ZONE 'UTC') = 2025", ""),
    (
        "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE coalesce(price, 0) * 2 = 150.02",
        "\"Sales\".\"Items\" ((coalesce(price, '0') * '2'))",
    ),
    (
        "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE coalesce(\"ownerId\", 0) = 4711",
        "\"Sales\".\"Items\" ((coalesce(\"ownerId\", '0')))",
    ),
    // Seven values find few rows only together with the others.
    (
        "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE attrs ->> 'size' = '3' AND attrs ->> 'brand' = 'b7'",
        "\"Sales\".\"Items\" ((attrs ->> 'size'), (attrs ->> 'brand'))",
    ),
    (
        "SELECT id FROM people WHERE plain(email) = 'p77 mail test'",
        "public.people ((plain(email)))",
    ),
    (
        "SELECT id FROM people WHERE plain(email) LIKE '%77 mail%'",
        "public.people USING gin ((plain(email)) gin_trgm_ops)",
    ),
    (
        "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE \"Sales\".\"Rank\"(price, 2) = 300.04",
        "\"Sales\".\"Items\" ((\"Sales\".\"Rank\"(price, 2)))",
    ),
    ("SELECT id FROM people WHERE today(email) = 'x'", ""),
    ("SELECT id FROM people WHERE unsure(email) = 'x'", ""),
    (
        "SELECT id FROM bookings WHERE during && tstzrange('2026-01-09', '2026-01-10')",
        "public.bookings USING gist (during)",
    ),
];

#[test]
fn statements_get_the_index_on_the_expression_that_they_ask() {
    let Some((flags, owner)) = bazaar("bazaar_expressions") else { return };
    owner.batch("CREATE EXTENSION pg_trgm").unwrap();
    owner.batch(BOOKINGS).unwrap();
    owner.batch(FUNCTIONS).unwrap();
    for (sql, expected) in ASKED {
        let entries: Vec<(&str, &[&str], f64)> = vec![(sql, &[], 20.0); 30];
        let found = advised(&flags, &entries, &["--build"]);
        let made = indexes(&found);
        let expected: Vec<&str> = expected.split_terminator('\n').collect();
        assert_eq!(made, expected, "{sql}");
        for index in made {
            owner.batch(&format!("CREATE INDEX probe ON {index}; ANALYZE")).unwrap();
            let size = "SELECT pg_relation_size(oid) FROM pg_class WHERE relname = 'probe'";
            let real: i64 = owner.row(size, &[]).unwrap().get(0);
            let estimated = &found["recommendations"][0]["estimated"]["size_bytes"];
            let error = estimated.as_f64().unwrap() / real as f64 - 1.0;
            assert!(error.abs() <= 0.10, "{index}: {estimated} for {real}");
            let plan: serde_json::Value =
                owner.row(&format!("EXPLAIN (FORMAT JSON) {sql}"), &[]).unwrap().get(0);
            assert!(plan.to_string().contains("\"probe\""), "{sql}: {plan}");
            // And it is known when it is there.
            let again = advised(&flags, &entries, &["--build"]);
            assert_eq!(again["recommendations"], serde_json::json!([]), "{sql}");
            let findings = again["findings"].as_array().unwrap();
            let is_about_it = |f: &&serde_json::Value| {
                ["unindexed-filter", "unused-index"].iter().any(|rule| f["rule"] == *rule)
            };
            assert!(!findings.iter().any(|f| is_about_it(&f)), "{sql}: {findings:?}");
            let schema = if index.starts_with("public") { "public" } else { "\"Sales\"" };
            owner.batch(&format!("DROP INDEX {schema}.probe; ANALYZE")).unwrap();
        }
    }
}

/// HypoPG numbers the columns of such an index as those of the first table of a statement, so the planner finds no
/// use for it at any other place.
#[test]
fn an_expression_on_a_joined_table_is_advised_and_its_figure_is_not_made_up() {
    let Some((flags, _)) = bazaar("joined_expression") else { return };
    let second = "SELECT i.title FROM \"Sales\".\"Items\" i JOIN people p ON p.id = i.\"ownerId\" \
                  WHERE lower(p.email) = $1";
    let first = "SELECT i.title FROM people p JOIN \"Sales\".\"Items\" i ON p.id = i.\"ownerId\" \
                 WHERE lower(p.email) = $1";
    let of = |found: &Value| {
        let recommendations = found["recommendations"].as_array().unwrap();
        let is_it = |r: &&Value| r["sql"].to_string().contains("lower(");
        recommendations.iter().find(is_it).unwrap_or_else(|| panic!("{recommendations:?}")).clone()
    };
    let entries: Vec<(&str, &[&str], f64)> =
        (0..40).map(|_| (second, &["p7@mail.test"][..], 14.0)).collect();
    let index = of(&advised(&flags, &entries, &[]));
    assert_eq!(index["estimated"], Value::Null);
    assert!(index["why"].as_str().unwrap().contains("--build"), "{index}");
    let index = of(&advised(&flags, &entries, &["--build"]));
    let (before, after) = (&index["estimated"]["cost_before"], &index["estimated"]["cost_after"]);
    assert!(before.as_f64().unwrap() > 2.0 * after.as_f64().unwrap(), "{index}");
    let entries: Vec<(&str, &[&str], f64)> =
        (0..40).map(|_| (first, &["p7@mail.test"][..], 14.0)).collect();
    let index = of(&advised(&flags, &entries, &[]));
    assert!(index["estimated"]["cost_after"].is_number(), "{index}");
}

/// A server was seen to end (17 with HypoPG 1.4.1) where it was shown a partial index of another table than the first.
#[test]
fn hypopg_is_shown_what_it_numbers_wrong_only_at_the_first_place() {
    let Some((_, owner)) = bazaar("first_place") else { return };
    let catalog = load::load(&owner, &owner.caller()).unwrap();
    let typicals = Representatives::default();
    let callers = Callers::connected(&owner);
    let guard = std::cell::RefCell::default();
    let planning =
        Planning { connection: &owner, callers: &callers, guard: &guard, typicals: &typicals };
    let hypopg = HypoPg::open(planning).unwrap().unwrap();
    let plan = |key: IndexKey, predicate: Option<&str>| IndexDef {
        table: TableName::new("public", "people"),
        method: AccessMethod::Btree,
        keys: vec![key],
        include: Vec::new(),
        predicate: predicate.map(str::to_owned),
    };
    let expression = IndexKey { is_column: false, ..IndexKey::column("lower(email)") };
    let apart =
        [plan(IndexKey::column("email"), Some("deleted_at IS NULL")), plan(expression, None)];
    let plain = plan(IndexKey::column("email"), None);
    for (sql, is_first) in [
        ("SELECT 1 FROM people p JOIN \"Sales\".\"Items\" i ON i.\"ownerId\" = p.id", true),
        ("SELECT 1 FROM \"Sales\".\"Items\" i JOIN people p ON i.\"ownerId\" = p.id", false),
        ("SELECT 1 FROM people WHERE id IN (SELECT id FROM people)", false),
        ("SELECT 1 FROM (SELECT id FROM people) p", false),
    ] {
        let shape = shape(sql, Some(&catalog)).unwrap();
        assert!(hypopg.sees(&plain, &shape).is_ok(), "{sql}");
        for plan in &apart {
            assert_eq!(hypopg.sees(plan, &shape).is_ok(), is_first, "{sql} {plan:?}");
        }
    }
    // Partitions are planned under other numbers than their table.
    let visits = shape("SELECT 1 FROM visits", Some(&catalog)).unwrap();
    let table = TableName::new("public", "visits");
    let of_visits = IndexDef { table, ..plan(IndexKey::column("at"), Some("person_id = 1")) };
    assert!(hypopg.sees(&of_visits, &visits).is_err());
}
