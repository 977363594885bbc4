//! Who acts in logs that real applications left: each unit compared with what the traffic says of itself.
//! `tests/data/acting/make.py` made the logs.

use std::path::Path;

use pgassay::access::who_acts::{Acting, who_acts};
use pgassay::model::access::acting::{Arrival, IdentityKind};
use pgassay::model::workload::timeline::SlotHash;
use pgassay::model::workload::{Setting, Workload};
use pgassay::source::collect::collector::Collector;
use pgassay::source::collect::resolve_all::resolve_all;
use serde_json::Value;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/acting")
}

/// Units of a log with its schema, and what the traffic says of each.
fn learned(
    name: &str,
    found: &dyn Fn(&Setting) -> Option<usize>,
) -> (Acting, Vec<Value>, Workload) {
    let schema = std::fs::read_to_string(folder().join(format!("{name}.sql"))).unwrap();
    let (mut catalog, _) = pgassay::sql::dump::catalog::catalog(&schema);
    catalog.search_path = vec!["public".to_owned()];
    let mut collector = Collector::new();
    let log = std::fs::File::open(folder().join(format!("{name}.csv.gz"))).unwrap();
    pgassay::source::read(log, "log", &Default::default(), &mut collector).unwrap();
    let mut workload = collector.finish();
    resolve_all(&mut workload, Some(&catalog));
    let acting = who_acts(&workload, &catalog, &|setting, _, _| found(setting));
    let truth = std::fs::read_to_string(folder().join(format!("{name}.truth.jsonl"))).unwrap();
    let truth = truth.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (acting, truth, workload)
}

/// Units whose actor and kind are right, of how many.
fn right(acting: &Acting, truth: &[Value], kinds: bool) -> (usize, usize) {
    assert_eq!(acting.units.len(), truth.len(), "the units of the log are those of the traffic");
    let user = acting.who.identities.iter().position(|own| own.kind == IdentityKind::User);
    let is_right = |at: usize| {
        let value = user.and_then(|user| acting.values[at][user]);
        let expected = truth[at]["user"].as_str();
        let expected = expected.map(SlotHash::of_text);
        let kind = acting.acts_for[at].word() == truth[at]["acts_for"];
        value == expected && (kind || !kinds)
    };
    ((0..truth.len()).filter(|at| is_right(*at)).count(), truth.len())
}

#[test]
fn a_look_up_at_the_beginning_tells_who_acts_where_one_role_does_everything() {
    let (acting, truth, workload) = learned("bazaar", &|_| None);
    let [identity] = acting.who.identities.as_slice() else { panic!("{:?}", acting.who) };
    assert_eq!(identity.table.to_string(), "public.users");
    let Arrival::LookUp(fingerprint) = identity.arrives else { panic!("{identity:?}") };
    let carrier = workload.queries.iter().find(|query| query.fingerprint == fingerprint).unwrap();
    assert!(carrier.normalized.contains("users.id = $1"), "{}", carrier.normalized);
    assert_eq!(right(&acting, &truth, true), (420, 420));
    let roles: Vec<(&str, &str, bool)> = acting
        .who
        .roles
        .iter()
        .map(|role| (role.role.as_str(), role.acts_for.word(), role.is_new))
        .collect();
    assert_eq!(
        roles,
        [
            ("app_bazaar", "user", false),
            ("app_bazaar", "anonymous", false),
            ("app_bazaar_sign_in", "sign-in", true),
            ("app_bazaar_service", "service", true),
        ]
    );
    assert_eq!(acting.who.roles[3].applications, ["worker"]);
}

#[test]
fn settings_tell_the_user_and_the_tenant() {
    let (acting, truth, _) = learned("clinic", &|_| None);
    let arrives: Vec<(&str, String, String)> = acting
        .who
        .identities
        .iter()
        .map(|own| match &own.arrives {
            Arrival::Setting { name, .. } => (own.kind.word(), own.table.to_string(), name.clone()),
            Arrival::LookUp(_) => panic!("{own:?}"),
        })
        .collect();
    assert_eq!(
        arrives,
        [
            ("user", "public.staff".to_owned(), "app.staff_id".to_owned()),
            ("tenant", "public.tenants".to_owned(), "app.tenant".to_owned()),
        ]
    );
    assert_eq!(right(&acting, &truth, true), (261, 261));
}

#[test]
fn a_claim_is_known_by_the_keys_of_the_database_where_statements_name_nobody() {
    // The keys of the accounts are uuids; every other member of the claims is none.
    let found = |setting: &Setting| {
        let is_key = |text: &str| text.len() == 36 && text.matches('-').count() == 4;
        Some(setting.examples.iter().filter(|own| own.expose().is_some_and(is_key)).count())
    };
    let (acting, truth, _) = learned("board", &found);
    let [identity] = acting.who.identities.as_slice() else { panic!("{:?}", acting.who) };
    let expected =
        Arrival::Setting { name: "request.jwt.claims".to_owned(), member: Some("sub".to_owned()) };
    assert_eq!(
        (identity.table.to_string(), &identity.arrives),
        ("public.accounts".to_owned(), &expected)
    );
    assert_eq!(right(&acting, &truth, true), (240, 240));
    // Without them nobody is invented.
    let (acting, _, _) = learned("board", &|_| None);
    assert_eq!(acting.who.identities, []);
}
