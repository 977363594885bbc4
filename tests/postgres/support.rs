//! One server for all tests, a small marketplace as a template, and the program itself.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pgassay::pg::cluster::{Throwaway, find_server};
use pgassay::pg::config::settings::Settings;
use pgassay::pg::connect::connection::Connection;

/// Where the programs of a server are. Without them a test on a server has nothing to do and passes;
/// `a_server_is_installed` fails for all of them.
pub fn programs() -> Option<PathBuf> {
    let given = std::env::var_os("PGASSAY_POSTGRES_BIN").map(PathBuf::from);
    find_server(given.as_deref(), &std::env::var("PATH").unwrap_or_default())
}

/// The server that the tests share. Its watchdog stops it when the test process ends.
pub fn server() -> Option<&'static Throwaway> {
    static SERVER: OnceLock<Option<Throwaway>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref()
}

/// A server without the transactions of other tests. While one of them is open, in any database, the server does not
/// remove dead rows from a page, and updates find no room in it.
pub fn server_of_its_own() -> Option<&'static Throwaway> {
    static SERVER: OnceLock<Option<Throwaway>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref()
}

fn start() -> Option<Throwaway> {
    let cluster = Throwaway::start(&programs()?, &std::env::temp_dir()).expect("a server starts");
    prepare_template(&cluster);
    Some(cluster)
}

fn prepare_template(cluster: &Throwaway) {
    let admin = Connection::open(&cluster.settings("postgres")).unwrap();
    admin.batch("CREATE DATABASE shop_template").unwrap();
    admin.batch("CREATE ROLE app LOGIN").unwrap();
    let owner = Connection::open(&cluster.settings("shop_template")).unwrap();
    owner.batch(include_str!("shop.sql")).unwrap();
    owner.batch("VACUUM (ANALYZE)").unwrap();
}

/// Vacuums and analyzes a table until its rows count as visible to all: once their commit has reached the disk, which
/// nobody waits for.
pub fn vacuumed(owner: &Connection, table: &str) {
    let seen = "SELECT 100 * relallvisible >= 99 * relpages FROM pg_class WHERE relname = $1";
    let is_seen = (0..100).any(|_| {
        sleep(Duration::from_millis(100));
        owner.batch(&format!("VACUUM (ANALYZE) {table}")).unwrap();
        owner.row(seen, &[&table]).unwrap().get(0)
    });
    assert!(is_seen, "{table} is not visible to all");
}

/// A database of its own for one test: a copy of the template.
pub struct Shop {
    pub cluster: &'static Throwaway,
    pub name: String,
}

impl Shop {
    /// `staging` sets the marker that consents to writing.
    pub fn new(cluster: &'static Throwaway, staging: bool) -> Shop {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("shop_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        // Copies cannot be made while another copy is under way.
        static COPY: Mutex<()> = Mutex::new(());
        let _one = COPY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let admin = Connection::open(&cluster.settings("postgres")).unwrap();
        admin.batch(&format!("CREATE DATABASE {name} TEMPLATE shop_template")).unwrap();
        if staging {
            admin
                .batch(&format!("ALTER DATABASE {name} SET pgassay.environment = 'test'"))
                .unwrap();
        }
        Shop { cluster, name }
    }

    pub fn settings(&self) -> Settings {
        self.cluster.settings(&self.name)
    }

    pub fn connect(&self) -> Connection {
        Connection::open(&self.settings()).unwrap()
    }

    /// Names of all indexes, policies and extensions: what a run must leave as it was.
    pub fn objects(&self) -> Vec<String> {
        let rows = self
            .connect()
            .query(
                "SELECT 'index ' || indexname FROM pg_indexes WHERE schemaname = 'public' \
                 UNION ALL SELECT 'policy ' || policyname FROM pg_policies \
                 UNION ALL SELECT 'extension ' || extname FROM pg_extension ORDER BY 1",
                &[],
            )
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Flags that lead the program here.
    pub fn flags(&self) -> Vec<String> {
        flags(&self.settings())
    }
}

pub fn flags(settings: &Settings) -> Vec<String> {
    [
        "-h",
        &settings.host,
        "-p",
        &settings.port.to_string(),
        "-U",
        &settings.user,
        "-d",
        &settings.database,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The program, with an environment that leads nowhere unless a test says so.
pub fn pgassay() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgassay"));
    for name in [
        "DATABASE_URL",
        "PGHOST",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGPASSWORD",
        "PGSERVICE",
        "PGPASSFILE",
    ] {
        command.env_remove(name);
    }
    command.current_dir(std::env::temp_dir());
    command
}

pub fn run(args: &[&str], flags: &[String]) -> Output {
    pgassay().args(args).args(flags).output().unwrap()
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The run on standard output, checked against the schema.
pub fn json(output: &Output) -> serde_json::Value {
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", String::from_utf8_lossy(&output.stdout), stderr(output))
    });
    let schema: serde_json::Value =
        serde_json::from_str(&pgassay::report::format::json::schema()).unwrap();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&value)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    value
}

/// Writes a stderr log in the default prefix: each entry is a statement, its parameters, and its time.
pub fn write_log(path: &Path, entries: &[(&str, &[&str], f64)]) {
    let mut text = String::new();
    for (number, (sql, parameters, ms)) in entries.iter().enumerate() {
        let at = format!(
            "2026-01-01 10:{:02}:{:02}.{:03} UTC",
            number / 600 % 60,
            number / 10 % 60,
            number % 10 * 100
        );
        text.push_str(&format!(
            "{at} [7] app@shop LOG:  duration: {ms:.3} ms  execute <unnamed>: {sql}\n"
        ));
        if !parameters.is_empty() {
            let list: Vec<String> =
                parameters.iter().enumerate().map(|(n, v)| format!("${} = '{v}'", n + 1)).collect();
            text.push_str(&format!("{at} [7] app@shop DETAIL:  parameters: {}\n", list.join(", ")));
        }
    }
    std::fs::write(path, text).unwrap();
}

/// The warnings of a run but for that of tests, which connect as a superuser.
pub fn warnings(found: &serde_json::Value) -> Vec<String> {
    let all = found["warnings"].as_array().unwrap().iter().filter_map(serde_json::Value::as_str);
    all.filter(|text| !text.contains("with the power of the superuser"))
        .map(str::to_owned)
        .collect()
}

/// Browse pages of a few categories, as their log.
pub fn browse_log(path: &Path) {
    let categories: Vec<String> = (1..=40).map(|n| n.to_string()).collect();
    let parameters: Vec<[&str; 2]> =
        categories.iter().map(|category| [category.as_str(), "20"]).collect();
    let sql =
        "SELECT id, title FROM listings WHERE category_id = $1 ORDER BY created_at DESC LIMIT $2";
    let entries: Vec<(&str, &[&str], f64)> =
        parameters.iter().map(|p| (sql, p.as_slice(), 15.0)).collect();
    write_log(path, &entries);
}

/// A statement that takes many seconds with an index and without: it counts for each row of a seller.
pub const LONG: &str = "SELECT id FROM listings WHERE seller_id = $1 \
    AND (SELECT count(*) FROM generate_series(1, 1000000) g WHERE g % 7 = length(title)) > 0";

/// Executions of [`LONG`], as their log: a trial of it is under way for as long as a test needs.
pub fn long_log(path: &Path) {
    write_log(path, &[(LONG, &["7"][..], 9_000.0)].repeat(20));
}

/// Waits for something that another process does.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(600), "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
