//! Executes statements for measuring: prepared, over the extended protocol, values as text.

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Instant;

use futures_core::Stream;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Row, SimpleQueryMessage, SimpleQueryRow, Statement};
use xxhash_rust::xxh3::Xxh3;

use crate::model::workload::Sample;
use crate::model::workload::literal::Literal;
use crate::pg::connect::connection::{Connection, InWorkload, typed};
use crate::pg::connect::parameter::Parameter;
use crate::pg::error::PgError;
use crate::sql::lex::identifier::quote_literal;

/// A value in the server's text form, for whatever type the server infers.
#[derive(Debug)]
pub struct TextParameter<'v>(pub Option<&'v str>);

impl ToSql for TextParameter<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// Bytes of a value as they came, `None` for `NULL`.
struct Raw<'r>(Option<&'r [u8]>);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A value of a textual type, whatever its bytes.
pub(crate) fn lossy_text(row: &Row, at: usize) -> String {
    let bytes = row.try_get::<_, Raw<'_>>(at).ok().and_then(|raw| raw.0);
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

/// The result of one execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    pub rows: u64,
    /// Hash over the rows that does not depend on their order.
    pub digest: u64,
    /// From sending to the last row, microseconds.
    pub latency_us: f64,
}

/// Values in their text form, of whatever type the server infers.
fn text_parameters(parameters: &[Literal]) -> Vec<TextParameter<'_>> {
    parameters.iter().map(|literal| TextParameter(literal.expose())).collect()
}

impl Connection {
    /// The output of `COPY … TO STDOUT`.
    ///
    /// # Errors
    /// The server's error.
    pub fn copy_out(&self, sql: &str) -> Result<Vec<u8>, PgError> {
        self.exchange(|| "cannot copy out".to_owned(), async {
            let mut stream = pin!(self.client().copy_out(sql).await?);
            let mut bytes = Vec::new();
            while let Some(chunk) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
                bytes.extend_from_slice(&chunk?);
            }
            Ok(bytes)
        })
    }
}

impl InWorkload<'_> {
    /// # Errors
    /// When the server cannot parse the statement or infer its parameters.
    pub fn prepare(&self, sql: &str) -> Result<Statement, PgError> {
        let what = || "cannot prepare a statement".to_owned();
        self.connection().exchange(what, self.connection().client().prepare(sql))
    }

    /// Rows of a prepared statement, with values in their text form.
    ///
    /// # Errors
    /// The server's error.
    pub fn rows(&self, statement: &Statement, parameters: &[Literal]) -> Result<Vec<Row>, PgError> {
        let values = text_parameters(parameters);
        let list: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        let what = || "cannot execute a statement of the workload".to_owned();
        self.connection().exchange(what, self.connection().client().query(statement, &list))
    }

    /// The one row of a statement that is not prepared, such as `EXPLAIN`.
    ///
    /// # Errors
    /// The server's error, or that there is not exactly one row.
    pub fn row(&self, sql: &str, parameters: &[Literal]) -> Result<Row, PgError> {
        let values = text_parameters(parameters);
        let list: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|v| (v as &(dyn ToSql + Sync), Type::UNKNOWN)).collect();
        self.connection().exchange(
            || self.connection().doing(sql),
            self.connection().client().query_typed_one(sql, &list),
        )
    }

    /// Rows of a statement of our own that takes SQL of the workload. All its names have to be qualified, and the
    /// types of its operators exactly those of the system's.
    ///
    /// # Errors
    /// The server's error.
    pub fn own_rows(&self, sql: &str, parameters: &[&dyn Parameter]) -> Result<Vec<Row>, PgError> {
        let list = typed(parameters);
        let connection = self.connection();
        connection.exchange(|| connection.doing(sql), connection.client().query_typed(sql, &list))
    }

    /// Runs a statement that gives no rows.
    ///
    /// # Errors
    /// The server's error.
    pub fn batch(&self, sql: &str) -> Result<(), PgError> {
        self.connection().exchange(
            || self.connection().doing(sql),
            self.connection().client().batch_execute(sql),
        )
    }

    /// Executes a prepared statement and reads all rows. The clock stops before rows are hashed.
    ///
    /// # Errors
    /// The server's error.
    pub fn measure(
        &self,
        statement: &Statement,
        parameters: &[Literal],
    ) -> Result<Answer, PgError> {
        let started = Instant::now();
        let rows = self.rows(statement, parameters)?;
        let latency_us = started.elapsed().as_secs_f64() * 1e6;
        let mut digest = 0u64;
        for row in &rows {
            let mut hasher = Xxh3::new();
            for at in 0..row.len() {
                match row.try_get::<_, Raw<'_>>(at) {
                    Ok(Raw(Some(bytes))) => {
                        hasher.update(&(bytes.len() as u64 + 1).to_le_bytes());
                        hasher.update(bytes);
                    }
                    _ => hasher.update(&0u64.to_le_bytes()),
                }
            }
            // A sum and not an xor: two equal rows must not cancel out.
            digest = digest.wrapping_add(hasher.digest());
        }
        Ok(Answer { rows: rows.len() as u64, digest, latency_us })
    }

    /// At most `most` rows of a query with its parameters, values in their text form.
    ///
    /// Only for statements that passed the guard: it goes over the simple protocol, which alone gives
    /// every type as text.
    ///
    /// # Errors
    /// The server's error.
    pub fn rows_as_text(
        &self,
        sample: &Sample,
        most: usize,
    ) -> Result<Vec<Vec<Option<String>>>, PgError> {
        let text = sample.text.trim_end().trim_end_matches(';');
        // A comment at the end must not swallow what follows.
        self.batch(&format!(
            "PREPARE pgassay_rows AS SELECT * FROM (\n{text}\n) AS whole LIMIT {most}"
        ))?;
        let values: Vec<String> = sample.parameters.iter().map(quote_literal).collect();
        let arguments =
            if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
        let what = || "cannot run a query again".to_owned();
        let sql = format!("EXECUTE pgassay_rows{arguments}");
        let messages =
            self.connection().exchange(what, self.connection().client().simple_query(&sql));
        let _ = self.batch("DEALLOCATE pgassay_rows");
        let row = |row: &SimpleQueryRow| {
            (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()
        };
        Ok(messages?
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(data) => Some(row(data)),
                _ => None,
            })
            .collect())
    }

    /// First column of a statement, over the simple protocol; for `EXPLAIN EXECUTE`, which
    /// the extended protocol does not take.
    pub(crate) fn simple(&self, sql: &str) -> Result<Vec<String>, PgError> {
        let what = || "cannot plan a statement".to_owned();
        let messages =
            self.connection().exchange(what, self.connection().client().simple_query(sql))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect())
    }
}
