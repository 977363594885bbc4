//! The log that a server wrote of two databases, read for one of them.

use std::process::Command;

use crate::support::{Shop, code, json, programs, run, server, stderr};

/// Runs statements as an application does, logged with their times.
fn execute(shop: &Shop, statements: &[&str]) {
    let settings = shop.settings();
    let mut psql = Command::new(programs().unwrap().join("psql"));
    psql.args(["-X", "-q", "-h", &settings.host, "-p", &settings.port.to_string()])
        .args(["-U", &settings.user, "-d", &settings.database])
        .args(["-v", "ON_ERROR_STOP=1", "-c", "SET log_min_duration_statement = 0"]);
    for statement in statements {
        psql.args(["-c", statement]);
    }
    assert!(psql.stdout(std::process::Stdio::null()).status().unwrap().success());
}

#[test]
fn a_log_of_two_databases_gives_advice_for_the_one_that_is_connected_to() {
    let Some(server) = server() else { return };
    let (ours, theirs) = (Shop::new(server, false), Shop::new(server, false));
    execute(&ours, &["SELECT id FROM listings WHERE seller_id = 3"; 3]);
    execute(&theirs, &["SELECT id FROM listings WHERE title = 'listing 7'"; 3]);
    for extension in ["log", "csv", "json"] {
        let log = server.log_file(extension);
        if !log.exists() {
            continue;
        }
        let log = log.to_str().unwrap();
        let output = run(&["analyze", "--format", "json", log], &ours.flags());
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let found = json(&output);
        let texts = found["queries"].to_string();
        assert!(texts.contains("seller_id = $1") && !texts.contains("title ="), "{texts}");
        assert!(!found["recommendations"].to_string().contains("title"));
        let skipped = found["coverage"]["skipped"].to_string();
        assert!(skipped.contains("statement of another database"), "{skipped}");
        let warnings = found["warnings"].to_string();
        assert!(warnings.contains("is left out") && warnings.contains(&theirs.name), "{warnings}");
        // Asked for by name, wherever the connection is to.
        let asked = ["analyze", "--format", "json", "--log-database", &theirs.name, log];
        let found = json(&run(&asked, &ours.flags()));
        let texts = found["queries"].to_string();
        assert!(texts.contains("title = $1") && !texts.contains("seller_id"), "{texts}");
    }
    // What is proposed next reads the same.
    let log = server.log_file("log");
    let asked = ["analyze", "--log-database", &theirs.name, log.to_str().unwrap()];
    let output = run(&asked, &ours.flags());
    let said = String::from_utf8_lossy(&output.stdout);
    let next = said.lines().find(|line| line.starts_with("next: ")).unwrap();
    assert!(next.contains(&format!("{} --log-database {} ", log.display(), theirs.name)), "{next}");
    let asked = ["analyze", "--log-database", "nobody", log.to_str().unwrap()];
    let output = run(&asked, &ours.flags());
    assert_eq!(code(&output), 3);
    let said = stderr(&output);
    assert!(said.contains("no statement of the database nobody"), "{said}");
    assert!(said.contains("cause: the databases that were read:"), "{said}");
}
