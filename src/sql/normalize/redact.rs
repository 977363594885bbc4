//! Removes literals from plans and error messages of the server.

use crate::sql::lex::lexer::{TokenKind, tokens};

/// The text with every string and number constant as `$n`; layout is kept.
///
/// Used for conditions in plans and for error texts, which quote the values they complain about.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for token in tokens(text) {
        out.push_str(&text[end..token.start]);
        end = token.start + token.text.len();
        match token.kind {
            TokenKind::String | TokenKind::Number => out.push_str("$n"),
            _ => out.push_str(token.text),
        }
    }
    out.push_str(&text[end..]);
    out
}

/// The first line of a server's error message without the values it quotes.
///
/// Messages quote identifiers and values alike in double quotes. An identifier helps and a value
/// leaks, so what is in double quotes stays only where it could be a name and the class of the
/// error is not one that complains about values (22: data, P0: raised by the application).
pub fn redact_message(message: &str, sqlstate: &str) -> String {
    let line = message.lines().next().unwrap_or("");
    let about_values = sqlstate.starts_with("22") || sqlstate.starts_with("P0");
    let mut out = String::with_capacity(line.len());
    for token in split_quoted(&redact(line)) {
        match token.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            Some(quoted) if about_values || !could_be_name(quoted) => out.push_str("\"$n\""),
            _ => out.push_str(token),
        }
    }
    out
}

fn could_be_name(text: &str) -> bool {
    text.len() <= 63
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$'))
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

fn split_quoted(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('"') {
        parts.push(&rest[..open]);
        // A value of several lines is closed on a later one.
        let Some(close) = rest[open + 1..].find('"') else {
            parts.push("\"$n\"");
            return parts;
        };
        parts.push(&rest[open..open + close + 2]);
        rest = &rest[open + close + 2..];
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_a_plan_lose_their_constants() {
        assert_eq!(
            redact("((email = 'a@b.c'::text) AND (n > 5))"),
            "((email = $n::text) AND (n > $n))"
        );
    }

    #[test]
    fn messages_keep_names_and_lose_values() {
        assert_eq!(
            redact_message("invalid input syntax for type integer: \"one\ntwo\"", "22P02"),
            "invalid input syntax for type integer: \"$n\""
        );
        assert_eq!(
            redact_message("relation \"orders\" does not exist", "42P01"),
            "relation \"orders\" does not exist"
        );
        assert_eq!(
            redact_message("invalid input syntax for type integer: \"secret\"\nLINE 1: …", "22P02"),
            "invalid input syntax for type integer: \"$n\""
        );
    }
}
