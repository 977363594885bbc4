//! The audit names what is wrong by a rule that fits, and says nothing of what is right.

use pgassay::pg::connect::connection::Connection;
use serde_json::Value;

use crate::support::{Shop, code, json, run, server, stderr, write_log};

/// The defects of `tests/data/rls/marketplace.sql`: the object, and the rule that fits.
const DEFECTS: &[(&str, &str, &str)] = &[
    ("D01", "public.profiles", "rls-disabled"),
    ("D02", "public.orders", "rls-disabled"),
    ("D03", "public.order_items", "rls-disabled"),
    ("D04", "public.categories", "rls-lookup-writable"),
    ("D05", "public.listings", "rls-per-row-call"),
    ("D06", "public.listings.listings_upd", "rls-any-user"),
    ("D07", "public.listings (seller_id)", "rls-unindexed-policy"),
    ("D08", "public.listing_images", "rls-no-policy"),
    ("D09", "public.messages.messages_all", "rls-always-true"),
    ("D10", "public.reviews.reviews_ins", "rls-unchecked-write"),
    ("D11", "public.favorites.fav_upd", "rls-unchecked-write"),
    ("D12", "public.payouts.payouts_sel", "rls-missing-identity"),
    ("D13", "public.cart_items", "rls-policy-not-enabled"),
    ("D14", "public.notifications.notif_sel", "rls-user-claim"),
    ("D15", "public.audit_log", "rls-disabled"),
    ("D17", "public.shops.shops_read", "rls-shadowed-name"),
    ("D18", "public.shop_members.sm_ins", "rls-self-enrolment"),
    ("D19", "public.disputes.disp_sel", "rls-slow-form"),
    ("D20", "public.seller_payout_summary", "rls-definer-view"),
    ("D21", "public.user_directory", "rls-definer-view"),
    ("D22", "public.seller_stats", "rls-materialized-view"),
    ("D23", "public.get_inbox", "rls-definer-function"),
    ("D24", "public.accounts", "rls-privileged-column"),
    ("D25", "public.order_notes.on_sel", "rls-always-true"),
    ("D26", "public.me", "rls-immutable-identity"),
];

/// Findings that belong to none: what the schema's default privileges give, and tables of the login service.
const OTHERS: &[&str] = &[
    "rls-default-privileges:public",
    "rls-truncate-granted:anon,authenticated",
    "rls-disabled:storage.buckets",
];

fn audited(flags: &[String], more: &[&str]) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &[("SELECT 1", &[], 1.0)]);
    let mut args = vec!["analyze", "--quiet", "--format", "json", log.to_str().unwrap()];
    args.extend(more);
    let output = run(&args, flags);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let found = json(&output)["findings"].as_array().unwrap().clone();
    found.into_iter().filter(|own| own["rule"].as_str().unwrap().starts_with("rls")).collect()
}

fn assert_named(found: &[Value]) {
    let text = |own: &Value, key: &str| own[key].as_str().unwrap().to_owned();
    for (defect, object, rule) in DEFECTS {
        let is_it = |own: &&Value| {
            text(own, "rule") == *rule
                && (text(own, "id") == format!("{rule}:{object}")
                    || text(own, "message").contains(object))
        };
        assert!(found.iter().any(|own| is_it(&own)), "{defect}: no {rule} on {object}");
    }
    let is_of_defect = |own: &Value| {
        DEFECTS.iter().any(|(_, object, rule)| text(own, "id") == format!("{rule}:{object}"))
    };
    let loud = found.iter().filter(|own| own["level"] != "info" && !is_of_defect(own));
    let loud: Vec<String> = loud.map(|own| text(own, "id")).collect();
    let known = |id: &String| OTHERS.iter().any(|own| id.starts_with(own));
    assert!(loud.iter().all(known), "{loud:?}");
}

#[test]
fn the_defects_of_a_marketplace_are_named_by_rules_that_fit() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let owner = shop.connect();
    owner.batch("DROP SCHEMA public CASCADE; CREATE SCHEMA public").unwrap();
    let (stub, schema) =
        (include_str!("../../data/rls/stub.sql"), include_str!("../../data/rls/marketplace.sql"));
    owner.batch(stub).unwrap();
    owner.batch(schema).unwrap();
    assert_named(&audited(&shop.flags(), &[]));
    // The same of a file, without a server.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("schema.sql");
    std::fs::write(&file, format!("{stub}\n{schema}")).unwrap();
    assert_named(&audited(&[], &["--schema", file.to_str().unwrap()]));
}

/// As the role of the application, with the identity of a user; the value of the first column of the first row.
fn as_user(owner: &Connection, role: &str, user: u8, sql: &str, ask: &str) -> Result<i64, String> {
    owner
        .batch(&format!(
            "BEGIN; SET LOCAL ROLE {role}; SET LOCAL app.user_id = '00000000-0000-0000-0000-00000000000{user}'"
        ))
        .unwrap();
    let done = owner.batch(sql).and_then(|()| owner.batch("SET LOCAL search_path = public"));
    let done = done.and_then(|()| owner.row(ask, &[])).map(|row| row.get(0));
    owner.clean_up("ROLLBACK").unwrap();
    done.map_err(|error| error.sqlstate.unwrap_or_default())
}

#[test]
fn what_the_audit_names_can_be_done_and_what_it_passes_cannot() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let owner = shop.connect();
    let role = format!("{}_app", shop.name);
    owner.batch(&format!("CREATE ROLE {role}; DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO {role}")).unwrap();
    owner.batch(&include_str!("exploits.sql").replace("{role}", &role)).unwrap();
    let tried = |sql: &str, ask: &str| as_user(&owner, &role, 1, sql, ask);
    let denied = || Err("42501".to_owned());

    let reports = "SELECT count(*) FROM public.reports";
    assert_eq!(tried("SELECT 1", reports), Ok(1));
    assert_eq!(
        tried("UPDATE public.accounts SET role = 'moderator' WHERE user_id = auth.uid()", reports),
        Ok(3)
    );
    assert_eq!(
        tried("UPDATE public.profiles SET role = 'moderator' WHERE user_id = auth.uid()", reports),
        denied()
    );

    let price = |table: &str| {
        tried(
            &format!("UPDATE public.{table} SET price = 1 WHERE id = 1"),
            &format!("SELECT price::int8 FROM public.{table}"),
        )
    };
    assert_eq!((price("offers"), price("bids")), (Ok(1), denied()));

    assert_eq!(tried("SELECT 1", "SELECT count(*) FROM public.requests"), Ok(2));
    assert_eq!(tried("SELECT 1", "SELECT count(*) FROM public.tenders"), Ok(1));

    let till = |table: &str, insert: &str| {
        tried(insert, &format!("SELECT coalesce(sum(till), 0)::int8 FROM public.{table}"))
    };
    assert_eq!(till("shops", "INSERT INTO public.shop_staff VALUES (1, auth.uid())"), Ok(500));
    assert_eq!(till("clubs", "INSERT INTO public.club_staff VALUES (1, auth.uid())"), denied());

    let found = audited(&shop.flags(), &[]);
    let mut loud: Vec<String> = found
        .iter()
        .filter(|own| own["level"] != "info")
        .map(|own| own["id"].as_str().unwrap().to_owned())
        .collect();
    loud.sort();
    assert_eq!(
        loud,
        [
            "rls-privileged-column:public.accounts",
            "rls-privileged-column:public.offers",
            "rls-self-enrolment:public.shop_staff.enrol",
            "rls-shadowed-name:public.is_invited",
        ]
    );
}
