//! Makes a large log out of small ones that a real server wrote.
//!
//! Every copy has other times, process ids and values, so that no cache of ours or of the page sees
//! the same execution twice; the statements and their mix stay.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// Files of one format, unpacked, in order of name.
pub fn base(directories: &[&Path], ending: &str) -> Vec<u8> {
    let mut base = Vec::new();
    for directory in directories {
        let mut names: Vec<_> = std::fs::read_dir(directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| {
                let name = path.to_string_lossy().into_owned();
                name.trim_end_matches(".gz").ends_with(ending)
            })
            .collect();
        names.sort();
        for path in names {
            let mut file = File::open(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "gz") {
                MultiGzDecoder::new(file).read_to_end(&mut base).unwrap();
            } else {
                file.read_to_end(&mut base).unwrap();
            }
        }
    }
    base
}

/// Writes copies of `base` to `path` until it has `bytes`.
pub fn amplify(base: &[u8], path: &Path, bytes: u64) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    let mut written = 0;
    let mut copy = 0u64;
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    // Milliseconds since an arbitrary start; each line is a little later than the one before.
    let mut clock_ms = 0u64;
    while written < bytes {
        for line in base.split_inclusive(|byte| *byte == b'\n') {
            let mut line = line.to_vec();
            clock_ms += u64::from(shift(&mut line, clock_ms, copy));
            vary(&mut line, &mut random);
            out.write_all(&line).unwrap();
            written += line.len() as u64;
        }
        copy += 1;
    }
    out.flush().unwrap();
}

/// Gives a line that begins a record a new time and its session a new name; whether it began one.
fn shift(line: &mut [u8], clock_ms: u64, copy: u64) -> bool {
    let start = if line.starts_with(b"{\"timestamp\":\"") { 14 } else { 0 };
    let is_time = line.len() > start + 23
        && line[start..start + 4].iter().all(u8::is_ascii_digit)
        && line[start + 4] == b'-'
        && line[start + 19] == b'.';
    if !is_time {
        return false;
    }
    let (ms, s) = (clock_ms % 1_000, clock_ms / 1_000);
    let time = format!(
        "2026-{:02}-{:02} {:02}:{:02}:{:02}.{ms:03}",
        1 + s / 86_400 / 28 % 12,
        1 + s / 86_400 % 28,
        s / 3_600 % 24,
        s / 60 % 60,
        s % 60
    );
    line[start..start + 23].copy_from_slice(time.as_bytes());
    // The last three digits of the process id, wherever it stands, follow the copy.
    for (at, byte) in pid(line, start).into_iter().zip(format!("{:03}", copy % 1_000).bytes()) {
        line[at] = byte;
    }
    true
}

/// Where the last three digits of the process id and of the session id stand.
fn pid(line: &[u8], start: usize) -> Vec<usize> {
    let find = |needle: &[u8], from: usize| {
        line[from..].windows(needle.len()).position(|window| window == needle).map(|at| from + at)
    };
    let end = if start > 0 {
        // "session_id":"6b033157.4475"
        find(b"\"session_id\":\"", 0).and_then(|at| find(b"\",", at + 14))
    } else if line.get(24..).is_some_and(|rest| rest.starts_with(b"UTC [")) {
        find(b"]", 0)
    } else {
        // time,user,database,pid,host,session
        let mut commas = line.iter().enumerate().filter(|(_, byte)| **byte == b',');
        commas.nth(5).map(|(at, _)| at)
    };
    end.filter(|end| *end > 3).map(|end| (end - 3..end).collect()).unwrap_or_default()
}

/// Other digits in quoted values.
fn vary(line: &mut [u8], random: &mut u64) {
    let mut inside = false;
    for byte in line {
        match byte {
            b'\'' => inside = !inside,
            b'0'..=b'9' if inside => {
                *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = b'1' + (*random >> 33) as u8 % 9;
            }
            _ => {}
        }
    }
}
