//! Functions and procedures with their bodies, as a schema file declares them.

use crate::model::access::privileges::{PUBLIC, Routine};
use crate::sql::lex::cursor::{qualified, take};
use crate::sql::lex::identifier::unquote;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};
use crate::sql::lex::literal;

/// Types of two words, by the first.
const TWO_WORDS: &[&str] = &["double", "character", "bit", "timestamp", "time", "national"];

/// The function or procedure that a statement makes.
pub(super) fn routine(sql: &str) -> Option<Routine> {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let mut rest = &all[..];
    if !take(&mut rest, &["create"]) {
        return None;
    }
    take(&mut rest, &["or", "replace"]);
    if !take(&mut rest, &["function"]) && !take(&mut rest, &["procedure"]) {
        return None;
    }
    let name = qualified(&mut rest)?;
    let open = all.len() - rest.len();
    rest.first().filter(|token| token.is("("))?;
    let close = closing(&all, open)?;
    let mut made = Routine {
        name,
        language: "sql".to_owned(),
        volatility: "v".to_owned(),
        granted_to: vec![PUBLIC.to_owned()],
        ..Routine::default()
    };
    for argument in split(&all[open + 1..close]) {
        if let Some((name, type_name)) = self::argument(argument) {
            made.arguments.push(name);
            made.argument_types.push(type_name);
        }
    }
    options(&mut made, sql, &all[close + 1..]);
    Some(made)
}

/// What stands behind the arguments.
fn options(made: &mut Routine, sql: &str, all: &[Token<'_>]) {
    let mut at = 0;
    while at < all.len() {
        let word = |n: usize, word: &str| all.get(at + n).is_some_and(|token| token.is_word(word));
        if word(0, "returns") {
            made.returns_set = word(1, "setof") || word(1, "table");
            let end = (at + 1..all.len()).find(|at| {
                [
                    "language",
                    "as",
                    "immutable",
                    "stable",
                    "volatile",
                    "security",
                    "set",
                    "strict",
                    "begin",
                    "return",
                ]
                .iter()
                .any(|w| all[*at].is_word(w))
            });
            let end = end.unwrap_or(all.len());
            made.returns = text(sql, &all[at + 1..end]).to_lowercase();
            at = end;
            continue;
        }
        if word(0, "language") {
            made.language =
                all.get(at + 1).map_or(String::new(), |t| unquote(t.text).to_lowercase());
        } else if word(0, "immutable") || word(0, "stable") {
            made.volatility = all[at].text[..1].to_lowercase();
        } else if word(0, "security") && word(1, "definer") {
            made.definer = true;
        } else if word(0, "set") && word(1, "search_path") {
            let end = (at + 3..all.len())
                .find(|at| {
                    all[*at].kind == TokenKind::Word
                        && [
                            "as",
                            "language",
                            "security",
                            "stable",
                            "immutable",
                            "set",
                            "begin",
                            "return",
                        ]
                        .iter()
                        .any(|w| all[*at].is_word(w))
                })
                .unwrap_or(all.len());
            made.search_path = Some(text(sql, &all[(at + 3).min(end)..end]));
            at = end;
            continue;
        } else if word(0, "as") && all.get(at + 1).is_some_and(|t| t.kind == TokenKind::String) {
            made.body = Some(constant(all[at + 1].text));
            at += 1;
        } else if word(0, "begin") || word(0, "return") {
            // A body of parsed SQL goes to the end.
            made.body = Some(sql[all[at].start..].trim().trim_end_matches(';').to_owned());
            return;
        }
        at += 1;
    }
}

/// The value of a string constant, also between dollars.
pub(super) fn constant(token: &str) -> String {
    String::from_utf8_lossy(&literal::unquote(token.as_bytes(), false)).into_owned()
}

fn text(sql: &str, part: &[Token<'_>]) -> String {
    let (Some(first), Some(last)) = (part.first(), part.last()) else { return String::new() };
    sql[first.start..last.start + last.text.len()].to_owned()
}

/// Name and type of an argument that carries a value in.
fn argument(tokens: &[Token<'_>]) -> Option<(String, String)> {
    let mut rest = tokens;
    if take(&mut rest, &["out"]) {
        return None;
    }
    let _ =
        take(&mut rest, &["in"]) || take(&mut rest, &["inout"]) || take(&mut rest, &["variadic"]);
    let end = rest
        .iter()
        .position(|token| token.is_word("default") || token.is("="))
        .unwrap_or(rest.len());
    let rest = &rest[..end];
    let first = rest.first()?;
    let is_name = rest.len() > 1
        && (rest[1].kind == TokenKind::Word || rest[1].kind == TokenKind::QuotedIdent)
        && !TWO_WORDS.iter().any(|word| first.is_word(word));
    let words = |part: &[Token<'_>]| {
        part.iter().map(|token| token.text).collect::<Vec<_>>().join(" ").to_lowercase()
    };
    match is_name {
        true if first.kind == TokenKind::QuotedIdent => {
            Some((unquote(first.text), words(&rest[1..])))
        }
        true => Some((first.text.to_lowercase(), words(&rest[1..]))),
        false => Some((String::new(), words(rest))),
    }
}

/// Parts between commas that stand in no parenthesis.
pub(super) fn split<'t, 's>(list: &'t [Token<'s>]) -> Vec<&'t [Token<'s>]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, token) in list.iter().enumerate() {
        depth += i32::from(token.is("(")) - i32::from(token.is(")"));
        if depth == 0 && token.is(",") {
            parts.push(&list[start..at]);
            start = at + 1;
        }
    }
    parts.push(&list[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The parenthesis that closes the one at `open`.
pub(super) fn closing(all: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in all.iter().enumerate().skip(open) {
        depth += usize::from(token.is("("));
        if token.is(")") {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_is_read_with_what_decides_whose_power_it_has() {
        let made = routine(
            "CREATE OR REPLACE FUNCTION app.mine(p_shop uuid, OUT n int, double precision, \"U\" numeric(4,1) DEFAULT 1)
             RETURNS SETOF public.shops LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = '' AS $f$ BEGIN RETURN 1; END $f$",
        )
        .unwrap();
        assert_eq!(made.name, TableName::new("app", "mine"));
        assert_eq!(made.arguments, ["p_shop", "", "U"]);
        assert_eq!(made.argument_types, ["uuid", "double precision", "numeric ( 4 , 1 )"]);
        assert_eq!(
            (made.returns.as_str(), made.returns_set, made.definer),
            ("setof public.shops", true, true)
        );
        assert_eq!((made.volatility.as_str(), made.language.as_str()), ("s", "plpgsql"));
        assert_eq!(made.search_path.as_deref(), Some("''"));
        assert_eq!(made.body.as_deref(), Some(" BEGIN RETURN 1; END "));
        let atomic = routine("create function f() returns int begin atomic select 1; end").unwrap();
        assert_eq!(atomic.body.as_deref(), Some("begin atomic select 1; end"));
        assert_eq!(routine("CREATE TABLE f (a int)"), None);
    }

    use crate::model::name::TableName;
}
