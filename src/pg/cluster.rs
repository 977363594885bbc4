//! A temporary PostgreSQL cluster, removed when its owner ends.
//!
//! A watchdog process holds the other end of a pipe. When this process ends, however it ends, the
//! pipe closes and the watchdog stops the server and removes the directory. Should both be killed, the
//! next start finds the directory by the process id in its name and removes it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, Uid, User};

use super::connect::connection::Connection;
use crate::pg::config::settings::Settings;
use crate::pg::error::{PgError, PgErrorKind};

/// Beginning of the directory's name; the process id follows.
const PREFIX: &str = "pgassay-";
/// Longest path of a socket that every system takes, bytes, less the socket's own name.
const MAX_SOCKET_DIRECTORY: usize = 80;
/// Longest wait for the server to answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running server.
pub struct Throwaway {
    directory: PathBuf,
    port: u16,
    /// Major version, such as 15.
    pub version: u32,
    postmaster: Option<Child>,
    watchdog: Child,
    /// Closing it tells the watchdog to clean up.
    pipe: Option<ChildStdin>,
}

/// Returns the directories with a server's programs, the highest version first.
///
/// `given` wins; then `path` (the `PATH`), then the folders of the common distributions.
pub fn find_server(given: Option<&Path>, path: &str) -> Option<PathBuf> {
    if let Some(given) = given {
        return has_server(given).then(|| given.to_owned());
    }
    let on_path = path.split(':').map(PathBuf::from).find_map(|directory| {
        // A link such as /usr/bin/initdb leads to the folder that has the rest.
        let real = fs::canonicalize(directory.join("initdb")).ok()?;
        real.parent().filter(|parent| has_server(parent)).map(Path::to_owned)
    });
    on_path.or_else(|| {
        let mut found: Vec<(u32, PathBuf)> = Vec::new();
        for (root, before) in [
            ("/usr/lib/postgresql", ""),
            ("/usr", "pgsql-"),
            ("/opt/homebrew/opt", "postgresql@"),
            ("/usr/local/opt", "postgresql@"),
        ] {
            let Ok(entries) = fs::read_dir(root) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let version = name.strip_prefix(before).and_then(|v| v.parse().ok());
                let bin = entry.path().join("bin");
                if let Some(version) = version.filter(|_| has_server(&bin)) {
                    found.push((version, bin));
                }
            }
        }
        found.sort();
        found.pop().map(|(_, bin)| bin)
    })
}

fn has_server(directory: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| directory.join(program).is_file())
}

impl Throwaway {
    /// Makes a cluster below `base` and starts it: socket only, everything logged in every format
    /// that the version has, `pg_stat_statements` and `auto_explain` loaded.
    ///
    /// # Errors
    /// When a program of the server fails, with the end of what it said.
    pub fn start(programs: &Path, base: &Path) -> Result<Throwaway, PgError> {
        Throwaway::start_with(programs, base, &|_| String::new())
    }

    /// The same, with further settings. `prepare` is called with the data directory before the server
    /// starts; what it returns is added to `postgresql.conf`.
    ///
    /// # Errors
    /// As [`Throwaway::start`].
    pub fn start_with(
        programs: &Path,
        base: &Path,
        prepare: &dyn Fn(&Path) -> String,
    ) -> Result<Throwaway, PgError> {
        remove_stale(base);
        remove_stale(Path::new("/tmp"));
        let version = major_version(programs)?;
        let owner = owner()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let fits = base.join(&name).as_os_str().len() <= MAX_SOCKET_DIRECTORY
            && (owner.is_none() || is_open_to_all(base));
        let directory = if fits { base.join(&name) } else { Path::new("/tmp").join(&name) };
        let fail = |error: std::io::Error| failed(format!("{}: {error}", directory.display()));
        fs::create_dir(&directory).map_err(fail)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).map_err(fail)?;
        if let Some(owner) = &owner {
            chown(&directory, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).map_err(fail)?;
        }
        let (watchdog, pipe) = watch(&directory).map_err(fail)?;
        // A port only names the socket; one of our own keeps messages apart.
        let port = 20_000 + ((std::process::id() * 16 + number) % 40_000) as u16;
        let mut cluster =
            Throwaway { directory, port, version, postmaster: None, watchdog, pipe: Some(pipe) };
        cluster.initialize(programs, owner.as_ref(), prepare)?;
        cluster.launch(programs, owner.as_ref())?;
        Ok(cluster)
    }

    fn initialize(
        &self,
        programs: &Path,
        owner: Option<&User>,
        prepare: &dyn Fn(&Path) -> String,
    ) -> Result<(), PgError> {
        let mut command = Command::new(programs.join("initdb"));
        command
            .args(["--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C", "-U", "postgres", "-D"])
            .arg(self.data());
        let output = as_user(&mut command, owner, &self.directory)
            .output()
            .map_err(|error| failed(format!("initdb: {error}")))?;
        if !output.status.success() {
            return Err(failed(format!("initdb: {}", last_lines(&output.stderr))));
        }
        let mut settings = fs::OpenOptions::new()
            .append(true)
            .open(self.data().join("postgresql.conf"))
            .map_err(|error| failed(error.to_string()))?;
        let text = format!("{}{}", self.settings_file(), prepare(&self.data()));
        std::io::Write::write_all(&mut settings, text.as_bytes())
            .map_err(|error| failed(error.to_string()))
    }

    fn settings_file(&self) -> String {
        let destinations =
            if self.version >= 15 { "stderr,csvlog,jsonlog" } else { "stderr,csvlog" };
        format!(
            "listen_addresses = ''\nport = {}\nunix_socket_directories = '{}'\n\
             max_connections = 60\nshared_buffers = 256MB\nfsync = off\nsynchronous_commit = off\n\
             full_page_writes = off\nautovacuum_naptime = 1h\nrandom_page_cost = 1.1\n\
             shared_preload_libraries = 'pg_stat_statements, auto_explain'\n\
             pg_stat_statements.track_planning = on\n\
             logging_collector = on\nlog_destination = '{destinations}'\nlog_directory = 'log'\n\
             log_filename = 'server.log'\nlog_rotation_age = 0\nlog_rotation_size = 0\n\
             log_line_prefix = '%m [%p] %q%u@%d '\nlog_timezone = 'UTC'\ntimezone = 'UTC'\n\
             lc_messages = 'C'\nlog_checkpoints = off\n",
            self.port,
            self.directory.display()
        )
    }

    fn launch(&mut self, programs: &Path, owner: Option<&User>) -> Result<(), PgError> {
        let said = self.directory.join("startup.log");
        let file = fs::File::create(&said).map_err(|error| failed(error.to_string()))?;
        let also = file.try_clone().map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(programs.join("postgres"));
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(file).stderr(also);
        // A group of its own: Ctrl-C is ours to handle, the server must not die under us.
        command.process_group(0);
        let child = as_user(&mut command, owner, &self.directory)
            .spawn()
            .map_err(|error| failed(format!("postgres: {error}")))?;
        let postmaster = self.postmaster.insert(child);
        let settings = settings(&self.directory, self.port, "postgres");
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = postmaster.try_wait() {
                let text = fs::read(&said).unwrap_or_default();
                return Err(failed(format!("postgres ended with {status}: {}", last_lines(&text))));
            }
            match Connection::open(&settings) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == PgErrorKind::Interrupted => return Err(error),
                Err(error) if started.elapsed() > START_TIMEOUT => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// How to connect to `database` as the superuser.
    pub fn settings(&self, database: &str) -> Settings {
        settings(&self.directory, self.port, database)
    }

    /// The server's own log in one of its formats: `log`, `csv` or `json`.
    pub fn log_file(&self, extension: &str) -> PathBuf {
        self.data().join("log").join(format!("server.{extension}"))
    }

    /// The directory that holds everything of the cluster, its socket included.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the server.
    pub fn postmaster_id(&self) -> Option<u32> {
        self.postmaster.as_ref().map(Child::id)
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        drop(self.pipe.take());
        if let Some(mut postmaster) = self.postmaster.take() {
            let _ = postmaster.wait();
        }
        let _ = self.watchdog.wait();
    }
}

fn settings(directory: &Path, port: u16, database: &str) -> Settings {
    Settings::on_socket(directory, port, "postgres", database, "throwaway cluster")
}

fn failed(cause: impl Into<String>) -> PgError {
    PgError::new(PgErrorKind::Connection, "cannot start a throwaway PostgreSQL", cause)
}

/// The user the server runs as when we are root, which it refuses to be.
fn owner() -> Result<Option<User>, PgError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| User::from_name(name).ok().flatten())
        .map(Some)
        .ok_or_else(|| {
            failed(
                "PostgreSQL does not run as root, and there is neither a user postgres nor nobody",
            )
        })
}

/// Another user can reach what lies in `directory`.
fn is_open_to_all(directory: &Path) -> bool {
    directory.ancestors().all(|part| {
        fs::metadata(part).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    })
}

fn as_user<'c>(
    command: &'c mut Command,
    owner: Option<&User>,
    directory: &Path,
) -> &'c mut Command {
    if let Some(owner) = owner {
        command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
    }
    // Where we stand may be closed to that user, and PG* of ours must not reach the server.
    command.current_dir(directory).env_remove("PGDATA").env_remove("PGPORT").env_remove("PGHOST")
}

fn major_version(programs: &Path) -> Result<u32, PgError> {
    let output = Command::new(programs.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| failed(format!("{}: {error}", programs.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace()
        .find_map(|word| word.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
        .ok_or_else(|| failed("postgres --version names no version"))
}

/// Starts the process that cleans up behind us.
fn watch(directory: &Path) -> std::io::Result<(Child, ChildStdin)> {
    const SCRIPT: &str = r#"
        read -r _
        pidfile="$1/data/postmaster.pid"
        [ -e "$pidfile" ] && kill -QUIT "$(head -n 1 "$pidfile")" 2>/dev/null
        tries=0
        while [ -e "$pidfile" ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
        tries=0
        rm -rf "$1"
        while [ -e "$1" ] && [ $tries -lt 20 ]; do sleep 0.2; rm -rf "$1"; tries=$((tries + 1)); done
    "#;
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT, "pgassay-watchdog"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn()?;
    let pipe =
        child.stdin.take().ok_or_else(|| std::io::Error::other("no pipe to the watchdog"))?;
    Ok((child, pipe))
}

/// Belongs to us, or to the user that our servers run as.
fn is_ours(uid: u32) -> bool {
    uid == Uid::effective().as_raw()
        || owner().ok().flatten().is_some_and(|server| server.uid.as_raw() == uid)
}

/// Removes what a killed process and its killed watchdog left.
pub fn remove_stale(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(id, number)| number.parse::<u32>().ok().and(id.parse::<i32>().ok()));
        let Some(owner) = owner else { continue };
        // Whoever else made a directory of this name must not choose whom we signal.
        if !entry.metadata().is_ok_and(|metadata| metadata.is_dir() && is_ours(metadata.uid())) {
            continue;
        }
        let alive = !matches!(
            nix::sys::signal::kill(Pid::from_raw(owner), None),
            Err(nix::errno::Errno::ESRCH)
        );
        if alive {
            continue;
        }
        let pidfile = entry.path().join("data/postmaster.pid");
        let server = fs::read_to_string(&pidfile)
            .ok()
            .and_then(|text| text.lines().next().and_then(|line| line.trim().parse::<i32>().ok()));
        if let Some(server) = server.filter(|id| *id > 1) {
            let _ =
                nix::sys::signal::kill(Pid::from_raw(server), nix::sys::signal::Signal::SIGQUIT);
            let waiting = Instant::now();
            while pidfile.exists() && waiting.elapsed() < Duration::from_secs(5) {
                sleep(Duration::from_millis(50));
            }
        }
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn last_lines(bytes: &[u8]) -> String {
    let mut text = String::new();
    let _ = bytes.take(1 << 20).read_to_string(&mut text);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}
