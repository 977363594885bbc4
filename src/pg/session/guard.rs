//! The guard: who may write, and which statements may be replayed.
//!
//! Only this module makes a [`Writable`], and only after the target has proved to be staging. A
//! statement is replayed only when its text, its functions and the session all say that it reads.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::Duration;

use crate::model::name::TableName;
use crate::pg::connect::connection::Connection;
use crate::pg::connect::error::{PgError, PgErrorKind};
use crate::sql::lex::identifier::quote_table;
use crate::sql::rewrite::replayable::{
    functions_if_computing, functions_if_readable, functions_if_writing,
};

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

/// Remembers what the server said of functions, so that each is asked for once.
#[derive(Default)]
pub struct Guard {
    known: HashMap<String, Option<String>>,
}

impl Guard {
    pub fn new() -> Self {
        Guard::default()
    }

    /// The statement reads and does nothing else.
    ///
    /// # Errors
    /// The reason it is not replayed, in words.
    pub fn check(&mut self, connection: &Connection, normalized: &str) -> Result<(), String> {
        let functions = functions_if_readable(normalized).map_err(|refusal| refusal.to_string())?;
        self.check_functions(connection, &functions)?;
        self.check_views(connection, normalized)
    }

    /// The statement writes one table, and a rollback takes back all it does but the values it takes
    /// from sequences.
    ///
    /// # Errors
    /// The reason it is not replayed, in words.
    pub fn check_write(
        &mut self,
        connection: &Connection,
        normalized: &str,
        table: &TableName,
    ) -> Result<(), String> {
        let mut functions =
            functions_if_writing(normalized).map_err(|refusal| refusal.to_string())?;
        functions.retain(|name| name.rsplit('.').next() != Some("nextval"));
        self.check_functions(connection, &functions)?;
        self.check_views(connection, normalized)?;
        let effects = connection
            .query(include_str!("queries/write_effects.sql"), &[&quote_table(table)])
            .map_err(|error| error.to_string())?;
        for row in &effects {
            let reason: String = row.get(0);
            let body: Option<String> = row.get(1);
            let called = body.ok_or_else(|| reason.clone()).and_then(|body| {
                functions_if_computing(&body).map_err(|word| format!("{reason}, which may {word}"))
            })?;
            self.check_functions(connection, &called)
                .map_err(|why| format!("{reason}, which {why}"))?;
        }
        Ok(())
    }

    fn check_functions(
        &mut self,
        connection: &Connection,
        functions: &[String],
    ) -> Result<(), String> {
        let names: Vec<String> = functions
            .iter()
            .map(|name| name.rsplit('.').next().unwrap_or(name).to_owned())
            .collect();
        let unknown: Vec<&String> = names.iter().filter(|n| !self.known.contains_key(*n)).collect();
        if !unknown.is_empty() {
            let list: Vec<&str> = unknown.iter().map(|name| name.as_str()).collect();
            let volatile = connection
                .query(include_str!("queries/volatile_functions.sql"), &[&list])
                .map_err(|error| error.to_string())?;
            let volatile: Vec<String> = volatile.iter().map(|row| row.get(0)).collect();
            for name in &names {
                let verdict =
                    volatile.contains(name).then(|| format!("calls the volatile function {name}"));
                self.known.entry(name.clone()).or_insert(verdict);
            }
        }
        match names.iter().find_map(|name| self.known.get(name).cloned().flatten()) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    fn check_views(&self, connection: &Connection, normalized: &str) -> Result<(), String> {
        let shape = crate::sql::resolve::resolver::shape(normalized, None)
            .map_err(|error| error.to_string())?;
        let relations: Vec<&str> = shape.tables().iter().map(|name| name.name.as_str()).collect();
        let rows = connection
            .query(include_str!("queries/volatile_views.sql"), &[&relations])
            .map_err(|error| error.to_string())?;
        match rows.first() {
            Some(row) => Err(format!(
                "reads a view that calls the volatile function {}",
                row.get::<_, &str>(0)
            )),
            None => Ok(()),
        }
    }
}
