//! What is trained, and with which generation of libraries.

use tetra_workload::{DataType, Model, Precision};

use crate::train::framework::Framework;

/// Which weights are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trained {
    /// All of them.
    #[default]
    All,
    /// Low-rank adapters of this rank on attention's projections; the model's own weights are frozen.
    Adapters(u64),
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
    pub framework: Framework,
    /// Which weights are trained.
    pub trained: Trained,
    /// Whether 8-bit floats are scaled by the largest element of the tensor at hand, not by those of earlier steps.
    pub current_scaling: bool,
    /// Whether tokens are dealt out to experts evenly, as benchmarks do.
    pub balanced: bool,
}

impl<'a> TrainAsk<'a> {
    /// With today's libraries and 16-bit gradients.
    pub fn new(model: &'a Model, precision: Precision, global_batch: u64, sequence: u64) -> Self {
        Self {
            model,
            precision,
            gradient: DataType::Bf16,
            global_batch,
            sequence,
            framework: Framework::today(),
            trained: Trained::All,
            current_scaling: false,
            balanced: false,
        }
    }

    /// Whether the word for a format says that scales follow the tensor at hand: `fp8-cs`, `fp8_current`, `tensorwise`.
    pub fn scales_at_hand(format: &str) -> bool {
        let lower = format.to_lowercase();
        ["cs", "current", "tensorwise"].iter().any(|w| lower.contains(w))
    }

    /// The same job run by another library, which may sum gradients of bfloat16 weights in 32 bits.
    pub fn of(self, framework: Framework) -> Self {
        let wide = framework.wide_sums && self.precision.weights == DataType::Bf16;
        let gradient = if wide { DataType::Fp32 } else { self.precision.residual };
        Self { framework, gradient, ..self }
    }

    /// Parameters with gradient and optimiser state over all parameters.
    pub fn trained_share(&self) -> f64 {
        match self.trained {
            Trained::All => 1.0,
            Trained::Adapters(rank) => self.model.adapter_parameters(rank) as f64 / (self.model.parameters().total() as f64).max(1.0),
        }
    }

    /// Tokens per step.
    pub fn tokens(&self) -> f64 {
        self.global_batch as f64 * self.sequence as f64
    }
}
