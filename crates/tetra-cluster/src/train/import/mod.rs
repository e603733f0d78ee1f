//! Training jobs as other programs state them: arguments of Megatron-LM, configurations of MLPerf, executions of Calculon. What bears on time or memory and cannot be
//! carried over is named; paths, logging and the like are listed as left out.

mod arithmetic;
mod calculon;
mod megatron;
mod megatron_model;
mod mlperf;
mod shell;

use tetra_workload::{DataType, Model};

use crate::train::framework::Framework;
use crate::train::stated::Stated;

pub use calculon::{CalculonSystem, calculon, calculon_system};
pub use megatron::megatron;
pub use mlperf::mlperf;

/// A job as far as a text states it.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct StatedJob {
    /// The model, when the text states its shape.
    pub model: Option<Model>,
    /// Chips.
    pub chips: Option<u64>,
    /// Tokens per sequence.
    pub sequence: Option<u64>,
    /// Sequences per step.
    pub global_batch: Option<u64>,
    /// Format of weights and matrix products.
    pub format: Option<DataType>,
    /// Format in which gradients are summed.
    pub gradient: Option<DataType>,
    /// Library.
    pub framework: Option<Framework>,
    /// The layout.
    pub stated: Stated,
    /// What bears on time or memory and was not carried over, or was filled in.
    pub notes: Vec<String>,
    /// Arguments that change neither time nor memory of a step.
    pub left_out: Vec<String>,
}

/// A mistake in a text: place, cause, mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {cause}: {mend}")]
pub struct ImportError {
    /// Name of the text.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub mend: String,
}

/// Longest text that is read.
const LONGEST: usize = 1 << 20;
/// Longest part of a text that a message repeats, in characters.
const LONGEST_SHOWN: usize = 80;

/// Stands for a value that only a command knows.
const UNKNOWN: &str = "\u{0}";

/// A part of a text, short enough for a message.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_SHOWN).collect()
}
