//! Every distinct statement parsed once, and what that says of the coverage.

use crate::model::catalog::Catalog;
use crate::model::workload::Workload;
use crate::model::workload::shape::Shape;
use crate::sql::parse::parser::ParseError;
use crate::sql::resolve::resolver::shape;

/// Statements from which on it is worth to share the work.
const WORTH_A_THREAD: usize = 2_000;
/// Stack of a thread that parses, bytes: a parser recurses as deep as the statement is nested.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// The shape of each query, `None` where the statement is not understood; the coverage says how many
/// executions that concerns, and why.
pub fn understand(workload: &mut Workload, catalog: Option<&Catalog>) -> Vec<Option<Shape>> {
    let queries = &workload.queries;
    let read = |part: &[crate::model::workload::Query]| -> Vec<Result<Shape, ParseError>> {
        part.iter().map(|query| shape(&query.normalized, catalog)).collect()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = queries.len().div_ceil(threads).max(WORTH_A_THREAD);
    let shapes: Vec<Result<Shape, ParseError>> = std::thread::scope(|scope| {
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
    });
    for (query, shape) in queries.iter().zip(&shapes) {
        match shape {
            Ok(_) => {
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
    shapes.into_iter().map(Result::ok).collect()
}

/// Enough of a normalized statement to recognise it.
fn shorten(normalized: &str) -> String {
    const MOST: usize = 120;
    match normalized.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &normalized[..end]),
        None => normalized.to_owned(),
    }
}
