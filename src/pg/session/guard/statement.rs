//! Decides which statements of a workload are planned and executed.

use std::collections::HashMap;
use std::rc::Rc;

use super::hazards::{Hazards, Moment, NODES, nodes};
use crate::model::name::TableName;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::PgError;
use crate::sql::lex::identifier::quote_table;
use crate::sql::rewrite::replayable::{if_readable, if_writing};

/// Until when a statement is followed, and whether it may take values from sequences.
type Purpose = (Moment, bool);

/// Remembers what the server said, so that it is asked once.
#[derive(Default)]
pub struct Guard {
    hazards: Option<Rc<Hazards>>,
    /// Texts and paths that were decided.
    known: HashMap<(String, Purpose, Vec<String>), Option<String>>,
    written: HashMap<TableName, Option<String>>,
}

impl Guard {
    /// The text may be planned: nothing that the planner computes does more than compute.
    ///
    /// # Errors
    /// The reason it is not planned, in words.
    pub fn check_plan(
        &mut self,
        connection: &Connection,
        caller: &Caller,
        sql: &str,
    ) -> Result<(), String> {
        self.check_names(connection, caller, sql, (Moment::Plan, false))
    }

    /// An expression, or another part of a statement of ours, may be executed.
    ///
    /// # Errors
    /// The reason it is not, in words.
    pub fn check_part(
        &mut self,
        connection: &Connection,
        caller: &Caller,
        sql: &str,
    ) -> Result<(), String> {
        self.check_names(connection, caller, sql, (Moment::Execution, false))
    }

    /// The text reads and does nothing else.
    ///
    /// # Errors
    /// The reason it is not executed, in words.
    pub fn check(
        &mut self,
        connection: &Connection,
        caller: &Caller,
        sql: &str,
    ) -> Result<(), String> {
        if_readable(sql).map_err(|refusal| refusal.to_string())?;
        self.check_names(connection, caller, sql, (Moment::Execution, false))
    }

    /// The text writes one table, and a rollback takes back all it does but the values it takes from sequences.
    ///
    /// # Errors
    /// The reason it is not executed, in words.
    pub fn check_write(
        &mut self,
        connection: &Connection,
        caller: &Caller,
        sql: &str,
        table: &TableName,
    ) -> Result<(), String> {
        if_writing(sql).map_err(|refusal| refusal.to_string())?;
        self.check_names(connection, caller, sql, (Moment::Execution, true))?;
        if !self.written.contains_key(table) {
            let why = self.set_off(connection, table).map_err(|error| error.to_string())?;
            self.written.insert(table.clone(), why);
        }
        self.written[table].clone().map_or(Ok(()), Err)
    }

    fn check_names(
        &mut self,
        connection: &Connection,
        caller: &Caller,
        sql: &str,
        (moment, takes_sequences): Purpose,
    ) -> Result<(), String> {
        let path = caller.schemas(&connection.user);
        let key = (sql.to_owned(), (moment, takes_sequences), path.clone());
        if let Some(known) = self.known.get(&key) {
            return known.clone().map_or(Ok(()), Err);
        }
        let hazards = self.hazards(connection, &path).map_err(|error| error.to_string())?;
        let reason = hazards.reason(sql, &path, moment, takes_sequences);
        self.known.insert(key, reason.clone());
        reason.map_or(Ok(()), Err)
    }

    fn hazards(
        &mut self,
        connection: &Connection,
        path: &[String],
    ) -> Result<Rc<Hazards>, PgError> {
        if let Some(hazards) = &self.hazards {
            return Ok(hazards.clone());
        }
        let hazards = Rc::new(Hazards::load(connection, path.to_vec())?);
        self.hazards = Some(hazards.clone());
        Ok(hazards)
    }

    /// What a write to the table sets off beside itself, as far as it does more than compute.
    fn set_off(
        &mut self,
        connection: &Connection,
        table: &TableName,
    ) -> Result<Option<String>, PgError> {
        let hazards = self.hazards(connection, &[])?;
        let sql = include_str!("queries/written.sql").replace("{nodes}", NODES);
        for row in connection.query(&sql, &[&quote_table(table)])? {
            let (kind, name): (String, String) = (row.get(0), row.get(1));
            let found = nodes(&row.get::<_, Vec<String>>(2));
            let found = found.into_iter().filter(|node| !hazards.is_next_value(*node));
            let expression = hazards.of_nodes(&found.collect::<Vec<_>>());
            let function = row.get::<_, Option<u32>>(3).and_then(|oid| hazards.of_trigger(oid));
            match (kind.as_str(), expression.or(function)) {
                ("refused", _) => return Ok(Some(name)),
                (_, Some((_, why))) => return Ok(Some(format!("{name}, which {why}"))),
                _ => {}
            }
        }
        Ok(None)
    }
}
