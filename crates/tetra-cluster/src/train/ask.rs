//! What is trained, and with which generation of libraries.

use tetra_workload::{DataType, Model, Precision};

/// Generation of the training libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// Attention scores go through memory and are dropped out, communication waits for compute (Megatron-LM of 2021).
    Plain,
    /// Fused attention of the first generation, vector ops one by one, communication overlapped (PyTorch FSDP run eagerly).
    Eager,
    /// Fused attention and vector ops; communication overlaps with compute.
    Fused,
}

/// What is trained, and how.
#[derive(Debug, Clone, Copy)]
pub struct TrainAsk<'a> {
    /// Model.
    pub model: &'a Model,
    /// Formats.
    pub precision: Precision,
    /// Format in which gradients are summed over replicas.
    pub gradient: DataType,
    /// Sequences per step.
    pub global_batch: u64,
    /// Tokens per sequence.
    pub sequence: u64,
    /// Libraries.
    pub kernels: Kernels,
}

impl<'a> TrainAsk<'a> {
    /// With today's libraries and 16-bit gradients.
    pub fn new(model: &'a Model, precision: Precision, global_batch: u64, sequence: u64) -> Self {
        Self { model, precision, gradient: DataType::Bf16, global_batch, sequence, kernels: Kernels::Fused }
    }

    /// Tokens per step.
    pub fn tokens(&self) -> f64 {
        self.global_batch as f64 * self.sequence as f64
    }
}
