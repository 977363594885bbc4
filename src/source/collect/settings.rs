//! Values that a statement gives to settings of an application: `SET app.user_id = …`, `set_config(…)`.

use crate::sql::lex::cursor::take;
use crate::sql::lex::identifier::unquote as unquote_name;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};
use crate::sql::lex::literal::unquote;

/// How the text of a setting begins where it is kept among statements. No statement begins so.
const MARK: &str = "pgassay setting\u{1f}";
/// Members of a document that are looked at, one below the other.
const MAX_DEPTH: usize = 2;

/// A value of a setting, or of a member of the document in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Assignment {
    pub name: String,
    /// Keys from the outermost, joined by dots.
    pub member: Option<String>,
    pub value: String,
}

impl Assignment {
    /// The text under which values of this setting are kept.
    pub fn key(&self) -> String {
        key(&self.name, self.member.as_deref())
    }
}

fn key(name: &str, member: Option<&str>) -> String {
    format!("{MARK}{name}\u{1f}{}", member.unwrap_or_default())
}

/// The text is that of a setting.
pub fn is_key(normalized: &str) -> bool {
    normalized.starts_with(MARK)
}

/// Name and member of a setting.
pub fn parts(key: &str) -> Option<(String, Option<String>)> {
    let (name, member) = key.strip_prefix(MARK)?.split_once('\u{1f}')?;
    Some((name.to_owned(), (!member.is_empty()).then(|| member.to_owned())))
}

/// A statement of this text may give values to settings.
pub fn may_assign(normalized: &str) -> bool {
    normalized.starts_with("SET ") || normalized.contains("set_config(")
}

/// The values that a statement gives. `parameter` is the value of `$n`.
pub fn assignments(text: &str, parameter: &dyn Fn(usize) -> Option<String>) -> Vec<Assignment> {
    let all: Vec<Token<'_>> = tokens(text).collect();
    let mut found = Vec::new();
    if all.first().is_some_and(|token| token.is_word("set")) {
        add_set(&all, &mut found);
    }
    for at in 0..all.len() {
        let is_call = all[at].is_word("set_config") && all.get(at + 1).is_some_and(|t| t.is("("));
        if !is_call {
            continue;
        }
        let mut rest = &all[at + 2..];
        let Some(name) = value(&mut rest, parameter) else { continue };
        let Some((comma, after)) = rest.split_first() else { continue };
        rest = after;
        if let Some(value) = value(&mut rest, parameter).filter(|_| comma.is(",")) {
            add(&name, &value, &mut found);
        }
    }
    found
}

/// `SET [LOCAL | SESSION] name { = | TO } value`.
fn add_set(all: &[Token<'_>], found: &mut Vec<Assignment>) {
    let mut rest = &all[1..];
    let _ = take(&mut rest, &["local"]) || take(&mut rest, &["session"]);
    let Some(at) = rest.iter().position(|token| token.is("=") || token.is_word("to")) else {
        return;
    };
    let part = |token: &Token<'_>| match token.kind {
        TokenKind::QuotedIdent => unquote_name(token.text),
        _ => token.text.to_lowercase(),
    };
    let name: String = rest[..at].iter().map(part).collect();
    let [value] = &rest[at + 1..] else { return };
    let value = match value.kind {
        TokenKind::String | TokenKind::Number => constant(value),
        TokenKind::QuotedIdent => unquote_name(value.text),
        TokenKind::Word => value.text.to_owned(),
        _ => return,
    };
    add(&name, &value, found);
}

fn constant(token: &Token<'_>) -> String {
    String::from_utf8_lossy(&unquote(token.text.as_bytes(), false)).into_owned()
}

/// A constant or a parameter from the front, with casts behind it.
fn value(rest: &mut &[Token<'_>], parameter: &dyn Fn(usize) -> Option<String>) -> Option<String> {
    let (first, mut after) = rest.split_first()?;
    let value = match first.kind {
        TokenKind::String | TokenKind::Number => constant(first),
        _ => parameter(first.text.strip_prefix('$')?.parse().ok()?)?,
    };
    while let [cast, name, behind @ ..] = after {
        if !cast.is("::") || name.kind != TokenKind::Word {
            break;
        }
        after = behind;
    }
    *rest = after;
    Some(value)
}

/// A setting of an application has a dot in its name. Of a document, each of its members is a value.
fn add(name: &str, value: &str, found: &mut Vec<Assignment>) {
    if !name.contains('.') || value.is_empty() {
        return;
    }
    match serde_json::from_str(value) {
        Ok(serde_json::Value::Object(members)) => {
            add_members(name, "", &members, MAX_DEPTH, found);
        }
        _ => {
            found.push(Assignment { name: name.to_owned(), member: None, value: value.to_owned() })
        }
    }
}

fn add_members(
    name: &str,
    above: &str,
    members: &serde_json::Map<String, serde_json::Value>,
    depth: usize,
    found: &mut Vec<Assignment>,
) {
    for (key, value) in members {
        let member = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        let value = match value {
            serde_json::Value::String(text) if !text.is_empty() => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Object(inner) if depth > 1 => {
                add_members(name, &member, inner, depth - 1, found);
                continue;
            }
            _ => continue,
        };
        found.push(Assignment { name: name.to_owned(), member: Some(member), value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str, parameters: &[&str]) -> Vec<(String, String, String)> {
        let parameter = |n: usize| parameters.get(n - 1).map(|value| (*value).to_owned());
        let found = assignments(text, &parameter).into_iter();
        found.map(|own| (own.name, own.member.unwrap_or_default(), own.value)).collect()
    }

    fn one(name: &str, member: &str, value: &str) -> (String, String, String) {
        (name.to_owned(), member.to_owned(), value.to_owned())
    }

    #[test]
    fn settings_are_read_however_they_are_set() {
        let user = || vec![one("app.user_id", "", "7")];
        assert_eq!(given("SET app.user_id = 7", &[]), user());
        assert_eq!(given("SET LOCAL app.user_id TO '7'", &[]), user());
        assert_eq!(given("set session \"app.user_id\" = \"7\"", &[]), user());
        assert_eq!(given("SELECT set_config('app.user_id', $1, true)", &["7"]), user());
        assert_eq!(
            given("SELECT set_config($1::text, $2::text, $3)", &["app.user_id", "7", "t"]),
            user()
        );
        assert_eq!(given("SET search_path = app", &[]), []);
        assert_eq!(given("SET app.user_id = DEFAULT, 3", &[]), []);
        assert_eq!(
            given("SELECT set_config('a.b', '1', true), set_config('a.c', '2', true)", &[]),
            [one("a.b", "", "1"), one("a.c", "", "2")]
        );
    }

    #[test]
    fn members_of_a_document_are_values_of_their_own() {
        let claims = r#"{"sub": "u1", "exp": 17, "app_metadata": {"tenant": "t1"}, "aud": ["a"]}"#;
        assert_eq!(
            given("SELECT set_config('request.jwt.claims', $1, true)", &[claims]),
            [
                one("request.jwt.claims", "app_metadata.tenant", "t1"),
                one("request.jwt.claims", "exp", "17"),
                one("request.jwt.claims", "sub", "u1"),
            ]
        );
    }

    #[test]
    fn a_key_gives_its_parts_back() {
        let of = |member: Option<&str>| parts(&key("a.b", member)).unwrap();
        assert_eq!(of(None), ("a.b".to_owned(), None));
        assert_eq!(of(Some("sub")), ("a.b".to_owned(), Some("sub".to_owned())));
        assert!(is_key(&key("a.b", None)) && !is_key("SET a.b = $1"));
    }
}
