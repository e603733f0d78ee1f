//! `tetra foundry CHIP`: what making a chip costs, step by step, what it uses, how long it takes, and its export class.

use tetra_chip::ChipConstants;
use tetra_chip::area::breakdown;
use tetra_foundry::{DieCounts, FoundryConstants, Volume, describe};
use tetra_quantity::show_number;

use super::Answer;
use super::inputs::{chip, tables};
use crate::cli::FoundryAt;
use crate::failure::Failure;
use crate::files::Library;
use crate::show::table;

pub fn answer(library: &Library, at: &FoundryAt) -> Result<Answer, Failure> {
    let tables = tables(library)?;
    let constants = FoundryConstants::from_tables(&tables).map_err(|e| Failure::Input(vec![e.to_string()]))?;
    let areas = ChipConstants::from_tables(&tables).map_err(|e| Failure::Input(vec![e.to_string()]))?;
    let chip = chip(library, &at.chip)?;
    let volume = Volume::made_in(at.units as f64, at.year as f64, &chip, &constants);
    let found = describe(&chip, &breakdown(&chip, &areas), &volume, &constants, &DieCounts::new());
    let mut group = "";
    let mut rows: Vec<Vec<String>> = Vec::new();
    for f in found.figures() {
        let value = f.value.map_or_else(|| "unknown".into(), show_number);
        rows.push(vec![if f.group == group { String::new() } else { f.group.into() }, f.name.into(), value, f.unit.into()]);
        group = f.group;
    }
    rows.push(vec![String::new(), "class of October 2023".into(), found.export.class.word().into(), String::new()]);
    let mut text = format!("{}, {}, {} die(s)\n\n{}", found.chip, found.node, found.dies, table(&["", "", "value", "unit"], 2, rows));
    if let Some(reason) = &found.misfit {
        text = format!("{text}\n\nno package: {reason}");
    }
    Answer::new(text, &found)
}
