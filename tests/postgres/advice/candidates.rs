//! What a statement asks for and the index that it gets.

use serde_json::Value;

use crate::advice::{advised, advised_on, bazaar, indexes};
use crate::support::{flags, server, vacuumed};

/// A log of one statement, executed often enough to matter.
fn often<'s>(sql: &'s str, values: &'s [&'s str]) -> Vec<(&'s str, &'s [&'s str], f64)> {
    vec![(sql, values, 20.0); 30]
}

#[test]
fn the_least_and_the_greatest_are_looked_up() {
    let Some((flags, _)) = bazaar("bazaar_extremes") else { return };
    let greatest = "SELECT max(listed_at) FROM \"Sales\".\"Items\" WHERE \"ownerId\" = $1";
    let found = advised(&flags, &often(greatest, &["5"]), &[]);
    assert_eq!(indexes(&found), ["\"Sales\".\"Items\" (\"ownerId\", listed_at)"]);
    let both = "SELECT min(price), max(price) FROM \"Sales\".\"Items\"";
    assert_eq!(indexes(&advised(&flags, &often(both, &[]), &[])), ["\"Sales\".\"Items\" (price)"]);
}

#[test]
fn an_index_carries_nothing_that_exists_does_not_read() {
    let Some((flags, _)) = bazaar("bazaar_exists") else { return };
    let sql = "SELECT id, email FROM people p WHERE country = 'DE' AND NOT EXISTS \
               (SELECT * FROM \"Sales\".\"Items\" i WHERE i.\"ownerId\" = p.id)";
    let made = indexes(&advised(&flags, &often(sql, &[]), &[]));
    assert!(made.iter().any(|sql| sql == "\"Sales\".\"Items\" (\"ownerId\")"), "{made:?}");
}

#[test]
fn one_order_serves_many_conditions_where_there_is_room_for_one_index() {
    let Some((flags, _)) = bazaar("bazaar_orders") else { return };
    let statements = ["price > $1", "title <> $1", "\"ownerId\" <> $1"].map(|condition| {
        format!("SELECT title FROM \"Sales\".\"Items\" WHERE {condition} ORDER BY listed_at DESC LIMIT 20")
    });
    let entries: Vec<(&str, &[&str], f64)> =
        statements.iter().flat_map(|sql| often(sql, &["20"])).collect();
    let made = indexes(&advised(&flags, &entries, &["--max-indexes", "1"]));
    assert_eq!(made, ["\"Sales\".\"Items\" (listed_at DESC)"]);
}

/// One statement takes 9,999 of 10,000 parts of the time, and one index cures it.
#[test]
fn what_takes_nearly_all_of_the_time_leaves_the_others_their_indexes() {
    let Some((flags, _)) = bazaar("bazaar_dominated") else { return };
    let others = [
        ("SELECT country FROM people WHERE email = 'P7@mail.test'", 3.0),
        ("SELECT title FROM \"Sales\".\"Items\" WHERE listed_at > now() LIMIT 5", 2.0),
        ("SELECT at FROM visits WHERE person_id = 77", 2.0),
        ("SELECT title FROM \"Sales\".\"Items\" WHERE price = 12.34 ORDER BY listed_at", 2.0),
    ];
    let all = "SELECT title FROM \"Sales\".\"Items\" WHERE \"ownerId\" = 5";
    let mut entries = vec![(all, &[][..], 90_000.0)];
    entries.extend(others.map(|(sql, ms)| (sql, &[][..], ms)));
    let made = indexes(&advised(&flags, &entries, &[]));
    for table in ["people (email)", "visits (person_id)", "(price", "(\"ownerId\")"] {
        assert!(made.iter().any(|sql| sql.contains(table)), "{table}: {made:?}");
    }
}

/// Cost of all executions with what is recommended.
fn cost_after(found: &Value) -> f64 {
    let recommendations = found["recommendations"].as_array().unwrap();
    assert_eq!(recommendations.len(), 1, "{recommendations:?}");
    recommendations[0]["estimated"]["cost_after"].as_f64().unwrap()
}

/// The owner has hundreds of items, the mean owner three: a server that has prepared the statement may
/// plan for either.
#[test]
fn a_parameter_is_planned_as_it_was_and_as_any() {
    let Some((flags, _)) = bazaar("bazaar_generic") else { return };
    let written = "SELECT title FROM \"Sales\".\"Items\" WHERE \"ownerId\" = 1";
    let bound = "SELECT title FROM \"Sales\".\"Items\" WHERE \"ownerId\" = $1";
    let written = cost_after(&advised(&flags, &often(written, &[]), &[]));
    let bound = cost_after(&advised(&flags, &often(bound, &["1"]), &[]));
    assert!(bound > 0.6 * written && bound < 0.9 * written, "{bound} {written}");
}

#[test]
fn what_is_built_stays_within_the_room_and_the_time_for_it() {
    let Some((flags, _)) = bazaar("bazaar_build_room") else { return };
    let sql = "SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE tags @> ARRAY['t3','t500']";
    for (more, why) in [
        (["--build-size", "16kB"], "larger than --build-size allows"),
        (["--build-time", "0"], "the 0 s of --build-time were over"),
    ] {
        let found = advised(&flags, &often(sql, &[]), &[&["--build"][..], &more].concat());
        let recommendation = &found["recommendations"][0];
        assert!(recommendation["estimated"].is_null(), "{recommendation}");
        assert!(recommendation["why"].as_str().unwrap().contains(why), "{recommendation}");
        let warnings = found["warnings"].to_string();
        assert!(warnings.contains("1 candidate was not built"), "{warnings}");
    }
}

/// Either column alone finds hundreds of rows, both of them one.
#[test]
fn columns_that_join_the_same_two_stand_in_one_index() {
    let Some((flags, owner)) = bazaar("bazaar_stock") else { return };
    owner
        .batch(
            "CREATE TABLE stock (warehouse int NOT NULL, product int NOT NULL, amount int NOT NULL); \
             CREATE TABLE picks (id int PRIMARY KEY, warehouse int NOT NULL, product int NOT NULL); \
             INSERT INTO stock SELECT i % 200, i / 200, i % 7 FROM generate_series(0, 79999) i; \
             INSERT INTO picks SELECT i, i % 200, i % 400 FROM generate_series(1, 5000) i; ANALYZE",
        )
        .unwrap();
    let sql = "SELECT p.id, s.amount FROM picks p JOIN stock s USING (warehouse, product) WHERE p.id = $1";
    let made = indexes(&advised(&flags, &often(sql, &["77"]), &[]));
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(made[0].starts_with("public.stock (product, warehouse)"), "{made:?}");
}

/// An export of counters has no time that the counters of the tables could be held against.
#[test]
fn what_saves_little_has_no_index_where_nothing_tells_of_the_writes() {
    let Some((flags, _)) = bazaar("bazaar_unseen") else { return };
    let reads = "queryid,query,calls,total_exec_time,rows\n\
                 1,SELECT id FROM people WHERE email = $1,100,4000,100\n\
                 2,\"SELECT title FROM \"\"Sales\"\".\"\"Items\"\" WHERE price = $1\",20,8,120\n";
    let writes = "3,UPDATE people SET country = $1 WHERE id = $2,1,0.2,1\n";
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("statements.csv");
    let made = |text: &str| {
        std::fs::write(&log, text).unwrap();
        indexes(&advised_on(&flags, &log, &[]))
    };
    assert_eq!(made(reads), ["public.people (email)"]);
    let both = ["public.people (email)", "\"Sales\".\"Items\" (price)"];
    assert_eq!(made(&format!("{reads}{writes}")), both);
}

/// The planner is shown a partial index only of the table that a statement names first; what it is shown in the place
/// of others costs about what they cost when they are there.
#[test]
fn a_condition_on_a_joined_table_or_behind_a_view_has_its_partial_index() {
    let Some((flags, owner)) = bazaar("bazaar_tickets") else { return };
    owner
        .batch(
            "CREATE TABLE queues (id int PRIMARY KEY, name text NOT NULL); \
             CREATE TABLE tickets (id int PRIMARY KEY, queue int NOT NULL, state text NOT NULL, closed_at date, \
                                   title text NOT NULL); \
             CREATE VIEW open_tickets AS SELECT * FROM tickets WHERE closed_at IS NULL; \
             INSERT INTO queues SELECT i, 'queue ' || i FROM generate_series(1, 300) i; \
             INSERT INTO tickets SELECT i, 1 + i % 300, CASE WHEN i % 9 = 0 THEN 'new' ELSE 'done' END, \
                    CASE WHEN i % 10 > 0 THEN date '2026-01-01' END, repeat('t', 80) \
               FROM generate_series(1, 90000) i; ANALYZE",
        )
        .unwrap();
    for (sql, index) in [
        (
            "SELECT q.name, t.title FROM queues q JOIN tickets t ON t.queue = q.id \
             WHERE q.name = $1 AND t.state = 'new'",
            "public.tickets (queue) WHERE state = 'new'",
        ),
        (
            "SELECT t.title FROM open_tickets t WHERE t.queue = $1",
            "public.tickets (queue) WHERE closed_at IS NULL",
        ),
    ] {
        let found = advised(&flags, &often(sql, &["7"]), &[]);
        let made = indexes(&found);
        assert!(made.contains(&index.to_owned()), "{sql}: {made:?}");
        let estimated = cost_after(&found) / 30.0;
        owner.batch(&format!("CREATE INDEX probe ON {index}")).unwrap();
        let text = sql.replace("t.queue = $1", "t.queue = 7").replace("$1", "'queue 7'");
        let rows = owner.query(&format!("EXPLAIN {text}"), &[]).unwrap();
        owner.batch("DROP INDEX probe").unwrap();
        let lines: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let plan = lines.join("\n");
        assert!(plan.contains("probe"), "{plan}");
        let cost = plan.split("..").nth(1).and_then(|rest| rest.split_whitespace().next());
        let cost: f64 = cost.unwrap().parse().unwrap();
        assert!(estimated > 0.9 * cost && estimated < 1.2 * cost, "{estimated}: {plan}");
    }
}

/// What is left of a number is a state where the statement has its bound, and none where it is asked for.
#[test]
fn a_bound_that_belongs_to_the_statement_makes_a_partial_index() {
    let Some((flags, owner)) = bazaar("bazaar_jobs") else { return };
    owner
        .batch(
            "CREATE TABLE jobs (id int PRIMARY KEY, attempts int NOT NULL, at timestamptz NOT NULL, \
                                payload text NOT NULL); \
             INSERT INTO jobs SELECT i, CASE WHEN i % 40 = 0 THEN 1 + i % 7 ELSE 0 END, \
                    timestamptz '2026-01-01' + make_interval(secs => i * 7919 % 90000), repeat('p', 80) \
               FROM generate_series(1, 90000) i; ANALYZE",
        )
        .unwrap();
    let sql = |bound: &str| {
        format!("SELECT id, payload FROM jobs WHERE attempts {bound} ORDER BY at LIMIT 10")
    };
    for (bound, values, index) in [
        ("> 0", &[][..], "public.jobs (at) WHERE attempts > 0"),
        // Of eight numbers five stand for states as words would.
        ("> 4", &[][..], "public.jobs (at) WHERE attempts > 4"),
        ("> $1", &["0"][..], "public.jobs (at)"),
    ] {
        let found = advised(&flags, &often(&sql(bound), values), &[]);
        assert_eq!(indexes(&found), [index], "{bound}");
    }
}

/// What is looked up for the rows of a recursion, of a function or of a union has no column of a table on the
/// other side.
#[test]
fn what_is_looked_up_for_rows_of_no_table_has_its_index() {
    let Some((flags, owner)) = bazaar("bazaar_replies") else { return };
    owner
        .batch(
            "CREATE TABLE replies (id int PRIMARY KEY, parent int, author int NOT NULL, body text NOT NULL); \
             INSERT INTO replies SELECT i, CASE WHEN i % 3 > 0 THEN i / 2 END, i % 9000, repeat('r', 80) \
               FROM generate_series(1, 60000) i; ANALYZE",
        )
        .unwrap();
    for (sql, values, index) in [
        (
            "WITH RECURSIVE thread AS (SELECT id, body FROM replies WHERE id = $1 UNION ALL \
             SELECT r.id, r.body FROM replies r JOIN thread ON r.parent = thread.id) SELECT * FROM thread",
            "7",
            "public.replies (parent)",
        ),
        (
            "SELECT r.body FROM unnest($1::int[]) AS wanted(author) JOIN replies r USING (author)",
            "{7,8}",
            "public.replies (author)",
        ),
        (
            "SELECT r.body FROM (SELECT id FROM replies WHERE id = $1 UNION SELECT 5) a(id) \
             JOIN replies r ON r.author = a.id + 1",
            "7",
            "public.replies (author)",
        ),
    ] {
        let found = advised(&flags, &often(sql, &[values]), &[]);
        assert_eq!(indexes(&found), [index], "{sql}");
    }
}

/// A part of a word that every fifth text has is found in twelve thousand of them, of which the shelf leaves sixty.
#[test]
fn what_an_inverted_index_finds_is_more_than_other_conditions_leave() {
    let Some((flags, owner)) = bazaar("bazaar_papers") else { return };
    owner
        .batch(
            "CREATE TABLE papers (id int PRIMARY KEY, shelf int NOT NULL, title text NOT NULL, body text NOT NULL); \
             INSERT INTO papers SELECT i, i % 200, (ARRAY['pricing', 'hiring', 'roadmap', 'safety', 'finance']) \
                    [1 + i / 200 % 5] || ' ' || md5(i::text), repeat('b', 200) FROM generate_series(1, 60000) i; ANALYZE",
        )
        .unwrap();
    let sql = "SELECT body FROM papers WHERE shelf = 7 AND title ILIKE '%pricing%'";
    assert_eq!(indexes(&advised(&flags, &often(sql, &[]), &[])), ["public.papers (shelf)"]);
}

/// A view has its condition in the server's words, a statement in anybody's.
#[test]
fn one_condition_in_two_spellings_makes_one_index() {
    let Some((flags, owner)) = bazaar("bazaar_parcels") else { return };
    owner
        .batch(
            "CREATE TYPE step AS ENUM ('packed', 'sent', 'lost', 'there'); \
             CREATE TABLE parcels (id int PRIMARY KEY, owner int NOT NULL, step step NOT NULL, label text NOT NULL); \
             CREATE VIEW under_way AS SELECT * FROM parcels WHERE step IN ('sent', 'packed'); \
             INSERT INTO parcels SELECT i, i % 2000, CASE WHEN i % 30 = 0 THEN 'sent' ELSE 'there' END::step, \
                    repeat('p', 80) FROM generate_series(1, 90000) i; ANALYZE",
        )
        .unwrap();
    let log = [
        often("SELECT label FROM under_way WHERE owner = $1", &["7"]),
        often(
            "SELECT id, label FROM parcels WHERE owner = $1 AND step IN ('packed', 'sent')",
            &["7"],
        ),
    ]
    .concat();
    let made = indexes(&advised(&flags, &log, &[]));
    let [only] = &made[..] else { panic!("{made:?}") };
    assert!(only.starts_with("public.parcels (owner) WHERE step "), "{only}");
}

/// A role that may not read a table gets no index on it, and is told.
#[test]
fn what_the_role_may_not_read_is_told() {
    let Some((_, owner)) = bazaar("bazaar_reader") else { return };
    owner.batch("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA public TO reader").unwrap();
    let mut settings = server().unwrap().settings("bazaar_reader");
    settings.user = "reader".to_owned();
    let log = often("SELECT id FROM people WHERE email = $1", &["x"]);
    let found = advised(&flags(&settings), &log, &[]);
    assert_eq!(indexes(&found), [""; 0]);
    let warning = found["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("the server cannot plan 1 statement, 100.0 %"), "{warning}");
    assert!(warning.contains("permission denied for table people (SQLSTATE 42501)"), "{warning}");
}

/// The table is named twice, and each time first in a query that is planned by itself. Who counts the queue asks for
/// the same rows, by no key of the index.
#[test]
fn a_queue_gets_one_small_index_for_all_that_ask_for_its_rows() {
    let Some((flags, owner)) = bazaar("queue") else { return };
    owner
        .batch(
            "CREATE TABLE jobs (id bigint PRIMARY KEY, queue text NOT NULL, state text NOT NULL, run_at timestamptz NOT NULL, \
                                payload text NOT NULL); \
             INSERT INTO jobs SELECT i, 'q' || i % 5, CASE i % 100 WHEN 0 THEN 'queued' WHEN 1 THEN 'running' ELSE 'done' END, \
                                     timestamptz '2026-01-01 00:00+00' + i * interval '1 second', repeat('x', 100) \
               FROM generate_series(1, 100000) i",
        )
        .unwrap();
    vacuumed(&owner, "jobs");
    let take: Vec<String> = (0..5)
        .map(|queue| {
            format!(
                "UPDATE jobs SET state = 'running' WHERE id = (SELECT id FROM jobs WHERE state = 'queued' AND queue = 'q{queue}' \
                 AND run_at <= now() ORDER BY run_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id"
            )
        })
        .collect();
    let count = "SELECT queue, count(*) FROM jobs WHERE state = 'queued' GROUP BY queue";
    let mut entries: Vec<(&str, &[&str], f64)> = Vec::new();
    for _ in 0..10 {
        entries.extend(take.iter().map(|sql| (sql.as_str(), &[][..], 20.0)));
        entries.push((count, &[], 20.0));
    }
    let found = advised(&flags, &entries, &[]);
    assert_eq!(indexes(&found), ["public.jobs (queue, run_at) WHERE state = 'queued'"]);
    let purpose = found["recommendations"][0]["purpose"].as_str().unwrap();
    assert!(purpose.starts_with("serves 2 statements"), "{purpose}");
}

#[test]
fn a_wider_index_goes_on_from_the_one_whose_place_it_takes() {
    let Some((flags, owner)) = bazaar("wider") else { return };
    owner
        .batch(
            "CREATE TABLE seats (id int PRIMARY KEY, hall int, line int, at int, pad text);
             INSERT INTO seats SELECT g, g % 50, g % 400, g, repeat('x', 60) FROM generate_series(1, 60000) g;
             CREATE INDEX seats_hall ON seats (hall); ANALYZE seats",
        )
        .unwrap();
    // The line has more values, and would come first by itself.
    let page = "SELECT id, pad FROM seats WHERE line = $1 AND hall = $2";
    let found = advised(&flags, &vec![(page, &["17", "17"][..], 20.0); 30], &[]);
    let recommendations = found["recommendations"].as_array().unwrap();
    assert_eq!(indexes(&found), ["public.seats (hall, line)"]);
    let drop = recommendations.iter().find(|r| r["id"] == "drop-seats_hall").unwrap();
    assert_eq!(drop["requires"], "ix-seats_hall_line", "{drop:#}");
}
