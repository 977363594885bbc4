//! Captures of the parts of a log, merged, are the capture of the whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use pgassay::source::collect::collector::Collector;
use pgassay::source::format::framer::Options;
use pgassay::source::{begins, capture, read};
use proptest::prelude::*;

fn log(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let mut bytes = Vec::new();
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Inputs in order of their times, as the command line reads them.
fn captured(inputs: &[&[u8]]) -> Vec<u8> {
    let mut inputs = inputs.to_vec();
    inputs.sort_by_key(|input| begins(*input));
    let mut collector = Collector::new();
    for input in inputs {
        read(input, "log", &Options::default(), &mut collector).unwrap();
    }
    capture::write(&mut collector).unwrap()
}

/// Where lines begin that begin a record.
fn records(log: &[u8]) -> Vec<usize> {
    let is_start =
        |at: usize| log[at..].starts_with(b"20") || log[at..].starts_with(b"{\"timestamp\"");
    let after = |(at, byte): (usize, &u8)| (*byte == b'\n').then_some(at + 1);
    let starts = log.iter().enumerate().filter_map(after);
    std::iter::once(0).chain(starts).filter(|at| *at < log.len() && is_start(*at)).collect()
}

const LOGS: [&str; 6] = [
    "nplus1/p01_sa_lazy_has_many_ext.stderr.log.gz",
    "nplus1/p01_sa_lazy_has_many_ext.csv.gz",
    "nplus1/p04_sa_interleaved.json.gz",
    "nplus1/p28_sa_log_duration_split.stderr.log.gz",
    "nplus1/n08_sa_queue_worker.stderr.log.gz",
    "nplus1/p19_graphql_concurrent.csv.gz",
];

fn unpacked(capture: &[u8]) -> String {
    String::from_utf8(zstd::decode_all(capture).unwrap()).unwrap()
}

fn assert_same(merged: &[u8], whole: &[u8], what: &str) {
    if merged != whole {
        let (a, b) = (unpacked(merged), unpacked(whole));
        let at = a.bytes().zip(b.bytes()).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
        let from =
            (0..=at.saturating_sub(200)).rev().find(|at| a.is_char_boundary(*at)).unwrap_or(0);
        let piece =
            |text: &str| text.get(from..).unwrap_or("").chars().take(420).collect::<String>();
        panic!("{what}\nmerged {}\nwhole  {}", piece(&a), piece(&b));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn halves_cut_between_any_two_records_merge_in_any_order(
        name in 0..LOGS.len(), at in 0.0f64..1.0, turned in any::<bool>()
    ) {
        let bytes = log(LOGS[name]);
        let starts = records(&bytes);
        let cut = starts[1 + ((starts.len() - 1) as f64 * at) as usize..].first().copied().unwrap_or(starts[1]);
        let (one, two) = (captured(&[&bytes[..cut]]), captured(&[&bytes[cut..]]));
        let merged = if turned { captured(&[&two, &one]) } else { captured(&[&one, &two]) };
        assert_same(&merged, &captured(&[&bytes]), &format!("{} cut at {cut}", LOGS[name]));
        // The parts of a rotated log read at once say the same.
        assert_same(&captured(&[&bytes[cut..], &bytes[..cut]]), &merged, LOGS[name]);
    }

    #[test]
    fn many_parts_merge_in_any_grouping(
        name in 0..LOGS.len(), cuts in prop::collection::vec(0.0f64..1.0, 2..5), seed in any::<u64>()
    ) {
        let bytes = log(LOGS[name]);
        let starts = records(&bytes);
        let mut places: Vec<usize> =
            cuts.iter().map(|at| starts[((starts.len() - 1) as f64 * at) as usize]).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        places.dedup();
        let mut parts: Vec<Vec<u8>> =
            places.windows(2).map(|pair| captured(&[&bytes[pair[0]..pair[1]]])).collect();
        // Neighbours are merged two by two, whichever come first.
        let mut seed = seed;
        while parts.len() > 1 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % (parts.len() - 1);
            let right = parts.remove(at + 1);
            let left = parts.remove(at);
            let merged = if seed & 1 == 0 { captured(&[&left, &right]) } else { captured(&[&right, &left]) };
            parts.insert(at, merged);
        }
        assert_same(&parts[0], &captured(&[&bytes]), LOGS[name]);
    }
}

#[test]
fn parts_merge_in_any_order_where_nothing_is_under_way() {
    // Statements of the simple protocol are one record each.
    let bytes = log("nplus1/p02_sa_lazy_has_many_simple.csv.gz");
    let starts = records(&bytes);
    let cuts = [0, starts[40], starts[90], starts[130], bytes.len()];
    let parts: Vec<Vec<u8>> =
        cuts.windows(2).map(|pair| captured(&[&bytes[pair[0]..pair[1]]])).collect();
    let whole = captured(&[&bytes]);
    for order in [[0, 2, 1, 3], [3, 0, 2, 1], [1, 3, 0, 2]] {
        let mut merged = parts[order[0]].clone();
        for next in &order[1..] {
            merged = captured(&[&merged, &parts[*next]]);
        }
        assert_same(&merged, &whole, &format!("{order:?}"));
    }
}

#[test]
fn a_capture_gives_the_workload_of_its_log() {
    for name in LOGS {
        let bytes = log(name);
        let of = |input: &[u8]| {
            let mut collector = Collector::new();
            read(input, "log", &Options::default(), &mut collector).unwrap();
            let workload = collector.finish();
            let queries: Vec<_> = workload
                .queries
                .iter()
                .map(|q| {
                    (q.fingerprint, q.calls, q.total_us, q.durations.buckets(), q.samples.clone())
                })
                .collect();
            let executions: Vec<_> = workload
                .timeline
                .executions
                .iter()
                .map(|e| (e.at_us, e.query, e.duration_us, e.session, e.role_key, e.group))
                .collect();
            (queries, executions, workload.window, workload.coverage.statements)
        };
        assert_eq!(of(&captured(&[&bytes])), of(&bytes), "{name}");
    }
}

#[test]
fn what_is_no_capture_of_this_version_is_refused() {
    let bytes = log(LOGS[1]);
    let good = unpacked(&captured(&[&bytes]));
    let later = good.replacen("{\"pgassay_capture\":2", "{\"pgassay_capture\":3", 1);
    let cut = &good[..good.len() / 2];
    let strange = good.replacen("\"statements\":[", "\"statements\":[7,", 1);
    for (text, words) in
        [(later.as_str(), "version 3"), (cut, "cannot be read"), (&strange, "cannot be read")]
    {
        let mut collector = Collector::new();
        let error = read(text.as_bytes(), "x", &Options::default(), &mut collector).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_capture_of_the_first_version_is_read_as_of_one_database() {
    let mut old: serde_json::Value =
        serde_json::from_str(&unpacked(&captured(&[&log(LOGS[0])]))).unwrap();
    old["pgassay_capture"] = 1.into();
    old.as_object_mut().unwrap().remove("databases");
    for statement in old["statements"].as_array_mut().unwrap() {
        statement.as_object_mut().unwrap().remove("database");
    }
    // The version comes first, whatever the order of the others.
    let text = old.to_string().replace(",\"pgassay_capture\":1", "");
    let text = text.replacen('{', "{\"pgassay_capture\":1,", 1);
    let mut collector = Collector::new();
    read(text.as_bytes(), "old", &Options::default(), &mut collector).unwrap();
    assert!(collector.shares().0.is_empty());
    assert!(collector.finish().coverage.statements > 100);
}

#[test]
fn a_part_of_one_record_merges_wherever_it_is_cut_out() {
    for name in LOGS {
        let bytes = log(name);
        let starts = records(&bytes);
        let whole = captured(&[&bytes]);
        for pair in starts.windows(2).skip(1) {
            let parts = [&bytes[..pair[0]], &bytes[pair[0]..pair[1]], &bytes[pair[1]..]];
            let [one, two, three] = parts.map(|part| captured(&[part]));
            let merged = captured(&[&captured(&[&one, &two]), &three]);
            assert_same(&merged, &whole, &format!("{name} at {}", pair[0]));
        }
    }
}
