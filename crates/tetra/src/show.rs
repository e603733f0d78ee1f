//! Aligned, short tables for a terminal.

use std::ops::Range;

use comfy_table::{CellAlignment, Table, presets};

/// A table with a head; columns after the first `left` ones are aligned to the right.
pub fn table(head: &[&str], left: usize, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    table_with(head, left..head.len(), rows)
}

/// A table with a head; the columns of figures are aligned to the right.
pub fn table_with(head: &[&str], figures: Range<usize>, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.iter().map(ToString::to_string));
    for row in rows {
        table.add_row(row);
    }
    for (i, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if figures.contains(&i) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Paragraphs with optional heads, one blank line between.
pub fn sections(parts: &[(&str, String)]) -> String {
    let one = |(head, body): &(&str, String)| if head.is_empty() { body.clone() } else { format!("{head}\n{body}") };
    parts.iter().map(one).collect::<Vec<_>>().join("\n\n")
}
