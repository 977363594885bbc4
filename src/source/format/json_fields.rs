//! Finds the members of a JSON object on one line, without building a tree.

/// A value, as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Between the quotes; with the flag set there are escapes in it.
    Text(&'a [u8], bool),
    /// A number, `true`, `false`, `null`, an object or an array.
    Other(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The text without escapes, copied into `buffer` where there are any.
    pub fn text(&self, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        match *self {
            Value::Text(raw, false) => raw,
            Value::Text(raw, true) => {
                buffer.clear();
                unescape(raw, buffer);
                buffer
            }
            Value::Other(_) => b"",
        }
    }

    /// As it stands in the text.
    pub fn raw(&self) -> &'a [u8] {
        match *self {
            Value::Text(raw, _) | Value::Other(raw) => raw,
        }
    }
}

/// Calls `member` for each member of the object at the start of `text`; `false` when it is no whole
/// object.
pub fn members<'a>(text: &'a [u8], member: &mut dyn FnMut(&'a [u8], Value<'a>)) -> bool {
    let mut at = blank(text, 0);
    if text.get(at) != Some(&b'{') {
        return false;
    }
    at = blank(text, at + 1);
    if text.get(at) == Some(&b'}') {
        return true;
    }
    loop {
        let Some((Value::Text(key, _), end)) = value(text, at) else { return false };
        at = blank(text, end);
        if text.get(at) != Some(&b':') {
            return false;
        }
        let Some((found, end)) = value(text, blank(text, at + 1)) else { return false };
        member(key, found);
        at = blank(text, end);
        match text.get(at) {
            Some(b',') => at = blank(text, at + 1),
            Some(b'}') => return true,
            _ => return false,
        }
    }
}

fn blank(text: &[u8], at: usize) -> usize {
    let mut at = at;
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The value at `at`, and where it ends.
fn value(text: &[u8], at: usize) -> Option<(Value<'_>, usize)> {
    match text.get(at)? {
        b'"' => {
            let (end, escaped) = string_end(text, at + 1)?;
            Some((Value::Text(&text[at + 1..end], escaped), end + 1))
        }
        b'{' | b'[' => {
            let end = nested_end(text, at)?;
            Some((Value::Other(&text[at..end]), end))
        }
        _ => {
            let length = text[at..]
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\r' | b'\n'))?;
            (length > 0).then(|| (Value::Other(&text[at..at + length]), at + length))
        }
    }
}

/// The closing quote of the string that begins at `at`, and whether it has escapes.
fn string_end(text: &[u8], at: usize) -> Option<(usize, bool)> {
    let mut at = at;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

/// One past the object or array at `at`.
pub(super) fn nested_end(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match text.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at = string_end(text, at + 1)?.0,
            _ => {}
        }
        at += 1;
    }
}

fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let Some(escape) = rest.get(at + 1) else { return };
        rest = &rest[at + 2..];
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unicode(rest, out),
            other => out.push(*other),
        }
    }
    out.extend_from_slice(rest);
}

/// The character behind `\u`; a pair of surrogates is one character.
fn unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let unit = |text: &[u8]| -> Option<u32> {
        let digits = std::str::from_utf8(text.get(..4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(rest) else { return rest };
    let mut after = &rest[4..];
    let mut code = first;
    if (0xd800..0xdc00).contains(&first)
        && let Some(second) = after.strip_prefix(b"\\u").and_then(unit)
        && (0xdc00..0xe000).contains(&second)
    {
        code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        after = &after[6..];
    }
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_and_unescaped() {
        let line =
            r#"{"a":"x","b" : -12, "c":{"d":["}",1]},"e":"q\"\\\n\u00e9\ud83d\ude00","f":null}"#;
        let mut found = Vec::new();
        assert!(members(line.as_bytes(), &mut |key, value| {
            let mut buffer = Vec::new();
            let text = match value {
                Value::Text(..) => value.text(&mut buffer),
                Value::Other(raw) => raw,
            };
            found.push((
                String::from_utf8_lossy(key).into_owned(),
                String::from_utf8_lossy(text).into_owned(),
            ));
        }));
        let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["x", "-12", "{\"d\":[\"}\",1]}", "q\"\\\né😀", "null"]);
    }

    #[test]
    fn what_breaks_off_is_no_object() {
        for text in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":\"x",
            "{\"a\":1",
            "[1]",
            "{\"a\":{\"b\"}",
            "{\"a\" 1}",
        ] {
            assert!(!members(text.as_bytes(), &mut |_, _| {}), "{text}");
        }
        assert!(members(b" {} ", &mut |_, _| {}));
    }
}
