//! Which statements may be replayed, as far as the text can tell.
//!
//! The text is the first of three checks. The second is a read-only session, the third a look at everything that the
//! text names (`pg::session::guard`).

use std::fmt;

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

/// The statement is one plain `SELECT`.
///
/// # Errors
/// Everything else.
pub fn if_readable(sql: &str) -> Result<(), Refusal> {
    use crate::model::workload::shape::StatementKind;
    let shape = shape(sql, None).map_err(|why| Refusal::NotUnderstood(why.to_string()))?;
    match shape.kind {
        StatementKind::Select if shape.writes => Err(Refusal::Writes),
        StatementKind::Select if shape.locks_rows => Err(Refusal::LocksRows),
        StatementKind::Select => Ok(()),
        _ => Err(Refusal::NotASelect),
    }
}

/// The statement inserts into, updates or deletes from one table and does nothing else.
///
/// # Errors
/// Everything that is not one such statement.
pub fn if_writing(sql: &str) -> Result<(), Refusal> {
    use crate::model::workload::shape::StatementKind;
    let shape = shape(sql, None).map_err(|why| Refusal::NotUnderstood(why.to_string()))?;
    let targets = shape.scans.iter().filter(|scan| scan.target).count();
    match shape.kind {
        StatementKind::Insert | StatementKind::Update | StatementKind::Delete if targets == 1 => {
            Ok(())
        }
        StatementKind::Select if !shape.writes => Err(Refusal::ReadsOnly),
        _ => Err(Refusal::NotOneWrite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_reads_pass() {
        assert_eq!(if_readable("SELECT lower(a) FROM t"), Ok(()));
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
            assert_eq!(if_readable(sql), Err(why), "{sql}");
        }
    }

    #[test]
    fn only_plain_writes_pass_as_writes() {
        for sql in
            ["INSERT INTO t (a) VALUES ($1)", "UPDATE t SET a = $1", "DELETE FROM t WHERE a = $1"]
        {
            assert_eq!(if_writing(sql), Ok(()), "{sql}");
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
            assert_eq!(if_writing(sql), Err(why), "{sql}");
        }
    }
}
