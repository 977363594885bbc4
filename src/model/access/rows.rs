//! What a derivation asks a database: which rows a statement reached, and which conditions hold for them.

use crate::model::name::TableName;
use crate::model::workload::literal::Literal;

/// Rows of one table that an execution reached.
#[derive(Debug, Clone)]
pub struct RowsQuestion {
    /// Position of the statement in the workload: it is asked as who executed it.
    pub query: usize,
    /// `FROM … WHERE …`, with the parameters of the execution.
    pub from: String,
    pub parameters: Vec<Literal>,
    /// The name of the rows in FROM, as SQL.
    pub alias: String,
    /// Conditions on those rows, at most 60.
    pub conditions: Vec<String>,
}

/// A database with the rows of the workload.
pub trait Rows {
    /// For each group of rows for which the same conditions hold, those as bits, and the number of rows. At most some
    /// hundred rows are looked at.
    ///
    /// # Errors
    /// A sentence why there is no answer.
    fn reached(&self, question: &RowsQuestion) -> Result<Vec<(u64, u64)>, String>;

    /// The part of the rows of a table, known as `alias`, for which each condition holds, from 0 to 1.
    ///
    /// # Errors
    /// A sentence why there is no answer.
    fn share(
        &self,
        table: &TableName,
        alias: &str,
        conditions: &[String],
    ) -> Result<Vec<f64>, String>;

    /// Keys of a table, at most `most`.
    ///
    /// # Errors
    /// A sentence why there is no answer.
    fn keys(&self, table: &TableName, column: &str, most: usize) -> Result<Vec<Literal>, String>;
}
