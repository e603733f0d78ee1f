//! How a training job is spread over chips.

use tetra_workload::Shard;

/// What a layer keeps from its forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Everything that the backward pass reads.
    None,
    /// All but the attention core, which is computed again.
    Selective,
    /// The layer's input only; its forward pass runs again.
    Full,
    /// The same for so many layers of each stage; the others keep everything.
    Layers(u64),
}

/// How state is spread over data-parallel ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateSharding {
    /// Every rank keeps all of it.
    None,
    /// Optimiser state is split (ZeRO-1).
    Optimizer,
    /// Optimiser state, gradients and weights are split (ZeRO-3, FSDP).
    Full,
}

/// A layout of one training job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Layout {
    /// Chips over which layers are split.
    pub tensor_parallel: u64,
    /// Stages.
    pub pipeline_parallel: u64,
    /// Replicas.
    pub data_parallel: u64,
    /// Chips over which one sequence is split.
    pub context_parallel: u64,
    /// Chips over which experts are spread (within tensor × context × data).
    pub expert_parallel: u64,
    /// Model chunks per stage (interleaved schedule), 1 for none.
    pub virtual_stages: u64,
    /// Sequences per microbatch.
    pub micro_batch: u64,
    /// What is computed again.
    pub recompute: Recompute,
    /// Whether norms and residuals are split over the tensor group.
    pub sequence_parallel: bool,
    /// How state is spread.
    pub sharding: StateSharding,
}

impl Layout {
    /// One chip, nothing split.
    pub const ONE: Self = Self {
        tensor_parallel: 1,
        pipeline_parallel: 1,
        data_parallel: 1,
        context_parallel: 1,
        expert_parallel: 1,
        virtual_stages: 1,
        micro_batch: 1,
        recompute: Recompute::None,
        sequence_parallel: false,
        sharding: StateSharding::Optimizer,
    };

    /// Chips of the job.
    pub fn chips(&self) -> u64 {
        self.model_chips().saturating_mul(self.data_parallel)
    }

    /// Chips of one replica.
    pub fn model_chips(&self) -> u64 {
        self.tensor_parallel.saturating_mul(self.context_parallel).saturating_mul(self.pipeline_parallel)
    }

    /// Microbatches per replica and step, rounded up.
    pub fn microbatches(&self, global_batch: u64) -> u64 {
        global_batch.div_ceil(self.data_parallel.saturating_mul(self.micro_batch).max(1))
    }

    /// How one replica's ops are split.
    pub fn shard(&self) -> Shard {
        let group = self.tensor_parallel.saturating_mul(self.context_parallel);
        let expert = self.expert_parallel.max(1);
        let attention_data = if expert > 1 { expert.div_ceil(group.max(1)).max(1) } else { 1 };
        Shard {
            tensor_parallel: self.tensor_parallel,
            attention_data,
            expert_parallel: expert,
            expert_tensor: if expert > 1 { (group.saturating_mul(attention_data) / expert).max(1) } else { 1 },
            context_parallel: self.context_parallel,
            sequence_parallel: self.sequence_parallel,
        }
    }
}
