//! Which indexes are recommended, and what is said of them.

mod batched;
mod candidates;
mod columns;
mod defects;
mod expressions;
mod limits;
mod members;
mod metering;
mod operators;
mod partitions;
mod parts;
mod policies;
mod sizes;

use std::path::Path;

use pgassay::pg::connect::connection::Connection;
use serde_json::Value;

use crate::support::{code, flags, json, run, server, stderr, write_log};

/// A copy of the bazaar with HypoPG in it; `None` without a server or without HypoPG.
pub fn bazaar(name: &str) -> Option<(Vec<String>, Connection)> {
    let server = server()?;
    let admin = Connection::open(&server.settings("postgres")).unwrap();
    admin.batch(&format!("CREATE DATABASE {name}")).unwrap();
    admin.batch(&format!("ALTER DATABASE {name} SET pgassay.environment = 'test'")).unwrap();
    let settings = server.settings(name);
    let owner = Connection::open(&settings).unwrap();
    for statement in include_str!("bazaar.sql").split_inclusive(";\n") {
        owner.batch(statement).unwrap();
    }
    if owner.batch("CREATE EXTENSION hypopg").is_err() {
        return None;
    }
    Some((flags(&settings), owner))
}

/// The recommendations for a log with these statements.
pub fn advised(flags: &[String], entries: &[(&str, &[&str], f64)], more: &[&str]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, entries);
    advised_on(flags, &log, more)
}

/// The recommendations for a log.
pub fn advised_on(flags: &[String], log: &Path, more: &[&str]) -> Value {
    let mut args = vec!["analyze", "--quiet", "--format", "json", log.to_str().unwrap()];
    args.extend(more);
    let output = run(&args, flags);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found = json(&output);
    for recommendation in found["recommendations"].as_array().unwrap() {
        let purpose = recommendation["purpose"].as_str().unwrap_or_default();
        assert!(!purpose.starts_with("serves 0"), "{recommendation}");
    }
    found
}

pub fn indexes(found: &Value) -> Vec<String> {
    let recommendations = found["recommendations"].as_array().unwrap().iter();
    let made = recommendations.filter(|r| r["kind"] == "create-index");
    made.map(|r| {
        let sql = r["sql"].as_array().unwrap().last().unwrap().as_str().unwrap();
        sql.split_once(" ON ").unwrap().1.to_owned()
    })
    .collect()
}

pub const OF_OWNER: &str = "SELECT \"Id\", title FROM \"Sales\".\"Items\" WHERE \"ownerId\" = $1 AND status = 'open' ORDER BY listed_at DESC";
pub const OF_STATE: &str =
    "SELECT \"Id\", title FROM \"Sales\".\"Items\" WHERE status = $1 ORDER BY price LIMIT 10";

#[test]
fn a_state_in_the_text_makes_a_partial_index_and_a_parameter_does_not() {
    let Some((flags, owner)) = bazaar("bazaar_states") else { return };
    let owners: Vec<String> = (1..=40).map(|n| (n * 37).to_string()).collect();
    let of_owner: Vec<[&str; 1]> = owners.iter().map(|owner| [owner.as_str()]).collect();
    let mut entries: Vec<(&str, &[&str], f64)> =
        of_owner.iter().map(|p| (OF_OWNER, p.as_slice(), 12.0)).collect();
    // Always the same value, and still one that may change with the next request.
    entries.extend((0..40).map(|_| (OF_STATE, &["held"][..], 12.0)));
    let found = advised(&flags, &entries, &[]);
    let made = indexes(&found);
    let states: Vec<&String> = made.iter().filter(|sql| sql.contains("WHERE")).collect();
    assert_eq!(states.len(), 1, "{made:?}");
    assert!(states[0].starts_with("\"Sales\".\"Items\" (\"ownerId\""), "{made:?}");
    assert!(states[0].ends_with("WHERE status = 'open'"), "{made:?}");
    assert!(made.iter().any(|sql| sql == "\"Sales\".\"Items\" (status, price)"), "{made:?}");
    // Every statement is one that the server takes, and so is its undo.
    for recommendation in found["recommendations"].as_array().unwrap() {
        for sql in ["sql", "undo"].iter().flat_map(|key| recommendation[key].as_array().unwrap()) {
            owner.batch(sql.as_str().unwrap()).unwrap();
        }
    }
}

#[test]
fn a_view_is_looked_through_and_the_parent_of_partitions_is_indexed() {
    let Some((flags, _)) = bazaar("bazaar_view") else { return };
    let through =
        "SELECT v.item_id FROM open_items v WHERE v.owner_id = $1 ORDER BY v.listed DESC LIMIT 5";
    let parted = "SELECT id, at FROM visits WHERE person_id = $1";
    let entries: Vec<(&str, &[&str], f64)> =
        (0..40).flat_map(|_| [(through, &["17"][..], 9.0), (parted, &["4711"][..], 9.0)]).collect();
    let found = advised(&flags, &entries, &[]);
    let tables = &found["queries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|q| q["normalized"].as_str().unwrap().contains("open_items"));
    assert_eq!(tables.unwrap()["tables"][0], "Sales.Items");
    let made = indexes(&found);
    assert!(made.iter().any(|sql| sql.starts_with("\"Sales\".\"Items\" (\"ownerId\"")), "{made:?}");
    assert!(made.iter().any(|sql| sql.starts_with("public.visits (person_id)")), "{made:?}");
}

#[test]
fn documents_arrays_and_parts_of_text_get_gin_with_figures_only_from_a_build() {
    let Some((flags, _)) = bazaar("bazaar_gin") else { return };
    let table = "SELECT \"Id\" FROM \"Sales\".\"Items\"";
    let statements = [
        format!("{table} WHERE attrs @> '{{\"brand\":\"b7\"}}'"),
        format!("{table} WHERE tags @> ARRAY['t3','t500']"),
        format!("{table} WHERE title ILIKE '%a1b2%'"),
    ];
    let entries: Vec<(&str, &[&str], f64)> =
        (0..20).flat_map(|_| statements.iter().map(|sql| (sql.as_str(), &[][..], 30.0))).collect();
    let without = advised(&flags, &entries, &[]);
    let made = indexes(&without);
    for wanted in ["gin (attrs jsonb_path_ops)", "gin (tags)", "gin (title gin_trgm_ops)"] {
        assert!(made.iter().any(|sql| sql.contains(wanted)), "{wanted}: {made:?}");
    }
    let recommendations = without["recommendations"].as_array().unwrap();
    let gin = recommendations.iter().filter(|r| r["sql"].to_string().contains("USING gin"));
    for recommendation in gin {
        assert!(recommendation["estimated"].is_null(), "{recommendation}");
        assert!(recommendation["why"].as_str().unwrap().contains("--build"), "{recommendation}");
    }
    let built = advised(&flags, &entries, &["--build"]);
    let figures = built["recommendations"].as_array().unwrap().iter();
    let figures: Vec<&Value> = figures
        .filter(|r| r["sql"].to_string().contains("USING gin"))
        .map(|r| &r["estimated"])
        .collect();
    assert_eq!(figures.len(), 3);
    for figure in figures {
        assert!(figure["size_bytes"].as_u64().unwrap() > 8_192, "{figure}");
        assert!(
            figure["cost_after"].as_f64().unwrap() < 0.5 * figure["cost_before"].as_f64().unwrap()
        );
    }
}

#[test]
fn alternatives_get_the_indexes_that_only_together_are_worth_anything() {
    let Some((flags, owner)) = bazaar("bazaar_either") else { return };
    let either = "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE price = $1 AND status = 'open' OR \"ownerId\" = $2";
    let search = "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE title ILIKE $1 OR filler ILIKE $1";
    let rows = "SELECT id FROM people WHERE (country, joined) IN (('DE', $1), ('FR', $2))";
    let mut entries: Vec<(&str, &[&str], f64)> = Vec::new();
    for _ in 0..20 {
        entries.push((either, &["5.1", "77"], 20.0));
        entries.push((search, &["%a1b2%"], 90.0));
        entries.push((rows, &["2025-12-31 10:00+00", "2025-12-31 11:00+00"], 9.0));
    }
    let found = advised(&flags, &entries, &[]);
    let made = indexes(&found);
    for wanted in [
        "\"Sales\".\"Items\" (price",
        "\"Sales\".\"Items\" (\"ownerId\"",
        "\"Sales\".\"Items\" USING gin (filler gin_trgm_ops, title gin_trgm_ops)",
        "public.people (joined",
    ] {
        assert!(made.iter().any(|sql| sql.starts_with(wanted)), "{wanted}: {made:?}");
    }
    assert_eq!(made.len(), 4, "{made:?}");
    // A budget has room for both of a pair, or for neither.
    let both: u64 = ["price", "ownerId"]
        .iter()
        .map(|column| {
            let recommendations = found["recommendations"].as_array().unwrap();
            let of = |r: &&Value| {
                r["sql"].to_string().contains(&format!("Items\\\" ({column}"))
                    || r["sql"].to_string().contains(&format!("Items\\\" (\\\"{column}"))
            };
            recommendations.iter().find(of).unwrap()["takes"]["size_bytes"].as_u64().unwrap()
        })
        .sum();
    let only: Vec<_> = entries.iter().filter(|(sql, ..)| *sql == either).copied().collect();
    let budget = |bytes: u64| indexes(&advised(&flags, &only, &["--budget", &bytes.to_string()]));
    assert_eq!(budget(both * 11 / 10).len(), 2);
    assert_eq!(budget(both * 7 / 10), Vec::<String>::new());
    // And the server uses them together.
    for recommendation in found["recommendations"].as_array().unwrap() {
        recommendation["sql"]
            .as_array()
            .unwrap()
            .iter()
            .for_each(|sql| owner.batch(sql.as_str().unwrap()).unwrap());
    }
    for (sql, values) in [(either, "5.1, 77"), (search, "'%a1b2%'")] {
        let prepared = format!("PREPARE p AS {sql}; SET plan_cache_mode = force_custom_plan");
        owner.batch(&prepared).unwrap();
        let plan: String = owner
            .query(&format!("EXPLAIN EXECUTE p({values})"), &[])
            .unwrap()
            .iter()
            .map(|row| row.get::<_, String>(0))
            .collect();
        owner.batch("DEALLOCATE p").unwrap();
        assert!(plan.contains("BitmapOr"), "{plan}");
    }
    // What is there is known.
    let again = advised(&flags, &entries, &[]);
    assert_eq!(again["recommendations"], serde_json::json!([]));
    for finding in again["findings"].as_array().unwrap() {
        assert!(
            !["unindexed-filter", "unused-index"].contains(&finding["rule"].as_str().unwrap()),
            "{finding}"
        );
    }
}

/// One channel has a twentieth of all posts, and one request in eight asks for it: to the others it means nothing
/// whether the index holds what is read.
#[test]
fn the_few_executions_that_find_many_rows_are_seen() {
    let Some((flags, owner)) = bazaar("bazaar_channels") else { return };
    // VACUUM takes no row for visible to all whose commit may not be on disk yet.
    owner.batch("SET synchronous_commit = on").unwrap();
    owner
        .batch(
            "CREATE TABLE posts (channel int NOT NULL, at timestamptz NOT NULL, body text NOT NULL); \
             INSERT INTO posts SELECT CASE WHEN i % 20 = 0 THEN 1 ELSE 2 + i % 60001 END, \
             timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', repeat('x', 80) \
             FROM generate_series(1, 80000) i",
        )
        .unwrap();
    owner.batch("VACUUM (ANALYZE) posts").unwrap();
    let sql = "SELECT at FROM posts WHERE channel = $1";
    let channels: Vec<String> =
        (0..64).map(|n| if n % 8 == 3 { 1 } else { 3 + n * 98 }.to_string()).collect();
    let values: Vec<[&str; 1]> = channels.iter().map(|channel| [channel.as_str()]).collect();
    let entries: Vec<(&str, &[&str], f64)> =
        values.iter().map(|values| (sql, values.as_slice(), 20.0)).collect();
    let made = indexes(&advised(&flags, &entries, &[]));
    assert!(made.iter().any(|sql| sql.contains("posts (channel) INCLUDE (at)")), "{made:?}");
}

#[test]
fn a_statement_that_cannot_be_planned_spoils_nothing() {
    let Some((flags, _)) = bazaar("bazaar_broken") else { return };
    let entries: Vec<(&str, &[&str], f64)> = (0..30)
        .flat_map(|_| {
            [
                ("SELECT gone FROM people WHERE gone = $1", &["1"][..], 9.0),
                ("SELECT country FROM people WHERE email = $1", &["P7@mail.test"][..], 9.0),
                ("SELECT FROM WHERE (", &[][..], 9.0),
            ]
        })
        .collect();
    assert!(indexes(&advised(&flags, &entries, &[]))[0].starts_with("public.people (email)"));
}

#[test]
fn what_is_null_stands_before_no_order_and_words_that_begin_alike_are_found_by_bytes() {
    let Some((flags, owner)) = bazaar("bazaar_alike") else { return };
    owner
        .batch("ALTER TABLE people ADD nick text COLLATE \"en-x-icu\"; UPDATE people SET nick = 'N' || md5(id::text); ANALYZE people")
        .unwrap();
    let latest = "SELECT id FROM people WHERE country = $1 AND deleted_at IS NULL ORDER BY joined DESC LIMIT 5";
    let prefix = "SELECT id FROM people WHERE lower(nick) LIKE 'nab%' ORDER BY lower(nick) LIMIT 8";
    let entries: Vec<(&str, &[&str], f64)> =
        (0..20).flat_map(|_| [(latest, &["DE"][..], 9.0), (prefix, &[][..], 9.0)]).collect();
    let made = indexes(&advised(&flags, &entries, &[]));
    for wanted in
        ["public.people (country, joined DESC)", "public.people ((lower(nick)) text_pattern_ops)"]
    {
        assert!(made.iter().any(|sql| sql == wanted), "{wanted}: {made:?}");
    }
}

#[test]
fn a_role_that_may_not_read_a_table_is_advised_on_the_others_and_told_so() {
    let Some((flags, owner)) = bazaar("bazaar_limited") else { return };
    owner.batch("CREATE ROLE limited LOGIN; GRANT SELECT ON people TO limited").unwrap();
    let mut flags = flags;
    let user = flags.iter().position(|flag| flag == "-U").unwrap();
    flags[user + 1] = "limited".to_owned();
    let mine = "SELECT id FROM people WHERE email = $1 AND deleted_at IS NULL";
    let theirs =
        "SELECT count(*) FROM visits WHERE person_id = $1 AND at IS NOT NULL AND id IS NULL";
    let entries: Vec<(&str, &[&str], f64)> = (0..20)
        .flat_map(|_| [(mine, &["P7@mail.test"][..], 9.0), (theirs, &["7"][..], 9.0)])
        .collect();
    let found = advised(&flags, &entries, &[]);
    assert!(indexes(&found).iter().any(|sql| sql.starts_with("public.people (email")), "{found}");
    let queries = found["queries"].as_array().unwrap();
    let query = queries.iter().find(|q| q["normalized"].as_str().unwrap().contains("visits"));
    let why = query.unwrap()["no_index"].as_str().unwrap();
    assert!(why.contains("42501"), "{why}");
}

#[test]
fn an_expensive_statement_without_an_index_has_its_reason() {
    let Some((flags, owner)) = bazaar("bazaar_reasons") else { return };
    owner
        .batch(
            "CREATE TABLE flags AS SELECT i AS id FROM generate_series(1, 50) i; CREATE TABLE vacant (id int); \
             ANALYZE flags, vacant; CREATE TABLE raw WITH (autovacuum_enabled = false) AS \
             SELECT i AS id FROM generate_series(1, 9000) i",
        )
        .unwrap();
    let entries: Vec<(&str, &[&str], f64)> = (0..20)
        .flat_map(|_| {
            [
                ("SELECT count(*) FROM \"Sales\".\"Items\"", &[][..], 20.0),
                ("SELECT id FROM flags WHERE id = $1", &["7"][..], 9.0),
                ("SELECT id FROM vacant WHERE id = $1", &["7"][..], 9.0),
                ("SELECT id FROM raw WHERE id <> $1", &["7"][..], 9.0),
                ("SELECT wrong FROM people ORDER BY wrong", &[][..], 9.0),
                (
                    "SELECT sum(price) FROM \"Sales\".\"Items\" WHERE status <> $1",
                    &["gone"][..],
                    20.0,
                ),
                ("INSERT INTO visits VALUES ($1, 2, '2026-01-05')", &["1"][..], 9.0),
                ("SELECT title FROM \"Sales\".\"Items\" WHERE \"Id\" = $1", &["77"][..], 9.0),
                ("SELECT id FROM people WHERE email = $1", &["P7@mail.test"][..], 9.0),
                ("SELECT id FROM people WHERE date(joined) = $1", &["2025-12-01"][..], 9.0),
            ]
        })
        .collect();
    let found = advised(&flags, &entries, &["--budget", "20kB"]);
    let reason = |part: &str| {
        let queries = found["queries"].as_array().unwrap();
        let query = queries.iter().find(|q| q["normalized"].as_str().unwrap().contains(part));
        query.unwrap()["no_index"].as_str().unwrap().to_owned()
    };
    assert!(reason("count(*)").contains("no condition"), "{}", reason("count(*)"));
    assert!(reason("flags").contains("small"), "{}", reason("flags"));
    assert!(reason("vacant").contains("no rows in this database"), "{}", reason("vacant"));
    assert!(reason("raw").ends_with("run ANALYZE public.raw"), "{}", reason("raw"));
    assert!(reason("wrong").contains("column \"wrong\" does not exist"), "{}", reason("wrong"));
    assert!(reason("<>").contains("the planner would use none"), "{}", reason("<>"));
    assert!(reason("INSERT").contains("only adds rows"), "{}", reason("INSERT"));
    assert!(reason("\"Id\" =").contains("Items_pkey is there"), "{}", reason("\"Id\" ="));
    assert!(reason("email").contains("leave no room"), "{}", reason("email"));
    assert!(reason("date(").contains("date(joined) is not known to be"), "{}", reason("date("));
    assert_eq!(indexes(&found), Vec::<String>::new());
}
