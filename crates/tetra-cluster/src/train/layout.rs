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
    /// Only what is cheap for its size: results of norms and activation functions, and up-projections of latent attention.
    Cheap,
    /// Nothing; what so many layers of each stage keep waits in the host's memory.
    Hosted(u64),
}

/// How state is spread over data-parallel ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateSharding {
    /// Every rank keeps all of it.
    None,
    /// Optimiser state is split (ZeRO-1).
    Optimizer,
    /// Optimiser state and gradients are split (ZeRO-2).
    Gradients,
    /// Optimiser state, gradients and weights are split (ZeRO-3, FSDP).
    Full,
}

/// Order in which a stage runs its microbatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub enum Schedule {
    /// One forward, one backward; interleaved when a stage has several chunks (Megatron-LM).
    #[default]
    #[serde(rename = "1f1b")]
    OneForwardOneBackward,
    /// Weight gradients are held back to fill the end, with the memory of 1F1B.
    #[serde(rename = "zb-h1")]
    ZeroBubbleH1,
    /// The same with twice the microbatches in flight: no bubble where all passes take equally long.
    #[serde(rename = "zb-h2")]
    ZeroBubbleH2,
    /// Two chunks per stage, there and back: no bubble with the memory of 1F1B, twice the transfers.
    #[serde(rename = "zb-v")]
    ZeroBubbleV,
    /// Microbatches enter at both ends; weights are held twice, exchange of experts runs beside the other direction's compute (DeepSeek-V3).
    #[serde(rename = "dualpipe")]
    DualPipe,
}

impl Schedule {
    /// All schedules.
    pub const ALL: [Self; 5] = [Self::OneForwardOneBackward, Self::ZeroBubbleH1, Self::ZeroBubbleH2, Self::ZeroBubbleV, Self::DualPipe];

    /// Name, as in files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneForwardOneBackward => "1f1b",
            Self::ZeroBubbleH1 => "zb-h1",
            Self::ZeroBubbleH2 => "zb-h2",
            Self::ZeroBubbleV => "zb-v",
            Self::DualPipe => "dualpipe",
        }
    }

    /// Whether steps run in this order are among the measured ones that predictions are held against: all of those are 1F1B's.
    pub const fn measured(self) -> bool {
        matches!(self, Self::OneForwardOneBackward)
    }

    /// The schedule of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

/// What lies in the host's memory and is fetched when needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize)]
pub struct Offload {
    /// Weights and their gradients.
    pub weights: bool,
    /// Activations of microbatches in flight.
    pub activations: bool,
    /// Optimiser state.
    pub optimizer: bool,
}

impl Offload {
    /// Nothing.
    pub const NONE: Self = Self { weights: false, activations: false, optimizer: false };

    /// Whether every microbatch copies from and to the host.
    pub const fn moves(self) -> bool {
        self.weights || self.activations
    }
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
    /// Order of microbatches.
    pub schedule: Schedule,
    /// What lies in the host's memory.
    pub offload: Offload,
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
        schedule: Schedule::OneForwardOneBackward,
        offload: Offload::NONE,
    };

    /// Chips of the job.
    pub fn chips(&self) -> u64 {
        self.model_chips().saturating_mul(self.data_parallel)
    }

    /// Chips of one replica.
    pub fn model_chips(&self) -> u64 {
        self.tensor_parallel.saturating_mul(self.context_parallel).saturating_mul(self.pipeline_parallel)
    }

    /// What the schedule asks and the layout has not: the knob, and in words.
    pub fn unordered(&self, global_batch: u64) -> Option<(&'static str, &'static str)> {
        let (p, v) = (self.pipeline_parallel, self.virtual_stages);
        let m = self.microbatches(global_batch);
        let rules: &[(bool, &'static str, &'static str)] = match self.schedule {
            Schedule::OneForwardOneBackward => &[],
            Schedule::ZeroBubbleH1 | Schedule::ZeroBubbleH2 => {
                &[(p > 1, "pipeline_parallel", "2 stages or more"), (v == 1, "virtual_stages", "1 chunk per stage")]
            }
            Schedule::ZeroBubbleV => &[(p > 1, "pipeline_parallel", "2 stages or more"), (v == 2, "virtual_stages", "2 chunks per stage")],
            Schedule::DualPipe => &[
                (p > 1 && p.is_multiple_of(2), "pipeline_parallel", "an even number of stages"),
                (v == 1, "virtual_stages", "1 chunk per stage"),
                (
                    m.is_multiple_of(2) && m >= p.saturating_mul(2),
                    "micro_batch",
                    "an even number of microbatches, two for each stage or more",
                ),
            ],
        };
        rules.iter().find(|rule| !rule.0).map(|rule| (rule.1, rule.2))
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
