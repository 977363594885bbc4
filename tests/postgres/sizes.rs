//! How large indexes are said to become, beside how large they are.

use pgassay::advice::size::{Part, btree, btree_bytes};
use pgassay::model::catalog::IndexKey;
use pgassay::model::name::TableName;
use pgassay::model::recommendation::IndexPlan;
use pgassay::pg::catalog;
use pgassay::pg::connect::Connection;
use pgassay::pg::distinct::groups;

use crate::advice::bazaar;

#[test]
fn sizes_are_those_of_the_real_indexes() {
    let Some((_, owner)) = bazaar("bazaar_sizes") else { return };
    // A session hands on what it wrote once in a second, and its own ANALYZE before that counts it twice.
    owner.batch("SELECT pg_sleep(1.1)").unwrap();
    owner.batch("ANALYZE people").unwrap();
    // Rows that were never to be seen: they lie in the table, and an index would not have them.
    owner.batch("BEGIN; UPDATE people SET joined = joined; ROLLBACK").unwrap();
    let catalog = catalog::load(&owner).unwrap();
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("Items", &["status"], &[]),
        ("Items", &["status", "listed_at"], &[]),
        ("Items", &["ownerId", "listed_at"], &[]),
        ("Items", &["price"], &[]),
        ("Items", &["title"], &[]),
        ("Items", &["status", "price"], &[]),
        ("Items", &["listed_at"], &["title"]),
        ("people", &["email"], &[]),
        ("people", &["country"], &[]),
        ("people", &["deleted_at"], &[]),
        ("people", &["country", "joined"], &[]),
    ];
    for (table, keys, include) in cases {
        let table = catalog.tables.iter().find(|known| known.name.name == *table).unwrap();
        let part = |name: &&str| Part::column(table, table.column(name).unwrap());
        let parts = |names: &[&str]| names.iter().map(part).collect::<Vec<_>>();
        let estimated = btree(table.rows.unwrap(), &parts(keys), &parts(include));
        let quoted = |names: &[&str]| {
            names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
        };
        let carried = match include.len() {
            0 => String::new(),
            _ => format!(" INCLUDE ({})", quoted(include)),
        };
        let name = pgassay::sql::ident::quote_table(&table.name);
        let real = built(&owner, &format!("{name} ({}){carried}", quoted(keys)));
        let error = estimated / real - 1.0;
        assert!(error.abs() <= 0.15, "{name} {keys:?} {include:?}: {estimated} for {real}");
    }
}

/// Values that have to do with each other: a place lies in one country, a tenth of the trips go to one place,
/// and what is done is done early.
const TRIPS: &str = "CREATE TABLE trips AS \
    SELECT i AS id, p.place, p.place % 100 AS country, md5((i % 200000)::text) AS token, \
           CASE WHEN i % 10 < 9 THEN 'done' ELSE 'open' END AS state, i % 10 = 9 AS is_open, \
           CASE WHEN i % 5 = 0 THEN i % 1000 END AS guide \
      FROM generate_series(1, 400000) i, \
           LATERAL (SELECT CASE WHEN i % 10 = 0 THEN 1 ELSE i END AS place) p; \
    ANALYZE trips";

#[test]
fn columns_that_hang_together_are_counted_together() {
    let Some((_, owner)) = bazaar("bazaar_groups") else { return };
    owner.batch(TRIPS).unwrap();
    let catalog = catalog::load(&owner).unwrap();
    let table = catalog.tables.iter().find(|known| known.name.name == "trips").unwrap();
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["place", "country"], None),
        (&["place", "state"], None),
        (&["token", "state"], None),
        (&["place", "guide"], None),
        (&["guide", "country"], None),
        (&["place"], Some("state = 'open' AND is_open")),
        (&["token", "country"], Some("guide IS NULL")),
    ];
    for (keys, condition) in cases {
        let plan = IndexPlan {
            table: TableName::new("public", "trips"),
            method: "btree".to_owned(),
            keys: keys.iter().map(|key| IndexKey::column(*key)).collect(),
            include: Vec::new(),
            predicate: condition.map(str::to_owned),
        };
        let found = groups(&owner, table, keys, *condition).unwrap();
        let estimated = btree_bytes(table, &plan, &found);
        let filter = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        let real = built(&owner, &format!("trips ({}){filter}", keys.join(", ")));
        let error = estimated / real - 1.0;
        assert!(error.abs() <= 0.10, "{keys:?} {condition:?}: {estimated} for {real}");
    }
}

/// Bytes of an index when it is there.
fn built(owner: &Connection, what: &str) -> f64 {
    owner.batch(&format!("BEGIN; CREATE INDEX measured ON {what}")).unwrap();
    let size = "SELECT pg_relation_size(oid)::float8 FROM pg_class WHERE relname = 'measured'";
    let bytes = owner.row(size, &[]).unwrap().get(0);
    owner.batch("ROLLBACK").unwrap();
    bytes
}
