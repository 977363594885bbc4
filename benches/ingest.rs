//! How fast logs are read, beside pgBadger in the same run.
//!
//! `cargo bench --bench ingest` makes 1 GB logs in each format from the logs in `tests/data/nplus1`,
//! reads each with `pgassay analyze`, and a smaller one with pgBadger when it is installed.
//! `PGASSAY_BENCH_MB` sets another size, `PGASSAY_BENCH_RUNS` another number of runs.

#[path = "amplify.rs"]
mod amplify;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Size of the logs that pgBadger reads, bytes: at its speed the large ones would take hours.
const PEER_BYTES: u64 = 20_000_000;

struct Timed {
    seconds: f64,
    cpu_seconds: f64,
    peak_mb: f64,
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a command, with time and memory as `/usr/bin/time` sees them.
fn timed(command: &mut Command) -> Option<Timed> {
    let started = Instant::now();
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    let pid = child.id() as libc::pid_t;
    let mut status = 0;
    // SAFETY: the structure is plain data that the call fills.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::wait4(pid, &mut status, 0, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (status == 0).then(|| Timed {
        seconds: started.elapsed().as_secs_f64(),
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_mb: usage.ru_maxrss as f64 / 1024.0,
    })
}

fn log(directory: &Path, name: &str, ending: &str, bytes: u64) -> PathBuf {
    let path = directory.join(format!("{name}.{ending}"));
    if std::fs::metadata(&path).map_or(0, |file| file.len()) < bytes {
        let base = amplify::base(&[Path::new("tests/data/nplus1")], ending);
        amplify::amplify(&base, &path, bytes);
    }
    path
}

fn main() {
    let bytes = setting("PGASSAY_BENCH_MB", 1_000) * 1_000_000;
    let runs = setting("PGASSAY_BENCH_RUNS", 5);
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    println!("format  tool                  MB   wall s   MB/s   CPU s   peak MB");
    for ending in ["stderr.log", "csv", "json"] {
        let large = log(&directory, &format!("{bytes}"), ending, bytes);
        // Into the page cache.
        std::io::copy(&mut std::fs::File::open(&large).unwrap(), &mut std::io::sink()).unwrap();
        for _ in 0..runs {
            let mut ours = Command::new(env!("CARGO_BIN_EXE_pgassay"));
            ours.args(["analyze", "-q", "--format", "json"]).arg(&large);
            report(ending, "pgassay", &large, timed(&mut ours));
        }
        let small = log(&directory, "peer", ending, PEER_BYTES);
        let mut peer = Command::new("pgbadger");
        let format = if ending == "json" { "jsonlog" } else { ending };
        let format = if ending == "stderr.log" { "stderr" } else { format };
        peer.args(["-q", "-j", "2", "-f", format, "-x", "json", "-o", "-"]);
        if ending == "stderr.log" {
            peer.args(["-p", "%m [%p] %q%u@%d "]);
        }
        peer.arg(&small);
        report(ending, "pgbadger -j2", &small, timed(&mut peer));
    }
}

fn report(format: &str, tool: &str, path: &Path, timed: Option<Timed>) {
    let mb = std::fs::metadata(path).map_or(0, |file| file.len()) as f64 / 1e6;
    match timed {
        Some(t) => println!(
            "{format:<10} {tool:<14} {mb:>7.0} {:>8.2} {:>8.1} {:>6.2} {:>8.0}",
            t.seconds,
            mb / t.seconds,
            t.cpu_seconds,
            t.peak_mb
        ),
        None => println!("{format:<10} {tool:<14} not installed, or failed"),
    }
}
