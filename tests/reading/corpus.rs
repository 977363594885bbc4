//! Inputs that the fuzz targets found, once more.
//!
//! `cargo +nightly fuzz run TARGET` finds them; see CONTRIBUTING.md.

#[path = "../../fuzz/harness.rs"]
mod harness;

use std::path::Path;

#[test]
fn nothing_that_was_found_breaks_a_reader() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in harness::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let done = std::panic::catch_unwind(|| target(&bytes));
            assert!(done.is_ok(), "{}", path.display());
            inputs += 1;
        }
        assert!(inputs > 3, "{name} has a corpus");
    }
}

/// The targets of the fuzzer are those of the harness, and one that needs a server.
#[test]
fn every_target_is_in_the_harness() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut targets: Vec<&str> = harness::TARGETS.iter().map(|(name, _)| *name).collect();
    targets.push("guard");
    files.sort();
    targets.sort_unstable();
    assert_eq!(files, targets);
}
