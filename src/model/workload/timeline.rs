//! Executions in the order the server finished them.

use xxhash_rust::xxh3::xxh3_64;

/// One execution, small enough to keep by the hundred thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// When the server wrote the record (the end of the execution), microseconds since the epoch.
    pub at_us: i64,
    /// Place among executions of the same time.
    pub order: u64,
    /// At most 71 minutes.
    pub duration_us: u32,
    /// Index into the workload's queries.
    pub query: u32,
    /// Hash of database and user.
    pub role_key: u32,
    /// Hash of the session.
    pub session: u32,
    /// Hash of the `application_name`; 0 where the source does not say.
    pub application: u32,
    /// The transaction or trace that it belongs to.
    pub group: Group,
    /// Start in [`Timeline::slots`]; one for each literal position of the query follows.
    pub slots_start: u32,
}

/// The application's trace that a comment of the statement names, or the server's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Group(pub u32);

impl Group {
    pub const UNKNOWN: Group = Group(0);

    pub fn transaction(hash: u64) -> Group {
        Group((hash as u32 & !3) | 2)
    }

    pub fn trace(hash: u64) -> Group {
        Group(hash as u32 | 3)
    }

    pub fn is_trace(self) -> bool {
        self.0 & 3 == 3
    }

    pub fn is_transaction(self) -> bool {
        self.0 & 3 == 2
    }
}

/// Hash of the value at a literal position, for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotHash(pub u32);

impl SlotHash {
    pub const UNKNOWN: SlotHash = SlotHash(0);
    pub const NULL: SlotHash = SlotHash(1);

    pub fn scalar(hash: u64) -> SlotHash {
        SlotHash((hash as u32 & !3) | 2)
    }

    pub fn list(hash: u64) -> SlotHash {
        SlotHash(hash as u32 | 3)
    }

    pub fn is_scalar(self) -> bool {
        self.0 & 3 == 2
    }

    /// A list of more than one element.
    pub fn is_list(self) -> bool {
        self.0 & 3 == 3
    }
}

impl SlotHash {
    /// The hash of a value in its text form.
    pub fn of_text(text: &str) -> SlotHash {
        let bytes = text.as_bytes();
        SlotHash::scalar(uuid_hash(bytes).unwrap_or_else(|| xxh3_64(bytes)))
    }
}

/// Hash of the digits of a UUID, which may stand without dashes and in braces.
pub fn uuid_hash(text: &[u8]) -> Option<u64> {
    const DIGITS: usize = 32;
    if !(DIGITS..=DIGITS + 6).contains(&text.len()) {
        return None;
    }
    let text = text.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}")).unwrap_or(text);
    let mut digits = [0; DIGITS];
    let mut count = 0;
    for byte in text.iter().filter(|byte| **byte != b'-') {
        if count == DIGITS || !byte.is_ascii_hexdigit() {
            return None;
        }
        digits[count] = byte.to_ascii_lowercase();
        count += 1;
    }
    (count == DIGITS).then(|| xxh3_64(&digits))
}

/// Executions ordered by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    pub executions: Vec<Execution>,
    pub slots: Vec<SlotHash>,
    /// Values that settings of the application were given; [`Execution::query`] is an index into the workload's
    /// settings, and there is one slot.
    pub assignments: Vec<Execution>,
    /// Executions seen; more than are kept where the bound was reached.
    pub seen: u64,
}

impl Timeline {
    /// The values of an execution of a query with `positions` literal positions.
    pub fn slots(&self, execution: &Execution, positions: usize) -> &[SlotHash] {
        let start = execution.slots_start as usize;
        self.slots.get(start..start + positions).unwrap_or(&[])
    }

    /// Share of the executions that are kept, 0 to 1.
    pub fn kept_share(&self) -> f64 {
        if self.seen == 0 { 1.0 } else { self.executions.len() as f64 / self.seen as f64 }
    }
}
