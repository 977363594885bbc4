//! The statements that are proposed in the place of loops, held against the schemas they came from.

use std::collections::BTreeMap;
use std::path::Path;

use pgassay::pg::connect::connection::{Connection, InWorkload};

use crate::support::{json, run, server};

#[test]
fn a_server_takes_what_is_proposed_in_the_place_of_a_loop() {
    let Some(server) = server() else { return };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/orm");
    let labels = std::fs::read_to_string(data.join("labels.json")).unwrap();
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    let admin = Connection::open(&server.settings("postgres")).unwrap();
    let mut databases: BTreeMap<String, Connection> = BTreeMap::new();
    let (mut taken, mut refused) = (0, Vec::new());
    for case in labels["cases"].as_array().unwrap() {
        let (Some(schema), Some(file)) = (case["schema"].as_str(), case["files"]["csv"].as_str())
        else {
            continue;
        };
        let file = data.join(format!("{file}.gz"));
        if !file.exists() || !["n+1", "write-loop"].iter().any(|label| case["label"] == *label) {
            continue;
        }
        let connection = databases.entry(schema.to_owned()).or_insert_with(|| {
            let name = format!("batched_{schema}");
            admin.batch(&format!("CREATE DATABASE {name}")).unwrap();
            let connection = Connection::open(&server.settings(&name)).unwrap();
            let sql = std::fs::read_to_string(data.join(format!("schemas/{schema}.sql"))).unwrap();
            connection.batch(&sql).unwrap();
            connection
        });
        let output = run(&["analyze", "--quiet", "--format", "json", file.to_str().unwrap()], &[]);
        for finding in json(&output)["findings"].as_array().unwrap() {
            if finding["rule"] != "n-plus-one" && finding["rule"] != "write-loop" {
                continue;
            }
            let advice = finding["advice"].as_str().unwrap_or("(none)");
            match InWorkload::of_application(connection).prepare(advice) {
                Ok(_) => taken += 1,
                Err(error) => refused.push(format!("{}: {error}: {advice}", case["id"])),
            }
        }
    }
    refused.iter().for_each(|line| eprintln!("{line}"));
    // A parameter that was a constant has no type of its own: count($1), jsonb_build_object($1, …).
    assert!(taken >= 100 && refused.len() * 50 <= taken, "{taken} taken, {refused:#?}");
}
