//! Bytes on the fullest chip while training.
//!
//! State per parameter: 16-bit weight, gradient, optimiser state; the last divided by the data-parallel size when sharded, all of it when fully
//! sharded (ZeRO, arXiv 1910.02054), where two layers lie gathered at a time. Activations per layer (arXiv 2205.05198, equations 1 to 6, generalised from `34·s·b·h`):
//! inputs of both norms, of QKV and of the feed-forward, Q, K, V, attention output, inner activations before and after the non-linearity;
//! unfused attention adds `5·a·s` per token. Recomputing the core drops the last, recomputing all keeps the layer's input and one layer's working set. A stage
//! holds `min(m, p)` microbatches, with `v` chunks `p·(1 + (p-1)/(p·v))` (same source, 4.2.3).
//!
//! A library that adds gradients by a pass of its own keeps a 16-bit one beside its 32-bit sum; some keep buffers for exchange ([`Framework`](crate::train::framework::Framework)).
//!
//! Leaves out: allocator behaviour beyond one factor, slowing where memory is nearly full.

use tetra_quantity::Bytes;
use tetra_workload::{Attention, DataType, FeedForward, Layer};

use crate::train::ask::{TrainAsk, Trained};
use crate::train::constants::TrainConstants;
use crate::train::framework::AttentionKernels;
use crate::train::layout::{Layout, Offload, Recompute, StateSharding};

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
    /// What lies in the host's memory, not part of the sum.
    pub host: Bytes,
}

impl TrainMemory {
    /// All of it.
    pub fn total(&self) -> Bytes {
        self.state() + self.activations + self.logits + self.reserved
    }

    /// What lies in the host's memory goes; of weights, gradients and activations two layers stay: the one that is computed and the one that moves.
    pub(crate) fn offloaded(mut self, offload: Offload, holds: &StageHolds, ask: &TrainAsk<'_>) -> Self {
        let layers = |bytes: f64| 2.0 * bytes * holds.largest_layer;
        let mut host = Bytes::ZERO;
        let mut take = |from: &mut Bytes, stays: f64| {
            let stays = Bytes(stays.min(from.value()));
            host += *from - stays;
            *from = stays;
        };
        if offload.optimizer {
            take(&mut self.optimizer, 0.0);
        }
        if offload.weights {
            take(&mut self.weights, layers(ask.precision.residual.bytes()));
            take(&mut self.gradients, layers(ask.gradient.bytes() * holds.trained));
        }
        if offload.activations {
            take(&mut self.activations, 2.0 * holds.layer);
        }
        self.host = host;
        self
    }

    /// A share of what layers keep waits in the host's memory; two layers stay: the one that is computed and the one that moves.
    pub(crate) fn hosted(mut self, share: f64, holds: &StageHolds) -> Self {
        if share > 0.0 {
            let moved = Bytes((share * self.activations.value() - 2.0 * holds.layer).max(0.0));
            self.activations = self.activations - moved;
            self.host += moved;
        }
        self
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
    /// Without results of norms and activation functions and of up-projections of latent attention.
    pub(crate) without_cheap: f64,
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
        let masks = if ask.framework.attention == AttentionKernels::Unfused { 2.0 * h } else { 0.0 };
        let (heads, split) = attention_elements(&layer.attention);
        let (inner_wide, inner_multiplied) = feed_forward_elements(&layer.feed_forward, h, layout);
        // Inputs of both norms stay wide; inputs of matrix products are kept as multiplied; heads and inner widths are split.
        let multiplied = ask.precision.activations.bytes().min(wide);
        // A frozen product needs no input for its backward pass; that of QKV feeds an adapter.
        let (inputs, inner_multiplied) = if ask.trained == Trained::All { (2.0, inner_multiplied) } else { (1.0, 0.0) };
        let full_width = (2.0 * wide + inputs * multiplied) * h + masks;
        let split_width = wide * (split / t + inner_wide) + multiplied * inner_multiplied;
        let without_core = tokens * (full_width / whole + split_width);
        let scores =
            if ask.framework.attention == AttentionKernels::Unfused { (2.0 * wide + 1.0) * heads * ask.sequence as f64 / t } else { 0.0 };
        let (all, input) = (without_core + tokens * scores, tokens * wide * h / whole);
        // Eager libraries recompute every other layer or product.
        let without_core = if ask.framework.every_other { 0.5 * (without_core + input) } else { without_core };
        let cheap = (inputs - 1.0) * multiplied * h / whole
            + wide * expanded(&layer.attention) / t
            + if ask.trained == Trained::All { multiplied * inner_activated(&layer.feed_forward, layout) } else { 0.0 };
        Self { all, without_core, without_cheap: (all - tokens * cheap).max(input), input }
    }

    pub(crate) fn add(&mut self, other: &Self, times: f64) {
        self.all += times * other.all;
        self.without_core += times * other.without_core;
        self.without_cheap += times * other.without_cheap;
        self.input += times * other.input;
    }

    pub(crate) fn with(&self, recompute: Recompute) -> f64 {
        match recompute {
            Recompute::None => self.all,
            Recompute::Selective => self.without_core,
            Recompute::Full => self.input,
            Recompute::Cheap => self.without_cheap,
            Recompute::Layers(_) | Recompute::Hosted(_) => self.all,
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

/// Elements per token that latent attention expands: queries, keys and values.
fn expanded(attention: &Attention) -> f64 {
    match *attention {
        Attention::Grouped { .. } => 0.0,
        Attention::Latent { heads, rope_dim, nope_dim, v_dim, .. } => heads as f64 * (2 * (nope_dim + rope_dim) + v_dim) as f64,
    }
}

/// Results of activation functions per token and chip.
fn inner_activated(feed_forward: &FeedForward, layout: &Layout) -> f64 {
    let t = layout.tensor_parallel.max(1) as f64;
    match *feed_forward {
        FeedForward::Dense { ffn, .. } => ffn as f64 / t,
        FeedForward::Experts { top_k, ffn, shared_ffn, .. } => {
            top_k as f64 * ffn as f64 / layout.shard().expert_tensor.max(1) as f64 + shared_ffn as f64 / t
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
    /// Kept bytes of one microbatch in the fullest layer, nothing recomputed.
    pub(crate) layer: f64,
    /// Working set of one layer that is recomputed.
    pub(crate) working: f64,
    /// Microbatches in flight.
    pub(crate) in_flight: f64,
    /// Whether the head is here.
    pub(crate) head: bool,
    /// Copies of each weight in one replica's pipeline.
    pub(crate) copies: u64,
    /// Share of the parameters that is trained.
    pub(crate) trained: f64,
    /// Whether the arrays take narrow formats along columns, too: those of chips that multiply 4-bit formats do (Transformer Engine keeps no transposed copies there).
    pub(crate) either_order: bool,
}

/// Bytes of a frozen weight, kept as it is multiplied: arrays that take narrow formats along rows only need those once for each pass.
fn frozen_bytes(format: DataType, either_order: bool) -> f64 {
    let narrow = format.sixteenth_bits() < DataType::Bf16.sixteenth_bits();
    let copies = if narrow && !either_order { 2.0 } else { 1.0 };
    copies * format.bytes()
}

/// Chips that share the state of one dense parameter, and of one of an expert; at most `most` chips share at all.
fn shared_by(layout: &Layout, copies: u64, most: u64) -> (f64, f64) {
    let over = (most / layout.tensor_parallel.saturating_mul(layout.pipeline_parallel).max(1)).max(1);
    let replicas = layout.data_parallel.saturating_mul(layout.context_parallel).clamp(1, over).saturating_mul(copies) as f64;
    // An expert lives on `expert × expert_tensor` chips, so fewer replicas of it exist.
    let of_expert = (replicas * layout.tensor_parallel.max(1) as f64 / layout.expert_parallel.max(1) as f64).max(1.0);
    (replicas, if layout.expert_parallel > 1 { of_expert } else { replicas })
}

/// Memory of one stage.
pub(crate) fn of_stage(holds: &StageHolds, ask: &TrainAsk<'_>, layout: &Layout, constants: &TrainConstants) -> TrainMemory {
    let (replicas, experts_over) = shared_by(layout, holds.copies.max(1), constants.sharded_over);
    let (dense, expert) = (holds.dense_parameters, holds.expert_parameters);
    let (whole, shard) = (dense + expert, dense / replicas + expert / experts_over);
    let share = holds.trained;
    let wide =
        if ask.trained == Trained::All { ask.precision.residual.bytes() } else { frozen_bytes(ask.precision.weights, holds.either_order) };
    // A gradient of its own lies beside its wider sum where the product does not add it.
    let beside = if !ask.framework.adds_gradients && ask.gradient.bytes() > wide { wide } else { 0.0 };
    let (gradient, optimizer_bytes) = ((ask.gradient.bytes() + beside) * share, constants.optimizer_bytes * share);
    let (weights, gradients, optimizer) = match layout.sharding {
        StateSharding::None => (wide * whole, gradient * whole, optimizer_bytes * whole),
        StateSharding::Optimizer => (wide * whole, gradient * whole, optimizer_bytes * shard),
        StateSharding::Gradients => (wide * whole, gradient * shard, optimizer_bytes * shard),
        StateSharding::Full => {
            let frozen = if ask.trained == Trained::All { 0.0 } else { wide * shard };
            (2.0 * wide * holds.largest_layer + frozen, gradient * shard, optimizer_bytes * shard)
        }
    };
    let tokens = layout.micro_batch as f64 * ask.sequence as f64 / layout.context_parallel.max(1) as f64;
    let vocabulary = ask.model.vocabulary as f64 / layout.tensor_parallel.max(1) as f64;
    let logits = if holds.head { constants.logit_bytes * tokens * vocabulary } else { 0.0 };
    let activations = (holds.kept * holds.in_flight + holds.working) * constants.fragmentation;
    TrainMemory {
        weights: Bytes(weights),
        gradients: Bytes(gradients),
        optimizer: Bytes(optimizer),
        activations: Bytes(activations),
        logits: Bytes(logits),
        reserved: Bytes(constants.reserved_bytes + ask.framework.buffers as f64),
        host: Bytes::ZERO,
    }
}

/// Bytes of one checkpoint per chip: weights and optimiser state of all parameters, written once per replica group.
pub fn checkpoint_bytes(parameters: f64, layout: &Layout, constants: &TrainConstants) -> Bytes {
    Bytes(parameters * (2.0 + constants.optimizer_bytes) / layout.chips().max(1) as f64)
}
