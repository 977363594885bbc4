//! A pooler between the tool and the server.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgassay::pg::config::settings::Settings;
use pgassay::pg::connect::connection::Connection;

use crate::support::{Shop, code, flags, run, server, stderr, stdout, write_log};

/// A pgbouncer that ends with its test.
struct Pooler {
    child: Child,
    settings: Settings,
    _directory: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pooler(shop: &Shop, mode: &str) -> Pooler {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let server = shop.settings();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let users = directory.path().join("users.txt");
    std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
    let file = directory.path().join("pgbouncer.ini");
    let text = format!(
        "[databases]\n{name} = host={host} port={server_port} dbname={name}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\npool_mode = {mode}\n\
         default_pool_size = 3\nignore_startup_parameters = extra_float_digits\n",
        name = server.database,
        host = server.host,
        server_port = server.port,
        users = users.display(),
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // It will not run as root, and has to reach the socket of the server's user.
    let child = Command::new("sh")
        .args([
            "-c",
            "PATH=$PATH:/usr/sbin; [ $(id -u) = 0 ] || exec pgbouncer -q \"$0\"; \
             user=$(id -un postgres 2>/dev/null || echo nobody); \
             exec setpriv --reuid $user --regid $(id -g $user) --clear-groups pgbouncer -q \"$0\"",
        ])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pgbouncer is installed");
    let settings = Settings { host: "127.0.0.1".to_owned(), port, connect_timeout_s: 2, ..server };
    let is_up = (0..40).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        Connection::open(&settings).is_ok()
    });
    assert!(is_up, "pgbouncer starts");
    Pooler { child, settings, _directory: directory }
}

/// What a client finds on each of the sessions of the pool.
fn left_behind(pooler: &Pooler) -> Vec<String> {
    let clients: Vec<Connection> =
        (0..3).map(|_| Connection::open(&pooler.settings).unwrap()).collect();
    // Open transactions, so that each has a session of its own.
    clients.iter().for_each(|client| client.batch("BEGIN").unwrap());
    let sql = "SELECT concat_ws(' ', current_setting('search_path'), current_setting('default_transaction_read_only'), \
               current_setting('statement_timeout'), current_setting('lock_timeout'), \
               current_setting('log_min_duration_statement'), (SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 's%'))";
    clients.iter().map(|client| client.row(sql, &[]).unwrap().get(0)).collect()
}

#[test]
fn a_transaction_pooler_is_told_and_nothing_is_left_on_its_sessions() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let pooler = pooler(&shop, "transaction");
    let before = left_behind(&pooler);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &[("SELECT id FROM listings WHERE seller_id = $1", &["7"], 20.0)]);
    let log = log.to_str().unwrap();
    let doctor = run(&["doctor"], &flags(&pooler.settings));
    assert_eq!(code(&doctor), 0, "{}", stderr(&doctor));
    assert!(stdout(&doctor).contains("transaction pooler"), "{}", stdout(&doctor));
    for command in [
        &["analyze", "--quiet", log][..],
        &["trial", "--quiet", log],
        &["check", "--quiet", "--save-baseline", "/dev/null", log],
    ] {
        let output = run(command, &flags(&pooler.settings));
        assert_eq!(code(&output), 2, "{command:?}: {}", stderr(&output));
        let direct = format!("-p {}", shop.settings().port);
        assert!(stderr(&output).contains(&direct), "{}", stderr(&output));
    }
    assert_eq!(left_behind(&pooler), before);
}

#[test]
fn a_pool_of_sessions_works_like_the_server_and_gets_its_sessions_back() {
    let Some(server) = server() else { return };
    let shop = Shop::new(server, true);
    let pooler = pooler(&shop, "session");
    let before = left_behind(&pooler);
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("app.log");
    write_log(&log, &[("SELECT id FROM listings WHERE seller_id = $1", &["7"], 20.0)]);
    let output = run(&["analyze", "--quiet", log.to_str().unwrap()], &flags(&pooler.settings));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("CREATE INDEX"), "{}", stdout(&output));
    assert_eq!(left_behind(&pooler), before);
}
