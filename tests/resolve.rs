//! Statements to shapes: every column to its table.

use pgassay::model::catalog::Catalog;
use pgassay::model::workload::shape::{Lookup, Operator, Scan, Shape, StatementKind};
use pgassay::sql::dump::catalog;
use pgassay::sql::normalize::normalizer::normalize;
use pgassay::sql::resolve::resolver;

fn catalog() -> Catalog {
    catalog::catalog(
        "CREATE TABLE users (id bigint PRIMARY KEY, email text, active boolean, deleted_at timestamptz);
         CREATE TABLE listings (id bigint PRIMARY KEY, seller_id bigint, status text, title text, created_at timestamptz, attrs jsonb);
         CREATE TABLE orders (id bigint PRIMARY KEY, buyer_id bigint, listing_id bigint, total int, created_at timestamptz);
         CREATE TABLE \"Odd Table\" (\"Id\" bigint, \"select\" text);",
    )
    .0
}

fn shape(sql: &str) -> Shape {
    resolver::shape(&normalize(sql).text, Some(&catalog()))
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn scan<'s>(shape: &'s Shape, table: &str) -> &'s Scan {
    shape
        .scans
        .iter()
        .find(|scan| scan.table.name == table)
        .unwrap_or_else(|| panic!("no scan of {table}"))
}

/// Filters of a table as `key operator`, in order.
fn filters(sql: &str, table: &str) -> Vec<String> {
    let shape = shape(sql);
    scan(&shape, table)
        .filters
        .iter()
        .map(|f| format!("{} {:?}", f.key.sql(), f.operator))
        .collect()
}

/// Joins of a table as `column = other table.column`.
fn joins(sql: &str, table: &str) -> Vec<String> {
    let shape = shape(sql);
    scan(&shape, table)
        .joins
        .iter()
        .map(|join| {
            format!(
                "{} = {}.{}",
                join.column, shape.scans[join.other_scan].table.name, join.other_column
            )
        })
        .collect()
}

#[test]
fn aliases_and_bare_columns_find_their_tables() {
    let sql = "SELECT l.id, email FROM listings AS l, users u WHERE l.seller_id = u.id AND status = 'active' AND email = 'x'";
    assert_eq!(filters(sql, "listings"), ["status Equal"]);
    assert_eq!(filters(sql, "users"), ["email Equal"]);
    assert_eq!(joins(sql, "listings"), ["seller_id = users.id"]);
    assert_eq!(
        filters("SELECT 1 FROM \"Odd Table\" WHERE \"select\" = 'x'", "Odd Table"),
        ["select Equal"]
    );
}

/// What the rows of a table are looked up by, beside columns of other tables.
fn lookups(sql: &str, table: &str) -> Vec<String> {
    let shape = shape(sql);
    let written = |lookup: &Lookup| {
        format!("{}{}", lookup.key.sql(), if lookup.for_few { " for few" } else { "" })
    };
    scan(&shape, table).lookups.iter().map(written).collect()
}

#[test]
fn rows_are_looked_up_by_what_is_no_column_of_a_table_as_well() {
    for (sql, table, expected) in [
        (
            "WITH RECURSIVE t AS (SELECT id FROM users WHERE id = 1 UNION ALL \
             SELECT l.id FROM listings l JOIN t ON l.seller_id = t.id) SELECT * FROM t",
            "listings",
            &["seller_id for few"][..],
        ),
        (
            "SELECT l.id FROM unnest($1::int[]) AS x(id) JOIN listings l ON x.id = l.seller_id",
            "listings",
            &["seller_id for few"],
        ),
        (
            "SELECT l.id FROM (VALUES (1), (2)) AS x(id) JOIN listings l ON x.id = l.seller_id",
            "listings",
            &["seller_id for few"],
        ),
        (
            "SELECT o.id FROM (SELECT id FROM listings UNION SELECT id FROM users) x \
             JOIN orders o USING (id)",
            "orders",
            &["id"],
        ),
        (
            "SELECT o.id FROM orders o JOIN users u ON lower(u.email) = lower(o.status)",
            "users",
            &["lower(email)"],
        ),
        ("SELECT 1 FROM orders o JOIN users u ON u.id = o.id + 1", "users", &["id"]),
        ("SELECT 1 FROM orders o JOIN users u ON u.id = o.id + 1", "orders", &["id + $2"]),
        ("SELECT 1 FROM orders o JOIN users u ON u.id = ANY (o.items)", "users", &["id"]),
        ("SELECT 1 FROM orders o JOIN users u ON u.id = o.id + u.age", "users", &[]),
        ("SELECT 1 FROM orders o WHERE o.id = $1 + 1 AND o.at = now()", "orders", &[]),
    ] {
        assert_eq!(lookups(sql, table), expected, "{sql}");
    }
}

#[test]
fn a_natural_join_is_by_the_columns_that_both_sides_have() {
    let sql = "SELECT total FROM orders NATURAL JOIN (SELECT id AS listing_id, seller_id FROM listings) l WHERE seller_id = 5";
    assert_eq!(joins(sql, "orders"), ["listing_id = listings.id"]);
    assert_eq!(filters(sql, "listings"), ["seller_id Equal"]);
}

#[test]
fn every_operator_has_its_kind() {
    let sql = "SELECT id FROM listings WHERE status IN ('a', 'b') AND title ILIKE '%x%' AND created_at BETWEEN '1' AND '2' \
               AND seller_id = ANY('{1,2}') AND attrs @> '{}' AND id <> 4 AND title LIKE 'x%' AND 5 < id";
    assert_eq!(
        filters(sql, "listings"),
        [
            "status In",
            "title ILike",
            "created_at Range",
            "seller_id In",
            "attrs Contains",
            "id NotEqual",
            "title Like",
            "id Range"
        ]
    );
    let sql = "SELECT id FROM users WHERE active AND deleted_at IS NULL AND lower(email) = 'x' AND (id = 1 OR id = 2)";
    assert_eq!(
        filters(sql, "users"),
        ["active Equal", "deleted_at IsNull", "lower(email) Equal", "id In"]
    );
    for sql in [
        "SELECT 1 FROM users WHERE (id = 1 AND email = 'x') OR active",
        "SELECT 1 FROM users WHERE id = 1 AND email = 'x' OR active",
        "SELECT 1 FROM users WHERE active OR (id > 1 AND (id < 9 OR email = 'x'))",
        "UPDATE users SET email = 'x' WHERE id = 1 AND active OR email = 'y'",
        "SELECT 1 FROM users JOIN orders ON users.id = 1 AND orders.id = 2 OR orders.total = 3",
    ] {
        assert_eq!(filters(sql, "users"), Vec::<String>::new(), "{sql}");
    }
    // What says something about two tables or two columns filters neither.
    assert_eq!(
        filters("SELECT 1 FROM users WHERE id = 1 OR email = 'x'", "users"),
        Vec::<String>::new()
    );
}

/// What each alternative says of a table, in order, as `key operator` of its filters.
fn alternatives(sql: &str, table: &str) -> Vec<Vec<String>> {
    let shape = shape(sql);
    let of = |scan: &Scan| {
        scan.filters.iter().map(|f| format!("{} {:?}", f.key.sql(), f.operator)).collect()
    };
    scan(&shape, table).alternatives.iter().flatten().map(of).collect()
}

#[test]
fn each_alternative_is_a_scan_of_its_own_with_what_holds_for_all() {
    for (sql, found) in [
        ("WHERE id = 1 OR email = 'x'", vec!["id Equal", "email Equal"]),
        (
            "WHERE (lower(email) = 'x' OR (id > 4 AND deleted_at IS NULL)) AND active",
            vec!["lower(email) Equal, active Equal", "id Range, deleted_at IsNull, active Equal"],
        ),
        ("WHERE email ILIKE '%x' OR id IS NULL", vec!["email ILike", "id IsNull"]),
        // What no index could serve in one of them leaves nothing to serve.
        ("WHERE id = 1 OR id + email = deleted_at", vec![]),
        ("WHERE id = 1 OR EXISTS (SELECT 1 FROM orders)", vec![]),
        // Alternatives of one column are a list.
        ("WHERE id = 1 OR id = 2", vec![]),
        // A row is one of several when all of its fields are.
        ("WHERE (id, email) IN ((1, 'a'), (2, 'b'))", vec!["id Equal, email Equal"]),
        ("WHERE (id, email) = (1, 'a')", vec!["id Equal, email Equal"]),
        ("WHERE (id, email) IN (SELECT id, 'x' FROM orders)", vec![]),
    ] {
        let sql = format!("SELECT 1 FROM users {sql}");
        let alternatives: Vec<String> =
            alternatives(&sql, "users").iter().map(|filters| filters.join(", ")).collect();
        assert_eq!(alternatives, found, "{sql}");
    }
    // Of two tables the one that every alternative is about.
    let sql = "SELECT 1 FROM users u JOIN orders o ON o.buyer_id = u.id WHERE (o.total > 3 AND u.active) OR u.email = 'x'";
    assert_eq!(alternatives(sql, "users").len(), 2);
    assert!(alternatives(sql, "orders").is_empty());
    // Rows that come after another one come after its first field, or have that in common.
    let sql = "SELECT 1 FROM orders WHERE (created_at, id) < ('2026-01-01', 5)";
    assert_eq!(filters(sql, "orders"), ["created_at Range"]);
}

#[test]
fn ctes_derived_tables_and_subqueries_are_seen_through() {
    let sql = "WITH mine AS (SELECT id AS listing, seller_id FROM listings WHERE status = 'a') \
               SELECT 1 FROM orders o JOIN mine m ON m.listing = o.listing_id WHERE m.seller_id = 7";
    assert_eq!(filters(sql, "listings"), ["status Equal", "seller_id Equal"]);
    assert_eq!(joins(sql, "orders"), ["listing_id = listings.id"]);
    let sql = "SELECT 1 FROM (SELECT buyer_id AS who FROM orders) x WHERE x.who = 3";
    assert_eq!(filters(sql, "orders"), ["buyer_id Equal"]);
    let sql = "SELECT id FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.buyer_id = u.id AND o.total > 5)";
    assert_eq!(
        (joins(sql, "orders"), filters(sql, "orders")),
        (vec!["buyer_id = users.id".to_owned()], vec!["total Range".to_owned()])
    );
    let sql =
        "SELECT id FROM orders WHERE listing_id IN (SELECT id FROM listings WHERE seller_id = 1)";
    assert_eq!(
        (joins(sql, "orders"), filters(sql, "listings")),
        (vec!["listing_id = listings.id".to_owned()], vec!["seller_id Equal".to_owned()])
    );
}

#[test]
fn a_correlated_column_without_alias_is_the_outer_tables() {
    let sql = "SELECT id FROM users WHERE EXISTS (SELECT 1 FROM orders WHERE buyer_id = users.id AND email = 'x')";
    assert_eq!(joins(sql, "orders"), ["buyer_id = users.id"]);
    assert_eq!(filters(sql, "users"), ["email Equal"]);
}

#[test]
fn an_outer_join_filters_only_the_side_it_may_drop() {
    let sql = "SELECT 1 FROM users u LEFT JOIN orders o ON o.buyer_id = u.id AND o.total > 5 AND u.active WHERE u.email = 'x'";
    assert_eq!(filters(sql, "orders"), ["total Range"]);
    assert_eq!(filters(sql, "users"), ["email Equal"]);
    assert_eq!(joins("SELECT 1 FROM users JOIN orders USING (id)", "orders"), ["id = users.id"]);
}

#[test]
fn order_and_limit_belong_to_the_table_that_has_all_the_keys() {
    let sorted = shape(
        "SELECT l.id FROM listings l WHERE status = 'a' ORDER BY l.created_at DESC, id LIMIT 5",
    );
    let keys: Vec<(String, bool, bool)> = scan(&sorted, "listings")
        .sort
        .iter()
        .map(|key| (key.key.sql().to_owned(), key.descending, key.nulls_first))
        .collect();
    assert_eq!(keys, [("created_at".to_owned(), true, true), ("id".to_owned(), false, false)]);
    assert!(scan(&sorted, "listings").limited);
    let mixed = shape(
        "SELECT 1 FROM listings l JOIN users u ON u.id = l.seller_id ORDER BY l.created_at, u.email LIMIT 5",
    );
    assert!(mixed.scans.iter().all(|scan| scan.sort.is_empty()));
    assert!(
        shape("SELECT status, count(*) FROM listings GROUP BY status ORDER BY status").scans[0]
            .sort
            .is_empty()
    );
}

#[test]
fn writes_have_a_target_and_its_columns() {
    let update = shape("UPDATE listings SET title = 'x', status = 'y' WHERE id = 1");
    assert_eq!(update.kind, StatementKind::Update);
    assert_eq!(
        (update.scans[0].target, update.scans[0].written.clone()),
        (true, vec!["title".to_owned(), "status".to_owned()])
    );
    let insert = shape(
        "INSERT INTO orders (id, buyer_id) SELECT id, seller_id FROM listings WHERE status = 'x'",
    );
    assert!(insert.scans[0].target && !insert.scans[1].target);
    assert_eq!(insert.scans[1].filters[0].operator, Operator::Equal);
    let delete = shape(
        "DELETE FROM orders USING users WHERE users.id = orders.buyer_id AND users.email = 'x'",
    );
    assert_eq!(delete.scans.len(), 2);
    assert!(shape("WITH d AS (DELETE FROM orders RETURNING id) SELECT id FROM d").writes);
}

#[test]
fn slots_tell_which_parameter_fills_a_predicate() {
    let shape = shape(
        "SELECT id FROM listings WHERE seller_id = $2 AND status = 'a' AND created_at > $1 LIMIT 9",
    );
    let slots: Vec<Vec<u16>> =
        scan(&shape, "listings").filters.iter().map(|f| f.slots.clone()).collect();
    assert_eq!(slots, [vec![1], vec![2], vec![3]]);
}

#[test]
fn without_a_catalog_only_what_is_certain_is_resolved() {
    let shape =
        resolver::shape("SELECT a FROM t JOIN u ON t.id = u.t_id WHERE b = $1 AND u.c = $2", None)
            .unwrap();
    assert!(scan(&shape, "t").filters.is_empty(), "b may be of either table");
    assert_eq!(scan(&shape, "u").filters.len(), 1);
}

#[test]
fn long_chains_are_resolved_without_running_out_of_stack() {
    for link in [" OR ", " AND "] {
        let conditions = vec!["u.id = 1"; 1_900].join(link);
        let shape = shape(&format!("SELECT u.id FROM users u WHERE {conditions}"));
        assert_eq!(shape.scans.len(), 1);
    }
    let sum = vec!["id"; 3_900].join(" + ");
    assert_eq!(shape(&format!("SELECT {sum} FROM users")).scans.len(), 1);
    let unions = vec!["SELECT id FROM users WHERE id = 1"; 1_300].join(" UNION ALL ");
    assert_eq!(shape(&unions).scans.len(), 1_300);
}

/// Columns of a table that the statement reads.
fn columns(sql: &str, table: &str) -> Vec<String> {
    scan(&shape(sql), table).columns.clone()
}

#[test]
fn what_exists_selects_is_not_read() {
    for list in ["*", "1", "o.*", "o.total, o.created_at"] {
        let sql = format!(
            "SELECT id FROM users u WHERE EXISTS (SELECT {list} FROM orders o WHERE o.buyer_id = u.id) \
             AND NOT EXISTS (SELECT {list} FROM orders o WHERE o.listing_id = u.id)"
        );
        assert_eq!(columns(&sql, "orders"), ["buyer_id"], "{sql}");
    }
    // Inside of an EXISTS, what is no EXISTS is read.
    let sql = "SELECT id FROM users u WHERE EXISTS (SELECT * FROM listings l WHERE l.seller_id = u.id \
               AND l.id IN (SELECT listing_id FROM orders WHERE total > 5))";
    assert_eq!(columns(sql, "orders"), ["total", "listing_id"]);
    let sql = "SELECT id FROM users u WHERE id IN (SELECT o.buyer_id FROM orders o)";
    assert_eq!(columns(sql, "orders"), ["buyer_id"]);
}

#[test]
fn the_least_or_the_greatest_is_an_order() {
    let extreme = |sql: &str| {
        let shape = shape(sql);
        shape.scans[0].extreme.as_ref().map(|key| key.sql().to_owned())
    };
    let some = |name: &str| Some(name.to_owned());
    for (sql, of) in [
        ("SELECT max(created_at) FROM orders WHERE buyer_id = 5", some("created_at")),
        ("SELECT min(o.total), max(o.total) AS most FROM orders o", some("total")),
        ("SELECT coalesce(max(total), 0) + 1 FROM orders", some("total")),
        ("SELECT max(lower(email)) FROM users", some("lower(email)")),
        ("SELECT max(created_at), count(*) FROM orders", None),
        ("SELECT max(created_at), max(total) FROM orders", None),
        ("SELECT buyer_id, max(created_at) FROM orders GROUP BY buyer_id", None),
        ("SELECT max(total) OVER () FROM orders", None),
        ("SELECT max(o.total) FROM orders o JOIN users u ON u.id = o.buyer_id", None),
        ("SELECT created_at FROM orders", None),
    ] {
        assert_eq!(extreme(sql), of, "{sql}");
    }
}

#[test]
fn the_first_table_is_the_one_that_the_planner_numbers_so() {
    let first = |sql: &str| shape(sql).first.map(|table| table.name);
    for sql in [
        "SELECT 1 FROM listings WHERE status = 'active'",
        "SELECT 1 FROM listings l LEFT JOIN users u ON u.id = l.seller_id",
        "SELECT 1 FROM (listings l JOIN users u ON u.id = l.seller_id) WHERE u.active",
        "WITH u AS (SELECT id FROM users) SELECT 1 FROM listings l JOIN u ON u.id = l.seller_id",
        "UPDATE public.listings SET status = 'x' FROM users u WHERE u.id = seller_id",
        "DELETE FROM listings USING users u WHERE u.id = seller_id",
        "SELECT 1 FROM listings WHERE EXISTS (SELECT 1 FROM orders WHERE listing_id = listings.id)",
        // The second one is the first of a query that is planned by itself.
        "UPDATE listings SET status = 'x' WHERE id = (SELECT id FROM listings WHERE status = 'y' LIMIT 1)",
        "DELETE FROM listings WHERE id IN (SELECT id FROM listings WHERE status = 'y' LIMIT 9)",
        "WITH next AS (SELECT id FROM listings WHERE status = 'y' FOR UPDATE SKIP LOCKED) \
         UPDATE listings SET status = 'x' FROM next WHERE next.id = listings.id",
        "SELECT (SELECT max(price) FROM listings m WHERE m.seller_id = l.seller_id) FROM listings l",
    ] {
        assert_eq!(first(sql).as_deref(), Some("listings"), "{sql}");
    }
    for sql in [
        // Twice in it: the other one has another number.
        "SELECT 1 FROM listings a JOIN listings b ON b.id = a.id",
        "SELECT 1 FROM listings WHERE seller_id IN (SELECT seller_id FROM listings WHERE status = 'x')",
        "UPDATE listings SET status = 'x' WHERE id IN (SELECT id FROM listings WHERE status = 'y')",
        "SELECT 1 FROM listings WHERE id = (SELECT l.id FROM orders o JOIN listings l ON l.id = o.listing_id LIMIT 1)",
        // Its number is known only once the query around it is planned.
        "SELECT 1 FROM (SELECT id FROM listings WHERE status = 'x') l",
        "WITH l AS (SELECT id FROM listings) SELECT 1 FROM l",
        "WITH listings AS (SELECT id FROM orders) SELECT 1 FROM listings",
        "SELECT id FROM listings UNION ALL SELECT id FROM users",
        "INSERT INTO orders (id) SELECT id FROM listings",
        "SELECT 1 FROM generate_series(1, 2) g, listings WHERE listings.id = g",
        "SELECT 1 FROM unknown_view v, listings WHERE listings.id = v.id",
        "SELECT 1 FROM listings l, unknown_view v WHERE l.id = v.id",
    ] {
        assert_eq!(first(sql), None, "{sql}");
    }
}

#[test]
fn what_is_missing_is_no_row_that_an_index_holds() {
    let of_orders = |sql: &str| filters(sql, "orders");
    let anti =
        "SELECT u.id FROM users u LEFT JOIN orders o ON o.buyer_id = u.id WHERE o.id IS NULL";
    assert_eq!(of_orders(anti), [""; 0]);
    assert_eq!(joins(anti, "orders"), ["buyer_id = users.id"]);
    for (sql, expected) in [
        ("SELECT 1 FROM orders o RIGHT JOIN users u ON o.buyer_id = u.id WHERE o.id IS NULL", ""),
        (
            "SELECT 1 FROM users u LEFT JOIN orders o ON o.buyer_id = u.id WHERE coalesce(o.total, 0) = 0",
            "",
        ),
        (
            "SELECT 1 FROM users u LEFT JOIN orders o ON o.buyer_id = u.id WHERE o.total IS NULL OR o.total = 3",
            "",
        ),
        (
            "SELECT 1 FROM users u LEFT JOIN (SELECT id AS i, buyer_id FROM orders) o ON o.buyer_id = u.id WHERE o.i IS NULL",
            "",
        ),
        // The condition of the join is one of the rows.
        (
            "SELECT 1 FROM users u LEFT JOIN orders o ON o.buyer_id = u.id AND o.total IS NULL",
            "total IsNull",
        ),
        // The outer join is none, as what is missing does not come through.
        (
            "SELECT 1 FROM users u LEFT JOIN orders o ON o.buyer_id = u.id WHERE o.total IS NULL AND o.listing_id = 3",
            "total IsNull, listing_id Equal",
        ),
        (
            "SELECT 1 FROM users u LEFT JOIN orders o ON o.buyer_id = u.id JOIN listings l ON l.id = o.listing_id WHERE o.total IS NULL",
            "total IsNull",
        ),
        (
            "SELECT 1 FROM users u JOIN orders o ON o.buyer_id = u.id WHERE o.total IS NULL",
            "total IsNull",
        ),
    ] {
        assert_eq!(of_orders(sql).join(", "), expected, "{sql}");
    }
    let kept =
        "SELECT 1 FROM users u LEFT JOIN orders o ON o.buyer_id = u.id WHERE u.deleted_at IS NULL";
    assert_eq!(filters(kept, "users"), ["deleted_at IsNull"]);
}

#[test]
fn a_column_of_the_query_around_is_given_each_time() {
    let fixed = |sql: &str| -> Vec<String> {
        scan(&shape(sql), "orders").fixed().map(|key| key.sql().to_owned()).collect()
    };
    for (sql, expected) in [
        (
            "SELECT 1 FROM users u, LATERAL (SELECT * FROM orders o WHERE o.buyer_id = u.id AND o.total = 3 ORDER BY o.created_at DESC LIMIT 2) x",
            "total buyer_id",
        ),
        (
            "SELECT (SELECT max(o.id) FROM orders o WHERE o.buyer_id = u.id) FROM users u",
            "buyer_id",
        ),
        (
            "SELECT 1 FROM users u JOIN orders o ON o.buyer_id = u.id ORDER BY o.created_at LIMIT 2",
            "",
        ),
        (
            "SELECT 1 FROM orders o WHERE o.buyer_id IN (SELECT id FROM users) ORDER BY o.created_at LIMIT 2",
            "",
        ),
        ("SELECT 1 FROM users WHERE id IN (SELECT buyer_id FROM orders)", ""),
    ] {
        assert_eq!(fixed(sql).join(" "), expected, "{sql}");
    }
}

#[test]
fn a_condition_that_may_be_left_out_is_one_where_it_is_given() {
    for sql in [
        "SELECT 1 FROM orders WHERE ($1 IS NULL OR buyer_id = $1) AND (total > $2 OR ($2::int IS NULL))",
        "SELECT 1 FROM orders WHERE (5 IS NULL OR buyer_id = 5) AND (total > 3 OR 3 IS NULL)",
    ] {
        let shape = shape(sql);
        let alternatives = &scan(&shape, "orders").alternatives;
        let keys: Vec<&str> = alternatives
            .iter()
            .flatten()
            .flat_map(|scan| &scan.filters)
            .map(|f| f.key.sql())
            .collect();
        assert_eq!(keys, ["buyer_id", "total"], "{sql}");
        // It binds nobody to anything.
        assert_eq!(filters(sql, "orders"), [""; 0], "{sql}");
    }
    assert_eq!(
        filters("SELECT 1 FROM orders WHERE total IS NULL OR buyer_id = 5", "orders"),
        [""; 0]
    );
}
