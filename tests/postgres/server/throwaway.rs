//! The throwaway cluster comes and goes.

use std::path::Path;
use std::process::Stdio;

use pgassay::pg::cluster::Throwaway;

use crate::support::{pgassay, programs, wait_until};

fn is_alive(process: u32) -> bool {
    // A zombie is dead, it only has not been told.
    std::fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

fn clusters(base: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(base).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_cluster_is_gone_when_it_is_dropped() {
    let Some(programs) = programs() else { return };
    let base = tempfile::Builder::new().prefix("pa").tempdir_in("/tmp").unwrap();
    open_to_all(base.path());
    let cluster = Throwaway::start(&programs, base.path()).unwrap();
    let (directory, server) = (cluster.directory().to_owned(), cluster.postmaster_id().unwrap());
    assert!(directory.exists() && is_alive(server));
    for extension in ["log", "csv"] {
        assert!(cluster.log_file(extension).exists(), "{extension}");
    }
    assert_eq!(cluster.log_file("json").exists(), cluster.version >= 15);
    drop(cluster);
    assert!(!directory.exists() && !is_alive(server));
}

#[test]
fn a_killed_process_leaves_no_server_and_no_directory() {
    let Some(programs) = programs() else { return };
    let base = tempfile::Builder::new().prefix("pa").tempdir_in("/tmp").unwrap();
    open_to_all(base.path());
    let output = tempfile::tempdir().unwrap();
    let mut demo = pgassay()
        .args(["demo", "--quiet", "--dir"])
        .arg(output.path())
        .arg("--postgres-bin")
        .arg(&programs)
        .env("TMPDIR", base.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pidfile = |directory: &Path| directory.join("data/postmaster.pid");
    let mut server = 0;
    wait_until("the server's start", || {
        let ids = clusters(base.path())
            .iter()
            .filter_map(|d| std::fs::read_to_string(pidfile(d)).ok())
            .collect::<Vec<_>>();
        server = ids.first().and_then(|text| text.lines().next()?.parse().ok()).unwrap_or(0);
        server > 0
    });
    demo.kill().unwrap();
    demo.wait().unwrap();
    wait_until("the server's end", || !is_alive(server));
    wait_until("the directory's end", || clusters(base.path()).is_empty());
}

#[test]
fn what_a_dead_process_left_is_removed_by_the_next() {
    let Some(programs) = programs() else { return };
    let base = tempfile::Builder::new().prefix("pa").tempdir_in("/tmp").unwrap();
    open_to_all(base.path());
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let stale = base.path().join(format!("pgassay-{}-0", gone.id()));
    let alive = base.path().join(format!("pgassay-{}-7", std::process::id()));
    let foreign = base.path().join("pgassay-notes");
    for directory in [&stale, &alive, &foreign] {
        std::fs::create_dir_all(directory.join("data")).unwrap();
    }
    drop(Throwaway::start(&programs, base.path()).unwrap());
    assert!(!stale.exists() && alive.exists() && foreign.exists());
}

/// The server may run as another user, who has to reach its directory.
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
