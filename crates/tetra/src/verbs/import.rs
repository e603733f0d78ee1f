//! Hardware descriptions of other tools, read as chips.

use std::collections::BTreeMap;
use std::path::Path;

use tetra_chip::ChipConstants;
use tetra_chip::import::{Import, MachineImport, llmcompass};

use super::Answer;
use super::inputs::tables;
use crate::cli::ChipAt;
use crate::failure::Failure;
use crate::files::{Library, read_text, write_file};

/// Whether a name is that of another tool's file.
pub fn is_foreign(name: &str) -> bool {
    name.ends_with(".json")
}

/// The chip of an LLMCompass description.
pub fn imported(library: &Library, name: &str) -> Result<Import, Failure> {
    let constants = ChipConstants::from_tables(&tables(library)?).map_err(|e| Failure::all("data", [e]))?;
    let text = read_text(Path::new(name))?;
    llmcompass(name, &text, &constants).map_err(|errors| Failure::Input(errors.iter().map(ToString::to_string).collect()))
}

/// Whether a name is that of an architecture of memory levels.
pub fn is_architecture(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// The machine of an architecture; `set` are the values of its variables.
pub fn levels(library: &Library, name: &str, set: &BTreeMap<String, String>) -> Result<MachineImport, Failure> {
    let constants = ChipConstants::from_tables(&tables(library)?).map_err(|e| Failure::all("data", [e]))?;
    tetra_chip::import::architecture(name, &read_text(Path::new(name))?, set, &constants)
        .map_err(|errors| Failure::Input(errors.iter().map(ToString::to_string).collect()))
}

/// Values of variables, as given by `--set NAME=VALUE`.
pub fn variables(set: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(Failure::Input(vec![format!("--set \"{text}\": write NAME=VALUE")])),
    };
    set.iter().map(pair).collect()
}

/// The machine of an architecture of AccelForge or Timeloop: its file, and what was not carried over.
pub fn architecture(library: &Library, at: &ChipAt) -> Result<Answer, Failure> {
    if at.design.is_some() || at.point.is_some() {
        return Err(Failure::Input(vec![format!("{}: --design and --point are for chips of the template", at.chip)]));
    }
    let found = levels(library, &at.chip, &variables(&at.set)?)?;
    if let Some(path) = &at.out {
        write_file(path, &found.toml)?;
    }
    Answer::new(found.toml.clone(), &serde_json::json!({ "machine": found.machine, "notes": found.notes }))
}
