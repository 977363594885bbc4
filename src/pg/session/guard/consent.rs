//! Who may write: only this module makes a [`Writable`], and only after the target has proved to be staging.

use std::thread::sleep;
use std::time::Duration;

use crate::pg::connect::connection::Connection;
use crate::pg::connect::error::{PgError, PgErrorKind};

/// Proof that the target may be written to. Carries nothing; cannot be made elsewhere.
#[derive(Debug)]
pub struct Writable(());

/// Values of `pgassay.environment` that consent to writing.
const ENVIRONMENTS: &[&str] =
    &["staging", "test", "testing", "development", "dev", "ci", "throwaway"];
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

/// Lets the target be written to, or says why not.
///
/// `confirmed` is the name that the user typed (`--confirm`, or at the prompt).
///
/// # Errors
/// Without a positive marker, and whenever the target looks like production.
pub fn consent(connection: &Connection, confirmed: Option<&str>) -> Result<Writable, PgError> {
    let sql = include_str!("queries/production.sql");
    let first = connection.row(sql, &[])?;
    let database: String = first.get(8);
    let what = format!("will not write to {database}");
    let refuse = |cause: String| PgError::new(PgErrorKind::Consent, what.clone(), cause);
    let environment: String = first.get(7);
    if !consents(&environment) && confirmed != Some(database.as_str()) {
        let cause = match confirmed {
            Some(_) => "the confirmed name is not the name of this database".to_owned(),
            None => "nothing says that it is staging".to_owned(),
        };
        return Err(refuse(cause).with_help(format!(
            "ALTER DATABASE {} SET pgassay.environment = 'staging';  or --confirm {database}",
            crate::sql::lex::identifier::quote(&database)
        )));
    }
    let looks = "it looks like production:";
    if first.get::<_, bool>(0) {
        return Err(refuse(format!("{looks} it is a standby in recovery")));
    }
    if first.get::<_, i64>(1) > 0 || first.get::<_, bool>(2) {
        return Err(refuse(format!("{looks} it has standbys")));
    }
    if first.get::<_, bool>(3) {
        return Err(refuse(format!("{looks} it archives its log (archive_mode is on)")));
    }
    if first.get::<_, i64>(5) == 0 {
        // Nobody else is connected, so nobody is served.
        return Ok(Writable(()));
    }
    // Sessions report their commits with up to a second's delay, ours included: count from after it.
    sleep(COUNTING);
    let second = connection.row(sql, &[])?;
    sleep(COUNTING);
    let third = connection.row(sql, &[])?;
    let busy = second.get::<_, i64>(4).min(third.get::<_, i64>(4));
    if busy >= BUSY_SESSIONS {
        return Err(refuse(format!("{looks} {busy} other sessions are at work"))
            .with_help("stop the application, or use a copy of the database"));
    }
    let commits =
        third.get::<_, Option<i64>>(6).unwrap_or(0) - second.get::<_, Option<i64>>(6).unwrap_or(0);
    if commits >= BUSY_COMMITS {
        return Err(refuse(format!("{looks} {commits} commits a second"))
            .with_help("stop the application, or use a copy of the database"));
    }
    Ok(Writable(()))
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
