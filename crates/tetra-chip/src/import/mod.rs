//! Imports: hardware descriptions of other tools as chips of ours, with a note for everything that could not be carried over.

mod accelforge;
mod expression;
mod llmcompass;
mod timeloop;
mod tree;

use std::collections::BTreeMap;

use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::error::ChipError;
use crate::nest::Machine;

pub use tree::{Node, Value, read_tree};

/// An imported chip.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// The chip.
    pub chip: Chip,
    /// Its file, with the notes as comments.
    pub toml: String,
    /// What was not carried over, and what the source does not say and was filled in.
    pub notes: Vec<String>,
}

/// Reads an LLMCompass hardware description (JSON).
///
/// # Errors
/// What of it cannot be read: place, cause, mend.
pub fn llmcompass(file: &str, text: &str, constants: &ChipConstants) -> Result<Import, Vec<ChipError>> {
    llmcompass::read(file, text, constants)
}

/// An imported machine of memory levels.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineImport {
    /// The machine.
    pub machine: Machine,
    /// Its file, with the notes as comments.
    pub toml: String,
    /// What was not carried over, and what was filled in.
    pub notes: Vec<String>,
}

/// Reads an architecture of AccelForge or of Timeloop 0.4 (YAML); `set` are the values of its `{{VARIABLES}}`. Timeloop's files have no
/// energies: those of `constants` are taken.
///
/// # Errors
/// What of it cannot be read: place, cause, mend.
pub fn architecture(
    file: &str,
    text: &str,
    set: &BTreeMap<String, String>,
    constants: &ChipConstants,
) -> Result<MachineImport, Vec<ChipError>> {
    let text = accelforge::fill(file, text, set).map_err(|e| vec![e])?;
    let root = read_tree(file, &text).map_err(|e| vec![e])?;
    if root.get("architecture").is_some() { timeloop::read(file, &root, constants) } else { accelforge::read(file, &root) }
}
