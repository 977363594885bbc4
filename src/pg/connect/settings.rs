//! Connection settings from all places that libpq reads.
//!
//! Flags win over `DATABASE_URL`, that over `PG*`, that over the configuration file, that over the
//! defaults. A service file counts where its name was given, below the other keys of that place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::PgError;
use super::pgpass;
use super::secret::Secret;
use super::tls::{Files, SslMode};

/// Keys and values as in a libpq connection string.
pub type Keys = BTreeMap<String, String>;

/// The parameters of a connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A host name or address, or the directory of a socket.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: String,
    pub password: Option<Secret>,
    pub ssl_mode: SslMode,
    pub ssl_files: Files,
    pub application_name: String,
    pub options: Option<String>,
    pub connect_timeout_s: u64,
    /// The directory that holds `.postgresql/root.crt`.
    pub home: Option<PathBuf>,
    /// The places that named the target, such as `DATABASE_URL`, the one that goes first at the front.
    pub origin: String,
    pub warnings: Vec<String>,
}

impl Settings {
    /// The target in words: where, as whom, and who said so. Never a password.
    pub fn describe(&self, version: Option<&str>) -> String {
        let Settings { database, host, port, user, origin, .. } = self;
        let version = version.unwrap_or("unknown");
        format!("{database} on {host}:{port} as {user}, PostgreSQL {version}  (from {origin})")
    }
}

/// The sources of settings: environment and files. Arguments, so that a test needs no environment of its own.
pub struct Places<'e> {
    /// From `-h -p -U -d`, with a connection string in `-d` taken apart.
    pub flags: Keys,
    /// From the configuration file.
    pub file: Keys,
    pub environment: &'e dyn Fn(&str) -> Option<String>,
    pub home: Option<PathBuf>,
    /// Name of the operating system's user.
    pub os_user: Option<String>,
}

const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGDATABASE", "dbname"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGSERVICE", "service"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGOPTIONS", "options"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
];

/// Keys that libpq has and that change nothing here.
const IGNORED: &[&str] = &[
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "target_session_attrs",
    "channel_binding",
    "gssencmode",
    "krbsrvname",
    "sslcompression",
    "client_encoding",
    "fallback_application_name",
    "sslcrl",
    "sslsni",
    "load_balance_hosts",
    "replication",
    "requirepeer",
    "gsslib",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "pgbouncer",
    "schema",
    "connection_limit",
    "pool_timeout",
];

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
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
    "connect_timeout",
];

/// Longest wait for a connection when nothing says otherwise, seconds.
const CONNECT_TIMEOUT_S: u64 = 10;

/// Puts the settings together.
///
/// # Errors
/// When a string cannot be read, a port is no port, a service is not found, or `sslmode` is unknown.
pub fn resolve(places: &Places<'_>) -> Result<Settings, PgError> {
    let mut layers: Vec<(&str, Keys)> = vec![("flags", places.flags.clone())];
    if let Some(url) = (places.environment)("DATABASE_URL").filter(|url| !url.is_empty()) {
        layers.push(("DATABASE_URL", parse_target(&url)?));
    }
    let variables: Keys = VARIABLES
        .iter()
        .filter_map(|(name, key)| Some(((*key).to_owned(), (places.environment)(name)?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    layers.push(("PG* variables", variables));
    layers.push(("pgassay.toml", places.file.clone()));
    let layers = with_services(layers, places)?;
    let get = |key: &str| layers.iter().find_map(|(_, keys)| keys.get(key).cloned());
    // Whoever has a word in where it goes and as whom, in the order of their precedence.
    let says = |key: &&str| layers.iter().position(|(_, keys)| keys.contains_key(*key));
    let sources: BTreeSet<usize> =
        ["host", "hostaddr", "port", "user", "dbname", "service"].iter().filter_map(says).collect();
    let origin = match sources.is_empty() {
        true => "defaults".to_owned(),
        false => sources.iter().map(|at| layers[*at].0).collect::<Vec<_>>().join(", "),
    };
    let os_user = places.os_user.clone().unwrap_or_else(|| "postgres".to_owned());
    let user = get("user").unwrap_or(os_user);
    let host = get("host").or_else(|| get("hostaddr")).unwrap_or_else(default_host);
    if host.contains(',') {
        return Err(PgError::settings("cannot use several hosts", "one run measures one server")
            .with_help("name one host"));
    }
    let port = get("port").unwrap_or_else(|| "5432".to_owned());
    let port: u16 = port.parse().map_err(|_| {
        PgError::settings("cannot read the port", format!("{port:?} is no number from 1 to 65535"))
    })?;
    let mode = get("sslmode").unwrap_or_else(|| "prefer".to_owned());
    let ssl_mode = SslMode::parse(&mode).ok_or_else(|| {
        PgError::settings("cannot read sslmode", format!("{mode:?} is unknown"))
            .with_help("one of disable, allow, prefer, require, verify-ca, verify-full")
    })?;
    let mut settings = Settings {
        database: get("dbname").unwrap_or_else(|| user.clone()),
        host,
        port,
        user,
        password: get("password").map(Secret::new),
        ssl_mode,
        ssl_files: Files { root: get("sslrootcert"), cert: get("sslcert"), key: get("sslkey") },
        application_name: format!("pgassay/{}", env!("CARGO_PKG_VERSION")),
        options: get("options"),
        connect_timeout_s: get("connect_timeout")
            .and_then(|t| t.parse().ok())
            .unwrap_or(CONNECT_TIMEOUT_S),
        home: places.home.clone(),
        origin,
        warnings: Vec::new(),
    };
    if settings.password.is_none() {
        let file = get("passfile")
            .map(PathBuf::from)
            .or_else(|| Some(places.home.as_ref()?.join(".pgpass")));
        if let Some(file) = file {
            let (password, warning) = pgpass::lookup(
                &file,
                &settings.host,
                settings.port,
                &settings.database,
                &settings.user,
            );
            settings.password = password;
            settings.warnings.extend(warning);
        }
    }
    Ok(settings)
}

/// Puts each layer's service below it.
fn with_services<'l>(
    layers: Vec<(&'l str, Keys)>,
    places: &Places<'_>,
) -> Result<Vec<(&'l str, Keys)>, PgError> {
    let mut out = Vec::new();
    for (name, keys) in layers {
        let service = keys.get("service").cloned();
        out.push((name, keys));
        if let Some(service) = service {
            out.push(("service file", service_keys(&service, places)?));
        }
    }
    Ok(out)
}

fn service_keys(service: &str, places: &Places<'_>) -> Result<Keys, PgError> {
    let files = [
        (places.environment)("PGSERVICEFILE").map(PathBuf::from),
        places.home.as_ref().map(|home| home.join(".pg_service.conf")),
        (places.environment)("PGSYSCONFDIR").map(|dir| Path::new(&dir).join("pg_service.conf")),
    ];
    for file in files.into_iter().flatten() {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let mut found = None;
        for line in
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                if found.is_some() {
                    break;
                }
                found = (section == service).then(Keys::new);
            } else if let (Some(keys), Some((key, value))) = (&mut found, line.split_once('=')) {
                keys.insert(key.trim().to_owned(), value.trim().to_owned());
            }
        }
        if let Some(keys) = found {
            return Ok(keys);
        }
    }
    Err(PgError::settings(
        format!("cannot find the service {service:?}"),
        "no service file has a section of this name",
    )
    .with_help("look into ~/.pg_service.conf, or set PGSERVICEFILE"))
}

/// The first directory that holds a server's socket, as the common packages are built; else TCP.
fn default_host() -> String {
    ["/var/run/postgresql", "/run/postgresql", "/tmp"]
        .iter()
        .find(|directory| {
            std::fs::read_dir(directory).is_ok_and(|mut entries| {
                entries.any(|e| {
                    e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with(".s.PGSQL."))
                })
            })
        })
        .map_or_else(|| "localhost".to_owned(), |directory| (*directory).to_owned())
}

/// The keys of `-d`: a URL, a `key=value` string, or the bare name of a database.
///
/// # Errors
/// When the text begins like one of these and cannot be read to its end. The error never holds the
/// text: it may hold a password.
pub fn parse_target(text: &str) -> Result<Keys, PgError> {
    if let Some(rest) =
        text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
    {
        return parse_url(rest);
    }
    if text.contains('=') {
        return parse_pairs(text);
    }
    Ok(Keys::from([("dbname".to_owned(), text.to_owned())]))
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
        put(key, value)?;
    }
    Ok(keys)
}

fn check_key(key: &str) -> Result<(), PgError> {
    if KNOWN.contains(&key) || IGNORED.contains(&key) {
        Ok(())
    } else {
        Err(unreadable(format!("{key:?} is no connection parameter")))
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

    fn resolve_with(flags: &str, environment: &[(&str, &str)]) -> Result<Settings, PgError> {
        let map: BTreeMap<String, String> =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        resolve(&Places {
            flags: if flags.is_empty() { Keys::new() } else { parse_target(flags)? },
            file: Keys::from([("dbname".into(), "from_file".into())]),
            environment: &|name| map.get(name).cloned(),
            home: None,
            os_user: Some("me".into()),
        })
    }

    #[test]
    fn flags_win_over_the_url_and_that_over_variables_and_the_file() {
        let all = [("DATABASE_URL", "postgres://u@h/url"), ("PGDATABASE", "var"), ("PGPORT", "7")];
        let settings = resolve_with("flag", &all).unwrap();
        assert_eq!(settings.database, "flag");
        assert_eq!(settings.origin, "flags, DATABASE_URL, PG* variables");
        let settings = resolve_with("", &all).unwrap();
        assert_eq!(
            (settings.database.as_str(), settings.port, settings.origin.as_str()),
            ("url", 7, "DATABASE_URL, PG* variables")
        );
        assert_eq!(resolve_with("", &all[1..]).unwrap().database, "var");
        let settings = resolve_with("", &[]).unwrap();
        assert_eq!((settings.database.as_str(), settings.user.as_str()), ("from_file", "me"));
    }

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
    }

    #[test]
    fn a_bad_string_is_an_error_that_does_not_repeat_it() {
        for bad in [
            "postgres://u:secret@h/d?nonsense=1",
            "password=secret dbname",
            "password='secret",
            "postgres://u:secret%zz@h",
        ] {
            let error = parse_target(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        assert!(resolve_with("dbname=x port=99999", &[]).is_err());
        assert!(resolve_with("dbname=x sslmode=sometimes", &[]).is_err());
    }

    #[test]
    fn a_password_does_not_print_itself() {
        let settings = resolve_with("postgres://u:hunter2@h/d", &[]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
