//! The fingerprint of a normalized statement.

use crate::model::workload::fingerprint::Fingerprint;

/// Hash of a normalized text; the same on every machine and in every version of this tool.
pub fn fingerprint(normalized: &str) -> Fingerprint {
    Fingerprint(xxhash_rust::xxh3::xxh3_64(normalized.as_bytes()))
}
