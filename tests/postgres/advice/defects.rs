//! What published advisors were seen to get wrong, none of it here.

use crate::advice::{advised, bazaar, indexes};

/// The keys of the one index of the table that is made for `sql`.
fn keys_for(flags: &[String], sql: &str, parameters: &[&str], table: &str) -> Vec<String> {
    let entries: Vec<(&str, &[&str], f64)> = (0..40).map(|_| (sql, parameters, 20.0)).collect();
    let made = indexes(&advised(flags, &entries, &[]));
    made.into_iter().filter(|index| index.starts_with(table)).collect()
}

#[test]
fn bare_columns_of_several_tables_subqueries_and_negations_are_resolved() {
    let Some((flags, _)) = bazaar("defects_names") else { return };
    // One advisor took each column for one of every table, and gave up on the whole workload.
    let statements = [
        "SELECT title, country FROM \"Sales\".\"Items\", people WHERE \"ownerId\" = id AND email = 'P77@mail.test'",
        "SELECT email FROM people p WHERE NOT EXISTS (SELECT 1 FROM \"Sales\".\"Items\" i WHERE i.\"ownerId\" = p.id) LIMIT 5",
        "WITH rich AS (SELECT \"ownerId\" AS who, sum(price) AS total FROM \"Sales\".\"Items\" GROUP BY 1) \
         SELECT total FROM rich JOIN people ON id = who WHERE email = 'P78@mail.test'",
        "SELECT this is no statement",
    ];
    let entries: Vec<(&str, &[&str], f64)> =
        (0..20).flat_map(|_| statements.iter().map(|sql| (*sql, &[][..], 25.0))).collect();
    let found = advised(&flags, &entries, &[]);
    let made = indexes(&found);
    assert!(made.iter().any(|sql| sql.starts_with("public.people (email")), "{made:?}");
    assert!(made.iter().any(|sql| sql.starts_with("\"Sales\".\"Items\" (\"ownerId\"")), "{made:?}");
    let parsed: Vec<bool> = found["queries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|query| query["parsed"].as_bool().unwrap())
        .collect();
    assert_eq!(parsed.iter().filter(|parsed| **parsed).count(), 3, "{parsed:?}");
}

#[test]
fn literals_keep_their_case_and_a_frequent_value_gets_no_index() {
    let Some((flags, owner)) = bazaar("defects_case") else { return };
    owner.batch("UPDATE people SET country = 'DE' WHERE country <> 'US'; ANALYZE people").unwrap();
    // Lower-cased, 'DE' would be no known value, and an index for it look like a bargain.
    let sql = "SELECT sum(length(email)) FROM people WHERE country = 'DE' AND joined IS NOT NULL";
    assert_eq!(keys_for(&flags, sql, &[], "public.people"), Vec::<String>::new());
}

#[test]
fn keys_stand_in_the_order_that_serves_and_every_time_in_the_same() {
    let Some((flags, _)) = bazaar("defects_order") else { return };
    // Equalities, the order, and only then a range: others put the range or the order first.
    let sql = "SELECT \"Id\", filler FROM \"Sales\".\"Items\" WHERE status = $1 AND \"ownerId\" = $2 \
               AND price > $3 ORDER BY listed_at DESC LIMIT 10";
    let first = keys_for(&flags, sql, &["sold", "3", "10"], "\"Sales\".\"Items\"");
    assert_eq!(first.len(), 1, "{first:?}");
    let keys = first[0].split_once('(').unwrap().1;
    assert!(keys.starts_with("\"ownerId\""), "{first:?}");
    assert!(!keys.starts_with("\"ownerId\", price"), "{first:?}");
    for _ in 0..2 {
        assert_eq!(keys_for(&flags, sql, &["sold", "3", "10"], "\"Sales\".\"Items\""), first);
    }
}

#[test]
fn joins_get_their_index_nothing_is_made_twice_and_the_server_takes_it_all() {
    let Some((flags, owner)) = bazaar("defects_ddl") else { return };
    let statements = [
        "SELECT i.title FROM people p JOIN \"Sales\".\"Items\" i ON i.\"ownerId\" = p.id WHERE p.email = 'P5@mail.test'",
        "SELECT count(*) FROM \"Sales\".\"Items\" WHERE price = 5.25 AND status = 'held'",
        "SELECT count(*) FROM \"Sales\".\"Items\" WHERE status = 'held' AND price = 6.25",
        "SELECT title FROM \"Sales\".\"Items\" WHERE lower(title) = 'item x'",
        "SELECT title FROM \"Sales\".\"Items\" WHERE attrs ->> 'brand' = 'b7' AND price < 1",
        "SELECT email FROM people WHERE deleted_at IS NOT NULL AND country = 'FR' ORDER BY joined DESC LIMIT 3",
        "SELECT * FROM visits WHERE person_id = 7 ORDER BY at",
    ];
    let entries: Vec<(&str, &[&str], f64)> =
        (0..20).flat_map(|_| statements.iter().map(|sql| (*sql, &[][..], 25.0))).collect();
    let found = advised(&flags, &entries, &[]);
    let made = indexes(&found);
    assert!(made.iter().any(|sql| sql.starts_with("\"Sales\".\"Items\" (\"ownerId\"")), "{made:?}");
    let mut distinct = made.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), made.len(), "{made:?}");
    assert!(!made.iter().any(|sql| sql.contains("USING hash")), "{made:?}");
    for recommendation in found["recommendations"].as_array().unwrap() {
        for sql in ["sql", "undo"].iter().flat_map(|key| recommendation[key].as_array().unwrap()) {
            owner.batch(sql.as_str().unwrap()).unwrap();
        }
    }
}

#[test]
fn what_the_planner_holds_cheap_and_the_clock_does_not_is_seen() {
    let Some((flags, _)) = bazaar("defects_time") else { return };
    // A LIMIT makes the planner expect the row soon, and it comes last or never.
    let sql = "SELECT id FROM people WHERE lower(email) = $1 LIMIT 1";
    let made = keys_for(&flags, sql, &["p19999@mail.test"], "public.people");
    assert!(made.iter().any(|index| index.contains("(lower(")), "{made:?}");
}
