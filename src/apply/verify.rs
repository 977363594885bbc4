//! Checks that the statements of a run file are those that its recommendations stand for: a file may hold any text, and
//! what is executed may only make or drop the index that the recommendation names.

use crate::index::ddl::{IndexChange, change};
use crate::model::name::TableName;
use crate::model::run::RunRecommendation;
use crate::sql::lex::cursor::{qualified, take};
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// The statements that are ever written into a recommendation.
#[derive(Debug, PartialEq)]
enum Form {
    Create {
        table: TableName,
        name: String,
    },
    Drop {
        schema: String,
        name: String,
    },
    Analyze(TableName),
    /// `CREATE EXTENSION IF NOT EXISTS pg_trgm`.
    Trigrams,
    /// A setting of an index that is made again: a comment, `CLUSTER ON`, `SET STATISTICS`, `ATTACH PARTITION`.
    Restore,
}

/// The statements of a recommendation do what it says and nothing else.
///
/// # Errors
/// What is wrong, in words.
pub fn verify(recommendation: &RunRecommendation) -> Result<(), String> {
    let forms = |statements: &[String]| -> Result<Vec<Form>, String> {
        let form_of = |sql: &String| {
            form(sql).ok_or_else(|| {
                let begin: String = sql.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
                format!("it holds a statement that makes, drops or analyzes no index: {begin} …")
            })
        };
        statements.iter().map(form_of).collect()
    };
    let (sql, undo) = (forms(&recommendation.sql)?, forms(&recommendation.undo)?);
    let after = forms(&recommendation.after)?;
    let is_again =
        |form: &Form| matches!(form, Form::Create { .. } | Form::Restore | Form::Analyze(_));
    let makes = |form: &Form, own_schema: &str, own_name: &str| matches!(form, Form::Create { table, name } if table.schema == own_schema && name == own_name);
    let is_right = match (&sql[..], &undo[..]) {
        // An index is dropped, and the undo makes it again.
        ([Form::Drop { schema, name }], again) => {
            again.iter().any(|form| makes(form, schema, name)) && again.iter().all(is_again)
        }
        // An index is made, and the undo drops it.
        (sql, [Form::Drop { schema, name }, again @ ..]) => {
            let (made, others): (Vec<&Form>, Vec<&Form>) =
                sql.iter().partition(|form| makes(form, schema, name));
            made.len() == 1
                && others.iter().all(|form| **form == Form::Trigrams)
                && again.iter().all(is_again)
        }
        _ => false,
    };
    match is_right && after.iter().all(|form| matches!(form, Form::Analyze(_))) {
        true => Ok(()),
        false => Err("its undo does not take back what its statements do".to_owned()),
    }
}

/// The form of a statement; `None` for one that is never written.
fn form(sql: &str) -> Option<Form> {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    // Two statements in one text are never written.
    let end = all.iter().rposition(|token| !token.is(";")).map_or(0, |last| last + 1);
    let all = &all[..end];
    if all.iter().any(|token| token.is(";")) {
        return None;
    }
    match change(sql) {
        Some(IndexChange::Create { table, name }) => return Some(Form::Create { table, name }),
        Some(IndexChange::Drop { schema, name }) => return Some(Form::Drop { schema, name }),
        None => {}
    }
    let mut rest = all;
    if take(&mut rest, &["create", "extension", "if", "not", "exists", "pg_trgm"]) {
        return rest.is_empty().then_some(Form::Trigrams);
    }
    if take(&mut rest, &["analyze"]) {
        let table = named(&mut rest)?;
        return rest.is_empty().then_some(Form::Analyze(table));
    }
    is_restore(rest).then_some(Form::Restore)
}

/// A name with at most its schema, from the front: the statements that are written name no database.
fn named(rest: &mut &[Token<'_>]) -> Option<TableName> {
    let before = rest.len();
    let name = qualified(rest)?;
    let most = ["schema", ".", "name"].len();
    (before - rest.len() <= most).then_some(name)
}

/// A setting of an index that is made again.
fn is_restore(mut rest: &[Token<'_>]) -> bool {
    let is_named = |rest: &mut &[Token<'_>]| named(rest).is_some();
    if take(&mut rest, &["comment", "on", "index"]) {
        return is_named(&mut rest)
            && take(&mut rest, &["is"])
            && matches!(rest, [text] if text.kind == TokenKind::String);
    }
    if take(&mut rest, &["alter", "table"]) {
        return is_named(&mut rest)
            && take(&mut rest, &["cluster", "on"])
            && is_named(&mut rest)
            && rest.is_empty();
    }
    if !take(&mut rest, &["alter", "index"]) || !is_named(&mut rest) {
        return false;
    }
    if take(&mut rest, &["attach", "partition"]) {
        return is_named(&mut rest) && rest.is_empty();
    }
    let is_number = |token: &Token<'_>| token.kind == TokenKind::Number;
    take(&mut rest, &["alter", "column"])
        && rest.split_off_first().is_some_and(is_number)
        && take(&mut rest, &["set", "statistics"])
        && matches!(rest, [value] if is_number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, sql: &[&str], undo: &[&str], after: &[&str]) -> Result<(), String> {
        let texts = |all: &[&str]| all.iter().map(|sql| (*sql).to_owned()).collect::<Vec<_>>();
        let value = serde_json::json!({
            "id": "x", "kind": kind, "table": "public.t", "sql": texts(sql), "undo": texts(undo),
            "after": texts(after), "because": [], "state": "accepted", "why": null,
            "estimated": null, "measured": null,
        });
        verify(&serde_json::from_value(value).unwrap())
    }

    const MADE: &str = "CREATE INDEX CONCURRENTLY t_a_idx ON public.t (a)";
    const DROPPED: &str = "DROP INDEX CONCURRENTLY IF EXISTS public.t_a_idx";

    #[test]
    fn what_is_written_into_a_run_passes() {
        let trigrams = "CREATE EXTENSION IF NOT EXISTS pg_trgm";
        assert_eq!(
            of("create-index", &[trigrams, MADE], &[DROPPED], &["ANALYZE public.t"]),
            Ok(())
        );
        let again = [
            "CREATE INDEX t_a_idx ON ONLY public.t USING btree (a) WITH (fillfactor='90')",
            "ALTER INDEX public.t_a_idx ATTACH PARTITION public.t_1_a_idx",
            "COMMENT ON INDEX public.t_a_idx IS 'it; is'",
            "ALTER TABLE public.t CLUSTER ON t_a_idx",
            "ALTER INDEX public.t_a_idx ALTER COLUMN 1 SET STATISTICS 500",
            "ANALYZE public.t",
        ];
        assert_eq!(of("drop-index", &["DROP INDEX public.t_a_idx"], &again, &[]), Ok(()));
    }

    #[test]
    fn what_says_something_else_is_refused() {
        for (kind, sql, undo, after) in [
            ("create-index", "CREATE TABLE owned ()", DROPPED, ""),
            ("create-index", MADE, "DROP TABLE favorites", ""),
            ("create-index", MADE, "DROP INDEX public.other_idx", ""),
            ("create-index", "CREATE INDEX t_a_idx ON public.t (a); DROP TABLE t", DROPPED, ""),
            ("create-index", MADE, DROPPED, "ANALYZE public.t; DROP TABLE t"),
            ("create-index", MADE, DROPPED, "VACUUM FULL public.t"),
            ("create-index", MADE, DROPPED, "ANALYZE other.public.t"),
            ("drop-index", "DROP INDEX public.t_pkey", MADE, ""),
            ("drop-index", "DROP TABLE public.t", MADE, ""),
        ] {
            let after: Vec<&str> = Some(after).filter(|sql| !sql.is_empty()).into_iter().collect();
            assert!(of(kind, &[sql], &[undo], &after).is_err(), "{kind} {sql} {undo} {after:?}");
        }
    }
}
