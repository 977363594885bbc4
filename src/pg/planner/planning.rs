//! What it takes to plan a statement of the workload: a connection, and who the statement is planned as.

use std::cell::RefCell;

use super::representative::Representatives;
use crate::model::catalog::Table;
use crate::model::workload::Query;
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::error::{PgError, PgErrorKind};
use crate::pg::session::callers::Callers;
use crate::pg::session::guard::statement::Guard;
use crate::sql::lex::identifier::quote_table;

#[derive(Clone, Copy)]
pub struct Planning<'c> {
    pub connection: &'c Connection,
    pub callers: &'c Callers,
    pub guard: &'c RefCell<Guard>,
    pub typicals: &'c Representatives,
}

impl Planning<'_> {
    /// Who a statement is planned as.
    ///
    /// # Errors
    /// Where the planner would compute what may do more than compute.
    pub fn caller(&self, query: &Query) -> Result<Caller, PgError> {
        let caller = self.callers.of(query);
        self.check(&caller, &query.normalized)?;
        query.samples.iter().try_for_each(|sample| self.check(&caller, &sample.text))?;
        Ok(caller)
    }

    /// Who counts the values of a table: as a superuser its owner, so that no function of somebody else has more power
    /// than its own. `None` where counting would call what may do more than compute.
    pub fn counts_as(&self, table: &Table, sql: &[&str]) -> Option<Caller> {
        let Planning { connection, callers, guard, .. } = *self;
        let owner = table.owner.as_deref().filter(|owner| *owner != connection.user);
        let caller = match owner.filter(|_| connection.is_superuser) {
            Some(owner) => callers.path().with_role(owner),
            None => callers.path().clone(),
        };
        // The table may be foreign in part, or its columns be of types whose casts are functions.
        let read = format!("SELECT FROM {}", quote_table(&table.name));
        let mut texts = sql.iter().copied().chain([read.as_str()]);
        let mut guard = guard.borrow_mut();
        texts.all(|text| guard.check_part(connection, &caller, text).is_ok()).then_some(caller)
    }

    fn check(&self, caller: &Caller, sql: &str) -> Result<(), PgError> {
        self.guard
            .borrow_mut()
            .check_plan(self.connection, caller, sql)
            .map_err(|why| PgError::new(PgErrorKind::Statement, "will not plan a statement", why))
    }
}
