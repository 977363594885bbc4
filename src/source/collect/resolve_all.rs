//! Resolves every distinct statement and, for advice, some of its executions as they were written.

use crate::model::catalog::Catalog;
use crate::model::workload::shape::Shape;
use crate::model::workload::{Query, SPELLINGS, Sample, Spelling, Workload};
use crate::sql::expression::member_names::member_parameters;
use crate::sql::parse::parser::ParseError;
use crate::sql::resolve::resolver::shape;

/// Statements from which on it is worth to share the work.
const WORTH_A_THREAD: usize = 2_000;
/// Stack of a thread that parses, bytes: a parser recurses as deep as the statement is nested.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Gives each query its shape. The coverage says how many executions are of statements that cannot be parsed, and why.
pub fn resolve_all(workload: &mut Workload, catalog: Option<&Catalog>) {
    let shapes = of_each(&workload.queries, &|query| shape(&query.normalized, catalog));
    for (query, shape) in workload.queries.iter_mut().zip(shapes) {
        match shape {
            Ok(shape) => {
                query.shape = Some(shape);
                let understood = &mut workload.coverage.understood;
                *understood = understood.saturating_add(query.calls);
            }
            Err(error) => {
                let reason = match error {
                    ParseError::Syntax(_) => "statement not parsed".to_owned(),
                    other => other.to_string(),
                };
                workload.coverage.skip(&reason, query.calls, || shorten(&query.normalized));
            }
        }
    }
}

/// Gives each query that has a shape its spellings. Only advice asks for them.
pub fn resolve_spellings(workload: &mut Workload, catalog: &Catalog) {
    let spellings = of_each(&workload.queries, &|query| match &query.shape {
        Some(shape) if !shape.scans.is_empty() => spellings(&query.samples, shape, catalog),
        _ => Vec::new(),
    });
    for (query, spellings) in workload.queries.iter_mut().zip(spellings) {
        query.spellings = spellings;
    }
}

/// Resolves something of each query; threads share the work where there is much of it.
fn of_each<T: Send>(queries: &[Query], resolve: &(dyn Fn(&Query) -> T + Sync)) -> Vec<T> {
    let read = |part: &[Query]| -> Vec<T> { part.iter().map(resolve).collect() };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = queries.len().div_ceil(threads).max(WORTH_A_THREAD);
    std::thread::scope(|scope| {
        let spawn = |part| {
            let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
            builder.spawn_scoped(scope, move || read(part))
        };
        let running: Vec<_> = queries.chunks(share).map(|part| (part, spawn(part))).collect();
        running
            .into_iter()
            .flat_map(|(part, thread)| match thread {
                Ok(thread) => {
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                }
                // No thread to be had: here, then.
                Err(_) => read(part),
            })
            .collect()
    })
}

/// The shapes of executions as they were written, where they are alike that of the statement.
fn spellings(samples: &[Sample], found: &Shape, catalog: &Catalog) -> Vec<Spelling> {
    // A statement that names members of documents is advised apart for each of them.
    let is_few = samples.len() <= SPELLINGS || member_parameters(found).is_empty();
    let most = if is_few { SPELLINGS } else { samples.len() };
    let spelling = |(sample, of): (usize, &Sample)| {
        let shape = shape(&of.text, Some(catalog)).ok()?;
        is_alike(&shape, found).then_some(Spelling { sample, shape })
    };
    samples.iter().take(most).enumerate().filter_map(spelling).collect()
}

/// The same scans with the same filters.
fn is_alike(a: &Shape, b: &Shape) -> bool {
    let (a, b) = (a.with_alternatives(), b.with_alternatives());
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.filters.len() == b.filters.len())
}

/// Enough of a normalized statement to recognise it.
fn shorten(normalized: &str) -> String {
    const MOST: usize = 120;
    match normalized.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &normalized[..end]),
        None => normalized.to_owned(),
    }
}
