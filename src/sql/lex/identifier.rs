//! Quoting of identifiers and constants, and names for new indexes.

use super::keyword::is_reserved;
use crate::model::name::TableName;
use crate::model::workload::literal::Literal;

/// Longest identifier the server keeps, bytes (`NAMEDATALEN - 1`).
const MAX_BYTES: usize = 63;

/// The name as SQL: quoted only where the bare word would mean something else. What no line shows is written as an
/// escape: control characters, and marks that turn the direction of a text.
pub fn quote(name: &str) -> String {
    if is_plain(name) {
        return name.to_owned();
    }
    let doubled = name.replace('"', "\"\"");
    if !name.contains(is_hidden) {
        return format!("\"{doubled}\"");
    }
    let doubled = doubled.replace('\\', "\\\\");
    let escaped = doubled.chars().map(|c| match is_hidden(c) {
        true => format!("\\{:04X}", u32::from(c)),
        false => c.to_string(),
    });
    format!("U&\"{}\"", escaped.collect::<String>())
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
}

/// `schema.name`, both quoted where needed.
pub fn quote_table(table: &TableName) -> String {
    format!("{}.{}", quote(&table.schema), quote(&table.name))
}

/// The value as a constant, whatever the server's settings for strings.
pub fn quote_literal(value: &Literal) -> String {
    match value.expose() {
        Some(text) if text.contains('\\') => {
            format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
        }
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}

/// Lower case, no quotes needed.
pub fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !is_reserved(name)
}

/// A name as the catalog has it, from the form with quotes, or with Unicode escapes and quotes.
pub fn unquote(name: &str) -> String {
    if let Some(quoted) = name.strip_prefix("U&").or_else(|| name.strip_prefix("u&")) {
        let text = unquote(quoted);
        return unescaped(&text, '\\').unwrap_or(text);
    }
    match name.strip_prefix('"').and_then(|n| n.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// A name with its Unicode escapes decoded: `\0061` and `\+000061`.
pub fn unescaped(text: &str, escape: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != escape {
            out.push(c);
            continue;
        }
        if chars.next_if_eq(&escape).is_some() {
            out.push(escape);
            continue;
        }
        let digits = if chars.next_if_eq(&'+').is_some() { 6 } else { 4 };
        let hex: String = chars.by_ref().take(digits).collect();
        // Half of a pair is not decoded: no name of the catalog is compared with it in vain.
        out.push(char::from_u32(u32::from_str_radix(&hex, 16).ok()?)?);
    }
    Some(out)
}

/// A name made of parts joined by `_`, ending in `suffix`, never longer than the server keeps.
/// The same parts always give the same name.
pub fn object_name(parts: &[&str], suffix: &str) -> String {
    let joined: String = parts
        .join("_")
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' })
        .collect();
    let whole = format!("{joined}_{suffix}");
    if whole.len() <= MAX_BYTES {
        return whole;
    }
    let digest = format!("{:08x}", xxhash_rust::xxh3::xxh3_64(whole.as_bytes()) as u32);
    let mut cut = MAX_BYTES - digest.len() - suffix.len() - 2;
    while !joined.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}_{digest}_{suffix}", &joined[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        assert_eq!(quote("orders"), "orders");
        assert_eq!(quote("Order"), "\"Order\"");
        assert_eq!(quote("user"), "\"user\"");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(quote("2fa"), "\"2fa\"");
        assert_eq!(quote("a\n\"\\b"), "U&\"a\\000A\"\"\\\\b\"");
        assert_eq!(unquote(&quote("a\n\"\\b\u{202e}")), "a\n\"\\b\u{202e}");
    }

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
        let long = "x".repeat(80);
        let (one, two) = (object_name(&[&long, "a"], "idx"), object_name(&[&long, "b"], "idx"));
        assert!(one.len() <= MAX_BYTES && two.len() <= MAX_BYTES);
        assert_ne!(one, two);
        assert_eq!(object_name(&["orders", "buyer_id"], "idx"), "orders_buyer_id_idx");
    }
}
