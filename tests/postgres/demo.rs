//! The demo, whole: what it promises on the README's first screen.

use crate::support::{code, pgassay, programs, quiet, stderr};

#[test]
fn the_demo_proves_indexes_names_both_loops_and_the_open_tables() {
    let Some(programs) = programs() else { return };
    let _alone = quiet();
    let directory = tempfile::tempdir().unwrap();
    let output = pgassay()
        .args(["demo", "--quiet", "--time-budget", "2", "--dir"])
        .arg(directory.path())
        .arg("--postgres-bin")
        .arg(programs)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    for name in [
        "handover.md",
        "handover.html",
        "before_after.csv",
        "run.json",
        "schema.sql",
        "pg_stat_statements.csv",
        "shop.stderr.log",
        "shop.csv",
    ] {
        assert!(
            std::fs::metadata(directory.path().join(name)).is_ok_and(|m| m.len() > 0),
            "{name}"
        );
    }
    let run: serde_json::Value =
        serde_json::from_slice(&std::fs::read(directory.path().join("run.json")).unwrap()).unwrap();
    let recommendations = run["recommendations"].as_array().unwrap();
    let accepted = recommendations.iter().filter(|r| r["state"] == "accepted").collect::<Vec<_>>();
    assert!(accepted.len() >= 3, "{} accepted", accepted.len());
    for recommendation in accepted {
        let measured = &recommendation["measured"];
        assert!(
            measured["p95_after_us"].as_f64() < measured["p95_before_us"].as_f64(),
            "{measured}"
        );
        assert!(measured["interval_pct"][1].as_f64().unwrap() < 0.0, "{measured}");
    }
    let findings = run["findings"].as_array().unwrap();
    let loops: Vec<&str> = findings
        .iter()
        .filter(|f| f["rule"] == "n-plus-one")
        .map(|f| f["subject"]["table"].as_str().unwrap())
        .collect();
    assert!(loops.contains(&"public.users") && loops.contains(&"public.order_items"), "{loops:?}");
    assert!(
        findings
            .iter()
            .filter(|f| f["rule"] == "n-plus-one")
            .all(|f| f["subject"]["parent_query"].is_string())
    );
    let open: Vec<&str> = findings
        .iter()
        .filter(|f| f["rule"] == "rls-disabled")
        .map(|f| f["subject"]["table"].as_str().unwrap())
        .collect();
    for table in ["favorites", "listings", "messages", "order_items", "orders", "reviews", "users"]
    {
        assert!(open.contains(&format!("public.{table}").as_str()), "{table} in {open:?}");
    }
    assert!(!open.contains(&"public.categories"));
}
