//! The ops of one step of a model on one chip of its group.
//!
//! Tensor parallelism splits heads and inner widths (Megatron-LM, arXiv 1909.08053); sequence parallelism turns each all-reduce into
//! all-gather and reduce-scatter and splits norms (arXiv 2205.05198); context parallelism splits positions and gathers keys; experts are
//! spread over `expert × expert_tensor` chips. Heads, widths and experts must divide; the vocabulary is padded. Graph building is pure
//! integer arithmetic on a few small vectors, cheap enough for the inner loop of a search. Leaves out dropout, and load imbalance between
//! chips of the expert group (within a chip the fullest expert is given).

mod adapter;
mod attention;
mod backward;
mod feed_forward;
mod local;
mod predict;
mod vocabulary;
mod weights;

use crate::misfit::ShardMisfit;
use crate::model::{Attention, FeedForward, Layer, Model};
use crate::types::Precision;
use crate::work::{Graph, LayerGraph, Node, Phase, Shard, Work};
use local::Local;
pub use predict::Prediction;

/// Builds the graph of one step.
///
/// # Errors
/// A [`ShardMisfit`] when the model cannot be split so.
pub fn graph(model: &Model, work: &Work, shard: &Shard, precision: &Precision) -> Result<Graph, ShardMisfit> {
    check(model, work, shard)?;
    let local = Local::new(model, work, shard, precision);
    let mut shapes: Vec<&Layer> = Vec::with_capacity(4);
    let mut layers: Vec<LayerGraph> = Vec::with_capacity(4);
    let mut order = Vec::with_capacity(model.layers.len());
    for layer in &model.layers {
        let last = order.last().copied().filter(|&i: &u16| shapes[usize::from(i)] == layer);
        let found = last.or_else(|| shapes.iter().position(|s| *s == layer).map(|i| i as u16));
        let index = match found {
            Some(index) => index,
            None => {
                check_layer(layer, shard)?;
                shapes.push(layer);
                layers.push(layer_graph(&local, layer));
                (shapes.len() - 1).min(usize::from(u16::MAX)) as u16
            }
        };
        layers[usize::from(index)].layers += 1;
        order.push(index);
    }
    let vocabulary = vocabulary::Vocabulary::of(&local);
    Ok(Graph {
        work: *work,
        shard: *shard,
        embedding: vocabulary::embedding(&local),
        layers,
        order,
        head: vocabulary::head(&local),
        embedding_bytes: vocabulary.embedding_bytes,
        head_bytes: vocabulary.head_bytes,
        vocabulary_parameters: vocabulary.parameters,
    })
}

/// Ops of a model's prediction layers in one training step, on the chips that hold the end of the model; none where it has none.
///
/// # Errors
/// A [`ShardMisfit`] when a prediction layer cannot be split so.
pub fn prediction(model: &Model, work: &Work, shard: &Shard, precision: &Precision) -> Result<Prediction, ShardMisfit> {
    check(model, work, shard)?;
    model.predict_layers.iter().try_for_each(|layer| check_layer(layer, shard))?;
    Ok(Prediction::of(&Local::new(model, work, shard, precision)))
}

fn layer_graph(local: &Local, layer: &Layer) -> LayerGraph {
    let mut nodes: Vec<Node> = Vec::with_capacity(if local.train { 64 } else { 24 });
    attention::forward(local, layer, &mut nodes);
    feed_forward::forward(local, layer, &mut nodes);
    if local.train {
        backward::append(local, &mut nodes);
    }
    let share = weights::Weights::of(local, layer);
    LayerGraph {
        layers: 0,
        nodes,
        weight_bytes: share.bytes,
        parameters: share.parameters,
        expert_parameters: share.expert_parameters,
        kv_bytes_per_token: share.kv_bytes_per_token,
        kv_tokens_max: layer.kv_tokens_max(),
    }
}

fn check(model: &Model, work: &Work, shard: &Shard) -> Result<(), ShardMisfit> {
    let counts = [
        (work.sequences, "the number of sequences"),
        (work.new_tokens, "the number of new tokens"),
        (work.logit_tokens, "the number of logit tokens"),
        (shard.tensor_parallel, "tensor_parallel"),
        (shard.attention_data, "attention data parallel"),
        (shard.expert_parallel, "expert_parallel"),
        (shard.expert_tensor, "the tensor share of an expert"),
        (shard.context_parallel, "context_parallel"),
    ];
    if let Some((_, name)) = counts.into_iter().find(|(count, _)| *count == 0) {
        return Err(ShardMisfit::Zero(name));
    }
    let tokens = work.context.saturating_add(work.new_tokens);
    if model.learned_positions > 0 && tokens > model.learned_positions {
        return Err(ShardMisfit::Context { tokens, max_context: model.learned_positions });
    }
    Ok(())
}

fn check_layer(layer: &Layer, shard: &Shard) -> Result<(), ShardMisfit> {
    let t = shard.tensor_parallel;
    let (heads, kv_heads) = match layer.attention {
        Attention::Grouped { heads, kv_heads, .. } => (heads, kv_heads),
        Attention::Latent { heads, .. } => (heads, heads),
    };
    if !heads.is_multiple_of(t) {
        return Err(ShardMisfit::Heads { heads, tensor: t });
    }
    if !kv_heads.is_multiple_of(t) && !t.is_multiple_of(kv_heads.max(1)) {
        return Err(ShardMisfit::KvHeads { kv_heads, tensor: t });
    }
    match layer.feed_forward {
        FeedForward::Dense { ffn, .. } if !ffn.is_multiple_of(t) => Err(ShardMisfit::FeedForward { ffn, degree: t }),
        FeedForward::Dense { .. } => Ok(()),
        FeedForward::Experts { experts, ffn, shared_ffn, .. } => {
            let expert_chips = shard.expert_parallel.saturating_mul(shard.expert_tensor);
            let attention_chips = shard.tensor_parallel.saturating_mul(shard.attention_data).saturating_mul(shard.context_parallel);
            if expert_chips != attention_chips {
                return Err(ShardMisfit::ExpertGrid { expert_chips, attention_chips });
            }
            if !experts.is_multiple_of(shard.expert_parallel) {
                return Err(ShardMisfit::Experts { experts, expert: shard.expert_parallel });
            }
            if !ffn.is_multiple_of(shard.expert_tensor) {
                return Err(ShardMisfit::FeedForward { ffn, degree: shard.expert_tensor });
            }
            if !shared_ffn.is_multiple_of(t) {
                return Err(ShardMisfit::FeedForward { ffn: shared_ffn, degree: t });
            }
            Ok(())
        }
    }
}

impl Graph {
    /// All nodes with how often each runs.
    pub fn nodes(&self) -> impl Iterator<Item = (u64, &Node)> {
        let layers = self.layers.iter().flat_map(|l| l.nodes.iter().map(|n| (l.layers, n)));
        self.embedding.iter().map(|n| (1, n)).chain(layers).chain(self.head.iter().map(|n| (1, n)))
    }

    /// FLOP of matrix products on one chip, recomputation inside fused attention included.
    pub fn flop(&self) -> f64 {
        self.nodes().map(|(times, n)| times as f64 * n.op.flop()).sum()
    }

    /// FLOP of the model's own work on one chip: what model FLOP utilisation counts.
    pub fn model_flop(&self) -> f64 {
        self.nodes().map(|(times, n)| times as f64 * n.op.model_flop()).sum()
    }

    /// Bytes between one chip and its memory if every operand of every op moves once.
    pub fn bytes(&self) -> f64 {
        self.nodes().map(|(times, n)| times as f64 * n.op.bytes()).sum()
    }

    /// Weight bytes on one chip.
    pub fn weight_bytes(&self) -> u64 {
        let layers = self.layers.iter().fold(0u64, |sum, l| sum.saturating_add(l.layers.saturating_mul(l.weight_bytes)));
        layers.saturating_add(self.embedding_bytes).saturating_add(self.head_bytes)
    }

    /// Parameters on one chip.
    pub fn parameters(&self) -> u64 {
        let layers = self.layers.iter().fold(0u64, |sum, l| sum.saturating_add(l.layers.saturating_mul(l.parameters)));
        layers.saturating_add(self.vocabulary_parameters)
    }

    /// KV cache bytes on one chip of one sequence of `tokens`, windows applied.
    pub fn kv_bytes(&self, tokens: u64) -> u64 {
        self.layers.iter().fold(0u64, |sum, l| {
            let kept = tokens.min(l.kv_tokens_max);
            sum.saturating_add(l.layers.saturating_mul(l.kv_bytes_per_token).saturating_mul(kept))
        })
    }
}

impl Work {
    /// A microbatch of whole sequences, forward and backward.
    pub const fn train(sequences: u64, tokens: u64) -> Self {
        Self { phase: Phase::Train, sequences, new_tokens: tokens, context: 0, logit_tokens: tokens }
    }

    /// Whole prompts.
    pub const fn prefill(sequences: u64, tokens: u64) -> Self {
        Self { phase: Phase::Prefill, sequences, new_tokens: tokens, context: 0, logit_tokens: 1 }
    }

    /// One new token for each sequence after `context` cached ones.
    pub const fn decode(sequences: u64, context: u64) -> Self {
        Self { phase: Phase::Decode, sequences, new_tokens: 1, context, logit_tokens: 1 }
    }
}
