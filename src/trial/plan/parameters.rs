//! Parameters for statements that were logged without any.
//!
//! Rows of the table give them: a row that is drawn at random keeps the columns of one statement
//! together, and frequent values come up as often as they are frequent in the table.

use std::sync::Arc;

use crate::model::workload::literal::Literal;
use crate::model::workload::shape::{Operator, Predicate, Shape};
use crate::model::workload::{Query, Sample};
use crate::pg::connect::caller::Caller;
use crate::pg::connect::connection::Connection;
use crate::pg::session::guard::statement::Guard;
use crate::sql::lex::identifier::{quote, quote_table};
use crate::sql::rewrite::for_replay::without_locks;
use crate::stats::random::Random;

/// Rows looked at for each set of values, at most.
const ROWS: i64 = 2_000;
/// `LIMIT` where none was seen: a page.
const PAGE: &str = "20";

/// The origin of a statement's parameters, in the words of the report.
pub const FROM_LOG: &str = "from the log";
pub const FROM_TABLE: &str = "sampled from the table";

/// Returns the text that replays a statement, if it only reads, with its parameter sets and their origin. Row
/// locks are left out: nothing is written.
///
/// # Errors
/// In words, why it is not replayed.
pub fn readable(
    connection: &Connection,
    caller: &Caller,
    guard: &mut Guard,
    (query, shape): (&Query, &Shape),
    most: usize,
    random: &mut Random,
) -> Result<(Vec<Sample>, String), String> {
    let sent = |text: &str| match shape.locks_rows {
        true => without_locks(text),
        false => text.to_owned(),
    };
    guard.check(connection, caller, &sent(&query.normalized))?;
    let (mut samples, mut source) = samples(connection, query, shape, most, random)
        .map(|(samples, source)| (samples, source.to_owned()))?;
    for sample in &mut samples {
        sample.text = sent(&sample.text).into();
        // What is sent is looked at as it is, and not what it was taken for.
        guard.check(connection, caller, &sample.text)?;
    }
    if shape.locks_rows {
        source.push_str("; replayed without its row locks");
    }
    Ok((samples, source))
}

/// Parameter sets for a statement: those of the log, or rows of its table.
///
/// # Errors
/// In words, when a position of the statement can be traced to no column.
pub fn samples(
    connection: &Connection,
    query: &Query,
    shape: &Shape,
    most: usize,
    random: &mut Random,
) -> Result<(Vec<Sample>, &'static str), String> {
    if !query.samples.is_empty() {
        let mut samples = query.samples.clone();
        random.shuffle(&mut samples);
        samples.truncate(most);
        return Ok((samples, FROM_LOG));
    }
    if query.slots.iter().any(|slot| slot.lists > 0) {
        return Err(
            "its lists are too long to keep, and one value in their place is another statement"
                .to_owned(),
        );
    }
    let positions = query.slots.len();
    if positions == 0 {
        let sample = Sample { text: Arc::from(query.normalized.as_str()), parameters: Vec::new() };
        return Ok((vec![sample], "none needed"));
    }
    let sources = sources(query, shape, positions)?;
    let rows = rows(connection, shape, &sources, random)?;
    if rows.is_empty() {
        return Err("the table gave no rows to take parameters from".to_owned());
    }
    let text: Arc<str> = Arc::from(query.normalized.as_str());
    let samples = (0..most.min(rows.len()))
        .map(|n| Sample { text: text.clone(), parameters: rows[n].clone() })
        .collect();
    Ok((samples, FROM_TABLE))
}

/// The source of the value at one position.
enum ParameterSource {
    /// A value of a row of a scan's table, as SQL.
    Row {
        scan: usize,
        value: String,
    },
    Fixed(&'static str),
}

/// Traces every position to a column, or to a page size.
fn sources(query: &Query, shape: &Shape, positions: usize) -> Result<Vec<ParameterSource>, String> {
    (1..=positions)
        .map(|number| {
            let found = shape.scans.iter().enumerate().find_map(|(scan, data)| {
                let is_here = |slot: &u16| usize::from(*slot) == number;
                let alternatives =
                    data.alternatives.iter().flatten().flat_map(|scan| &scan.filters);
                let mut filters = data.filters.iter().chain(alternatives);
                let filter = filters.find(|filter| filter.slots.iter().any(is_here));
                let assigned = || data.assigned.iter().find(|(_, slot)| is_here(slot));
                let value = filter.map(value_of).or_else(|| {
                    assigned().map(|(column, _)| format!("({})::text", quote(column)))
                })?;
                Some(ParameterSource::Row { scan, value })
            });
            found
                .or_else(|| page_position(&query.normalized, number).map(ParameterSource::Fixed))
                .ok_or_else(|| {
                    format!("no parameters were seen, and ${number} belongs to no column")
                })
        })
        .collect()
}

/// `LIMIT $n` and `OFFSET $n`.
fn page_position(normalized: &str, number: usize) -> Option<&'static str> {
    let before = |word: &str| {
        normalized
            .split_once(&format!("{word} ${number}"))
            .is_some_and(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if before("LIMIT") {
        Some(PAGE)
    } else if before("OFFSET") {
        Some("0")
    } else {
        None
    }
}

/// Rows of the first table with a position, each turned into a full set of values.
fn rows(
    connection: &Connection,
    shape: &Shape,
    sources: &[ParameterSource],
    random: &mut Random,
) -> Result<Vec<Vec<Literal>>, String> {
    let scans: Vec<usize> =
        sources
            .iter()
            .filter_map(|source| {
                if let ParameterSource::Row { scan, .. } = source { Some(*scan) } else { None }
            })
            .collect();
    let mut columns_of: Vec<(usize, Vec<Vec<Literal>>)> = Vec::new();
    for scan in scans {
        if columns_of.iter().any(|(known, _)| *known == scan) {
            continue;
        }
        let expressions: Vec<String> = sources
            .iter()
            .filter_map(|source| match source {
                ParameterSource::Row { scan: own, value } if *own == scan => Some(value.clone()),
                _ => None,
            })
            .collect();
        let table = quote_table(&shape.scans[scan].table);
        // Drawn row by row over the whole table: blocks would give neighbours, and a limit that stops
        // the scan would give the oldest rows.
        let share = "SELECT least(1, $1::float8 / greatest(reltuples, 1))::float8 \
                     FROM pg_class WHERE oid = $2::text::regclass";
        let share: f64 = connection
            .row(share, &[&(ROWS as f64), &table])
            .map_err(|error| error.to_string())?
            .get(0);
        let sql = format!(
            "SELECT {} FROM {table} WHERE random() < {share} LIMIT {}",
            expressions.join(", "),
            2 * ROWS
        );
        // A table is read once for a trial that will read it hundreds of times.
        let rows = connection.query(&sql, &[]).map_err(|error| error.to_string())?;
        let mut values: Vec<Vec<Literal>> = rows
            .iter()
            .map(|row| {
                (0..row.len())
                    .map(|at| row.get::<_, Option<String>>(at).map_or(Literal::NULL, Literal::text))
                    .collect()
            })
            .collect();
        random.shuffle(&mut values);
        columns_of.push((scan, values));
    }
    let count = columns_of.iter().map(|(_, values)| values.len()).min().unwrap_or(0);
    Ok((0..count).map(|n| assemble(sources, &columns_of, n)).collect())
}

/// One set of values: for each position the value of its column in row `n` of its table.
fn assemble(
    sources: &[ParameterSource],
    columns_of: &[(usize, Vec<Vec<Literal>>)],
    n: usize,
) -> Vec<Literal> {
    let mut next = vec![0; columns_of.len()];
    sources
        .iter()
        .map(|source| match source {
            ParameterSource::Fixed(value) => Literal::text(*value),
            ParameterSource::Row { scan, .. } => {
                let at = columns_of.iter().position(|(known, _)| known == scan).unwrap_or(0);
                let value = columns_of[at].1[n].get(next[at]).cloned().unwrap_or(Literal::NULL);
                next[at] += 1;
                value
            }
        })
        .collect()
}

/// The prefix stands there as it is, and not as a pattern.
fn is_plain_prefix(predicate: &Predicate) -> bool {
    predicate.sql.contains("^@") || predicate.sql.to_lowercase().starts_with("starts_with(")
}

/// The value for a position, as SQL over the row: a pattern for a pattern, the value for the rest.
fn value_of(predicate: &Predicate) -> String {
    let key = match predicate.key.column() {
        Some(column) => quote(column),
        None => predicate.key.sql().to_owned(),
    };
    match predicate.operator {
        Operator::Like if is_plain_prefix(predicate) => format!("left(({key})::text, 4)"),
        Operator::Like => format!("left(({key})::text, 4) || '%'"),
        Operator::ILike => format!("'%' || substr(({key})::text, 3, 5) || '%'"),
        Operator::In => format!("({key})::text"),
        _ => format!("({key})::text"),
    }
}
