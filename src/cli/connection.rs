//! Makes a connection from flags, environment and configuration.

use super::args;
use super::config::Config;
use super::exit::Failure;
use super::stderr;
use crate::pg::config::connection_string::parse_target;
use crate::pg::config::settings::{Keys, Places, Settings, resolve};
use crate::pg::connect::connection::Connection;
use crate::pg::connect::pooler::refuse_transaction_pooler;
use crate::pg::error::PgError;
use crate::pg::session::guard::consent::{self, Claim, Writable};

/// Keys that the flags set, with a connection string in `-d` taken apart.
fn flags(args: &args::Connection) -> Result<Keys, PgError> {
    let mut keys = match &args.dbname {
        Some(target) => parse_target(target)?,
        None => Keys::new(),
    };
    for (key, value) in [("host", &args.host), ("port", &args.port), ("user", &args.username)] {
        if let Some(value) = value {
            keys.insert(key.to_owned(), value.clone());
        }
    }
    Ok(keys)
}

/// The user said where the database is: by a flag, or by a variable that names one. Variables that
/// only name a host are often set for other programs, so they do not count.
pub fn is_given(args: &args::Connection, config: &Config) -> bool {
    let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_flagged(args)
        || ["DATABASE_URL", "PGDATABASE", "PGSERVICE"].into_iter().any(named)
        || config.connection.dbname.is_some()
        || config.connection.service.is_some()
}

/// A flag says where the database is.
pub fn is_flagged(args: &args::Connection) -> bool {
    [&args.dbname, &args.host, &args.username].into_iter().any(Option::is_some)
        || args.port.is_some()
}

/// # Errors
/// When a setting cannot be read.
pub fn settings(args: &args::Connection, config: &Config) -> Result<Settings, Failure> {
    let file = &config.connection;
    let mut keys = Keys::new();
    let port = file.port.map(|port| port.to_string());
    for (key, value) in [
        ("host", &file.host),
        ("port", &port),
        ("user", &file.user),
        ("dbname", &file.dbname),
        ("sslmode", &file.sslmode),
        ("sslrootcert", &file.sslrootcert),
        ("service", &file.service),
    ] {
        if let Some(value) = value {
            keys.insert(key.to_owned(), value.clone());
        }
    }
    let settings = resolve(&Places {
        flags: flags(args)?,
        file: keys,
        environment: &|name| std::env::var(name).ok(),
        home: std::env::home_dir(),
        os_user: nix::unistd::User::from_uid(nix::unistd::Uid::effective())
            .ok()
            .flatten()
            .map(|user| user.name),
    })?;
    for warning in &settings.warnings {
        stderr::line(&format!("warning: {warning}"));
    }
    Ok(settings)
}

/// Connects for reading.
///
/// # Errors
/// When there is no connection.
pub fn open(settings: &Settings, args: &args::Connection) -> Result<Connection, Failure> {
    let connection = unpooled(settings)?;
    connection.read_only(args.statement_timeout, args.lock_timeout)?;
    Ok(connection)
}

/// Connects, and sets nothing. A transaction pooler is refused: our settings would be left to the next client.
///
/// # Errors
/// When there is no connection, or it goes through a transaction pooler.
pub fn unpooled(settings: &Settings) -> Result<Connection, Failure> {
    let connection = Connection::open(settings)?;
    refuse_transaction_pooler(&connection, settings)?;
    Ok(connection)
}

/// Flags that lead to the same place again, in the words of a shell. Never a password.
pub fn flags_again(settings: &Settings) -> String {
    if !settings.origin.starts_with("flags") {
        // The environment still says it.
        return format!("-d {}", word(&settings.database));
    }
    format!(
        "-h {} -p {} -U {} -d {}",
        word(&settings.host),
        settings.port,
        word(&settings.user),
        word(&settings.database)
    )
}

/// Files and how they are read, in the words of a shell.
pub fn sources_again(sources: &args::Sources) -> String {
    let mut words: Vec<String> =
        sources.files.iter().map(|file| word(&file.display().to_string())).collect();
    let flags = [
        ("--log-line-prefix", &sources.log_line_prefix),
        ("--log-database", &sources.log_database),
    ];
    for (flag, value) in flags {
        words.extend(value.iter().map(|value| format!("{flag} {}", word(value))));
    }
    words.join(" ")
}

/// As one word of a shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Lets a staging database be written to, which the workload was not `captured_on`, after `what` has said what for: by its marker, by the flag, or
/// by its name typed at the prompt of a terminal.
///
/// # Errors
/// Without consent, and whenever the target looks like production.
pub fn consent(
    connection: &Connection,
    flag: Option<&str>,
    captured_on: Option<&str>,
    what: &str,
) -> Result<Writable, Failure> {
    let typed = match flag {
        Some(name) => Some(name.to_owned()),
        None if consent::is_marked(connection)? => None,
        None => prompt(&format!(
            "{what}\nType the name of the database, {}, to go on: ",
            connection.database
        )),
    };
    let claim = Claim { confirmed: typed.as_deref(), captured_on };
    Ok(consent::consent(connection, claim)?)
}

/// A line typed at a terminal; `None` where there is none.
fn prompt(text: &str) -> Option<String> {
    use std::io::{BufRead, IsTerminal};
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    stderr::write(text);
    let mut line = String::new();
    stdin.lock().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(word("/var/log/pg-15.log"), "/var/log/pg-15.log");
        assert_eq!(word("%m [%p] "), "'%m [%p] '");
        assert_eq!(word("it's"), "'it'\\''s'");
        assert_eq!(word(""), "''");
    }
}
