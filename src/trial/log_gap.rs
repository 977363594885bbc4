//! Explains why a statement took another time in the log than in the replay.
//!
//! A replay is not the application: it runs under another role, from a warm cache, on another machine at another time.
//! What differs and can be told from here is named, the most likely first.

use crate::model::catalog::{Catalog, Table};
use crate::model::trial::{QueryTrial, Trial};
use crate::model::workload::shape::Shape;
use crate::model::workload::{Query, Workload};
use crate::pg::connect::connection::Connection;
use crate::pg::session::role_settings::{RoleSetting, role_settings};

/// Times from which on the latency of the log is another one than that of the replay.
const FAR: f64 = 3.0;
/// Differences that are not worth a word, microseconds.
const LITTLE_US: f64 = 2_000.0;
/// Blocks whose reading from a disk takes longer than they take from the cache by what is noticed: 8 MB.
const MANY_BLOCKS: u64 = 1_000;
/// Statements of a trial that tell together that everything took longer in the log.
const SEVERAL: usize = 3;

/// The known circumstances of the log.
pub struct Origins {
    /// The role of the replay.
    role: String,
    settings: Vec<RoleSetting>,
}

impl Origins {
    /// Asks the server about the roles of the workload. What it does not tell is not known.
    pub fn of(connection: &Connection, role: &str, workload: &Workload) -> Origins {
        let mut roles: Vec<String> =
            workload.queries.iter().flat_map(|query| query.users.iter().cloned()).collect();
        roles.sort_unstable();
        roles.dedup();
        roles.retain(|known| known != role);
        let settings = role_settings(connection, &roles).unwrap_or_default();
        Origins { role: role.to_owned(), settings }
    }

    /// Notes in a trial why statements took another time in the log.
    pub fn explain(&self, trial: &mut Trial, workload: &Workload, catalog: Option<&Catalog>) {
        let known = |query: &QueryTrial| {
            let query = workload.query(query.fingerprint)?;
            Some((query, query.shape.as_ref()))
        };
        let ratios: Vec<f64> = trial
            .queries
            .iter()
            .filter_map(|query| {
                let (logged_us, _) = logged(known(query)?.0)?;
                Some(logged_us / query.before.median_us()?.max(1.0))
            })
            .collect();
        let common = common_ratio(&ratios);
        for query in &mut trial.queries {
            let Some((of_log, shape)) = known(query) else { continue };
            let tables = tables(shape, catalog);
            query.log_gap = self.gap(query, of_log, &tables, common);
        }
    }

    fn gap(
        &self,
        query: &QueryTrial,
        of_log: &Query,
        tables: &[&Table],
        common: Option<f64>,
    ) -> Option<String> {
        let (logged_us, figure) = logged(of_log)?;
        // What was stopped takes longer than is known.
        let replayed_us = query.before.median_us().filter(|_| query.before.timed_out == 0)?;
        let is_far = logged_us > FAR * replayed_us || replayed_us > FAR * logged_us;
        if !is_far || (logged_us - replayed_us).abs() < LITTLE_US {
            return None;
        }
        let ms = |us: f64| format!("{:.1} ms", us / 1e3);
        let mut reasons = self.of_roles(of_log, tables);
        if logged_us > replayed_us {
            let is_common = common.is_some_and(|ratio| ratio > FAR / 2.0);
            if let Some(ratio) = common.filter(|_| is_common) {
                reasons.push(format!(
                    "most statements took {ratio:.1} times as long in the log: that server was busier or slower"
                ));
            }
            if figure == "mean" {
                reasons.push(
                    "only a mean is known of the log, in which a few slow executions (locks, a cold cache) count much"
                        .to_owned(),
                );
            }
            if query.plan_before.buffers.is_some_and(|blocks| blocks >= MANY_BLOCKS) {
                reasons.push("the replay finds its blocks in the cache, and the log's may have come from disk".to_owned());
            }
        } else if common.is_some_and(|ratio| ratio < 2.0 / FAR) {
            reasons.push(
                "most statements take longer in the replay: this machine is busier or slower"
                    .to_owned(),
            );
        }
        if !query.parameters.starts_with("from the log") {
            reasons.push("the parameters are not those of the log".to_owned());
        }
        if reasons.is_empty() {
            reasons.push("other rows, other settings or another machine".to_owned());
        }
        Some(format!(
            "{figure} {} in the log, median {} in the replay: {}",
            ms(logged_us),
            ms(replayed_us),
            reasons.join("; ")
        ))
    }

    /// The roles of the log are bound by policies or have settings that the replay's role has not.
    fn of_roles(&self, of_log: &Query, tables: &[&Table]) -> Vec<String> {
        let mut reasons = Vec::new();
        let others: Vec<&String> = of_log.users.iter().filter(|user| **user != self.role).collect();
        for table in tables.iter().filter(|table| table.row_security) {
            let is_bound = |role: &String| table.bound.contains(role);
            let bound = others.iter().find(|role| is_bound(role));
            if let Some(bound) = bound.filter(|_| !is_bound(&self.role)) {
                reasons.push(format!(
                    "it ran as {bound}, for whom the policies of {} hold, and was replayed as {}",
                    table.name, self.role
                ));
            }
        }
        for setting in self.settings.iter().filter(|setting| others.contains(&&setting.role)) {
            reasons.push(format!(
                "it ran as {}, which has {} = {}",
                setting.role, setting.name, setting.value
            ));
        }
        reasons
    }
}

/// The latency of a statement in the log, microseconds, and which figure it is: the median of observed durations, or
/// a mean.
fn logged(query: &Query) -> Option<(f64, &'static str)> {
    match query.durations.count() {
        0 => Some((query.mean_us()? as f64, "mean")),
        _ => Some((query.durations.quantile_us(0.5) as f64, "median")),
    }
}

/// The median of how many times as long statements took in the log, of several.
fn common_ratio(ratios: &[f64]) -> Option<f64> {
    let median = crate::stats::quantile::median(ratios);
    median.filter(|_| ratios.len() >= SEVERAL)
}

fn tables<'c>(shape: Option<&Shape>, catalog: Option<&'c Catalog>) -> Vec<&'c Table> {
    let scans = shape.into_iter().flat_map(|shape| &shape.scans);
    let mut tables: Vec<&Table> = scans.filter_map(|scan| catalog?.table(&scan.table)).collect();
    tables.dedup_by(|a, b| a.name == b.name);
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trial::fixture;
    use crate::model::workload::fingerprint::Fingerprint;

    /// Returns the note on a statement that took `logged_us` in the log and `replayed_us` in the replay.
    fn gap(logged_us: u64, replayed_us: f64, parameters: &str) -> Option<String> {
        let mut query = Query {
            calls: 10,
            total_us: 10 * logged_us,
            users: vec!["web".to_owned()],
            ..Query::default()
        };
        (0..10).for_each(|_| query.durations.record(logged_us));
        let mut replayed = fixture::query(Fingerprint(1), replayed_us, replayed_us);
        replayed.parameters = parameters.to_owned();
        let (mut catalog, _) =
            crate::sql::dump::catalog::catalog("CREATE TABLE documents (id int)");
        let table = &mut catalog.tables[0];
        (table.row_security, table.bound) = (true, vec!["web".to_owned()]);
        let setting = RoleSetting {
            role: "web".to_owned(),
            name: "work_mem".to_owned(),
            value: "64kB".to_owned(),
        };
        let origins = Origins { role: "owner".to_owned(), settings: vec![setting] };
        origins.gap(&replayed, &query, &[&*table], None)
    }

    #[test]
    fn a_latency_far_from_the_logs_is_told_with_what_may_be_the_reason() {
        assert_eq!(gap(20_000, 15_000.0, "from the log"), None);
        assert_eq!(gap(900, 100.0, "from the log"), None, "a millisecond is little");
        let told = gap(1_722_000, 196_000.0, "from the log").unwrap();
        assert!(
            told.contains("ran as web, for whom the policies of public.documents hold"),
            "{told}"
        );
        assert!(
            told.contains("was replayed as owner") && told.contains("work_mem = 64kB"),
            "{told}"
        );
        let told = gap(20_000, 90_000.0, "drawn from the table").unwrap();
        assert!(told.contains("the parameters are not those of the log"), "{told}");
    }
}
