//! Which statements may be replayed, as far as the text can tell.
//!
//! The text is the first of three checks. The second is a read-only session, the third a look at the
//! volatility of every function that is called (`pg::session::guard`).

use std::fmt;

use crate::sql::lex::lexer::{Token, TokenKind, tokens};
use crate::sql::resolve::resolver::shape;

/// Why a statement is not replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NotASelect,
    Writes,
    LocksRows,
    ReadsOnly,
    NotOneWrite,
    NotUnderstood(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotASelect => f.write_str("not a SELECT"),
            Refusal::Writes => f.write_str("a SELECT that writes"),
            Refusal::LocksRows => f.write_str("takes row locks"),
            Refusal::ReadsOnly => f.write_str("writes nothing"),
            Refusal::NotOneWrite => f.write_str("not one INSERT, UPDATE or DELETE of one table"),
            Refusal::NotUnderstood(why) => write!(f, "{why}"),
        }
    }
}

/// Names of the functions that a statement calls, when it may be replayed otherwise.
///
/// # Errors
/// Everything that is not one plain `SELECT`.
pub fn functions_if_readable(normalized: &str) -> Result<Vec<String>, Refusal> {
    use crate::model::workload::shape::StatementKind;
    let shape = shape(normalized, None).map_err(|why| Refusal::NotUnderstood(why.to_string()))?;
    match shape.kind {
        StatementKind::Select if shape.writes => Err(Refusal::Writes),
        StatementKind::Select if shape.locks_rows => Err(Refusal::LocksRows),
        StatementKind::Select => Ok(shape.functions),
        _ => Err(Refusal::NotASelect),
    }
}

/// Names of the functions that a statement calls, when it inserts, updates or deletes and does nothing
/// else.
///
/// # Errors
/// Everything that is not one such statement.
pub fn functions_if_writing(normalized: &str) -> Result<Vec<String>, Refusal> {
    use crate::model::workload::shape::StatementKind;
    let shape = shape(normalized, None).map_err(|why| Refusal::NotUnderstood(why.to_string()))?;
    let targets = shape.scans.iter().filter(|scan| scan.target).count();
    match shape.kind {
        StatementKind::Insert | StatementKind::Update | StatementKind::Delete if targets == 1 => {
            Ok(shape.functions)
        }
        StatementKind::Select if !shape.writes => Err(Refusal::ReadsOnly),
        _ => Err(Refusal::NotOneWrite),
    }
}

/// Words by which a body in PL/pgSQL does more than compute the row at hand.
const ACTS: &[&str] = &[
    "alter", "call", "commit", "copy", "create", "delete", "do", "drop", "execute", "grant",
    "insert", "listen", "lock", "merge", "notify", "perform", "refresh", "rollback", "set",
    "truncate", "update",
];

/// Names of the functions that a body in PL/pgSQL calls, when it does nothing but compute: it sets a time,
/// or checks a value.
///
/// # Errors
/// The word by which it does more.
pub fn functions_if_computing(body: &str) -> Result<Vec<String>, String> {
    let tokens: Vec<Token<'_>> = tokens(body).collect();
    let mut functions = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let word = token.text.trim_matches('"').to_lowercase();
        let is_field = at > 0 && tokens[at - 1].is(".");
        if token.kind == TokenKind::Word && !is_field && ACTS.contains(&word.as_str()) {
            return Err(word);
        }
        let named = matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent);
        if named && tokens.get(at + 1).is_some_and(|next| next.is("(")) {
            functions.push(word);
        }
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_reads_pass() {
        assert_eq!(functions_if_readable("SELECT lower(a) FROM t"), Ok(vec!["lower".to_owned()]));
        for (sql, why) in [
            ("DELETE FROM t", Refusal::NotASelect),
            ("SET TRANSACTION READ WRITE", Refusal::NotASelect),
            ("COPY t TO PROGRAM $1", Refusal::NotASelect),
            ("EXPLAIN ANALYZE DELETE FROM t", Refusal::NotASelect),
            ("WITH x AS (DELETE FROM t RETURNING id) SELECT id FROM x", Refusal::Writes),
            ("SELECT a INTO b FROM t", Refusal::Writes),
            ("SELECT a FROM t WHERE id = $1 FOR UPDATE", Refusal::LocksRows),
            ("SELECT a FROM (SELECT a FROM t FOR SHARE) x", Refusal::LocksRows),
        ] {
            assert_eq!(functions_if_readable(sql), Err(why), "{sql}");
        }
        let found = functions_if_readable(
            "SELECT 1 FROM pg_sleep($1) WHERE (SELECT set_config(a, b) FROM t)",
        );
        assert_eq!(found.unwrap(), ["pg_sleep", "set_config"]);
    }

    #[test]
    fn only_plain_writes_pass_as_writes() {
        for sql in
            ["INSERT INTO t (a) VALUES ($1)", "UPDATE t SET a = $1", "DELETE FROM t WHERE a = $1"]
        {
            assert_eq!(functions_if_writing(sql), Ok(vec![]), "{sql}");
        }
        for (sql, why) in [
            ("SELECT a FROM t", Refusal::ReadsOnly),
            ("TRUNCATE t", Refusal::NotOneWrite),
            ("COPY t FROM PROGRAM $1", Refusal::NotOneWrite),
            (
                "WITH gone AS (DELETE FROM u RETURNING a) INSERT INTO t SELECT a FROM gone",
                Refusal::NotOneWrite,
            ),
        ] {
            assert_eq!(functions_if_writing(sql), Err(why), "{sql}");
        }
        let called = functions_if_writing("INSERT INTO t (a) SELECT dblink_exec($1)");
        assert_eq!(called.unwrap(), ["dblink_exec"]);
    }

    #[test]
    fn a_trigger_that_sets_a_time_computes_and_one_that_sends_mail_does_not() {
        let touch = "BEGIN NEW.updated_at := now(); RETURN NEW; END";
        assert_eq!(functions_if_computing(touch), Ok(vec!["now".to_owned()]));
        for (body, word) in [
            ("BEGIN PERFORM pg_notify('a', 'b'); RETURN NULL; END", "perform"),
            ("BEGIN EXECUTE 'DROP TABLE ' || TG_ARGV[0]; END", "execute"),
            ("begin\ninsert into audit values (new.id); return new; end", "insert"),
        ] {
            assert_eq!(functions_if_computing(body), Err(word.to_owned()), "{body}");
        }
        let named =
            "BEGIN IF TG_OP = 'UPDATE' THEN NEW.x := (SELECT \"Send\"(1)); END IF; RETURN NEW; END";
        assert_eq!(functions_if_computing(named), Ok(vec!["send".to_owned()]));
    }
}
