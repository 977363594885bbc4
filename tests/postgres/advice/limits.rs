//! Limits on new indexes, and indexes that are dropped or already there.

use serde_json::Value;

use super::{advised, bazaar, indexes};

#[test]
fn a_budget_is_kept_and_more_of_it_never_makes_things_worse() {
    let Some((flags, _)) = bazaar("bazaar_budget") else { return };
    let statements = [
        ("SELECT title, price FROM \"Sales\".\"Items\" WHERE \"ownerId\" = $1", "5", 9.0),
        ("SELECT count(*) FROM \"Sales\".\"Items\" WHERE price > $1", "99", 8.0),
        (
            "SELECT title FROM \"Sales\".\"Items\" WHERE listed_at < $1 ORDER BY listed_at LIMIT 5",
            "2025-07-01",
            7.0,
        ),
        ("SELECT country FROM people WHERE email = $1", "P7@mail.test", 6.0),
        ("SELECT id FROM visits WHERE person_id = $1", "77", 3.0),
    ];
    let parameters: Vec<[&str; 1]> = statements.iter().map(|(_, value, _)| [*value]).collect();
    let entries: Vec<(&str, &[&str], f64)> = (0..30)
        .flat_map(|_| {
            let pairs = statements.iter().zip(&parameters);
            pairs.map(|((sql, _, ms), values)| (*sql, values.as_slice(), *ms))
        })
        .collect();
    let mut last = f64::INFINITY;
    let mut most = 0;
    for budget in ["0", "700kB", "2MB", "5MB", "100MB"] {
        let found = advised(&flags, &entries, &["--budget", budget]);
        let recommendations = found["recommendations"].as_array().unwrap();
        let figures: Vec<&Value> = recommendations.iter().map(|r| &r["estimated"]).collect();
        let bytes: u64 = figures.iter().map(|f| f["size_bytes"].as_u64().unwrap()).sum();
        let limit = budget.parse::<pgassay::cli::args::Size>().unwrap().0;
        assert!(bytes <= limit, "{budget}: {bytes}");
        let saved: f64 = figures
            .iter()
            .map(|f| f["cost_before"].as_f64().unwrap() - f["cost_after"].as_f64().unwrap())
            .sum();
        assert!(-saved <= last, "{budget} saves less than the smaller one before");
        last = -saved;
        most = most.max(recommendations.len());
    }
    assert!(most >= 4, "{most}");
    let found = advised(&flags, &entries, &["--max-indexes", "2"]);
    assert_eq!(indexes(&found).len(), 2);
}

#[test]
fn what_indexes_may_cost_the_writes_is_kept_and_what_they_cost_is_said() {
    let Some((flags, _)) = bazaar("bazaar_writes") else { return };
    let by_price = "SELECT count(*) FROM \"Sales\".\"Items\" WHERE price > $1";
    let by_owner = "SELECT title, price FROM \"Sales\".\"Items\" WHERE \"ownerId\" = $1";
    let by_email = "SELECT country FROM people WHERE email = $1";
    let reprice = "UPDATE \"Sales\".\"Items\" SET price = $1 WHERE \"Id\" = $2";
    let entries: Vec<(&str, &[&str], f64)> = (0..30)
        .flat_map(|_| {
            [
                (by_price, &["99"][..], 9.0),
                (by_owner, &["5"][..], 9.0),
                (by_email, &["P7@mail.test"][..], 6.0),
                (reprice, &["7", "8"][..], 0.1),
            ]
        })
        .collect();
    let overheads = |found: &Value| -> f64 {
        let recommendations = found["recommendations"].as_array().unwrap();
        recommendations.iter().filter_map(|r| r["estimated"]["write_overhead_pct"].as_f64()).sum()
    };
    let free = advised(&flags, &entries, &[]);
    assert_eq!(indexes(&free).len(), 3, "{:?}", indexes(&free));
    assert!(overheads(&free) > 30.0, "{}", overheads(&free));
    let price = free["recommendations"].as_array().unwrap().iter();
    let price =
        price.map(|r| r["purpose"].as_str().unwrap()).find(|p| p.contains("writes of Items"));
    assert!(price.is_some_and(|words| words.starts_with("serves 1 statement, ")), "{price:?}");
    // All that is written is one table, so parts of its time are parts of the whole.
    for limit in [30.0, 10.0, 1.0, 0.0] {
        let found = advised(&flags, &entries, &["--max-write-overhead", &limit.to_string()]);
        assert!(overheads(&found) <= limit, "{limit}: {}", overheads(&found));
        // Nobody writes to people.
        assert!(indexes(&found).iter().any(|sql| sql.contains("people (email")), "{limit}");
    }
}

#[test]
fn an_index_that_a_wider_one_makes_superfluous_is_to_be_dropped_after_it() {
    let Some((flags, owner)) = bazaar("bazaar_replaced") else { return };
    // So many rows that no sample of ANALYZE makes the one index as good as the other.
    owner.batch("UPDATE \"Sales\".\"Items\" SET \"ownerId\" = 17 WHERE \"Id\" % 100 = 0").unwrap();
    owner.batch("CREATE INDEX items_owner ON \"Sales\".\"Items\" (\"ownerId\"); ANALYZE").unwrap();
    let sql = "SELECT title, price FROM \"Sales\".\"Items\" WHERE \"ownerId\" = $1 AND listed_at > $2 \
               ORDER BY listed_at DESC LIMIT 5";
    let entries: Vec<(&str, &[&str], f64)> =
        (0..40).map(|_| (sql, &["17", "2024-01-01"][..], 9.0)).collect();
    let found = advised(&flags, &entries, &[]);
    let recommendations = found["recommendations"].as_array().unwrap();
    let wide = recommendations
        .iter()
        .find(|r| r["sql"].to_string().contains("(\\\"ownerId\\\", listed_at"))
        .unwrap_or_else(|| panic!("{:?}", indexes(&found)));
    let drop = recommendations.iter().find(|r| r["id"] == "drop-items_owner");
    let drop = drop.unwrap_or_else(|| panic!("{recommendations:?}"));
    assert_eq!(drop["requires"], wide["id"]);
}

/// What was advised is built, and the same log is read again: nothing is left to be said of it.
#[test]
fn advice_that_was_followed_is_followed_by_no_more() {
    let Some((flags, owner)) = bazaar("bazaar_followed") else { return };
    let numbers: Vec<String> = (1..=20).map(|n| (n * 137).to_string()).collect();
    let mails: Vec<String> = numbers.iter().map(|n| format!("P{n}@mail.test")).collect();
    let mut entries: Vec<(String, Vec<&str>, f64)> = Vec::new();
    for (number, mail) in numbers.iter().zip(&mails) {
        let items =
            |condition: &str| format!("SELECT \"Id\" FROM \"Sales\".\"Items\" WHERE {condition}");
        entries.extend([
            ("SELECT id FROM people WHERE email = $1".to_owned(), vec![mail.as_str()], 9.0),
            ("SELECT id FROM people WHERE lower(email) = $1".to_owned(), vec![mail.as_str()], 14.0),
            (
                "SELECT id FROM people WHERE country = 'DE' AND joined > $1".to_owned(),
                vec!["2025-12-20"],
                12.0,
            ),
            (
                "SELECT count(*) FROM visits WHERE person_id = $1".to_owned(),
                vec![number.as_str()],
                9.0,
            ),
            (
                "SELECT id FROM visits WHERE person_id = $1 AND at > $2".to_owned(),
                vec![number.as_str(), "2026-02-20"],
                9.0,
            ),
            (items("price = $1"), vec!["12.34"], 35.0),
            (items("price = $1 AND status = 'held'"), vec!["12.39"], 35.0),
            (items("\"ownerId\" = $1"), vec![number.as_str()], 30.0),
            (items("\"ownerId\" = $1 AND listed_at > $2"), vec!["3", "2025-12-20"], 30.0),
            (items("status = 'open' AND listed_at > $1"), vec!["2025-12-20"], 30.0),
        ]);
    }
    let entries: Vec<(&str, &[&str], f64)> =
        entries.iter().map(|(sql, values, ms)| (sql.as_str(), values.as_slice(), *ms)).collect();
    let first = advised(&flags, &entries, &[]);
    assert!(indexes(&first).len() >= 5, "{:?}", indexes(&first));
    for recommendation in first["recommendations"].as_array().unwrap() {
        for sql in recommendation["sql"].as_array().unwrap() {
            owner.batch(sql.as_str().unwrap()).unwrap();
        }
    }
    owner.batch("VACUUM (ANALYZE)").unwrap();
    let second = advised(&flags, &entries, &[]);
    assert!(indexes(&second).is_empty(), "{:?} after {:?}", indexes(&second), indexes(&first));
}

#[test]
fn what_is_dropped_comes_back_as_it_was_and_what_enforces_something_stays() {
    let Some((flags, owner)) = bazaar("bazaar_drops") else { return };
    // CLUSTER itself would read the index it goes by, and be counted sooner or later.
    owner
        .batch(
            "CREATE INDEX people_joined ON people (joined) WITH (fillfactor = 80) WHERE deleted_at IS NULL;
             COMMENT ON INDEX people_joined IS 'the board''s';
             CREATE INDEX people_lower ON people (lower(email), joined DESC NULLS LAST);
             ALTER INDEX people_lower ALTER COLUMN 1 SET STATISTICS 500;
             CREATE UNIQUE INDEX people_email ON people (email);
             CREATE INDEX people_country ON people (country); CREATE INDEX people_country_2 ON people (country, joined);
             ALTER TABLE people CLUSTER ON people_country;
             CREATE INDEX visits_at ON visits (at)",
        )
        .unwrap();
    // A duplicate value stops a concurrent build halfway.
    owner
        .batch("INSERT INTO people SELECT 0, email, country, joined FROM people WHERE id = 1")
        .unwrap_err();
    owner
        .batch("CREATE TABLE halves AS SELECT i % 2 AS half FROM generate_series(1, 1000) i")
        .unwrap();
    owner.batch("CREATE UNIQUE INDEX CONCURRENTLY halves_half ON halves (half)").unwrap_err();
    let catalog_text = "SELECT string_agg(pg_get_indexdef(i.indexrelid) || i.indisclustered || coalesce(obj_description(i.indexrelid, 'pg_class'), '') || coalesce((SELECT string_agg(attstattarget::text, ',') FROM pg_attribute WHERE attrelid = i.indexrelid), ''), E'\\n' ORDER BY i.indexrelid::regclass::text) \
                        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace AND i.indisvalid";
    let state = || owner.row(catalog_text, &[]).unwrap().get::<_, String>(0);
    let before = state();
    let found = advised(&flags, &[("SELECT 1 FROM people WHERE id = $1", &["1"], 0.1)], &[]);
    let drops: Vec<&Value> = found["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|r| r["kind"] == "drop-index")
        .collect();
    let mut ids: Vec<&str> = drops.iter().map(|drop| drop["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        [
            "drop-halves_half",
            "drop-people_country",
            "drop-people_joined",
            "drop-people_lower",
            // Of which each partition counts its own reads.
            "drop-visits_at"
        ]
    );
    for drop in drops {
        for sql in drop["sql"].as_array().unwrap() {
            owner.batch(sql.as_str().unwrap()).unwrap();
        }
        if drop["id"] == "drop-halves_half" {
            continue;
        }
        assert_ne!(state(), before);
        for sql in drop["undo"].as_array().unwrap() {
            owner.batch(sql.as_str().unwrap()).unwrap();
        }
        assert_eq!(state(), before, "{drop}");
    }
}
