//! Bytes on the fullest chip while training.
//!
//! State per parameter: 16-bit weight, gradient, optimiser state; the last divided by the data-parallel size when sharded, all of it when fully
//! sharded (ZeRO, arXiv 1910.02054), where two layers lie gathered at a time. Activations per layer (arXiv 2205.05198, equations 1 to 6, generalised from `34·s·b·h`):
//! inputs of both norms, of QKV and of the feed-forward, Q, K, V, attention output, inner activations before and after the non-linearity;
//! unfused attention adds `5·a·s` per token. Recomputing the core drops the last, recomputing all keeps the layer's input and one layer's working set. A stage
//! holds `min(m, p)` microbatches, with `v` chunks `p·(1 + (p-1)/(p·v))` (same source, 4.2.3).
//!
//! Leaves out: off-loading to host memory, allocator behaviour beyond one factor.

use tetra_quantity::Bytes;
use tetra_workload::{Attention, FeedForward, Layer};

use crate::train::ask::{Kernels, TrainAsk};
use crate::train::constants::TrainConstants;
use crate::train::layout::{Layout, Recompute, StateSharding};

/// Bytes on the fullest chip.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct TrainMemory {
    /// Weights as multiplied.
    pub weights: Bytes,
    /// Gradients.
    pub gradients: Bytes,
    /// Optimiser state.
    pub optimizer: Bytes,
    /// Activations of all microbatches in flight.
    pub activations: Bytes,
    /// Logits of the last stage.
    pub logits: Bytes,
    /// Runtime and buffers.
    pub reserved: Bytes,
}

impl TrainMemory {
    /// All of it.
    pub fn total(&self) -> Bytes {
        self.state() + self.activations + self.logits + self.reserved
    }

    /// Weights, gradients and optimiser state.
    pub fn state(&self) -> Bytes {
        self.weights + self.gradients + self.optimizer
    }
}

/// Bytes that one layer keeps for one microbatch on one chip.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Kept {
    /// With nothing recomputed.
    pub(crate) all: f64,
    /// With the attention core recomputed.
    pub(crate) without_core: f64,
    /// The layer's input.
    pub(crate) input: f64,
}

impl Kept {
    pub(crate) fn of(layer: &Layer, ask: &TrainAsk<'_>, layout: &Layout) -> Self {
        let wide = ask.precision.residual.bytes();
        let context = layout.context_parallel.max(1) as f64;
        let tokens = layout.micro_batch as f64 * ask.sequence as f64 / context;
        let t = layout.tensor_parallel.max(1) as f64;
        let whole = if layout.sequence_parallel { t } else { 1.0 };
        let h = ask.model.hidden as f64;
        let masks = if ask.kernels == Kernels::Plain { 2.0 * h } else { 0.0 };
        let (heads, split) = attention_elements(&layer.attention);
        let (inner_wide, inner_multiplied) = feed_forward_elements(&layer.feed_forward, h, layout);
        // Inputs of both norms stay wide; inputs of matrix products are kept as multiplied; heads and inner widths are split.
        let multiplied = ask.precision.activations.bytes().min(wide);
        let full_width = (2.0 * wide + 2.0 * multiplied) * h + masks;
        let split_width = wide * (split / t + inner_wide) + multiplied * inner_multiplied;
        let without_core = tokens * (full_width / whole + split_width);
        let scores = if ask.kernels == Kernels::Plain { (2.0 * wide + 1.0) * heads * ask.sequence as f64 / t } else { 0.0 };
        Self { all: without_core + tokens * scores, without_core, input: tokens * wide * h / whole }
    }

    pub(crate) fn with(&self, recompute: Recompute) -> f64 {
        match recompute {
            Recompute::None => self.all,
            Recompute::Selective => self.without_core,
            Recompute::Full => self.input,
            Recompute::Layers(_) => self.all,
        }
    }
}

/// Heads, and elements per token of Q, K, V and the attention output.
fn attention_elements(attention: &Attention) -> (f64, f64) {
    match *attention {
        Attention::Grouped { heads, kv_heads, head_dim, .. } => (heads as f64, 2.0 * ((heads + kv_heads) as f64) * head_dim as f64),
        Attention::Latent { heads, rope_dim, nope_dim, v_dim, q_rank, kv_rank, .. } => {
            let per_head = 2.0 * (nope_dim + rope_dim) as f64 + 2.0 * v_dim as f64;
            (heads as f64, heads as f64 * per_head + (q_rank + kv_rank) as f64)
        }
    }
}

/// Elements per token and chip of the inner part: those kept wide, and those kept as multiplied.
fn feed_forward_elements(feed_forward: &FeedForward, h: f64, layout: &Layout) -> (f64, f64) {
    let t = layout.tensor_parallel.max(1) as f64;
    let halves = |gated: bool| if gated { 2.0 } else { 1.0 };
    match *feed_forward {
        FeedForward::Dense { ffn, gated, .. } => (halves(gated) * ffn as f64 / t, ffn as f64 / t),
        FeedForward::Experts { top_k, ffn, shared_ffn, gated, .. } => {
            let shard = layout.shard().expert_tensor.max(1) as f64;
            // Tokens arrive once per chosen expert and leave once: rows in and out, inner activations between.
            let (routed, shared) = (top_k as f64 * ffn as f64 / shard, shared_ffn as f64 / t);
            let rows = top_k as f64 * h / shard;
            (rows + halves(gated) * (routed + shared), rows + routed + shared)
        }
    }
}

/// What one stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct StageHolds {
    /// Parameters, experts not counted.
    pub(crate) dense_parameters: f64,
    /// Parameters of routed experts.
    pub(crate) expert_parameters: f64,
    /// Parameters of the largest layer, to be gathered when fully sharded.
    pub(crate) largest_layer: f64,
    /// Kept bytes of one microbatch in all its layers.
    pub(crate) kept: f64,
    /// Working set of one layer that is recomputed.
    pub(crate) working: f64,
    /// Microbatches in flight.
    pub(crate) in_flight: f64,
    /// Whether the head is here.
    pub(crate) head: bool,
}

/// Microbatches whose activations the first stage keeps.
pub(crate) fn in_flight(layout: &Layout, microbatches: f64, stage: u64) -> f64 {
    let (p, v) = (layout.pipeline_parallel.max(1) as f64, layout.virtual_stages.max(1) as f64);
    let behind = p - (stage as f64).min(p - 1.0);
    let most = if layout.virtual_stages > 1 { behind + (p - 1.0) / v } else { behind };
    most.min(microbatches.ceil().max(1.0))
}

/// Memory of one stage.
pub(crate) fn of_stage(holds: &StageHolds, ask: &TrainAsk<'_>, layout: &Layout, constants: &TrainConstants) -> TrainMemory {
    let replicas = layout.data_parallel.saturating_mul(layout.context_parallel).max(1) as f64;
    let tensor_replicas = replicas * layout.tensor_parallel.max(1) as f64;
    // An expert lives on `expert × expert_tensor` chips, so fewer replicas of it exist.
    let expert_replicas = (tensor_replicas / (layout.expert_parallel.max(1) as f64)).max(1.0);
    let experts_over = if layout.expert_parallel > 1 { expert_replicas } else { replicas };
    let sharded = |dense: f64, expert: f64| dense / replicas + expert / experts_over;
    let (dense, expert) = (holds.dense_parameters, holds.expert_parameters);
    let whole = dense + expert;
    let wide = ask.precision.residual.bytes();
    let gradient = ask.gradient.bytes();
    let (weights, gradients, optimizer) = match layout.sharding {
        StateSharding::None => (wide * whole, gradient * whole, constants.optimizer_bytes * whole),
        StateSharding::Optimizer => (wide * whole, gradient * whole, constants.optimizer_bytes * sharded(dense, expert)),
        StateSharding::Full => {
            let shard = sharded(dense, expert);
            (2.0 * wide * holds.largest_layer, gradient * shard, constants.optimizer_bytes * shard)
        }
    };
    let tokens = layout.micro_batch as f64 * ask.sequence as f64 / layout.context_parallel.max(1) as f64;
    let vocabulary = ask.model.vocabulary as f64 / layout.tensor_parallel.max(1) as f64;
    let logits = if holds.head { constants.logit_bytes * tokens * vocabulary } else { 0.0 };
    let activations = holds.kept * holds.in_flight + holds.working;
    TrainMemory {
        weights: Bytes(weights),
        gradients: Bytes(gradients),
        optimizer: Bytes(optimizer),
        activations: Bytes(activations * constants.fragmentation),
        logits: Bytes(logits),
        reserved: Bytes(constants.reserved_bytes),
    }
}

/// Bytes of one checkpoint per chip: weights and optimiser state of all parameters, written once per replica group.
pub fn checkpoint_bytes(parameters: f64, layout: &Layout, constants: &TrainConstants) -> Bytes {
    Bytes(parameters * (2.0 + constants.optimizer_bytes) / layout.chips().max(1) as f64)
}
