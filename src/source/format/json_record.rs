//! A server record inside the JSON of a cloud, a container runtime or a log drain.

use super::json_fields::{Value, members};

/// Depth of objects and arrays that is looked into.
const DEEPEST: usize = 8;

/// The values that were found, with escapes decoded. Of a name that stands at several depths the deepest counts:
/// it is the server's own.
#[derive(Debug, Default)]
pub struct RecordFields {
    values: [(usize, Vec<u8>); NAMES.len()],
}

/// The names under which the providers give the parts of a record. Sources: the documentation of
/// Cloud SQL and AlloyDB (`textPayload`), Azure (`errorLevel`, `processId`), Supabase
/// (`event_message`, `metadata.parsed`), CloudNativePG (`record`), journald and Docker (`log`).
const NAMES: [&[&[u8]]; 11] = [
    &[b"message", b"textPayload", b"event_message", b"MESSAGE", b"log"],
    &[b"error_severity", b"errorLevel"],
    &[b"detail"],
    &[b"log_time", b"timestamp", b"time", b"__REALTIME_TIMESTAMP"],
    &[b"session_id", b"sessionId"],
    &[b"process_id", b"processId", b"pid", b"SYSLOG_PID", b"_PID"],
    &[b"user_name", b"user"],
    &[b"database_name", b"dbname", b"database"],
    &[b"application_name", b"appName"],
    &[b"virtual_transaction_id", b"vxid"],
    &[b"query_id"],
];

pub const TEXT: usize = 0;
pub const SEVERITY: usize = 1;
pub const DETAIL: usize = 2;
pub const TIME: usize = 3;
pub const SESSION: usize = 4;
pub const PID: usize = 5;
pub const USER: usize = 6;
pub const DATABASE: usize = 7;
pub const APPLICATION: usize = 8;
pub const TRANSACTION: usize = 9;
pub const QUERYID: usize = 10;

impl RecordFields {
    /// Looks through one object; `false` when it is not whole.
    pub fn read(&mut self, object: &[u8]) -> bool {
        for (depth, value) in &mut self.values {
            *depth = 0;
            value.clear();
        }
        self.object(object, 1)
    }

    pub fn get(&self, name: usize) -> &[u8] {
        &self.values[name].1
    }

    fn object(&mut self, object: &[u8], depth: usize) -> bool {
        members(object, &mut |key, value| self.member(key, value, depth))
    }

    fn member(&mut self, key: &[u8], value: Value<'_>, depth: usize) {
        match value {
            Value::Other(raw @ [b'{', ..]) if depth < DEEPEST => {
                self.object(raw, depth + 1);
            }
            // A text that journald did not take for one is an array of its bytes.
            Value::Other(raw @ [b'[', ..]) if key == b"MESSAGE" => self.put(TEXT, depth, |out| {
                let numbers = raw.split(|byte| !byte.is_ascii_digit());
                let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u8>().ok();
                out.extend(numbers.filter_map(number));
            }),
            Value::Other(raw @ [b'[', ..]) if depth < DEEPEST => {
                for element in objects(&raw[1..]) {
                    self.object(element, depth + 1);
                }
            }
            Value::Other(b"null") => {}
            value => {
                if let Some(name) = NAMES.iter().position(|names| names.contains(&key)) {
                    self.put(name, depth, |out| {
                        let mut buffer = Vec::new();
                        let text = match value {
                            Value::Text(..) => value.text(&mut buffer),
                            Value::Other(raw) => raw,
                        };
                        out.extend_from_slice(text);
                    });
                }
            }
        }
    }

    fn put(&mut self, name: usize, depth: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let (known, value) = &mut self.values[name];
        if depth >= *known {
            *known = depth;
            value.clear();
            write(value);
        }
    }
}

/// The objects of a text, whatever stands between them: lines, or an array printed over many.
pub fn objects(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = memchr::memchr(b'{', rest)?;
        let end = super::json_fields::nested_end(rest, start)?;
        let object = &rest[start..end];
        rest = &rest[end..];
        Some(object)
    })
}

/// The objects of a list of records around them, or the object itself.
pub fn records(object: &[u8]) -> Vec<&[u8]> {
    let mut inner = Vec::new();
    members(object, &mut |key, value| {
        if let (b"records" | b"entries" | b"result", Value::Other(raw @ [b'[', ..])) = (key, value)
        {
            inner = objects(&raw[1..]).collect();
        }
    });
    if inner.is_empty() { vec![object] } else { inner }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_of_a_name_counts_and_bytes_are_text() {
        let mut found = RecordFields::default();
        let object = br#"{"timestamp":"outer","msg":"record","record":{"message":"duration: 1 ms","timestamp":"inner","process_id":101},"x":[{"detail":"d\n"}]}"#;
        assert!(found.read(object));
        assert_eq!(found.get(TEXT), b"duration: 1 ms");
        assert_eq!(found.get(TIME), b"inner");
        assert_eq!(found.get(PID), b"101");
        assert_eq!(found.get(DETAIL), b"d\n");
        assert!(found.read(br#"{"MESSAGE":[72, 105],"_PID":"7"}"#));
        assert_eq!((found.get(TEXT), found.get(PID)), (&b"Hi"[..], &b"7"[..]));
        assert!(!found.read(b"{\"a\":"));
    }

    #[test]
    fn objects_are_found_in_lines_and_in_arrays() {
        let text = b"[\n {\"a\": {\"b\": \"}\"}},\n {\"c\": 1}\n]";
        let found: Vec<&[u8]> = objects(text).collect();
        assert_eq!(found, [&b"{\"a\": {\"b\": \"}\"}}"[..], &b"{\"c\": 1}"[..]]);
        assert_eq!(records(br#"{"records":[{"a":1},{"b":2}]}"#).len(), 2);
        assert_eq!(records(br#"{"a":1}"#).len(), 1);
    }
}
