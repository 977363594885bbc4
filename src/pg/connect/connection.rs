//! One connection, owned by one thread.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, SimpleQueryMessage, SimpleQueryRow};

use super::caller::{Caller, OWN_SEARCH_PATH};
use super::cancel::{self, Registered};
use super::parameter::Parameter;
use crate::pg::config::settings::Settings;
use crate::pg::config::ssl::SslMode;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::wire::login::{Driver, Route};
use crate::pg::wire::stream::Told;

/// How long a server may take to hear that a connection ends. One that is still at work for it may not.
const DISCONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// An open connection with the runtime that drives it.
pub struct Connection {
    /// `None` only while the connection is being dropped.
    client: Option<Client>,
    /// Ends when the client is dropped and the server was told so.
    driver: Option<JoinHandle<()>>,
    _registered: Registered,
    runtime: Runtime,
    /// Name of the database, for messages.
    pub database: String,
    /// The connected role.
    pub user: String,
    /// As `server_version_num`, such as 150018.
    pub version: u32,
    /// The connected role is a superuser.
    pub is_superuser: bool,
    /// The search path that the session began with, as the server writes it.
    pub first_search_path: String,
    /// Process of the server that answered first.
    pub process_id: i32,
    /// The process that was told for cancelling: behind a pooler it is another.
    told: Told,
    /// Where names are looked up in the open transaction.
    local: RefCell<Local>,
    /// How long an answer may take; without a limit the server's own timeouts have to do.
    answer_limit: Cell<Option<Duration>>,
    /// An answer was given up, so that nothing more can be asked.
    is_lost: Cell<bool>,
}

/// The settings of the open transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Local {
    /// Those of the session.
    Own,
    Workload(Caller),
    /// It went back to a savepoint.
    Unknown,
}

/// Back to the search path and the role of the session.
const LEAVE: &str = "SET LOCAL search_path = pg_catalog, pg_temp; RESET ROLE";

/// A transaction with the settings of the workload. Only here are its statements executed.
pub struct InWorkload<'c>(&'c Connection);

impl<'c> InWorkload<'c> {
    /// The connection of an application that runs its own statements, and not somebody else's.
    pub fn of_application(connection: &'c Connection) -> Self {
        InWorkload(connection)
    }

    pub fn connection(&self) -> &'c Connection {
        self.0
    }
}

/// What an answer may take beyond `statement_timeout`: the server is expected to end the statement itself.
const GRACE: Duration = Duration::from_secs(15);

impl Connection {
    /// Connects. Nothing is set yet: see [`Connection::read_only`].
    ///
    /// # Errors
    /// With the target in the message, never the password.
    pub fn open(settings: &Settings) -> Result<Connection, PgError> {
        let modes: &[SslMode] = match settings.ssl_mode {
            // libpq tries without first, and with TLS when that is refused.
            SslMode::Allow => &[SslMode::Disable, SslMode::Require],
            SslMode::Disable => &[SslMode::Disable],
            SslMode::Prefer => &[SslMode::Prefer],
            SslMode::Require => &[SslMode::Require],
            SslMode::VerifyCa => &[SslMode::VerifyCa],
            SslMode::VerifyFull => &[SslMode::VerifyFull],
        };
        let mut outcome = Err(PgError::settings("cannot connect", "no way to connect"));
        for mode in modes {
            outcome = open(settings, *mode);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// The server's version, such as `15.18`.
    pub fn version_text(&self) -> String {
        format!("{}.{}", self.version / 10_000, self.version % 10_000)
    }

    /// Makes every transaction of the session read-only and gives it limits.
    ///
    /// # Errors
    /// When the server refuses a setting.
    pub fn read_only(
        &self,
        statement_timeout_ms: u64,
        lock_timeout_ms: u64,
    ) -> Result<(), PgError> {
        self.look_up_own_names()?;
        if self.is_superuser {
            // What we execute is no part of the workload. Nobody else may say so; theirs is counted.
            self.batch(
                "SET pg_stat_statements.track = 'none'; SET auto_explain.log_min_duration = -1; \
                 SET log_min_duration_statement = -1; SET log_statement = 'none'; SET log_duration = off",
            )?;
        }
        if self.version >= 140_000 {
            // If this process is killed, the server notices while it is still at work for it. A server that
            // cannot do so says no, and nothing else comes of it.
            let _ = self.batch("SET client_connection_check_interval = '1s'");
        }
        self.batch(&format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {statement_timeout_ms}; \
             SET lock_timeout = {lock_timeout_ms}; SET idle_in_transaction_session_timeout = '10min'"
        ))?;
        let limit = Duration::from_millis(statement_timeout_ms.max(lock_timeout_ms)) + GRACE;
        self.answer_limit.set((statement_timeout_ms > 0).then_some(limit));
        Ok(())
    }

    /// Looks names up in the system's schema alone from here on.
    ///
    /// # Errors
    /// The server's error.
    pub fn look_up_own_names(&self) -> Result<(), PgError> {
        self.batch(&format!(
            "SET search_path = {OWN_SEARCH_PATH}; SET standard_conforming_strings = on"
        ))
    }

    /// Does something that takes as long as it takes, such as building an index.
    pub fn without_limit<T>(&self, work: impl FnOnce() -> T) -> T {
        let limit = self.answer_limit.take();
        let done = work();
        self.answer_limit.set(limit);
        done
    }

    /// Runs statements of our own that take no parameters and give no rows.
    ///
    /// # Errors
    /// The server's error.
    pub fn batch(&self, sql: &str) -> Result<(), PgError> {
        self.own()?;
        self.control(sql)
    }

    /// Runs savepoints and settings of the open transaction: statements that mean the same in whatever role.
    ///
    /// # Errors
    /// The server's error.
    pub fn control(&self, sql: &str) -> Result<(), PgError> {
        if sql.contains("ROLLBACK TO") && *self.local.borrow() != Local::Own {
            self.local.replace(Local::Unknown);
        }
        self.exchange(|| self.doing(sql), self.client().batch_execute(sql))
    }

    /// Runs a statement of our own even when the user has asked to stop: it is the cleaning up.
    ///
    /// # Errors
    /// The server's error.
    pub fn clean_up(&self, sql: &str) -> Result<(), PgError> {
        self.regardless(|| self.doing(sql), self.client().batch_execute(sql))
    }

    /// Does something in a transaction that is rolled back, whatever comes of it. A statement that only reads may
    /// call what tells others (`NOTIFY`), which they hear when it is committed.
    ///
    /// # Errors
    /// That of the work, or the server's.
    pub fn rolled_back<T>(&self, work: impl FnOnce() -> Result<T, PgError>) -> Result<T, PgError> {
        self.batch("BEGIN")?;
        let done = work();
        let ended = self.clean_up("ROLLBACK");
        done.and_then(|done| ended.map(|()| done))
    }

    /// Rows of one statement of our own, even when the user has asked to stop.
    ///
    /// # Errors
    /// The server's error.
    pub fn query_cleaning_up(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
    ) -> Result<Vec<Row>, PgError> {
        self.own()?;
        self.regardless(|| self.doing(sql), self.client().query_typed(sql, &typed(parameters)))
    }

    /// Rows of one statement of our own.
    ///
    /// # Errors
    /// The server's error.
    pub fn query(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, PgError> {
        self.own()?;
        self.exchange(|| self.doing(sql), self.client().query_typed(sql, &typed(parameters)))
    }

    /// The one row of one statement of our own.
    ///
    /// # Errors
    /// The server's error, or that there is not exactly one row.
    pub fn row(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Row, PgError> {
        self.own()?;
        self.exchange(|| self.doing(sql), self.client().query_typed_one(sql, &typed(parameters)))
    }

    /// The first row of a statement as text, over the simple protocol: nothing is prepared. Its names have to be
    /// qualified, for it is asked before the search path is set.
    ///
    /// # Errors
    /// The server's error.
    pub(super) fn first_row(&self, sql: &str) -> Result<Vec<Option<String>>, PgError> {
        let messages = self.exchange(|| self.doing(sql), self.client().simple_query(sql))?;
        Ok(first_row_of(&messages))
    }

    /// The connected role, with the search path that it connected with.
    pub fn caller(&self) -> Caller {
        Caller::new(None, &self.first_search_path)
    }

    /// A transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        self.told.is_in_transaction()
    }

    /// The process that answers is not the one that was told at the login: something stands between.
    pub fn is_proxied(&self) -> bool {
        self.told.process_id() != self.process_id
    }

    /// Takes the settings of the workload back, before a statement of our own.
    fn own(&self) -> Result<(), PgError> {
        if !self.is_in_transaction() {
            self.local.replace(Local::Own);
        }
        // In a failed transaction nothing is found by any name.
        if *self.local.borrow() == Local::Own || self.told.has_failed() {
            return Ok(());
        }
        self.regardless(
            || "cannot leave the role of a statement".to_owned(),
            self.client().batch_execute(LEAVE),
        )?;
        self.local.replace(Local::Own);
        Ok(())
    }

    /// Does something as the workload does it: with its role and its search path, in a transaction that is rolled
    /// back. Where one is open already, it stays open, and its next statement of our own finds it as it was.
    ///
    /// # Errors
    /// That of the work, or the server's.
    pub fn as_workload<T>(
        &self,
        caller: &Caller,
        work: impl FnOnce(&InWorkload<'_>) -> Result<T, PgError>,
    ) -> Result<T, PgError> {
        if self.is_in_transaction() {
            let is_there =
                matches!(&*self.local.borrow(), Local::Workload(known) if known == caller);
            if !is_there {
                // What was set for another statement must not stay.
                self.enter(caller, LEAVE)?;
            }
            return work(&InWorkload(self));
        }
        let done = self.enter(caller, "BEGIN").and_then(|()| work(&InWorkload(self)));
        let ended = self.clean_up("ROLLBACK");
        self.local.replace(Local::Own);
        done.and_then(|done| ended.map(|()| done))
    }

    fn enter(&self, caller: &Caller, first: &str) -> Result<(), PgError> {
        self.local.replace(Local::Unknown);
        let sql = format!("{first}; {}", caller.settings());
        self.exchange(|| format!("cannot become {caller}"), self.client().batch_execute(&sql))?;
        self.local.replace(Local::Workload(caller.clone()));
        Ok(())
    }

    /// Does one exchange with the server, unless the user has asked to stop. A cancel that comes
    /// between two statements cancels nothing, so each looks for itself before it begins.
    pub(crate) fn exchange<T>(
        &self,
        what: impl FnOnce() -> String,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PgError> {
        PgError::unless_interrupted()?;
        self.regardless(what, work)
    }

    fn regardless<T>(
        &self,
        what: impl FnOnce() -> String,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, PgError> {
        if self.is_lost.get() {
            return Err(PgError::new(PgErrorKind::Connection, what(), "the server did not answer"));
        }
        let Some(limit) = self.answer_limit.get() else {
            return self
                .runtime
                .block_on(work)
                .map_err(|error| PgError::from_driver(what(), &error));
        };
        match self.runtime.block_on(async { tokio::time::timeout(limit, work).await }) {
            Ok(answer) => answer.map_err(|error| PgError::from_driver(what(), &error)),
            Err(_) => {
                self.is_lost.set(true);
                let cause = format!("the server did not answer for {} s", limit.as_secs());
                Err(PgError::new(PgErrorKind::Connection, what(), cause).with_help(
                    "it did not end the statement at statement_timeout either: is the network there?",
                ))
            }
        }
    }

    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().expect("a connection has its client until it is dropped")
    }

    /// The error, without the literals of the statement.
    pub(crate) fn doing(&self, sql: &str) -> String {
        let text = crate::sql::normalize::normalizer::normalize(sql).text;
        let short: String = text.chars().take(60).collect();
        let dots = if short.len() < text.len() { " …" } else { "" };
        format!("cannot run \"{short}{dots}\" in {}", self.database)
    }
}

/// Asked before anything is set, by qualified names: the search path may be anybody's.
const FIRST_QUESTION: &str =
    "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path')";

/// The cause where an answer is none of PostgreSQL's.
pub(super) const NOT_POSTGRESQL: &str = "it does not answer as PostgreSQL does";

/// The columns of the first row, as text; empty where there is none.
fn first_row_of(messages: &[SimpleQueryMessage]) -> Vec<Option<String>> {
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let columns = row.map_or(0, SimpleQueryRow::len);
    let column = |at: usize| row?.try_get(at).ok().flatten().map(str::to_owned);
    (0..columns).map(column).collect()
}

pub(crate) fn typed<'p>(parameters: &[&'p dyn Parameter]) -> Vec<(&'p (dyn ToSql + Sync), Type)> {
    parameters.iter().map(|parameter| (parameter.as_sql(), parameter.own_type())).collect()
}

fn open(settings: &Settings, mode: SslMode) -> Result<Connection, PgError> {
    let what = format!(
        "cannot connect to {} on {}:{} as {}",
        settings.database, settings.host, settings.port, settings.user
    );
    let fail = |cause: String| {
        with_help(PgError::new(PgErrorKind::Connection, what.clone(), cause), settings)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| fail(error.to_string()))?;
    let route = Route::new(settings, mode)?;
    let told = Told::default();
    let limit_s = settings.connect_timeout_s;
    let login = async {
        let stream = route.open(told.clone()).await.map_err(|error| fail(error.to_string()))?;
        let (client, driver) = route
            .log_in(stream)
            .await
            .map_err(|error| with_help(PgError::from_driver(what.clone(), &error), settings))?;
        let (version, is_superuser) = told_by(&driver);
        // A background task drives the connection; its error reaches whoever uses the client next.
        let driver = tokio::spawn(async move {
            let _ = driver.await;
        });
        let answer = client
            .simple_query(FIRST_QUESTION)
            .await
            .map_err(|error| PgError::from_driver(what.clone(), &error))?;
        Ok((client, driver, version, is_superuser, answer))
    };
    // The limit is for all of it: name, socket, TLS, login and the first answer.
    let limit = Duration::from_secs(limit_s);
    let (client, driver, version, is_superuser, answer) = runtime
        .block_on(async { tokio::time::timeout(limit, login).await })
        .unwrap_or_else(|_| {
            Err(fail(format!("the server did not answer within {limit_s} s (connect_timeout)")))
        })?;
    let [Some(process_id), Some(first_search_path)] = &first_row_of(&answer)[..] else {
        return Err(fail(NOT_POSTGRESQL.to_owned()));
    };
    let process_id = process_id.parse().map_err(|_| fail(NOT_POSTGRESQL.to_owned()))?;
    let registered = cancel::register(client.cancel_token(), route);
    Ok(Connection {
        client: Some(client),
        driver: Some(driver),
        _registered: registered,
        runtime,
        database: settings.database.clone(),
        user: settings.user.clone(),
        version,
        is_superuser,
        first_search_path: first_search_path.clone(),
        process_id,
        told,
        local: RefCell::new(Local::Own),
        answer_limit: Cell::new(None),
        is_lost: Cell::new(false),
    })
}

/// Says goodbye, so that the server does not log a connection that was lost with an open transaction.
impl Drop for Connection {
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(driver) = self.driver.take() {
            let _ = self
                .runtime
                .block_on(async { tokio::time::timeout(DISCONNECT_TIMEOUT, driver).await });
        }
    }
}

/// The server's version, and whether the connected role is a superuser.
fn told_by(driver: &Driver) -> (u32, bool) {
    (version(driver.parameter("server_version")), driver.parameter("is_superuser") == Some("on"))
}

/// `15.18 (Debian …)` as 150018; what is not a number, such as `19beta1`, counts as far as it is one.
fn version(text: Option<&str>) -> u32 {
    let mut numbers =
        text.unwrap_or("").split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    next() * 10_000 + next()
}

/// A connection that fails without an answer of the server: where we looked, and how to say otherwise.
fn with_help(error: PgError, settings: &Settings) -> PgError {
    if error.help.is_some() {
        return error;
    }
    let help = if settings.password.is_none() && error.cause.contains("password missing") {
        "give a password: PGPASSWORD, ~/.pgpass, or the URL".to_owned()
    } else {
        format!(
            "is the server running there? The target comes from {}; -h, -p, -U and -d change it",
            settings.origin
        )
    };
    error.with_help(help)
}
