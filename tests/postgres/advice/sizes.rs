//! How large indexes are said to become, beside how large they are.

use pgassay::index::gin_size::gin_bytes;
use pgassay::index::size::{SizedColumn, btree, btree_bytes};
use pgassay::model::catalog::Catalog;
use pgassay::model::index::{AccessMethod, IndexDef, IndexKey};
use pgassay::model::name::TableName;
use pgassay::pg::catalog::distinct::{Counting, groups};
use pgassay::pg::catalog::gin_keys::keys;
use pgassay::pg::catalog::load;
use pgassay::pg::connect::connection::Connection;

use crate::advice::bazaar;

#[test]
fn sizes_are_those_of_the_real_indexes() {
    let Some((_, owner)) = bazaar("bazaar_sizes") else { return };
    // A session hands on what it wrote once in a second, and its own ANALYZE before that counts it twice.
    owner.batch("SELECT pg_sleep(1.1)").unwrap();
    owner.batch("ANALYZE people").unwrap();
    // Rows that were never to be seen: they lie in the table, and an index would not have them.
    owner.batch("BEGIN; UPDATE people SET joined = joined; ROLLBACK").unwrap();
    let catalog = load::load(&owner, &owner.caller()).unwrap();
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
        let error = error_of(&owner, &catalog, table, keys, include);
        assert!(error.abs() <= 0.15, "{table} {keys:?} {include:?}: {error}");
    }
}

/// What a btree is said to take, from the statistics of its columns, by how much of what it takes that is off.
fn error_of(
    owner: &Connection,
    catalog: &Catalog,
    table: &str,
    keys: &[&str],
    include: &[&str],
) -> f64 {
    let table = catalog.tables.iter().find(|known| known.name.name == table).unwrap();
    let part = |name: &&str| SizedColumn::column(table, table.column(name).unwrap());
    let parts = |names: &[&str]| names.iter().map(part).collect::<Vec<_>>();
    let estimated = btree(table.rows.unwrap(), &parts(keys), &parts(include));
    let quoted = |names: &[&str]| {
        names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    };
    let carried = match include.len() {
        0 => String::new(),
        _ => format!(" INCLUDE ({})", quoted(include)),
    };
    let name = pgassay::sql::lex::identifier::quote_table(&table.name);
    let real = built(owner, &format!("{name} ({}){carried}", quoted(keys)));
    estimated / real - 1.0
}

/// Where a value begins hangs on all that stands before it, and a null takes up none of it but a bitmap; and of a
/// column whose values are all different, each meets one value of another.
#[test]
fn alignment_nulls_and_unique_values_are_followed() {
    let Some((_, owner)) = bazaar("bazaar_layouts") else { return };
    owner
        .batch(
            "CREATE TABLE layouts AS SELECT i AS n, i % 300 AS few, (i % 9973) * 1.5::numeric AS amount, \
                    date '2026-01-01' + i % 700 AS day, CASE WHEN i % 8 = 0 THEN now() END AS gone, \
                    'Name ' || md5(i::text) AS name, i % 20 <> 0 AS ok, now() + i * interval '1 s' AS at \
               FROM generate_series(1, 100000) i; ANALYZE layouts",
        )
        .unwrap();
    let catalog = load::load(&owner, &owner.caller()).unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["few"], &["amount", "day"]),
        (&["gone", "name"], &[]),
        (&["gone", "at"], &[]),
        (&["ok", "at"], &[]),
        (&["ok", "amount"], &["few", "at"]),
    ];
    for (keys, include) in cases {
        let error = error_of(&owner, &catalog, "layouts", keys, include);
        assert!(error.abs() <= 0.05, "{keys:?} {include:?}: {error}");
    }
}

#[test]
fn what_is_kept_once_is_what_the_server_keeps_once() {
    let Some((_, owner)) = bazaar("bazaar_once") else { return };
    let types = [
        ("int", "i % 3"),
        ("numeric", "i % 3"),
        ("float8", "i % 3"),
        ("text", "i % 3"),
        ("varchar(9)", "i % 3"),
        ("char(9)", "i % 3"),
        ("\"char\"", "chr(65 + i % 3)"),
        ("name", "i % 3"),
        ("bytea", "chr(65 + i % 3)"),
        ("bool", "i % 2 = 0"),
        ("uuid", "md5((i % 3)::text)"),
        ("inet", "'10.0.0.' || i % 3"),
        ("cidr", "'10.0.0.' || i % 3"),
        ("label", "i % 3"),
        ("jsonb", "i % 3"),
        ("date", "date '2026-01-01' + i % 3"),
        ("timestamptz", "date '2026-01-01' + i % 3"),
        ("interval", "i % 3 || ' days'"),
        ("int[]", "ARRAY[i % 3]"),
        ("int4range", "int4range(0, i % 3)"),
        ("bit(8)", "i % 3"),
        ("oid", "i % 3"),
        ("mood", "CASE WHEN i % 3 = 0 THEN 'good' ELSE 'bad' END"),
    ];
    let columns: Vec<String> = (0..types.len())
        .map(|at| match types[at] {
            ("int" | "bit(8)", value) => format!("({value})::{} AS c{at}", types[at].0),
            (name, value) => format!("(({value})::text)::{name} AS c{at}"),
        })
        .collect();
    let table = format!(
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN label AS varchar(20); \
         CREATE TABLE kinds AS SELECT {} FROM generate_series(1, 20000) i; ANALYZE kinds",
        columns.join(", ")
    );
    owner.batch(&table).unwrap();
    let catalog = load::load(&owner, &owner.caller()).unwrap();
    let table = catalog.tables.iter().find(|known| known.name.name == "kinds").unwrap();
    for (column, (name, _)) in table.columns.iter().zip(types) {
        let bytes = built(&owner, &format!("kinds ({})", column.name));
        // A tuple of its own takes sixteen bytes at the least, a place in a shared one six.
        assert_eq!(column.storage.unwrap().deduplicates, bytes < 300_000.0, "{name}: {bytes}");
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
    let catalog = load::load(&owner, &owner.caller()).unwrap();
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
        let plan = IndexDef {
            table: TableName::new("public", "trips"),
            method: AccessMethod::Btree,
            keys: keys.iter().map(|key| IndexKey::column(*key)).collect(),
            include: Vec::new(),
            predicate: condition.map(str::to_owned),
        };
        let found = groups(
            Counting { connection: &owner, caller: &owner.caller() },
            table,
            keys,
            *condition,
        )
        .unwrap();
        let estimated = btree_bytes(table, &plan, &found);
        let filter = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        let real = built(&owner, &format!("trips ({}){filter}", keys.join(", ")));
        let error = estimated / real - 1.0;
        assert!(error.abs() <= 0.10, "{keys:?} {condition:?}: {estimated} for {real}");
    }
}

/// What GIN takes apart: words that all rows share, tokens that are each row's own, text in the order of the
/// rows, elements of skew, documents whose values are rare at one place and frequent at another.
const APART: &str = "CREATE TABLE apart AS \
    SELECT i AS id, i % 4 = 0 AS is_open, md5(i::text) AS token, 'slug-' || i AS slug, \
           (SELECT string_agg((ARRAY['red', 'blue', 'vintage', 'chair', 'lamp', 'table', 'wood'])[1 + (i * n) % 7], ' ') \
              FROM generate_series(1, 5) n) AS words, \
           ARRAY(SELECT 't' || (power(random(), 3) * 2000)::int FROM generate_series(1, 1 + i % 6)) AS tags, \
           jsonb_build_object('k', i % 20000, 'n', i, 's', 'x' || i % 50, 'deep', jsonb_build_array(i % 7, 'v' || i % 300)) AS doc, \
           CASE WHEN i % 20 = 0 THEN (SELECT jsonb_object_agg('f' || n, repeat(md5((i * n)::text), 4)) FROM generate_series(1, 80) n) END AS large \
      FROM generate_series(1, 60000) i; \
    ANALYZE apart";

#[test]
fn the_keys_of_a_gin_index_are_estimated_from_some_rows() {
    let Some((_, owner)) = bazaar("bazaar_apart") else { return };
    owner.batch("CREATE EXTENSION pg_trgm").unwrap();
    owner.batch(APART).unwrap();
    let catalog = load::load(&owner, &owner.caller()).unwrap();
    let table = catalog.tables.iter().find(|known| known.name.name == "apart").unwrap();
    let cases: &[(&str, bool, Option<&str>, Option<&str>)] = &[
        ("token", true, Some("gin_trgm_ops"), None),
        ("slug", true, Some("gin_trgm_ops"), None),
        ("words", true, Some("gin_trgm_ops"), None),
        ("lower(words)", false, Some("gin_trgm_ops"), Some("is_open")),
        ("tags", true, None, None),
        ("tags", true, None, Some("is_open")),
        ("doc", true, Some("jsonb_path_ops"), None),
        ("doc", true, None, None),
        ("large", true, Some("jsonb_path_ops"), None),
        ("to_tsvector('simple'::regconfig, slug || ' ' || words)", false, None, None),
    ];
    for (expression, is_column, class, condition) in cases {
        let key = IndexKey {
            is_column: *is_column,
            operator_class: class.map(str::to_owned),
            ..IndexKey::column(*expression)
        };
        let plan = IndexDef {
            table: TableName::new("public", "apart"),
            method: AccessMethod::Gin,
            keys: vec![key],
            include: Vec::new(),
            predicate: condition.map(str::to_owned),
        };
        let estimated = gin_bytes(
            table,
            &keys(Counting { connection: &owner, caller: &owner.caller() }, table, &plan).unwrap(),
        );
        let filter = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        let class = class.unwrap_or_default();
        let real = built(&owner, &format!("apart USING gin (({expression}) {class}){filter}"));
        println!("{expression} {class}{filter}: {estimated} for {real}, {:.2}", estimated / real);
        let error = estimated / real - 1.0;
        assert!(error.abs() <= 0.3, "{expression} {class}{filter}: {estimated} for {real}");
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
