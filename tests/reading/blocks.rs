//! Reading gives the same whatever the blocks, threads and packings.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use pgassay::model::workload::Workload;
use pgassay::model::workload::timeline::SlotHash;
use pgassay::source::collect::collector::Collector;
use pgassay::source::format::framer::Options;
use pgassay::source::read;

/// A log of the test data, unpacked.
fn log(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nplus1").join(name);
    let mut bytes = Vec::new();
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

fn workload(bytes: &[u8], options: &Options) -> Workload {
    let mut collector = Collector::new();
    read(bytes, "log", options, &mut collector).unwrap();
    collector.finish()
}

/// Everything that was gathered, in a form that can be compared.
fn everything(workload: &Workload) -> String {
    let mut out = format!("{:?} {:?}\n", workload.window, workload.coverage);
    for query in &workload.queries {
        out += &format!(
            "{} {} {} {} {:?} {:?}\n",
            query.fingerprint,
            query.normalized,
            query.calls,
            query.total_us,
            query.durations.buckets(),
            query.queryid
        );
        for sample in &query.samples {
            let values: Vec<_> = sample.parameters.iter().map(|value| value.expose()).collect();
            out += &format!("  {} {values:?}\n", sample.text);
        }
        for slot in &query.slots {
            let counts: Vec<_> =
                slot.counts().iter().map(|(value, count)| (value.expose(), *count)).collect();
            out += &format!("  {} {} {} {counts:?}\n", slot.seen, slot.lists, slot.elements);
        }
    }
    for execution in &workload.timeline.executions {
        let positions = workload.queries[execution.query as usize].slots.len();
        let slots: &[SlotHash] = workload.timeline.slots(execution, positions);
        out += &format!(
            "{} {} {} {} {} {:?} {slots:?}\n",
            execution.at_us,
            execution.query,
            execution.duration_us,
            execution.session,
            execution.role_key,
            execution.group
        );
    }
    out
}

const LOGS: [&str; 5] = [
    "p01_sa_lazy_has_many_ext",
    "p04_sa_interleaved",
    "p19_graphql_concurrent",
    "p28_sa_log_duration_split",
    "n08_sa_queue_worker",
];

#[test]
fn the_size_of_the_blocks_and_the_number_of_threads_do_not_matter() {
    for name in LOGS {
        for ending in ["stderr.log", "csv", "json"] {
            let bytes = log(&format!("{name}.{ending}.gz"));
            let whole = workload(&bytes, &Options { threads: Some(1), ..Options::default() });
            let whole = everything(&whole);
            for (block_bytes, threads) in [(200, 1), (777, 3), (5_000, 2), (40_000, 4)] {
                let options = Options {
                    block_bytes: Some(block_bytes),
                    threads: Some(threads),
                    ..Options::default()
                };
                let parts = everything(&workload(&bytes, &options));
                if parts != whole {
                    let differ = parts.lines().zip(whole.lines()).find(|(a, b)| a != b);
                    panic!("{name}.{ending} in blocks of {block_bytes}: {differ:#?}");
                }
            }
        }
    }
}

#[test]
fn every_packing_is_unpacked() {
    let bytes = log("p01_sa_lazy_has_many_ext.csv.gz");
    let whole = everything(&workload(&bytes, &Options::default()));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&bytes).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&bytes).unwrap();
    let half = bytes.len() / 2;
    let packed: [(&str, Vec<u8>); 5] = [
        ("gzip", gzip.finish().unwrap()),
        ("bzip2", bzip2.finish().unwrap()),
        ("xz", xz.finish().unwrap()),
        ("zstd", zstd::encode_all(&bytes[..], 1).unwrap()),
        // Rotated parts that were put together are one input.
        (
            "two frames",
            [zstd::encode_all(&bytes[..half], 1), zstd::encode_all(&bytes[half..], 1)]
                .map(Result::unwrap)
                .concat(),
        ),
    ];
    for (name, packed) in packed {
        assert_eq!(everything(&workload(&packed, &Options::default())), whole, "{name}");
        // A packing that breaks off gives what came before, or says that nothing did.
        let cut = &packed[..packed.len() * 2 / 3];
        let mut collector = Collector::new();
        if read(cut, "cut", &Options::default(), &mut collector).is_ok() {
            let cut = collector.finish();
            assert!(cut.coverage.skipped.iter().any(|s| s.reason == "input breaks off"), "{name}");
        }
    }
}

#[test]
fn line_ends_of_windows_change_nothing() {
    let path: PathBuf = Path::new("p04_sa_interleaved.stderr.log.gz").into();
    let bytes = log(path.to_str().unwrap());
    let text = String::from_utf8(bytes.clone()).unwrap().replace('\n', "\r\n");
    assert_eq!(
        everything(&workload(text.as_bytes(), &Options::default())),
        everything(&workload(&bytes, &Options::default()))
    );
}
