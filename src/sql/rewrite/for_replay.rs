//! Statements for replay, made from statements of the workload.

use std::fmt::Write;

use sqlparser::ast::{Expr, LimitClause, SelectItem, SetExpr, Statement};

use crate::model::workload::literal::Literal;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};
use crate::sql::parse::parser::parse;

/// The statement with its outermost `LIMIT` and `OFFSET` out of force; `None` when it has neither or
/// cannot be parsed. Used to tell a tie under a limit from a wrong result.
///
/// The clauses stay, made to say nothing, so that the parameters in them keep their places.
pub fn without_limit(sql: &str) -> Option<String> {
    let mut statement = parse(sql).ok()?;
    let Statement::Query(query) = &mut statement else { return None };
    if query.fetch.is_some() {
        return None;
    }
    match query.limit_clause.as_mut()? {
        LimitClause::LimitOffset { limit, offset, .. } => {
            if let Some(limit) = limit {
                // NULL is no limit.
                *limit = expression(&format!(
                    "NULLIF(CAST({limit} AS bigint), CAST({limit} AS bigint))"
                ))?;
            }
            if let Some(offset) = offset {
                let value = &offset.value;
                offset.value =
                    expression(&format!("CAST({value} AS bigint) - CAST({value} AS bigint)"))?;
            }
        }
        LimitClause::OffsetCommaLimit { .. } => return None,
    }
    Some(statement.to_string())
}

/// A part of a statement as one of its own: its parameters are numbered from 1 in order, and come with it. `None`
/// where one is not among `parameters`.
pub fn on_its_own(part: &str, parameters: &[Literal]) -> Option<(String, Vec<Literal>)> {
    let (mut text, mut own, mut written) = (String::new(), Vec::new(), 0);
    for token in tokens(part).filter(|token| token.kind == TokenKind::Parameter) {
        let number: usize = token.text.strip_prefix('$')?.parse().ok()?;
        own.push(parameters.get(number.checked_sub(1)?)?.clone());
        text.push_str(&part[written..token.start]);
        let _ = write!(text, "${}", own.len());
        written = token.start + token.text.len();
    }
    Some((text + &part[written..], own))
}

/// The statement without its row locks (`FOR UPDATE OF a NOWAIT` and its kin), everything else to the letter. It
/// reads the same rows in the same way, and may do so in a session that writes nothing.
pub fn without_locks(sql: &str) -> String {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let mut kept = String::new();
    let (mut at, mut written) = (0, 0);
    while at < all.len() {
        let length = lock_length(&all[at..]);
        if length == 0 {
            at += 1;
            continue;
        }
        kept.push_str(sql[written..all[at].start].trim_end());
        let last = &all[at + length - 1];
        written = last.start + last.text.len();
        at += length;
    }
    kept + &sql[written..]
}

/// The statement with a type for constants of which nothing else tells one, most often numbers: what is selected
/// under a name (`$1 AS depth`), and what is computed from two constants. `None` where there is none.
pub fn with_integers(sql: &str) -> Option<String> {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let is_parameter =
        |at: usize| all.get(at).is_some_and(|token| token.kind == TokenKind::Parameter);
    let is_arithmetic = |at: usize| {
        all.get(at).is_some_and(|token| ["+", "-", "*", "/", "%"].iter().any(|op| token.is(op)))
    };
    let is_selected = |at: usize| {
        let before = at.checked_sub(1).map(|before| &all[before]);
        before.is_some_and(|token| token.is_word("select") || token.is(","))
            && all.get(at + 1).is_some_and(|token| token.is_word("as"))
    };
    let (mut text, mut written) = (String::new(), 0);
    for at in (0..all.len()).filter(|at| is_parameter(*at)) {
        let is_left = is_arithmetic(at + 1) && is_parameter(at + 2);
        let is_right = at >= 2 && is_arithmetic(at - 1) && is_parameter(at - 2);
        if is_selected(at) || is_left || is_right {
            let end = all[at].start + all[at].text.len();
            text.push_str(&sql[written..end]);
            text.push_str("::int");
            written = end;
        }
    }
    (written > 0).then(|| text + &sql[written..])
}

/// Tokens of the locking clause that begins here; none where none does.
fn lock_length(tokens: &[Token<'_>]) -> usize {
    const KINDS: [&[&str]; 4] = [
        &["for", "update"],
        &["for", "share"],
        &["for", "no", "key", "update"],
        &["for", "key", "share"],
    ];
    let begins = |at: usize, words: &[&str]| {
        let rest = tokens.get(at..).unwrap_or_default();
        rest.len() >= words.len() && words.iter().zip(rest).all(|(word, token)| token.is_word(word))
    };
    let Some(kind) = KINDS.iter().find(|words| begins(0, words)) else { return 0 };
    let mut length = kind.len();
    if begins(length, &["of"]) {
        length += 2;
        // A list of names, each of which may have a schema.
        while tokens.get(length).is_some_and(|token| token.is(",") || token.is(".")) {
            length += 2;
        }
    }
    for wait in [&["nowait"][..], &["skip", "locked"]] {
        length += if begins(length, wait) { wait.len() } else { 0 };
    }
    length.min(tokens.len())
}

fn expression(sql: &str) -> Option<Expr> {
    match parse(&format!("SELECT {sql}")).ok()? {
        Statement::Query(query) => match *query.body {
            SetExpr::Select(select) => match select.projection.into_iter().next()? {
                SelectItem::UnnamedExpr(expr) => Some(expr),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_locks_go_and_nothing_else_does() {
        for (sql, without) in [
            ("SELECT a FROM t WHERE b = $1 FOR UPDATE", "SELECT a FROM t WHERE b = $1"),
            (
                "SELECT a FROM (SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED) x  LIMIT 1 for share of x , \"Y\" nowait;",
                "SELECT a FROM (SELECT a FROM t) x  LIMIT 1;",
            ),
            (
                "SELECT substring(a FOR 3), 'FOR UPDATE' FROM t",
                "SELECT substring(a FOR 3), 'FOR UPDATE' FROM t",
            ),
            ("SELECT 1 FROM s.t FOR KEY SHARE OF t FOR UPDATE OF u", "SELECT 1 FROM s.t"),
            ("SELECT 1 FOR UPDATE OF", "SELECT 1"),
        ] {
            assert_eq!(without_locks(sql), without);
        }
    }

    #[test]
    fn constants_that_nothing_gives_a_type_are_numbers() {
        assert_eq!(
            with_integers("SELECT a, $1 AS depth FROM t WHERE b = $2 % $3 AND c > now() - $4")
                .as_deref(),
            Some(
                "SELECT a, $1::int AS depth FROM t WHERE b = $2::int % $3::int AND c > now() - $4"
            )
        );
        for sql in ["SELECT a FROM t WHERE b = $1 + c", "SELECT f($1, $2), CAST($3 AS text)"] {
            assert_eq!(with_integers(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_limit_loses_its_force_and_the_order_stays() {
        assert_eq!(
            without_limit("SELECT a FROM t ORDER BY b LIMIT $1 OFFSET 2").as_deref(),
            Some(
                "SELECT a FROM t ORDER BY b LIMIT NULLIF(CAST($1 AS BIGINT), CAST($1 AS BIGINT)) \
                 OFFSET CAST(2 AS BIGINT) - CAST(2 AS BIGINT)"
            )
        );
        assert_eq!(without_limit("SELECT a FROM t"), None);
    }
}
