//! Where policies hold, an index finds rows only by what is LEAKPROOF: nothing else is recommended to those they bind.

use pgassay::pg::connect::connection::Connection;

use crate::advice::{advised_on, bazaar, indexes};
use crate::support::write_log;

const NOTES: &str = "CREATE EXTENSION pg_trgm; CREATE TYPE state AS ENUM ('open', 'done'); \
    CREATE TABLE notes (id bigint PRIMARY KEY, account int NOT NULL, state state NOT NULL, title text NOT NULL, \
        price numeric(10, 2) NOT NULL, marks int[] NOT NULL, at timestamptz NOT NULL); \
    INSERT INTO notes SELECT i, i % 100, (CASE WHEN i % 50 = 0 THEN 'open' ELSE 'done' END)::state, md5(i::text), \
        i / 100.0, ARRAY[i % 5000], timestamptz '2026-01-01' - i * interval '1 minute' FROM generate_series(1, 50000) i; \
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY; \
    CREATE POLICY own ON notes USING (account > coalesce(current_setting('app.account', true), '0')::int); \
    GRANT ALL ON notes TO app; ANALYZE notes";

/// The indexes for a statement that this user executed, and what is said where there is none, or of the index.
fn advised_to(user: &str, flags: &[String], sql: &str) -> (Vec<String>, String) {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &vec![(sql, &[][..], 20.0); 20]);
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replace("app@shop", &format!("{user}@shop"))).unwrap();
    let found = advised_on(flags, &log, &[]);
    let (why, first) = (&found["queries"][0]["no_index"], &found["recommendations"][0]);
    let said = why.as_str().map_or_else(|| first["cautions"].to_string(), str::to_owned);
    (indexes(&found), said)
}

/// The plan of `app` has the index.
fn is_used_by_app(owner: &Connection, index: &str, sql: &str) -> bool {
    owner.batch(&format!("CREATE INDEX probe ON {index}; ANALYZE notes; SET ROLE app")).unwrap();
    let plan = owner.query(&format!("EXPLAIN {sql}"), &[]).unwrap();
    owner.batch("RESET ROLE; DROP INDEX probe").unwrap();
    plan.iter().any(|row| row.get::<_, String>(0).contains(" probe"))
}

#[test]
fn those_whom_policies_bind_get_the_indexes_that_they_can_use() {
    let Some((flags, owner)) = bazaar("policies") else { return };
    owner.batch(NOTES).unwrap();
    let behind = [
        ("title ILIKE '%abcde%'", "public.notes USING gin (title gin_trgm_ops)", "title"),
        ("lower(title) = 'x'", "public.notes ((lower(title)))", "lower(title)"),
        ("price = 12.5", "public.notes (price)", "price"),
        ("marks @> ARRAY[17]", "public.notes USING gin (marks)", "marks"),
    ];
    for (condition, index, key) in behind {
        let sql = format!("SELECT id, at FROM notes WHERE {condition}");
        let (found, why) = advised_to("app", &flags, &sql);
        assert_eq!(found, [""; 0], "{condition}");
        let start =
            format!("policies of public.notes apply to app, and the comparison of {key} is not");
        assert!(why.starts_with(&start), "{condition}: {why}");
        assert!(!is_used_by_app(&owner, index, &sql), "{condition}");
        // To others they are as good as ever.
        for user in ["postgres", "nobody_known"] {
            let (found, cautions) = advised_to(user, &flags, &sql);
            assert_eq!(found, [index], "{user}: {condition}");
            assert!(cautions.contains("notes has policies"), "{user}: {cautions}");
        }
    }
    for (condition, index) in [
        ("title = 'x'", "public.notes (title)"),
        // The rows that a partial index holds are no matter of its operators.
        ("state = 'open' ORDER BY at LIMIT 5", "public.notes (at) WHERE state = 'open'"),
        ("state = 'open' AND title < '01'", "public.notes (title) WHERE state = 'open'"),
    ] {
        let sql = format!("SELECT id, marks FROM notes WHERE {condition}");
        let (found, cautions) = advised_to("app", &flags, &sql);
        assert_eq!(found, [index], "{condition}");
        assert!(!cautions.contains("LEAKPROOF"), "{cautions}");
        assert!(is_used_by_app(&owner, index, &sql), "{condition}");
    }
    // One policy that leaves all rows is no barrier, and neither are policies for one who may become their owner.
    let (condition, index, _) = behind[0];
    let sql = format!("SELECT id, at FROM notes WHERE {condition}");
    owner.batch("CREATE POLICY everybody ON notes FOR SELECT USING (true)").unwrap();
    assert_eq!(advised_to("app", &flags, &sql).0, [index]);
    assert!(is_used_by_app(&owner, index, &sql));
    owner.batch("DROP POLICY everybody ON notes; CREATE ROLE holder; GRANT holder TO app").unwrap();
    assert_eq!(advised_to("app", &flags, &sql).0, [""; 0]);
    owner.batch("ALTER TABLE notes OWNER TO holder").unwrap();
    assert_eq!(advised_to("app", &flags, &sql).0, [index]);
    owner.batch("ALTER TABLE notes FORCE ROW LEVEL SECURITY").unwrap();
    assert_eq!(advised_to("app", &flags, &sql).0, [""; 0]);
    owner.batch("ALTER TABLE notes OWNER TO postgres; DROP ROLE holder").unwrap();
}

#[test]
fn what_policies_compare_is_a_condition_of_every_statement() {
    let Some((flags, owner)) = bazaar("policies_compare") else { return };
    owner
        .batch(
            "CREATE TABLE points (tenant_id int NOT NULL, code text NOT NULL, label text NOT NULL, price int NOT NULL, \
                 PRIMARY KEY (tenant_id, code)); \
             INSERT INTO points SELECT i % 50, 'c' || i, 'l' || i % 9000, i FROM generate_series(1, 50000) i; \
             CREATE TABLE events (id int PRIMARY KEY, tenant_id int NOT NULL, data jsonb NOT NULL); \
             INSERT INTO events SELECT i, i % 50, jsonb_build_object('a', i) FROM generate_series(1, 50000) i; \
             GRANT ALL ON points, events TO app; ANALYZE points, events",
        )
        .unwrap();
    for (table, tenant) in [
        ("points", "current_setting('app.tenant')::int"),
        ("events", "(SELECT current_setting('app.tenant')::int)"),
    ] {
        let policy = format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY own ON {table} USING (tenant_id = {tenant} AND tenant_id > 0)"
        );
        owner.batch(&policy).unwrap();
    }
    let by_code = "SELECT label FROM points WHERE code = 'c77'";
    // Those whom they bind have the primary key for it, and others do not.
    assert_eq!(advised_to("app", &flags, by_code).0, [""; 0]);
    assert_eq!(advised_to("postgres", &flags, by_code).0, ["public.points (code)"]);
    owner.batch("SET app.tenant = '7'; SET ROLE app").unwrap();
    let plan = owner.query(&format!("EXPLAIN {by_code}"), &[]).unwrap();
    owner.batch("RESET ROLE").unwrap();
    assert!(plan.iter().any(|row| row.get::<_, String>(0).contains("points_pkey")));
    // What the primary key does not serve is advised as ever.
    let by_label = "SELECT code FROM points WHERE label = 'l77'";
    assert_eq!(advised_to("app", &flags, by_label).0.len(), 1);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    let by_member = "SELECT id FROM events WHERE data ->> 'a' = '7'";
    write_log(&log, &vec![(by_member, &[][..], 20.0); 20]);
    let found = advised_on(&flags, &log, &[]);
    let told = "policies of public.events compare tenant_id with one value";
    assert!(found["warnings"].to_string().contains(told), "{}", found["warnings"]);
}
