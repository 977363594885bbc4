//! Policies that are derived from a log: who reaches which rows with them, and that the undo leaves nothing.

use std::process::Command;

use pgassay::pg::connect::connection::Connection;
use serde_json::Value;

use crate::support::{code, flags, json, programs, run, server, stderr};

const LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/acting/bazaar.csv.gz");

/// The database of the application as it was before the log.
fn bazaar(name: &str) -> Option<(Vec<String>, Connection)> {
    let server = server()?;
    let admin = Connection::open(&server.settings("postgres")).unwrap();
    admin.batch(&format!("CREATE DATABASE {name}")).unwrap();
    let settings = server.settings(name);
    let owner = Connection::open(&settings).unwrap();
    owner.batch(include_str!("../../data/acting/bazaar.sql")).unwrap();
    Some((flags(&settings), owner))
}

fn access(run: &Value) -> Vec<&Value> {
    let all = run["recommendations"].as_array().unwrap().iter();
    all.filter(|own| own["kind"] == "policy" || own["kind"] == "grant").collect()
}

fn execute(owner: &Connection, recommendations: &[&Value], key: &str) {
    for recommendation in recommendations {
        for sql in recommendation[key].as_array().unwrap() {
            let sql = sql.as_str().unwrap();
            owner.batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
}

/// The schema and its privileges, and the roles.
fn dump(flags: &[String], owner: &Connection) -> (String, i64) {
    let dump = Command::new(programs().unwrap().join("pg_dump"))
        .args(["--schema-only"])
        .args(flags)
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let text = String::from_utf8(dump.stdout).unwrap();
    // The key of a dump is another each time.
    let lines = text.lines().filter(|line| !line.contains("restrict "));
    let roles = owner.row("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'app_bazaar%'", &[]);
    (lines.collect::<Vec<_>>().join("\n"), roles.unwrap().get(0))
}

/// What a user gets, or nobody; the SQLSTATE where the server refuses.
fn as_user(owner: &Connection, user: Option<i32>, sql: &str) -> Result<i64, String> {
    let user = user.map_or(String::new(), |user| user.to_string());
    owner.batch("BEGIN; SET LOCAL ROLE app_bazaar").unwrap();
    owner.batch(&format!("SET LOCAL app.user_id = '{user}'")).unwrap();
    let found = owner.row(sql, &[]).map(|row| row.get::<_, i64>(0));
    owner.clean_up("ROLLBACK").unwrap();
    found.map_err(|error| error.sqlstate.unwrap_or_default())
}

#[test]
fn derived_policies_give_each_user_the_rows_that_are_his_and_go_without_a_trace() {
    let Some((flags, owner)) = bazaar("bazaar_derived") else { return };
    let output = run(&["analyze", "--quiet", "--format", "json", LOG], &flags);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found = json(&output);
    let recommendations = access(&found);
    let ids: Vec<&str> = recommendations.iter().map(|own| own["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "rls-roles",
            "rls-listings",
            "rls-logins",
            "rls-messages",
            "rls-orders",
            "rls-photos",
            "rls-users"
        ]
    );
    assert!(recommendations.iter().all(|own| own["state"] == "proposed"), "{recommendations:#?}");
    let before = dump(&flags, &owner);
    execute(&owner, &recommendations, "sql");

    let ask = |user: Option<i32>, sql: &str| as_user(&owner, user, sql);
    let count = |sql: &str| owner.row(sql, &[]).unwrap().get::<_, i64>(0);
    for user in [3, 17] {
        let own_messages = format!(
            "SELECT count(*) FROM public.messages WHERE {user} IN (sender_id, recipient_id)"
        );
        let own_orders = format!(
            "SELECT count(*) FROM public.orders o JOIN public.listings l ON l.id = o.listing_id WHERE {user} IN (o.buyer_id, l.seller_id)"
        );
        assert_eq!(
            ask(Some(user), "SELECT count(*) FROM public.messages"),
            Ok(count(&own_messages))
        );
        assert_eq!(ask(Some(user), "SELECT count(*) FROM public.orders"), Ok(count(&own_orders)));
        assert_eq!(ask(Some(user), "SELECT count(*) FROM public.listings"), Ok(200));
        assert_eq!(ask(Some(user), "SELECT count(*) FROM public.logins"), Ok(0));
    }
    let changed = |who: &str| {
        format!(
            "WITH w AS (UPDATE public.listings SET title = 'x' WHERE {who} RETURNING 1) SELECT count(*) FROM w"
        )
    };
    assert_eq!(
        ask(Some(3), &changed("seller_id = 3")),
        Ok(count("SELECT count(*) FROM public.listings WHERE seller_id = 3"))
    );
    assert_eq!(ask(Some(3), &changed("seller_id <> 3")), Ok(0));
    let given = "WITH w AS (UPDATE public.listings SET seller_id = 4 WHERE seller_id = 3 RETURNING 1) SELECT count(*) FROM w";
    assert_eq!(ask(Some(3), given), Err("42501".to_owned()));
    let written = |sender: i32| {
        format!(
            "WITH w AS (INSERT INTO public.messages (sender_id, recipient_id, body) VALUES ({sender}, 5, 'x') RETURNING 1) SELECT count(*) FROM w"
        )
    };
    assert_eq!(
        (ask(Some(3), &written(3)), ask(Some(3), &written(4))),
        (Ok(1), Err("42501".to_owned()))
    );
    for nobody in ["messages", "orders", "logins"] {
        assert_eq!(ask(None, &format!("SELECT count(*) FROM public.{nobody}")), Ok(0), "{nobody}");
    }
    assert_eq!(ask(None, "SELECT count(*) FROM public.listings"), Ok(200));

    let back: Vec<&Value> = recommendations.iter().rev().copied().collect();
    execute(&owner, &back, "undo");
    let after = dump(&flags, &owner);
    assert_eq!(before.0, after.0);
    assert_eq!(before.1, after.1);
}
