//! `tetra data`: rows of the tables with their ranges and sources.

use std::collections::BTreeMap;

use tetra_quantity::{Row, show_number};

use super::Answer;
use super::inputs::tables;
use crate::cli::DataAt;
use crate::failure::Failure;
use crate::files::Library;
use crate::show::{table, table_with};

const CALIBRATION: &str = "calibration.csv";

pub fn answer(library: &Library, at: &DataAt) -> Result<Answer, Failure> {
    let tables = tables(library)?;
    let wanted = |r: &&Row| {
        at.item.as_ref().is_none_or(|item| r.key().to_lowercase().contains(&item.to_lowercase())) && (!at.fitted || r.table == CALIBRATION)
    };
    let rows: Vec<&Row> = tables.rows().iter().filter(wanted).collect();
    if rows.is_empty() {
        let item = at.item.as_deref().unwrap_or_default();
        return Err(Failure::Input(vec![format!("no row whose item.parameter holds \"{item}\": `tetra data` lists all items")]));
    }
    if at.item.is_none() && !at.fitted {
        let mut items: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for row in &rows {
            let entry = items.entry(&row.item).or_insert((0, &row.table));
            entry.0 = entry.0.saturating_add(1);
        }
        let text = table(&["item", "table", "rows"], 2, items.iter().map(|(i, (n, t))| vec![(*i).into(), (*t).into(), n.to_string()]));
        return Answer::new(text, &items);
    }
    let sources = tables.sources();
    let line = |r: &&Row| {
        let kind = sources.get(&r.source).map_or("", |s| s.kind.word());
        let range = if r.low == r.high { String::new() } else { format!("{}..{}", show_number(r.low), show_number(r.high)) };
        vec![r.key(), show_number(r.value), range, r.unit.clone(), kind.into(), r.source.clone(), r.note.clone()]
    };
    let text = table_with(&["row", "value", "P10..P90", "unit", "kind", "source", "note"], 1..3, rows.iter().map(line));
    Answer::new(text, &rows)
}
