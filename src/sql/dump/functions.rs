//! Functions of a database's own, as `CREATE FUNCTION` declares them.

use crate::model::catalog::UserFunction;
use crate::model::name::TableName;
use crate::sql::lex::cursor::{qualified, take};
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// Words that end the type behind `RETURNS`.
const BEHIND_TYPE: [&str; 14] = [
    "as",
    "begin",
    "called",
    "cost",
    "immutable",
    "language",
    "leakproof",
    "not",
    "parallel",
    "return",
    "returns",
    "security",
    "stable",
    "strict",
];

/// The function that a statement makes; `None` where it makes none, or one that gives a set or a table.
pub fn function(sql: &str) -> Option<UserFunction> {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let is = |at: usize, word: &str| all.get(at).is_some_and(|token| token.is_word(word));
    let mut rest = &all[..];
    if !take(&mut rest, &["create"]) {
        return None;
    }
    take(&mut rest, &["or", "replace"]);
    if !take(&mut rest, &["function"]) {
        return None;
    }
    let TableName { schema, name } = qualified(&mut rest)?;
    let open = all.len() - rest.len();
    rest.first().filter(|token| token.is("("))?;
    let close = closing(&all, open)?;
    let (least_arguments, most_arguments) = arguments(&all[open + 1..close])?;
    let returns = (close + 1..all.len()).find(|at| is(*at, "returns"))? + 1;
    let is_behind = |at: &usize| {
        BEHIND_TYPE.iter().any(|word| all[*at].is_word(word)) || all[*at].kind == TokenKind::String
    };
    let end = (returns..all.len()).find(is_behind).unwrap_or(all.len());
    if is(returns, "setof") || is(returns, "table") || end == returns {
        return None;
    }
    let last = &all[end - 1];
    let returns = sql[all[returns].start..last.start + last.text.len()].to_lowercase();
    let immutable = all[close..].iter().any(|token| token.is_word("immutable"));
    Some(UserFunction { schema, name, least_arguments, most_arguments, returns, immutable })
}

/// The parenthesis that closes the one at `open`.
fn closing(all: &[Token<'_>], open: usize) -> Option<usize> {
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

/// How many arguments it takes, at least and at most; `None` where any number, or it gives some of them back.
fn arguments(between: &[Token<'_>]) -> Option<(usize, usize)> {
    if between.iter().any(|token| ["variadic", "out", "inout"].iter().any(|w| token.is_word(w))) {
        return None;
    }
    let (mut depth, mut count) = (0_usize, usize::from(!between.is_empty()));
    for token in between {
        depth += usize::from(token.is("("));
        depth -= usize::from(token.is(")"));
        count += usize::from(depth == 0 && token.is(","));
    }
    let with_default =
        between.iter().filter(|token| token.is_word("default") || token.is("=")).count();
    Some((count.saturating_sub(with_default), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_read_off_its_declaration() {
        let found = function(
            "CREATE OR REPLACE FUNCTION app.\"Plain\"(t text, n numeric(4, 1) DEFAULT 1) RETURNS character varying\n\
             LANGUAGE sql IMMUTABLE STRICT AS $_$ SELECT lower($1) $_$",
        );
        let expected = UserFunction {
            schema: "app".to_owned(),
            name: "Plain".to_owned(),
            least_arguments: 1,
            most_arguments: 2,
            returns: "character varying".to_owned(),
            immutable: true,
        };
        assert_eq!(found, Some(expected));
        let stable = function("create function f() returns text as 'SELECT 1' language sql stable");
        assert_eq!(stable.map(|own| (own.immutable, own.most_arguments)), Some((false, 0)));
        for other in [
            "CREATE FUNCTION f(a int) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f(a int) RETURNS TABLE (b int) LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f(VARIADIC a int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f(a int",
            "CREATE TABLE f (a int)",
            "",
        ] {
            assert_eq!(function(other), None, "{other}");
        }
    }
}
