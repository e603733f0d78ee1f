//! How a serving group is laid out: the split of a worker over chips, and where prompts are computed.

use tetra_workload::Shard;

/// How one worker (an engine instance) is split over chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Split {
    /// Chips over which attention and dense layers are split.
    pub tensor_parallel: u64,
    /// Stages.
    pub pipeline_parallel: u64,
    /// Tensor-parallel groups, each with its own sequences, that share one set of experts.
    pub attention_data: u64,
    /// Chips over which experts are spread.
    pub expert_parallel: u64,
    /// Chips over which one expert is split.
    pub expert_tensor: u64,
}

impl Split {
    /// Everything on one chip.
    pub const ONE: Self = Self { tensor_parallel: 1, pipeline_parallel: 1, attention_data: 1, expert_parallel: 1, expert_tensor: 1 };

    /// Chips of one worker.
    pub fn chips(&self) -> u64 {
        self.stage_chips().saturating_mul(self.pipeline_parallel.max(1))
    }

    /// Chips of one stage.
    pub fn stage_chips(&self) -> u64 {
        self.tensor_parallel.max(1).saturating_mul(self.attention_data.max(1))
    }

    /// How ops are split inside a stage.
    pub fn shard(&self) -> Shard {
        Shard {
            tensor_parallel: self.tensor_parallel.max(1),
            attention_data: self.attention_data.max(1),
            expert_parallel: self.expert_parallel.max(1),
            expert_tensor: self.expert_tensor.max(1),
            context_parallel: 1,
            sequence_parallel: false,
        }
    }
}

/// Where prompts are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In the steps of the same worker.
    Aggregated,
    /// On workers of their own, from which the cache moves to decode workers.
    Disaggregated {
        /// How a prefill worker is split.
        prefill: Split,
        /// Prefill workers.
        prefill_workers: u64,
        /// Decode workers.
        decode_workers: u64,
    },
}

/// A layout of one serving group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ServeLayout {
    /// How the worker that decodes is split.
    pub split: Split,
    /// Sequences that run at once in one tensor-parallel group.
    pub batch: u64,
    /// Where prompts are computed.
    pub mode: Mode,
}

impl ServeLayout {
    /// Chips of the whole group.
    pub fn chips(&self) -> u64 {
        match self.mode {
            Mode::Aggregated => self.split.chips(),
            Mode::Disaggregated { prefill, prefill_workers, decode_workers } => prefill
                .chips()
                .saturating_mul(prefill_workers.max(1))
                .saturating_add(self.split.chips().saturating_mul(decode_workers.max(1))),
        }
    }

    /// Workers that decode.
    pub fn decode_workers(&self) -> u64 {
        match self.mode {
            Mode::Aggregated => 1,
            Mode::Disaggregated { decode_workers, .. } => decode_workers.max(1),
        }
    }
}
