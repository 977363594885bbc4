//! Partitioned tables, as a server keeps them: nothing but their partitions has rows, sizes and statistics.

use pgassay::index::gin_size::gin_bytes;
use pgassay::index::size::btree_bytes;
use pgassay::model::catalog::TableKind;
use pgassay::model::index::{AccessMethod, IndexDef, IndexKey};
use pgassay::model::name::TableName;
use pgassay::pg::catalog::distinct::{Counting, groups};
use pgassay::pg::catalog::gin_keys::keys;
use pgassay::pg::catalog::load;
use pgassay::pg::connect::connection::Connection;
use pgassay::pg::planner::explain;
use serde_json::Value;

use crate::advice::{advised, bazaar, indexes};

/// By month, the last month by tenant as well; each partition analyzed by itself, as autovacuum does.
const EVENTS: &str = "CREATE TABLE events (id bigint NOT NULL, tenant_id int NOT NULL, at timestamptz NOT NULL, \
        kind text NOT NULL, body text NOT NULL, tags text[] NOT NULL, PRIMARY KEY (id, tenant_id, at)) PARTITION BY RANGE (at); \
    CREATE TABLE events_01 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01'); \
    CREATE TABLE events_02 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); \
    CREATE TABLE events_03 PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-04-01') PARTITION BY HASH (tenant_id); \
    CREATE TABLE events_03_0 PARTITION OF events_03 FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
    CREATE TABLE events_03_1 PARTITION OF events_03 FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
    CREATE TABLE events_rest PARTITION OF events DEFAULT; \
    INSERT INTO events SELECT i, 1 + (power(random(), 2) * 900)::int, timestamptz '2026-01-01 00:00+00' + i * interval '2 minutes', \
           (ARRAY['view', 'view', 'view', 'view', 'buy', 'Refund'])[1 + i % 6], md5(i::text), ARRAY['t' || i % 40, 't' || i % 997] \
      FROM generate_series(1, 60000) i; \
    ANALYZE events_01, events_02, events_03_0, events_03_1, events_rest; \
    CREATE INDEX events_at ON events (at)";

fn events(name: &str) -> Option<(Vec<String>, Connection)> {
    let (flags, owner) = bazaar(name)?;
    owner.batch("CREATE EXTENSION pg_trgm").unwrap();
    owner.batch(EVENTS).unwrap();
    Some((flags, owner))
}

#[test]
fn a_partitioned_table_is_its_partitions() {
    let Some((_, owner)) = events("partitioned") else { return };
    // What the server itself counts is that nobody has.
    let unknown = "SELECT reltuples::float8 FROM pg_class WHERE relname = 'events'";
    assert!(owner.row(unknown, &[]).unwrap().get::<_, f64>(0) <= 0.0);
    let catalog = load::load(&owner, &owner.caller()).unwrap();
    let table = catalog.table(&TableName::new("public", "events")).unwrap();
    assert_eq!(table.kind, TableKind::Partitioned);
    assert!((59_000.0..61_000.0).contains(&table.rows.unwrap()), "{:?}", table.rows);
    let real = "SELECT sum(pg_relation_size(relid))::float8 FROM pg_partition_tree('events')";
    assert_eq!(table.size_bytes.unwrap() as f64, owner.row(real, &[]).unwrap().get::<_, f64>(0));
    let names: Vec<&str> = table.partitions.iter().map(|name| &*name.name).collect();
    assert_eq!(names, ["events_01", "events_02", "events_03_0", "events_03_1", "events_rest"]);
    assert!(table.columns.iter().all(|column| column.distinct.is_some()), "{:?}", table.columns);
    let index = table.indexes.iter().find(|index| index.name == "events_at").unwrap();
    assert!(index.size_bytes.unwrap() > 1_000_000, "{:?}", index.size_bytes);
    assert_eq!(index.scans, Some(0));
    // One of them is the table, and no table of its own.
    assert_eq!(catalog.lookup(None, "events_03_1").unwrap().name, table.name);
    assert!(catalog.tables.iter().all(|table| table.name.name != "events_03_1"));
}

#[test]
fn its_indexes_are_as_large_as_those_of_all_partitions() {
    let Some((_, owner)) = events("partitioned_sizes") else { return };
    let catalog = load::load(&owner, &owner.caller()).unwrap();
    let table = catalog.table(&TableName::new("public", "events")).unwrap();
    let cases: &[(&str, &[&str], Option<&str>, f64)] = &[
        ("btree", &["tenant_id"], None, 0.15),
        ("btree", &["tenant_id", "kind"], None, 0.15),
        ("btree", &["tenant_id"], Some("kind = 'Refund'"), 0.15),
        ("btree", &["kind"], None, 0.15),
        ("btree", &["body"], None, 0.15),
        ("gin", &["tags"], None, 0.3),
        ("gin", &["body"], None, 0.3),
    ];
    for (method, columns, condition, most) in cases {
        let trigrams = *method == "gin" && columns == &["body"];
        let key = |name: &&str| IndexKey {
            operator_class: trigrams.then(|| "gin_trgm_ops".to_owned()),
            ..IndexKey::column(*name)
        };
        let plan = IndexDef {
            table: table.name.clone(),
            method: AccessMethod::from(*method),
            keys: columns.iter().map(key).collect(),
            include: Vec::new(),
            predicate: condition.map(str::to_owned),
        };
        let estimated = match *method {
            "gin" => gin_bytes(
                table,
                &keys(Counting { connection: &owner, caller: &owner.caller() }, table, &plan)
                    .unwrap(),
            ),
            _ => btree_bytes(
                table,
                &plan,
                &groups(
                    Counting { connection: &owner, caller: &owner.caller() },
                    table,
                    columns,
                    *condition,
                )
                .unwrap(),
            ),
        };
        let class = if trigrams { " gin_trgm_ops" } else { "" };
        let filter = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        let keys = columns.join(", ");
        let what = format!("{method} ({keys}{class}){filter}");
        owner.batch(&format!("BEGIN; CREATE INDEX measured ON events USING {what}")).unwrap();
        let size = "SELECT sum(pg_relation_size(relid))::float8 FROM pg_partition_tree('measured')";
        let real: f64 = owner.row(size, &[]).unwrap().get(0);
        owner.batch("ROLLBACK").unwrap();
        println!("{what}: {estimated} for {real}, {:.2}", estimated / real);
        assert!((estimated / real - 1.0).abs() <= *most, "{what}: {estimated} for {real}");
    }
}

#[test]
fn it_is_advised_like_any_other() {
    let Some((flags, _)) = events("partitioned_advice") else { return };
    let statements = [
        "SELECT id FROM events WHERE tags @> ARRAY['t3','t500']",
        "SELECT id FROM events_02 WHERE tenant_id = 7 AND kind = 'buy'",
        "SELECT id FROM events WHERE lower(body) = 'abc'",
    ];
    let entries: Vec<(&str, &[&str], f64)> =
        (0..40).flat_map(|_| statements.iter().map(|sql| (*sql, &[][..], 30.0))).collect();
    let found = advised(&flags, &entries, &[]);
    let mut warnings = crate::support::warnings(&found);
    // The statements are nobody's.
    warnings.retain(|warning| !warning.contains("who acts"));
    assert!(
        matches!(&warnings[..], [one] if one.to_string().contains("events_lower_body_idx are short now (32 bytes")),
        "{warnings:?}"
    );
    let made = indexes(&found);
    assert!(made.contains(&"public.events USING gin (tags)".to_owned()), "{made:?}");
    assert!(made.iter().any(|sql| sql.starts_with("public.events (tenant_id")), "{made:?}");
    assert!(made.contains(&"public.events ((lower(body)))".to_owned()), "{made:?}");
    // With consent it is built, and the planner asked.
    let built = advised(&flags, &entries, &["--build"]);
    let of = built["recommendations"].as_array().unwrap().iter();
    for recommendation in of.filter(|r| r["kind"] == "create-index") {
        assert_ne!(recommendation["estimated"], Value::Null, "{recommendation}");
    }
    assert_eq!(indexes(&built).len(), made.len());
}

#[test]
fn a_plan_for_no_values_in_particular_reads_all_partitions() {
    let Some((_, owner)) = events("generic") else { return };
    let recent =
        "SELECT id FROM events WHERE tenant_id = $1 AND at >= $2 ORDER BY at DESC LIMIT 20";
    let before = explain::generic(&owner, &owner.caller(), recent, 2).unwrap();
    let mut read: Vec<&str> = before.scans.iter().map(|scan| scan.relation.as_str()).collect();
    read.sort_unstable();
    assert_eq!(read, ["events_01", "events_02", "events_03_0", "events_03_1", "events_rest"]);
    owner.batch("CREATE INDEX ON events (tenant_id, at DESC)").unwrap();
    let after = explain::generic(&owner, &owner.caller(), recent, 2).unwrap();
    assert!(after.cost < before.cost / 5.0, "{} {}", before.cost, after.cost);
    assert_eq!(after.indexes.len(), 5, "{:?}", after.indexes);
    let setting: String = owner.row("SHOW enable_partition_pruning", &[]).unwrap().get(0);
    assert_eq!(setting, "on");
}
