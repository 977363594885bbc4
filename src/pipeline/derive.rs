//! Derives who may reach which rows, with the rows of a database.

use super::gather::{Gathered, Live};
use crate::access::derive::{Derived, derive as derive_from};
use crate::access::form::recommendations;
use crate::access::who_acts::Acting;
use crate::model::access::acting::{Arrival, Identity, IdentityKind};
use crate::model::access::recommendation::AccessRecommendation;
use crate::model::access::rows::{Rows, RowsQuestion};
use crate::model::name::TableName;
use crate::model::workload::Workload;
use crate::model::workload::literal::Literal;
use crate::pg::catalog::keys::all;
use crate::pg::session::reached;
use crate::sql::lex::identifier::{quote_literal, quote_table};
use crate::sql::rewrite::for_replay::on_its_own;

/// Rows of one execution that are looked at.
const MOST_ROWS: usize = 300;
/// Rows of a table of which the part is counted that a condition opens.
const MOST_COUNTED: usize = 20_000;

/// Derives who may reach which rows, with the policies for that; nothing without a database.
pub fn derive(gathered: &Gathered, acting: &Acting) -> (Derived, Vec<AccessRecommendation>) {
    let (Some(live), Some(catalog)) = (&gathered.live, &gathered.catalog) else {
        return Default::default();
    };
    let rows = LiveRows { live, workload: &gathered.workload };
    let identities = acting.who.identities.clone();
    let me = |kind: IdentityKind| {
        identities.iter().find(|own| own.kind == kind).map_or_else(|| "NULL".to_owned(), who_asks)
    };
    let derived = derive_from(&gathered.workload, catalog, acting, &rows, &me);
    let recommendations = recommendations(catalog, &acting.who, &derived, &me);
    (derived, recommendations)
}

/// Who asks, as a policy writes it: evaluated once, and NULL where it is not set.
pub fn who_asks(identity: &Identity) -> String {
    let (setting, member) = match &identity.arrives {
        Arrival::Setting { name, member } => (name.as_str(), member.as_deref()),
        // The application has to say it from then on.
        Arrival::LookUp(_) => match identity.kind {
            IdentityKind::User => ("app.user_id", None),
            IdentityKind::Tenant => ("app.tenant_id", None),
        },
    };
    let setting = quote_literal(&Literal::text(setting));
    let value = format!("nullif(current_setting({setting}, true), '')");
    let value = match member {
        None => value,
        Some(member) => {
            let path = format!("{{{}}}", member.replace('.', ","));
            format!("({value}::jsonb #>> {})", quote_literal(&Literal::text(path)))
        }
    };
    format!("(SELECT {value}::{})", identity.type_name)
}

struct LiveRows<'a> {
    live: &'a Live,
    workload: &'a Workload,
}

impl Rows for LiveRows<'_> {
    fn reached(&self, question: &RowsQuestion) -> Result<Vec<(u64, u64)>, String> {
        let query = &self.workload.queries[question.query];
        if self.live.callers.is_as_superuser(query) {
            return Err("it would be executed with the power of a superuser".to_owned());
        }
        let alias = &question.alias;
        let bits =
            question.conditions.iter().map(|own| format!("CASE WHEN {own} THEN '1' ELSE '0' END"));
        let bits = bits.collect::<Vec<_>>().join(" || ");
        // A row that is made of values has no place.
        let place = match question.from.starts_with("FROM pg_catalog.jsonb_populate_record") {
            true => String::new(),
            false => format!("{alias}.tableoid, {alias}.ctid, "),
        };
        let sql = format!(
            "SELECT m.mask, pg_catalog.count(*)::text FROM (SELECT DISTINCT {place}({bits})::text AS mask {} LIMIT {MOST_ROWS}) m GROUP BY m.mask",
            question.from
        );
        // What an UPDATE sets is not among the rows, and a parameter without a place has no type.
        let (sql, parameters) = on_its_own(&sql, &question.parameters)
            .ok_or("the log does not have all of its parameters")?;
        let caller = self.live.callers.of(query);
        let mut guard = self.live.guard.borrow_mut();
        let rows = reached::rows(&self.live.connection, &caller, &mut guard, &sql, &parameters)?;
        let mask = |text: &str| {
            text.bytes()
                .enumerate()
                .fold(0_u64, |mask, (at, bit)| mask | (u64::from(bit == b'1') << at))
        };
        Ok(rows.iter().map(|row| (mask(&row[0]), row[1].parse().unwrap_or(0))).collect())
    }

    fn share(
        &self,
        table: &TableName,
        alias: &str,
        conditions: &[String],
    ) -> Result<Vec<f64>, String> {
        let each =
            conditions.iter().map(|own| format!("pg_catalog.count(*) FILTER (WHERE {own})::text"));
        let sql = format!(
            "SELECT pg_catalog.count(*)::text, {} FROM (SELECT * FROM {} LIMIT {MOST_COUNTED}) {alias}",
            each.collect::<Vec<_>>().join(", "),
            quote_table(table)
        );
        let caller = self.live.callers.path().without_role();
        let mut guard = self.live.guard.borrow_mut();
        let rows = reached::rows(&self.live.connection, &caller, &mut guard, &sql, &[])?;
        let numbers = |text: &String| text.parse::<f64>().unwrap_or(0.0);
        let row: Vec<f64> =
            rows.first().map(|row| row.iter().map(numbers).collect()).unwrap_or_default();
        let (all, each) = row.split_first().ok_or("no answer")?;
        Ok(each.iter().map(|count| if *all > 0.0 { count / all } else { 0.0 }).collect())
    }

    fn keys(&self, table: &TableName, column: &str, most: usize) -> Result<Vec<Literal>, String> {
        let caller = self.live.callers.path().without_role();
        let sql = all(table, column, most);
        let mut guard = self.live.guard.borrow_mut();
        let rows = reached::rows(&self.live.connection, &caller, &mut guard, &sql, &[])?;
        Ok(rows.into_iter().flatten().map(Literal::text).collect())
    }
}
