//! Tables of a report in a terminal.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

pub(super) fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().enumerate().map(|(at, name)| {
        let cell = Cell::new(name);
        if right.contains(&at) { cell.set_alignment(CellAlignment::Right) } else { cell }
    }));
    for at in right {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

pub(super) fn put(out: &mut String, table: &Table) {
    for line in table.lines() {
        let _ = writeln!(out, " {}", line.trim_end());
    }
}

/// A word stands beside each mark, so nothing hangs on seeing it.
pub(super) fn mark(verdict: &str) -> char {
    match verdict {
        "improved" | "unchanged" => '✓',
        "regressed" => '✗',
        _ => '?',
    }
}
