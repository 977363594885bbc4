//! Statements that would do more than read, each with a twin that only reads.

use std::path::Path;

use pgassay::pg::connect::connection::Connection;
use serde_json::Value;

use crate::support::{Shop, code, run, server, stderr, write_log};

/// What springs, and what does not.
const PAIRS: &[(&str, &str)] = &[
    (
        "SELECT id FROM goods WHERE seller = $1 AND trap(id)",
        "SELECT id FROM goods WHERE seller = $1 AND safe(id)",
    ),
    (
        "SELECT id FROM goods WHERE seller = $1 --\r AND trap(id) AND name <> 'a'",
        "SELECT id FROM goods WHERE seller = $1 --\r AND safe(id) AND name <> 'b'",
    ),
    (
        "SELECT id, \"MixedTrap\"(id) FROM goods WHERE seller = $1",
        "SELECT id, \"MixedSafe\"(id) FROM goods WHERE seller = $1",
    ),
    (
        "SELECT id, U&\"\\0074rap\"(id) FROM goods WHERE seller = $1",
        "SELECT id, U&\"\\0073afe\"(id) FROM goods WHERE seller = $1",
    ),
    (
        "SELECT g.trapped FROM goods g WHERE seller = $1",
        "SELECT g.saved FROM goods g WHERE seller = $1",
    ),
    (
        "SELECT (g).trapped, 1 FROM goods g WHERE seller = $1",
        "SELECT (g).saved, 1 FROM goods g WHERE seller = $1",
    ),
    (
        "SELECT lies(1), id FROM goods WHERE seller = $1",
        "SELECT safe(1), id FROM goods WHERE seller = $1",
    ),
    (
        "SELECT by_default(id) FROM goods WHERE seller = $1",
        "SELECT by_constant(id) FROM goods WHERE seller = $1",
    ),
    ("SELECT id FROM goods WHERE seller === $1", "SELECT id FROM goods WHERE seller <<< $1"),
    (
        "SELECT id FROM goods WHERE seller OPERATOR(public.===) $1 LIMIT 5",
        "SELECT id FROM goods WHERE seller OPERATOR(public.<<<) $1 LIMIT 5",
    ),
    (
        "SELECT id::checked FROM goods WHERE seller = $1",
        "SELECT id::positive FROM goods WHERE seller = $1",
    ),
    (
        "SELECT id::code FROM goods WHERE seller = $1",
        "SELECT id::text FROM goods WHERE seller = $1",
    ),
    (
        "SELECT loud(id) FROM goods WHERE seller = $1",
        "SELECT quiet(id) FROM goods WHERE seller = $1",
    ),
    ("SELECT dead FROM killing WHERE id = $1", "SELECT alive FROM counting WHERE id = $1"),
    ("SELECT id FROM owned WHERE seller = $1", "SELECT id FROM kept WHERE seller = $1"),
    (
        "SELECT id FROM goods, outside WHERE seller = $1",
        "SELECT goods.id FROM goods, kept WHERE goods.seller = $1 AND goods.id = kept.id",
    ),
];

/// The database with its traps; nothing has sprung yet.
fn trapped(effect: &Path) -> Option<(Shop, Connection)> {
    let shop = Shop::new(server()?, true);
    let owner = shop.connect();
    // The server runs as another user.
    std::fs::write(effect, "").unwrap();
    std::fs::set_permissions(effect, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let sql = include_str!("guard.sql").replace("{effect}", effect.to_str().unwrap());
    owner.batch(&sql).unwrap();
    let victim = shop.connect();
    victim.batch("SET application_name = 'victim'").unwrap();
    Some((shop, victim))
}

fn log(directory: &Path) -> String {
    let file = directory.join("traps.log");
    let entries: Vec<(&str, &[&str], f64)> = PAIRS
        .iter()
        .flat_map(|(trap, twin)| [*trap, *twin])
        .flat_map(|sql| [(sql, &["7"][..], 20.0), (sql, &["8"][..], 20.0)])
        .collect();
    write_log(&file, &entries);
    file.to_str().unwrap().to_owned()
}

fn assert_silent(effect: &Path, victim: &Connection, after: &str) {
    assert_eq!(std::fs::read_to_string(effect).unwrap(), "", "{after}");
    assert!(victim.batch("SELECT 1").is_ok(), "{after}: the victim is gone");
}

#[test]
fn a_trap_springs_where_it_is_called() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let effect = directory.path().join("effect");
    let Some((shop, _)) = trapped(&effect) else { return };
    shop.connect().batch("SELECT lies(1)").unwrap();
    assert_eq!(std::fs::read_to_string(&effect).unwrap(), "lie\n");
}

#[test]
fn nothing_that_does_more_than_read_is_sent_and_what_reads_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let effect = directory.path().join("effect");
    let Some((shop, victim)) = trapped(&effect) else { return };
    let log = log(directory.path());
    let analyzed = run(&["analyze", "--quiet", &log], &shop.flags());
    assert_eq!(code(&analyzed), 0, "{}", stderr(&analyzed));
    assert_silent(&effect, &victim, "analyze");
    let baseline = directory.path().join("baseline.json");
    let saved = run(
        &["check", "--quiet", "--save-baseline", baseline.to_str().unwrap(), &log],
        &shop.flags(),
    );
    assert_eq!(code(&saved), 0, "{}", stderr(&saved));
    assert_silent(&effect, &victim, "check");
    let text = std::fs::read_to_string(&baseline).unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    let normalized = |sql: &str| pgassay::sql::normalize::normalizer::normalize(sql).text;
    for (trap, twin) in PAIRS {
        let of = |sql: &str| {
            let queries = found["queries"].as_array().unwrap();
            let query = queries.iter().find(|query| query["normalized"] == normalized(sql));
            query.unwrap_or_else(|| panic!("{sql:?} is not in the baseline")).clone()
        };
        assert!(of(trap)["why_not"].is_string(), "{trap:?} was measured");
        assert!(of(twin)["why_not"].is_null(), "{twin:?}: {}", of(twin)["why_not"]);
    }
    // A file may hold any text under the old form.
    let mut changed = found.clone();
    for query in changed["queries"].as_array_mut().unwrap() {
        query["samples"] =
            serde_json::json!([{"text": "SELECT trap(1) FROM goods", "parameters": []}]);
    }
    std::fs::write(&baseline, changed.to_string()).unwrap();
    let checked =
        run(&["check", "--quiet", "--baseline", baseline.to_str().unwrap()], &shop.flags());
    assert_ne!(code(&checked), 0, "{}", stderr(&checked));
    assert_silent(&effect, &victim, "check of a changed baseline");
    let tried = run(&["trial", "--quiet", "--time-budget", "1", &log], &shop.flags());
    assert_eq!(code(&tried), 0, "{}", stderr(&tried));
    assert_silent(&effect, &victim, "trial");
}

/// A role without privileges shadows what the tool might ask for, in a path of its own.
#[test]
fn a_function_in_the_way_of_our_own_statements_is_not_called() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let effect = directory.path().join("effect");
    let Some((shop, victim)) = trapped(&effect) else { return };
    let owner = shop.connect();
    owner.batch("DROP OPERATOR ===(int, int); CREATE SCHEMA mine").unwrap();
    // Each function and operator of the system, with the same arguments, where a body can be written for them.
    owner
        .batch(
            "DO $$ DECLARE f record; BEGIN \
               FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, \
                               format_type(p.prorettype, NULL) AS result, p.proretset \
                          FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' \
                           AND p.provariadic = 0 \
               LOOP BEGIN \
                 EXECUTE format('CREATE FUNCTION mine.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', f.proname, f.arguments, \
                                CASE WHEN f.proretset THEN 'SETOF' ELSE '' END, f.result, \
                                'BEGIN PERFORM public.spring(' || quote_literal(f.proname) || '); RETURN NULL; END'); \
               EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; \
               FOR f IN SELECT o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r, o.oprresult::regtype AS result \
                          FROM pg_operator o WHERE o.oprleft <> 0 AND o.oprnamespace = 'pg_catalog'::regnamespace \
               LOOP BEGIN \
                 EXECUTE format('CREATE FUNCTION mine.op(a %s, b %s) RETURNS %s LANGUAGE plpgsql AS %L', f.l, f.r, f.result, \
                                'BEGIN PERFORM public.spring(''operator''); RETURN NULL; END'); \
               EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN \
                 EXECUTE format('CREATE OPERATOR mine.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = mine.op)', f.oprname, f.l, f.r); \
               EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; \
             END $$",
        )
        .unwrap();
    let made =
        owner.row("SELECT count(*) FROM pg_proc WHERE pronamespace = 'mine'::regnamespace", &[]);
    assert!(made.unwrap().get::<_, i64>(0) > 1_000);
    let sql = format!("ALTER DATABASE {} SET search_path = mine, pg_catalog, public", shop.name);
    owner.batch(&sql).unwrap();
    let file = directory.path().join("plain.log");
    let plain = "SELECT id FROM goods WHERE seller IN ($1) ORDER BY name LIMIT 5";
    write_log(&file, &[(plain, &["7"], 20.0), (plain, &["8"], 20.0)]);
    let file = file.to_str().unwrap();
    let baseline = directory.path().join("baseline.json");
    let baseline = baseline.to_str().unwrap();
    for command in [
        &["doctor"][..],
        &["analyze", "--quiet", file],
        &["analyze", "--quiet", "--build", file],
        &["trial", "--quiet", "--writes", "--time-budget", "1", file],
        &["check", "--quiet", "--save-baseline", baseline, file],
        &["check", "--quiet", "--baseline", baseline],
    ] {
        let output = run(command, &shop.flags());
        assert_silent(&effect, &victim, &format!("{command:?}: {}", stderr(&output)));
        assert!([0, 3, 4].contains(&code(&output)), "{command:?}: {}", stderr(&output));
    }
}
