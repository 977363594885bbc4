//! Transactions that stay open over many round trips.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;

use super::detect::episodes::writes;
use crate::model::finding::{Finding, Level, Subject};
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "chatty-transaction",
    summary: "a transaction of twenty statements or more",
    needs: "a log that has BEGIN and COMMIT, or virtual transaction ids (%v, csvlog, jsonlog)",
    page: include_str!("chatty_transaction.md"),
    find,
};

/// Statements from which on a transaction is chatty. At a millisecond for each round trip it stays
/// open for twenty.
const MANY_STATEMENTS: usize = 20;

/// One transaction, as places in the timeline.
#[derive(Default)]
struct Transaction {
    places: Vec<u32>,
}

fn find(input: &Input<'_>) -> Vec<Finding> {
    let loops = input.loops();
    let looped: HashSet<u32> = loops
        .reads
        .iter()
        .chain(&loops.writes)
        .flat_map(|found| &found.loops)
        .flat_map(|l| l.children.iter().copied())
        .collect();
    let mut by_first: BTreeMap<u32, Vec<Transaction>> = BTreeMap::new();
    let timeline = &input.workload.timeline.executions;
    for transaction in transactions(input) {
        if transaction.places.len() >= MANY_STATEMENTS {
            let first = timeline[transaction.places[0] as usize].query;
            by_first.entry(first).or_default().push(transaction);
        }
    }
    by_first
        .into_iter()
        .map(|(first, transactions)| finding(input, first as usize, &transactions, &looped))
        .collect()
}

/// By `BEGIN` and `COMMIT`, else by the server's id of the transaction.
fn transactions(input: &Input<'_>) -> Vec<Transaction> {
    let explicit = &input.loops().transactions;
    let mut known: HashMap<(bool, u32), usize> = HashMap::new();
    let mut found: Vec<Transaction> = Vec::new();
    for (place, execution) in input.workload.timeline.executions.iter().enumerate() {
        let place = place as u32;
        let key = match explicit.of(place) {
            0 if execution.group.is_transaction() && !is_control(input, execution.query) => {
                (false, execution.group.0)
            }
            0 => continue,
            number => (true, number),
        };
        let at = *known.entry(key).or_insert_with(|| {
            found.push(Transaction::default());
            found.len() - 1
        });
        found[at].places.push(place);
    }
    found
}

fn is_control(input: &Input<'_>, query: u32) -> bool {
    use crate::model::workload::shape::StatementKind;
    input.workload.shape(query as usize).is_none_or(|shape| shape.kind == StatementKind::Utility)
}

fn finding(
    input: &Input<'_>,
    first: usize,
    transactions: &[Transaction],
    looped: &HashSet<u32>,
) -> Finding {
    let workload = input.workload;
    let timeline = &workload.timeline.executions;
    let at = |place: u32| &timeline[place as usize];
    let places = || transactions.iter().flat_map(|t| t.places.iter().copied());
    let server_us: u64 = places().map(|place| u64::from(at(place).duration_us)).sum();
    let open_us: i64 = transactions
        .iter()
        .filter_map(|t| {
            let (first, last) = (at(*t.places.first()?), at(*t.places.last()?));
            Some(last.at_us - (first.at_us - i64::from(first.duration_us)))
        })
        .sum();
    let statements = places().count();
    let most = transactions.iter().map(|t| t.places.len()).max().unwrap_or(0);
    let in_loops = places().filter(|place| looped.contains(place)).count();
    let has_writes = places().any(|place| {
        let shape = workload.shape(at(place).query as usize);
        shape.is_some_and(|shape| writes(shape.kind) || shape.locks_rows)
    });
    // Rows that it wrote or locked stay locked while it waits for the application.
    let waits = open_us > 0 && server_us < open_us as u64 / 2;
    let query = &workload.queries[first];
    let table =
        workload.shape(first).and_then(|shape| shape.scans.first()).map(|scan| scan.table.clone());
    let begins = table.as_ref().map(|t| format!(" that begins with {t}")).unwrap_or_default();
    Finding {
        id: format!("{}:{}", RULE.id, query.fingerprint),
        rule: RULE.id,
        level: if has_writes && waits && 2 * in_loops < statements {
            Level::Warning
        } else {
            Level::Info
        },
        impact_pct: workload.share_pct(server_us),
        message: format!(
            "a transaction{begins} takes up to {most} statements, {} of {} ms of which it waits for the application{}",
            (open_us.max(0) as u64).saturating_sub(server_us) / 1_000,
            open_us.max(0) / 1_000,
            if 2 * in_loops >= statements { "; most of them are loops that are found apart" } else { "" },
        ),
        subject: Subject { table, query: Some(query.fingerprint), ..Subject::default() },
        evidence: vec![json!({
            "kind": "transactions",
            "provenance": "observed",
            "transactions": transactions.len(),
            "statements": statements,
            "most_statements": most,
            "statements_in_loops": in_loops,
            "open_us": open_us,
            "server_us": server_us,
            "has_writes": has_writes,
        })],
        advice: Some(
            "read before the transaction begins, write with one statement for many rows, and call no other service inside"
                .to_owned(),
        ),
    }
}
