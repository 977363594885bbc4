//! Which statements may be replayed: those that only read, as far as the text can tell.
//!
//! The text is the first of three walls. The second is a read-only session, the third a look at the
//! volatility of every function that is called (`pg::guard`).

use std::fmt;

use super::resolve::shape;

/// Why a statement is not replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NotASelect,
    Writes,
    LocksRows,
    NotUnderstood(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotASelect => f.write_str("not a SELECT"),
            Refusal::Writes => f.write_str("a SELECT that writes"),
            Refusal::LocksRows => f.write_str("takes row locks"),
            Refusal::NotUnderstood(why) => write!(f, "{why}"),
        }
    }
}

/// Names of the functions that a statement calls, when it may be replayed otherwise.
///
/// # Errors
/// Everything that is not one plain `SELECT`.
pub fn functions_if_readable(normalized: &str) -> Result<Vec<String>, Refusal> {
    use crate::model::shape::StatementKind;
    let shape = shape(normalized, None).map_err(|why| Refusal::NotUnderstood(why.to_string()))?;
    match shape.kind {
        StatementKind::Select if shape.writes => Err(Refusal::Writes),
        StatementKind::Select if shape.locks_rows => Err(Refusal::LocksRows),
        StatementKind::Select => Ok(shape.functions),
        _ => Err(Refusal::NotASelect),
    }
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
}
