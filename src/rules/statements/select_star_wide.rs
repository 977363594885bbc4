//! `SELECT *` on wide tables.

use serde_json::json;

use crate::model::catalog::{Column, Table, TableKind};
use crate::model::finding::{Finding, Level};
use crate::model::workload::shape::StatementKind;
use crate::rules::grouped::Grouped;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "select-star-wide",
    summary: "all columns of a wide table, asked for by a star",
    needs: "a catalog (schema file or database)",
    page: include_str!("select_star_wide.md"),
    find,
};

/// Columns from which on a table is wide.
const MANY_COLUMNS: usize = 20;
/// Bytes of a row from which on a table is wide; a page of 8 KiB holds eight.
const WIDE_ROW_BYTES: u32 = 1_000;
/// Bytes of a value from which on it is named as the one that makes the row wide.
const WIDE_VALUE_BYTES: u32 = 250;

fn find(input: &Input<'_>) -> Vec<Finding> {
    let mut groups = Grouped::new(RULE.id);
    for found in input.scans() {
        let Some(table) = found.table else { continue };
        let is_star = found.shape.kind == StatementKind::Select
            && found.scan.whole_row
            && matches!(
                table.kind,
                TableKind::Table | TableKind::Partitioned | TableKind::MaterializedView
            );
        if !is_star {
            continue;
        }
        let Some(width) = Width::of(table) else { continue };
        let level = if width.row_bytes.is_some() { Level::Warning } else { Level::Info };
        groups.add(&table.name, width.columns.clone(), level, found.query, || {
            format!("a star asks for every column of {}: {}", table.name, width.words)
        });
        groups.evidence(json!({
            "kind": "width",
            "provenance": "estimated",
            "columns": table.columns.len(),
            "row_bytes": width.row_bytes,
        }));
    }
    groups.finish(input.workload)
}

/// The figures that make a table wide.
struct Width {
    /// The columns that do.
    columns: Vec<String>,
    /// By the statistics.
    row_bytes: Option<u32>,
    words: String,
}

impl Width {
    fn of(table: &Table) -> Option<Width> {
        let known = table.columns.iter().any(|column| column.width_bytes.is_some());
        let row_bytes: u32 = table.columns.iter().filter_map(|column| column.width_bytes).sum();
        let names = |is_wide: &dyn Fn(&Column) -> bool| -> Vec<String> {
            table.columns.iter().filter(|c| is_wide(c)).map(|c| c.name.clone()).collect()
        };
        if known && row_bytes >= WIDE_ROW_BYTES {
            let columns = names(&|c| c.width_bytes.is_some_and(|bytes| bytes >= WIDE_VALUE_BYTES));
            let words = match columns.as_slice() {
                [] => format!("{row_bytes} bytes a row"),
                some => format!("{row_bytes} bytes a row, most of them in {}", some.join(", ")),
            };
            return Some(Width { columns, row_bytes: Some(row_bytes), words });
        }
        let documents = names(&|column| is_document(&column.type_name));
        if !known && !documents.is_empty() {
            let words = format!("documents among them ({})", documents.join(", "));
            return Some(Width { columns: documents, row_bytes: None, words });
        }
        (table.columns.len() >= MANY_COLUMNS).then(|| Width {
            columns: Vec::new(),
            row_bytes: None,
            words: format!("{} columns", table.columns.len()),
        })
    }
}

/// Types whose values are long as a rule; kept out of line, so that each costs another read.
fn is_document(type_name: &str) -> bool {
    let name = type_name.to_lowercase();
    ["json", "jsonb", "bytea", "xml", "tsvector"].contains(&name.as_str())
        || name.starts_with("vector")
}
