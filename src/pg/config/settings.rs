//! Connection settings from all places that libpq reads.
//!
//! Flags win over `DATABASE_URL`, that over `PG*`, that over the configuration file, that over the
//! defaults. A service file counts where its name was given, below the other keys of that place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::connection_string::parse_target;
use super::pgpass;
use super::secret::Secret;
use super::ssl::{Files, SslMode, Versions};
use crate::pg::error::PgError;

pub use super::connection_string::Keys;

/// The parameters of a connection.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A host name or address, or the directory of a socket.
    pub host: String,
    /// The address of the host where it is not looked up by name.
    pub address: Option<String>,
    pub port: u16,
    pub user: String,
    pub database: String,
    pub password: Option<Secret>,
    pub ssl_mode: SslMode,
    pub ssl_files: Files,
    pub ssl_versions: Versions,
    /// TLS from the first byte on, without the request that PostgreSQL answers before it.
    pub is_ssl_direct: bool,
    /// The name of the host is told before the certificate is shown.
    pub sends_server_name: bool,
    pub channel_binding: ChannelBinding,
    /// User of the operating system that the server at the other end of a socket has to run as.
    pub required_peer: Option<String>,
    /// The connection string says that it leads to a transaction pooler.
    pub says_pooler: bool,
    pub application_name: String,
    pub options: Option<String>,
    pub connect_timeout_s: u64,
    /// The directory that holds `.postgresql/root.crt`.
    pub home: Option<PathBuf>,
    /// The places that named the target, such as `DATABASE_URL`, the one that goes first at the front.
    pub origin: String,
    pub warnings: Vec<String>,
}

/// Whether the login has to be bound to the TLS channel, so that nobody in the middle can pass it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

impl Settings {
    /// A server on a socket in `directory`, which asks for no password.
    pub fn on_socket(
        directory: &Path,
        port: u16,
        user: &str,
        database: &str,
        origin: &str,
    ) -> Settings {
        Settings {
            host: directory.display().to_string(),
            address: None,
            port,
            user: user.to_owned(),
            database: database.to_owned(),
            password: None,
            ssl_mode: SslMode::Disable,
            ssl_files: Files::default(),
            ssl_versions: Versions::default(),
            is_ssl_direct: false,
            sends_server_name: true,
            channel_binding: ChannelBinding::Prefer,
            required_peer: None,
            says_pooler: false,
            application_name: application_name(),
            options: None,
            connect_timeout_s: CONNECT_TIMEOUT_S,
            home: None,
            origin: origin.to_owned(),
            warnings: Vec::new(),
        }
    }

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
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLSNI", "sslsni"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGOPTIONS", "options"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
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
    let address = get("hostaddr").filter(|_| get("host").is_some());
    let host = get("host").or_else(|| get("hostaddr")).unwrap_or_else(default_host);
    let database = get("dbname").unwrap_or_else(|| user.clone());
    unless_misplaced(&[&host, &user, &database])?;
    if host.contains(',') {
        return Err(PgError::settings("cannot use several hosts", "one run measures one server")
            .with_help("name one host"));
    }
    let ssl_mode = choice(&get, "sslmode", "prefer", SSL_MODES)?;
    let is_ssl_direct = choice(&get, "sslnegotiation", "postgres", SSL_NEGOTIATIONS)?;
    if is_ssl_direct && matches!(ssl_mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
        return Err(PgError::settings(
            "cannot use sslnegotiation=direct",
            "the sslmode would do without TLS as well",
        )
        .with_help("add sslmode=require, verify-ca or verify-full"));
    }
    unless_unprotected(&get, ssl_mode)?;
    let mut settings = Settings {
        database,
        port: port(&get("port").unwrap_or_else(|| "5432".to_owned()))?,
        host,
        address,
        user,
        password: get("password").map(Secret::new),
        ssl_mode,
        ssl_files: Files {
            root: get("sslrootcert"),
            cert: get("sslcert"),
            key: get("sslkey"),
            revoked: get("sslcrl"),
        },
        ssl_versions: Versions::between(
            get("ssl_min_protocol_version").as_deref(),
            get("ssl_max_protocol_version").as_deref(),
        )?,
        is_ssl_direct,
        sends_server_name: choice(&get, "sslsni", "1", &[("0", false), ("1", true)])?,
        channel_binding: choice(&get, "channel_binding", "prefer", CHANNEL_BINDINGS)?,
        required_peer: get("requirepeer"),
        says_pooler: get("pgbouncer").is_some_and(|value| value == "true"),
        application_name: application_name(),
        options: get("options"),
        connect_timeout_s: connect_timeout_s(get("connect_timeout"))?,
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

fn application_name() -> String {
    format!("pgassay/{}", env!("CARGO_PKG_VERSION"))
}

const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];
const SSL_NEGOTIATIONS: &[(&str, bool)] = &[("postgres", false), ("direct", true)];
const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

/// The value of a key that takes one of a few words.
fn choice<T: Copy>(
    get: &dyn Fn(&str) -> Option<String>,
    key: &str,
    default: &str,
    words: &[(&str, T)],
) -> Result<T, PgError> {
    let value = get(key).unwrap_or_else(|| default.to_owned());
    words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        PgError::settings(format!("cannot read {key}"), "the value is unknown")
            .with_help(format!("one of {}", known.join(", ")))
    })
}

/// A URL in the place of a name may hold a password, and errors print names.
fn unless_misplaced(names: &[&String]) -> Result<(), PgError> {
    match names.iter().any(|name| name.contains("//")) {
        true => Err(PgError::settings(
            "cannot read the connection settings",
            "a URL stands where a host, a user or a database is named",
        )
        .with_help("-d and DATABASE_URL take a URL")),
        false => Ok(()),
    }
}

/// Refuses what would protect the connection and cannot be had.
fn unless_unprotected(
    get: &dyn Fn(&str) -> Option<String>,
    ssl_mode: SslMode,
) -> Result<(), PgError> {
    let is = |key: &str, word: &str| get(key).is_some_and(|value| value == word);
    let refused = |key: &str, cause: &str| {
        Err(PgError::settings(format!("cannot connect with {key}"), cause))
    };
    match get("gssencmode").as_deref() {
        None | Some("disable" | "prefer") => {}
        Some("require") => return refused("gssencmode=require", "GSSAPI is not implemented"),
        Some(_) => return refused("gssencmode", "the value is unknown"),
    }
    if is("channel_binding", "require") && ssl_mode == SslMode::Disable {
        return refused("channel_binding=require", "sslmode=disable leaves no channel to bind to");
    }
    for key in ["require_auth", "sslcrldir"] {
        if get(key).is_some() {
            return refused(key, "it is not implemented");
        }
    }
    Ok(())
}

fn port(text: &str) -> Result<u16, PgError> {
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| PgError::settings("cannot read the port", "it is no number from 1 to 65535"))
}

/// Seconds; where the string says 0 or less, as libpq without a limit, the default.
fn connect_timeout_s(text: Option<String>) -> Result<u64, PgError> {
    let Some(text) = text else { return Ok(CONNECT_TIMEOUT_S) };
    let seconds: i64 = text.trim().parse().map_err(|_| {
        PgError::settings("cannot read connect_timeout", "it is no number of seconds")
    })?;
    Ok(u64::try_from(seconds).ok().filter(|s| *s > 0).unwrap_or(CONNECT_TIMEOUT_S))
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
        "cannot find the service",
        "no service file has a section of the given name",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
    fn values_that_make_no_sense_are_errors_that_do_not_repeat_them() {
        for bad in [
            "dbname=x port=secret",
            "dbname=x port=99999",
            "dbname=x sslmode=secret",
            "dbname=x connect_timeout=secret",
            "dbname=x channel_binding=secret",
            "dbname=x gssencmode=require",
            "dbname=x sslmode=disable channel_binding=require",
            "dbname=x sslnegotiation=direct",
            "dbname=x ssl_max_protocol_version=TLSv1",
            "dbname=x host=postgres://u:secret@h",
        ] {
            let error = resolve_with(bad, &[]).expect_err(bad);
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        let variables = [("PGCHANNELBINDING", "require"), ("PGREQUIREPEER", "postgres")];
        let settings = resolve_with("dbname=x", &variables).unwrap();
        assert_eq!(settings.channel_binding, ChannelBinding::Require);
        assert_eq!(settings.required_peer.as_deref(), Some("postgres"));
        assert!(resolve_with("dbname=x", &[("PGREQUIREAUTH", "none")]).is_err());
        assert!(resolve_with("postgres://h/d?pgbouncer=true", &[]).unwrap().says_pooler);
    }

    #[test]
    fn a_password_does_not_print_itself() {
        let settings = resolve_with("postgres://u:hunter2@h/d", &[]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
