//! What a metering company's database had: values left out of the log, names that only its role finds, triggers that set
//! columns, rows that carry their version, and constraints that serve what nobody thinks of.

use pgassay::pg::connect::connection::Connection;
use serde_json::Value;

use crate::advice::{advised, advised_on, bazaar, indexes};
use crate::support::write_log;

const GRID: &str = "CREATE EXTENSION btree_gist; CREATE SCHEMA grid; CREATE ROLE meter LOGIN; \
    ALTER ROLE meter IN DATABASE metering SET search_path = grid, public; \
    CREATE TABLE grid.parcels (id int PRIMARY KEY, code text NOT NULL, version int NOT NULL, state int NOT NULL, \
        changed timestamptz NOT NULL) WITH (fillfactor = 70); \
    INSERT INTO grid.parcels SELECT i, 'c' || i, 1, i % 9, now() - i * interval '1 s' FROM generate_series(1, 50000) i; \
    CREATE FUNCTION grid.touch() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN IF NEW.state = OLD.state THEN NEW.Changed := now(); END IF; RETURN NEW; END $$; \
    CREATE TRIGGER touched BEFORE UPDATE ON grid.parcels FOR EACH ROW EXECUTE FUNCTION grid.touch(); \
    CREATE TABLE grid.feeders (id int PRIMARY KEY, name text); \
    INSERT INTO grid.feeders SELECT i, 'f' || i FROM generate_series(1, 5000) i; \
    CREATE TABLE grid.outages (feeder_id int NOT NULL REFERENCES grid.feeders, during int4range NOT NULL, note text, \
        EXCLUDE USING gist (feeder_id WITH =, during WITH &&)); \
    INSERT INTO grid.outages SELECT 1 + i % 5000, int4range(i, i + 1), 'x' FROM generate_series(1, 20000) i; \
    CREATE INDEX outages_note ON grid.outages (note); \
    CREATE INDEX outages_note_2 ON grid.outages (note, during); \
    CREATE UNIQUE INDEX outages_note_3 ON grid.outages (note, during, feeder_id); \
    ANALYZE grid.parcels, grid.feeders, grid.outages";

/// The advice for statements of the company's role, whose log says who it is.
fn advised_to_meter(flags: &[String], entries: &[(&str, &[&str], f64)]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, entries);
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replace("app@shop", "meter@shop")).unwrap();
    advised_on(flags, &log, &[])
}

fn grid() -> Option<(Vec<String>, Connection)> {
    let (flags, owner) = bazaar("metering")?;
    owner.batch(GRID).unwrap();
    Some((flags, owner))
}

#[test]
fn what_a_company_with_its_own_role_asks_is_found_and_served() {
    let Some((flags, owner)) = grid() else { return };
    // The values were left out (log_parameter_max_length = 0), and only the role's own path has the table.
    let by_code = "SELECT id, state FROM parcels WHERE code = $1";
    let found = advised_to_meter(&flags, &vec![(by_code, &[][..], 20.0); 30]);
    assert_eq!(indexes(&found), ["grid.parcels (code)"], "{found:#}");
    let told = "names are looked up as for meter, whose search_path is grid, public";
    assert!(found["warnings"].to_string().contains(told), "{}", found["warnings"]);
    let of_others = advised(&flags, &vec![(by_code, &[][..], 20.0); 30], &[]);
    assert_eq!(indexes(&of_others), [""; 0]);
    // A row that was found by its key is found; its version finds nothing less.
    let mut entries: Vec<(&str, &[&str], f64)> = Vec::new();
    for _ in 0..40 {
        entries.push((
            "UPDATE parcels SET state = $3 WHERE id = $1 AND version = $2",
            &["7", "1", "4"],
            9.0,
        ));
        entries.push((
            "SELECT id, version, changed FROM parcels WHERE version = 1 AND id = $1",
            &["7"],
            9.0,
        ));
    }
    let found = advised_to_meter(&flags, &entries);
    assert!(indexes(&found).iter().all(|index| !index.contains("(id, version)")), "{found:#}");
    // What a trigger sets ends HOT updates as what the statement sets does.
    entries.push(("SELECT id FROM parcels ORDER BY changed DESC LIMIT 5", &[], 900.0));
    let found = advised_to_meter(&flags, &entries);
    let recommendations = found["recommendations"].as_array().unwrap();
    let by_change = recommendations.iter().find(|one| one["sql"].to_string().contains("(changed"));
    let cautions = by_change.unwrap()["cautions"].to_string();
    assert!(cautions.contains("40 updates of the workload set changed"), "{cautions}");
    // The constraint's own index finds the rows that refer to one that is deleted.
    let deletes: Vec<_> = vec![("DELETE FROM feeders WHERE id = $1", &["4999"][..], 5.0); 40];
    let found = advised_to_meter(&flags, &deletes);
    assert_eq!(indexes(&found), [""; 0], "{found:#}");
    // Of three, two go, and it is the third that stands in for both.
    let findings = found["findings"].as_array().unwrap();
    let of_duplicates = findings.iter().filter(|finding| finding["rule"] == "duplicate-index");
    let messages: Vec<&str> =
        of_duplicates.map(|finding| finding["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        [
            "index outages_note is the beginning of outages_note_3",
            "index outages_note_2 is the beginning of outages_note_3",
        ]
    );
    let drop = found["recommendations"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == "drop-outages_note");
    let cautions = drop.unwrap()["cautions"].to_string();
    assert!(
        cautions.contains("outages_note_3 is") && cautions.contains("times as large"),
        "{cautions}"
    );
    owner.batch("ALTER ROLE meter IN DATABASE metering RESET ALL").unwrap();
}
