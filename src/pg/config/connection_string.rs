//! Reads connection strings: URLs, `key=value` pairs, and bare names of databases.
//!
//! An error never repeats a part of the text: whatever could not be read may be a password.

use std::collections::BTreeMap;

use crate::pg::error::PgError;

/// Keys and values as in a libpq connection string.
pub type Keys = BTreeMap<String, String>;

/// Keys that are honoured.
const KNOWN: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "user",
    "dbname",
    "password",
    "passfile",
    "service",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcrl",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "channel_binding",
    "gssencmode",
    "requirepeer",
    "application_name",
    "options",
    "connect_timeout",
    "pgbouncer",
];

/// Keys of libpq and of other drivers that change nothing here and protect nothing.
const IGNORED: &[&str] = &[
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "target_session_attrs",
    "krbsrvname",
    "sslcompression",
    "client_encoding",
    "fallback_application_name",
    "load_balance_hosts",
    "replication",
    "gsslib",
    "schema",
    "connection_limit",
    "pool_timeout",
];

/// Keys of libpq that protect the connection in a way that is not implemented.
const REFUSED: &[&str] = &[
    "require_auth",
    "sslcrldir",
    "sslcertmode",
    "sslpassword",
    "gssdelegation",
    "scram_client_key",
];

/// The keys of `-d`: a URL, a `key=value` string, or the bare name of a database.
///
/// # Errors
/// When the text begins like one of these and cannot be read to its end. The error never holds the
/// text: it may hold a password.
pub fn parse_target(text: &str) -> Result<Keys, PgError> {
    let text = text.trim();
    if let Some(rest) =
        text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
    {
        return parse_url(rest);
    }
    let first_word = text.split(['=', ' ']).next().unwrap_or_default();
    if looks_like_url(first_word) {
        return Err(unreadable("it begins with another scheme than postgresql:// or postgres://"));
    }
    if text.contains('=') {
        return parse_pairs(text);
    }
    if looks_like_url(text) {
        return Err(unreadable("it is neither a URL nor a name of a database")
            .with_help("dbname='…' takes a name with : or / or @"));
    }
    Ok(Keys::from([("dbname".to_owned(), text.to_owned())]))
}

/// The text is not what a host, a user or a database is called, and may hold a password.
pub fn looks_like_url(text: &str) -> bool {
    text.contains("//") || text.contains([':', '@'])
}

fn unreadable(cause: impl Into<String>) -> PgError {
    PgError::settings("cannot read the connection string", cause)
        .with_help("postgresql://user@host:5432/database, or host=… port=… dbname=… user=…")
}

fn parse_url(rest: &str) -> Result<Keys, PgError> {
    let mut keys = Keys::new();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (login, place),
        None => ("", authority),
    };
    // A password with a slash or a question mark ends the authority too early.
    if database.contains('@') || (login.is_empty() && place.contains(':') && query.contains('@')) {
        return Err(unreadable("an @ stands behind the host")
            .with_help("in a password, / is written %2F, ? is %3F, @ is %40 and % is %25"));
    }
    let mut put = |key: &str, value: &str| -> Result<(), PgError> {
        if !value.is_empty() {
            keys.insert(key.to_owned(), percent_decode(value)?);
        }
        Ok(())
    };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    put("user", user)?;
    put("password", password)?;
    // An IPv6 address stands in brackets.
    let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or("")),
        None => place.rsplit_once(':').unwrap_or((place, "")),
    };
    put("host", host)?;
    put("port", port)?;
    put("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| unreadable("a parameter without a value"))?;
        check_key(key)?;
        // Another name for it, of older drivers.
        match (key, value) {
            ("ssl", "true") => put("sslmode", "require")?,
            ("ssl", "false") => {}
            ("ssl", _) => return Err(unreadable("ssl is neither true nor false")),
            _ => put(key, value)?,
        }
    }
    Ok(keys)
}

fn check_key(key: &str) -> Result<(), PgError> {
    if KNOWN.contains(&key) || IGNORED.contains(&key) || key == "ssl" {
        return Ok(());
    }
    match REFUSED.iter().find(|refused| **refused == key) {
        Some(key) => Err(unreadable(format!("{key} is not implemented"))
            .with_help(format!("connect without {key}, if you can do without what it protects"))),
        None => Err(unreadable("a key that is no connection parameter")),
    }
}

fn percent_decode(text: &str) -> Result<String, PgError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = [rest.next(), rest.next()].map(|b| b.and_then(|b| (b as char).to_digit(16)));
        match hex {
            [Some(high), Some(low)] => bytes.push((high * 16 + low) as u8),
            _ => return Err(unreadable("a % that two hexadecimal digits do not follow")),
        }
    }
    String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8"))
}

/// `key = value` pairs; values with blanks stand in single quotes, with `\` before `'` and `\`.
fn parse_pairs(text: &str) -> Result<Keys, PgError> {
    let mut keys = Keys::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(keys);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') {
            return Err(unreadable("a key without a value"));
        }
        check_key(&key)?;
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match chars.next() {
                Some('\\') => value.extend(chars.next()),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return Err(unreadable("a quote that is not closed")),
                None => break,
            }
        }
        keys.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_pairs_are_read_as_libpq_reads_them() {
        let keys = parse_target("postgresql://a%40b:p%3Aw@[::1]:6432/my%20db?sslmode=verify-full")
            .unwrap();
        let get = |key: &str| keys.get(key).map(String::as_str);
        assert_eq!((get("user"), get("password")), (Some("a@b"), Some("p:w")));
        assert_eq!(
            (get("host"), get("port"), get("dbname")),
            (Some("::1"), Some("6432"), Some("my db"))
        );
        let keys = parse_target(r"host=/tmp dbname = 'a b\'c' user=x").unwrap();
        assert_eq!(keys.get("dbname").map(String::as_str), Some("a b'c"));
        let keys = parse_target("postgres:///shop?host=/tmp&port=5433").unwrap();
        assert_eq!(keys.get("host").map(String::as_str), Some("/tmp"));
        let keys = parse_target(" postgres://u@h/d?user=me@server ").unwrap();
        assert_eq!(keys.get("user").map(String::as_str), Some("me@server"));
    }

    #[test]
    fn a_string_that_cannot_be_read_is_not_repeated() {
        for bad in [
            "postgres://u:secret@h/d?nonsense=1",
            "postgres://u:secret@h/d?secret=1",
            "postgres://u:secret%zz@h",
            "postgres://u:secret/x@h/d",
            "postgres://u:secret?x@h/d",
            "postgres://u:1?secret=x@h/d",
            "password=secret dbname",
            "password='secret",
            "password=not secret=quoted",
            "postgresql+psycopg2://u:secret@h/d",
            "mysql://u:secret@h/d?x=1",
            "postgres//u:secret@h/d",
            "postgres:u:secret@h/d",
            "jdbc:postgresql://h/d?user=u&password=secret",
            "u:secret@h/d",
            "psql postgres://u:secret@h/d",
        ] {
            let error = parse_target(bad).expect_err(bad);
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn what_protects_a_connection_is_honoured_or_refused() {
        assert!(parse_target("dbname=x channel_binding=require requirepeer=postgres").is_ok());
        assert!(parse_target("dbname=x require_auth=scram-sha-256").is_err());
        assert!(parse_target("postgres://h/d?ssl=yes").is_err());
    }
}
