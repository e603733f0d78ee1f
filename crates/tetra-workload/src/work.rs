//! What is asked of a model in one step, how it is split over chips, and the graph of ops that results.

use crate::op::Op;

/// Phase of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Forward and backward over a microbatch.
    Train,
    /// All positions of a prompt at once.
    Prefill,
    /// One new position per sequence.
    Decode,
}

/// One step of one tensor-parallel group: `sequences`, each with `new_tokens` new positions after `context` cached ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Work {
    /// Phase.
    pub phase: Phase,
    /// Sequences in the step (the microbatch when training).
    pub sequences: u64,
    /// New positions per sequence.
    pub new_tokens: u64,
    /// Positions already in the KV cache, per sequence.
    pub context: u64,
    /// Positions per sequence whose logits are needed (all when training, 1 when serving).
    pub logit_tokens: u64,
}

/// How one replica's layers are split over chips (pipeline and data parallelism split the graph, not the ops, and live in the cluster).
///
/// Invariant: `tensor × attention_data × context == expert × expert_tensor` for a model with experts, or both last are 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Shard {
    /// Chips over which attention and dense layers are split.
    pub tensor_parallel: u64,
    /// Tensor-parallel groups that share one set of experts, each with its own `Work::sequences`.
    pub attention_data: u64,
    /// Chips over which experts are spread.
    pub expert_parallel: u64,
    /// Chips over which one expert is split.
    pub expert_tensor: u64,
    /// Chips over which the positions of one sequence are split.
    pub context_parallel: u64,
    /// Whether norms and residuals are split over the tensor group (all-gather and reduce-scatter instead of all-reduce).
    pub sequence_parallel: bool,
}

impl Shard {
    /// Everything on one chip.
    pub const ONE: Self =
        Self { tensor_parallel: 1, attention_data: 1, expert_parallel: 1, expert_tensor: 1, context_parallel: 1, sequence_parallel: false };
}

/// Part of a training step that a node belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum Pass {
    /// Forward.
    Forward,
    /// Gradient of the inputs.
    BackwardInput,
    /// Gradient of the weights.
    BackwardWeight,
}

/// One op of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Node {
    /// The field's name for it: `qkv_proj`, `attention`, `ffn_up`, `tensor_all_reduce`, …
    pub name: &'static str,
    /// The op, shapes of one chip.
    pub op: Op,
    /// Which pass.
    pub pass: Pass,
}

/// All layers of one shape.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LayerGraph {
    /// How many layers have this shape.
    pub layers: u64,
    /// Ops of one of them.
    pub nodes: Vec<Node>,
    /// Weight bytes of one of them on this chip.
    pub weight_bytes: u64,
    /// Parameters of one of them on this chip (for gradients and optimiser state).
    pub parameters: u64,
    /// Of those, parameters of routed experts (their data-parallel group differs).
    pub expert_parameters: u64,
    /// KV bytes per cached token of one of them on this chip.
    pub kv_bytes_per_token: u64,
    /// Most tokens of one sequence that its cache keeps (the window), `u64::MAX` for all.
    pub kv_tokens_max: u64,
}

/// One step of one replica on one chip.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Graph {
    /// What was asked.
    pub work: Work,
    /// How it is split.
    pub shard: Shard,
    /// Embedding.
    pub embedding: Vec<Node>,
    /// Layers by shape.
    pub layers: Vec<LayerGraph>,
    /// Index into `layers` for each layer in order.
    pub order: Vec<u16>,
    /// Final norm, output head, loss or sampling.
    pub head: Vec<Node>,
    /// Weight bytes of the embedding on this chip.
    pub embedding_bytes: u64,
    /// Weight bytes of the head on this chip (0 when tied).
    pub head_bytes: u64,
    /// Parameters of embedding and head on this chip.
    pub vocabulary_parameters: u64,
}
