//! The names and operators in a text, whatever it means: more than the server finds in it, and never less.

use std::collections::HashSet;

use crate::sql::lex::identifier::{unescaped, unquote};
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// A name in a text, as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub name: String,
    /// The name before the dot.
    pub qualifier: Option<String>,
    /// A parenthesis follows.
    pub is_called: bool,
    /// It follows `::` or `AS`.
    pub is_after_cast: bool,
}

/// What a text names.
#[derive(Debug, Default)]
pub struct Words {
    pub names: Vec<Word>,
    operators: HashSet<String>,
    /// The words outside of quotes, lower case, that follow no dot.
    plain: HashSet<String>,
}

/// Words by which a body does more than compute and read.
const ACTS: &[&str] = &[
    "alter", "call", "commit", "copy", "create", "delete", "do", "drop", "execute", "grant",
    "insert", "listen", "lock", "merge", "notify", "refresh", "rollback", "set", "truncate",
    "update",
];
/// Words that stand for operators.
const IMPLIED: &[(&[&str], &[&str])] = &[
    (&["in", "any", "some", "all", "case", "nullif", "using", "natural", "distinct"], &["=", "<>"]),
    (&["between"], &["<=", ">=", "<", ">"]),
    (&["like"], &["~~", "!~~"]),
    (&["ilike"], &["~~*", "!~~*"]),
    (&["similar"], &["~", "!~"]),
];

impl Words {
    /// The operator stands in the text, or a word that stands for it.
    pub fn has_operator(&self, name: &str) -> bool {
        self.operators.contains(name)
            || IMPLIED.iter().any(|(words, operators)| {
                operators.contains(&name) && words.iter().any(|word| self.plain.contains(*word))
            })
    }

    /// `OPERATOR(schema.sign)` stands somewhere.
    pub fn names_schema_of_operator(&self) -> bool {
        self.plain.contains("operator")
    }

    /// The word by which a body acts. A trigger that checks a value may perform a query for it.
    pub fn act(&self, is_trigger: bool) -> Option<&'static str> {
        let acts = ACTS.iter().find(|act| self.plain.contains(**act));
        acts.copied()
            .or_else(|| (is_trigger && self.plain.contains("perform")).then_some("perform"))
    }
}

/// The names and operators of a text.
///
/// # Errors
/// In words, where a name is written in a way that is not understood.
pub fn words(sql: &str) -> Result<Words, String> {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let mut found = Words::default();
    let mut at = 0;
    while at < all.len() {
        let token = &all[at];
        match token.kind {
            TokenKind::Operator => {
                found.operators.insert(token.text.to_owned());
                at += 1;
            }
            TokenKind::Word | TokenKind::QuotedIdent => {
                let first = at;
                let is_after_cast = at > 0 && (all[at - 1].is("::") || all[at - 1].is_word("as"));
                if token.kind == TokenKind::Word && !(at > 0 && all[at - 1].is(".")) {
                    found.plain.insert(token.text.to_lowercase());
                }
                let mut names = vec![name(&all, at)?];
                at = last_token_of_name(&all, at);
                while all.get(at + 1).is_some_and(|dot| dot.is("."))
                    && all.get(at + 2).is_some_and(is_name)
                {
                    at += 2;
                    names.push(name(&all, at)?);
                    at = last_token_of_name(&all, at);
                }
                let is_called = all.get(at + 1).is_some_and(|next| next.is("("));
                let last = names.pop().unwrap_or_default();
                // `(row).name` has a dot and no name before it.
                let is_field = names.is_empty() && first > 0 && all[first - 1].is(".");
                let qualifier = names.pop().or_else(|| is_field.then(String::new));
                found.names.push(Word { name: last, qualifier, is_called, is_after_cast });
                at += 1;
            }
            TokenKind::Number => {
                // Before version 15 a name begins where the number ends.
                let name = token.text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
                let is_called = all.get(at + 1).is_some_and(|next| next.is("("));
                if !name.is_empty() {
                    let name = name.to_lowercase();
                    found.plain.insert(name.clone());
                    let (qualifier, is_after_cast) = (None, false);
                    found.names.push(Word { name, qualifier, is_called, is_after_cast });
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    Ok(found)
}

fn is_name(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent)
}

/// Where a name ends that begins here: one in Unicode escapes says behind it by which character.
fn last_token_of_name(all: &[Token<'_>], at: usize) -> usize {
    let is_escaped = all[at].text.starts_with("U&") || all[at].text.starts_with("u&");
    let says_how = all.get(at + 1).is_some_and(|word| word.is_word("uescape"));
    if is_escaped && says_how { at + 2 } else { at }
}

/// The name of a token as the catalog has it.
fn name(all: &[Token<'_>], at: usize) -> Result<String, String> {
    let token = &all[at];
    let text = token.text;
    if token.kind == TokenKind::Word {
        return Ok(text.to_lowercase());
    }
    let Some(quoted) = text.strip_prefix("U&").or_else(|| text.strip_prefix("u&")) else {
        return Ok(unquote(text));
    };
    let escape = match (all.get(at + 1), all.get(at + 2)) {
        (Some(word), Some(escape)) if word.is_word("uescape") => escape.text.chars().nth(1),
        _ => Some('\\'),
    };
    escape
        .and_then(|escape| unescaped(&unquote(quoted), escape))
        .ok_or_else(|| "a name in Unicode escapes is not understood".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(sql: &str) -> Vec<(Option<String>, String, bool)> {
        let words = words(sql).unwrap().names.into_iter();
        words.map(|word| (word.qualifier, word.name, word.is_called)).collect()
    }

    fn one(qualifier: Option<&str>, name: &str, is_called: bool) -> (Option<String>, String, bool) {
        (qualifier.map(str::to_owned), name.to_owned(), is_called)
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        assert_eq!(named("Lower(a)")[0], one(None, "lower", true));
        assert_eq!(named("\"MixedCase\" /* x */ (a)")[0], one(None, "MixedCase", true));
        assert_eq!(named("s.\"F\" (a)")[0], one(Some("s"), "F", true));
        assert_eq!(named("db.s.f(a)")[0], one(Some("s"), "f", true));
        assert_eq!(named("U&\"t\\0065ll\"(a)")[0], one(None, "tell", true));
        assert_eq!(named("U&\"t!0065ll\" UESCAPE '!'")[0], one(None, "tell", false));
        assert_eq!(named("U&\"t!0065ll\" UESCAPE '!' (a)")[0], one(None, "tell", true));
        assert_eq!(named("s.U&\"t!0065ll\" UESCAPE '!' (a)")[0], one(Some("s"), "tell", true));
        assert_eq!(named("t.attr")[0], one(Some("t"), "attr", false));
        assert_eq!(named("(t).attr").last().unwrap(), &one(Some(""), "attr", false));
        assert!(words("U&\"\\zzzz\"").is_err());
    }

    #[test]
    fn operators_are_found_by_sign_and_by_word() {
        let has = |sql: &str, name: &str| words(sql).unwrap().has_operator(name);
        assert!(has("a === b", "===") && has("a OPERATOR(s.===) b", "==="));
        assert!(has("a IN (1)", "=") && has("a BETWEEN 1 AND 2", "<=") && has("a LIKE 'x'", "~~"));
        assert!(!has("a = b", "===") && !has("SELECT 'a === b'", "==="));
    }

    #[test]
    fn a_body_that_sets_a_time_computes_and_one_that_sends_mail_does_not() {
        let act = |body: &str| words(body).unwrap().act(true);
        assert_eq!(act("BEGIN NEW.updated_at := now(); RETURN NEW; END"), None);
        assert_eq!(act("BEGIN PERFORM pg_notify('a', 'b'); RETURN NULL; END"), Some("perform"));
        assert_eq!(act("BEGIN EXECUTE 'DROP TABLE ' || TG_ARGV[0]; END"), Some("execute"));
        assert_eq!(
            act("begin\ninsert into audit values (new.id); return new; end"),
            Some("insert")
        );
        assert_eq!(act("BEGIN IF NEW.update THEN RETURN NULL; END IF; END"), None);
    }
}
