//! Who may write: only this module makes a [`Writable`], and only after the target has proved to be staging.

use std::thread::sleep;
use std::time::Duration;

use tokio_postgres::Row;

use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};

/// Proof that the target may be written to. Carries nothing; cannot be made elsewhere.
#[derive(Debug)]
pub struct Writable(());

/// Values of `pgassay.environment` that consent to writing.
const ENVIRONMENTS: &[&str] =
    &["staging", "test", "testing", "development", "dev", "ci", "throwaway"];
/// Values that forbid it, whatever is confirmed.
const PRODUCTION: &[&str] = &["production", "prod", "live"];
/// Other active sessions from which on the target counts as in use.
const BUSY_SESSIONS: i64 = 3;
/// Commits a second from which on the target counts as in use; ours are fewer.
const BUSY_COMMITS: i64 = 50;
/// How long commits are counted.
const COUNTING: Duration = Duration::from_millis(1_100);

/// The database has a marker that consents to writing.
///
/// # Errors
/// The server's error.
pub fn is_marked(connection: &Connection) -> Result<bool, PgError> {
    let sql = "SELECT coalesce(current_setting('pgassay.environment', true), '')";
    let environment: String = connection.row(sql, &[])?.get(0);
    Ok(consents(&environment))
}

fn consents(environment: &str) -> bool {
    ENVIRONMENTS.contains(&environment.to_lowercase().as_str())
}

/// What the user and the sources say about the target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claim<'c> {
    /// The name that the user typed (`--confirm`, or at the prompt).
    pub confirmed: Option<&'c str>,
    /// The identifier of the server that the workload was captured on.
    pub captured_on: Option<&'c str>,
}

/// Lets the target be written to, or says why not.
///
/// # Errors
/// Without a positive marker, and whenever the target looks like production.
pub fn consent(connection: &Connection, claim: Claim<'_>) -> Result<Writable, PgError> {
    let sql = include_str!("queries/production.sql");
    let first = connection.row(sql, &[])?;
    let database: String = first.get("database");
    let what = format!("will not write to {database}");
    let refuse = |cause: String| PgError::new(PgErrorKind::Consent, what.clone(), cause);
    let is_confirmed = claim.confirmed == Some(database.as_str());
    let environment: String = first.get("environment");
    if PRODUCTION.contains(&environment.to_lowercase().as_str()) {
        return Err(refuse(format!("its marker says {environment}"))
            .with_help("use a copy of the database; the marker is pgassay.environment"));
    }
    if !consents(&environment) && !is_confirmed {
        let cause = match claim.confirmed {
            Some(_) => "the confirmed name is not the name of this database".to_owned(),
            None => "nothing says that it is staging".to_owned(),
        };
        return Err(refuse(cause).with_help(format!(
            "ALTER DATABASE {} SET pgassay.environment = 'staging';  or --confirm {database}",
            crate::sql::lex::identifier::quote(&database)
        )));
    }
    let looks = "it looks like production:";
    let is_source = claim.captured_on.is_some()
        && system_identifier(connection).as_deref() == claim.captured_on;
    if let Some(sign) = standing_sign(&first, is_source) {
        return Err(refuse(format!("{looks} {sign}")));
    }
    if first.get::<_, i64>("other_sessions") == 0 {
        // Nobody else is connected, so nobody is served.
        return Ok(Writable(()));
    }
    // Sessions report their commits with up to a second's delay, ours included: count from after it.
    sleep(COUNTING);
    let second = connection.row(sql, &[])?;
    sleep(COUNTING);
    let third = connection.row(sql, &[])?;
    let elsewhere = "stop the application, or use a copy of the database";
    let busy = |row: &Row| row.get::<_, i64>("busy_sessions");
    let busy = busy(&second).min(busy(&third));
    if busy >= BUSY_SESSIONS {
        return Err(
            refuse(format!("{looks} {busy} other sessions are at work")).with_help(elsewhere)
        );
    }
    let commits = |row: &Row| row.get::<_, Option<i64>>("commits").unwrap_or(0);
    let commits = commits(&third) - commits(&second);
    if commits >= BUSY_COMMITS {
        return Err(refuse(format!("{looks} {commits} commits a second")).with_help(elsewhere));
    }
    let hidden: i64 = third.get("hidden_sessions");
    if hidden > 0 && !is_confirmed {
        let cause = format!("this role cannot see what {hidden} other sessions do");
        return Err(refuse(cause).with_help(format!(
            "GRANT pg_read_all_stats TO your role;  or --confirm {database} if nobody is served there"
        )));
    }
    Ok(Writable(()))
}

/// A sign of production that does not depend on the moment.
fn standing_sign(row: &Row, is_source: bool) -> Option<&'static str> {
    let signs = [
        (row.get("in_recovery"), "it is a standby in recovery"),
        (
            row.get::<_, i64>("standbys") > 0 || row.get("synchronous"),
            "it has standbys, or slots for them",
        ),
        (row.get("archiving"), "it archives its log (archive_mode is on)"),
        (is_source, "the capture was taken on this very server"),
    ];
    signs.into_iter().find(|(is_there, _)| *is_there).map(|(_, sign)| sign)
}

/// Lets production be written to, because the user typed the database's name in full.
///
/// # Errors
/// When the name is another, or the server is a standby, which nobody can write to.
pub fn consent_to_production(connection: &Connection, typed: &str) -> Result<Writable, PgError> {
    let row = connection.row("SELECT current_database()::text, pg_is_in_recovery()", &[])?;
    let database: String = row.get(0);
    let refuse = |cause: &str| {
        Err(PgError::new(PgErrorKind::Consent, format!("will not write to {database}"), cause))
    };
    match (typed == database, row.get::<_, bool>(1)) {
        (false, _) => refuse("the name given with --production is not the name of this database"),
        (_, true) => refuse("it is a standby: its primary takes the changes"),
        _ => Ok(Writable(())),
    }
}

/// The identifier of the server's cluster; `None` where this role may not ask for it.
pub fn system_identifier(connection: &Connection) -> Option<String> {
    let row = connection.row("SELECT system_identifier::text FROM pg_control_system()", &[]);
    row.ok().map(|row| row.get(0))
}
