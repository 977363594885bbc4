//! `EXECUTE name (values)`: the prepared statement is in the detail.

use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// The simple protocol executes a prepared statement here.
pub fn is_execute(text: &[u8]) -> bool {
    const WORD: &[u8] = b"execute";
    let text = text.trim_ascii_start();
    text.len() > WORD.len()
        && text[..WORD.len()].eq_ignore_ascii_case(WORD)
        && text[WORD.len()].is_ascii_whitespace()
}

/// The statement that was prepared, and its values as the server writes parameters. `None` when the
/// detail tells no such thing. Values that are not written out are not known.
pub fn executed(text: &[u8], detail: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let detail = detail.strip_prefix(b"prepare: ").filter(|_| is_execute(text))?;
    let (text, detail) = (String::from_utf8_lossy(text), String::from_utf8_lossy(detail));
    let mut depth = 0usize;
    let begin = tokens(&detail).find(|token| {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && token.is_word("as")
    })?;
    let sql = detail[begin.start + begin.text.len()..].trim();
    Some((sql.as_bytes().to_vec(), parameters(&text).unwrap_or_default().into_bytes()))
}

/// `$1 = 'a', $2 = NULL` of `EXECUTE p ('a', NULL)`.
fn parameters(text: &str) -> Option<String> {
    let list: Vec<Token<'_>> = tokens(text).collect();
    let open = list.iter().position(|token| token.is("("))?;
    let mut out = String::from("parameters: ");
    for (number, value) in list[open + 1..].split(|token| token.is(",")).enumerate() {
        let end = value.iter().position(|token| token.is(")") || token.is("::"));
        let value = match &value[..end.unwrap_or(value.len())] {
            [token] if token.is_word("null") => "NULL".to_owned(),
            [token] if token.kind == TokenKind::String && token.text.starts_with('\'') => {
                token.text.to_owned()
            }
            [token] if matches!(token.kind, TokenKind::Number | TokenKind::Word) => {
                format!("'{}'", token.text)
            }
            [sign, token] if sign.is("-") && token.kind == TokenKind::Number => {
                format!("'-{}'", token.text)
            }
            _ => return None,
        };
        if number > 0 {
            out.push_str(", ");
        }
        out.push_str(&format!("${} = {value}", number + 1));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str, detail: &str) -> Option<(String, String)> {
        let (sql, parameters) = executed(text.as_bytes(), detail.as_bytes())?;
        Some((String::from_utf8(sql).unwrap(), String::from_utf8(parameters).unwrap()))
    }

    #[test]
    fn what_was_prepared_is_what_is_executed() {
        assert_eq!(
            both(
                "execute p(5, 'it''s', NULL, -1);",
                "prepare: prepare p (int, numeric(4, 2)) as select * from t where a = $1;"
            ),
            Some((
                "select * from t where a = $1;".to_owned(),
                "parameters: $1 = '5', $2 = 'it''s', $3 = NULL, $4 = '-1'".to_owned()
            ))
        );
        assert_eq!(
            both("EXECUTE p (now())", "prepare: PREPARE p AS SELECT $1"),
            Some(("SELECT $1".to_owned(), String::new()))
        );
        assert_eq!(both("SELECT 1", "prepare: PREPARE p AS SELECT 1"), None);
        assert_eq!(both("EXECUTE p", "parameters: $1 = '5'"), None);
    }
}
