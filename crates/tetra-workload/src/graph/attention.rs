//! Ops of a layer's attention part.
//!
//! Grouped attention: one fused QKV product, rotary positions, fused attention, output product. Key-value heads are replicated when there
//! are fewer than ranks. Latent attention (arXiv 2405.04434): down-projection replicated on every rank; keys and values are expanded in
//! training and prefill, and absorbed into queries and outputs in decode, where all heads read one shared latent. An indexer (DeepSeek-V3.2)
//! scores every key and keeps the best `top_k`; its scores stay on chip. Context parallelism gathers keys (training, prefill) or splits the
//! cache and sums partial outputs (decode).

use super::local::{Local, collective, gemm, norm_vector, vector};
use crate::count::product;
use crate::model::{Attention, Layer, NormKind};
use crate::op::{AttentionOp, CollectiveKind, Gemm, Op, ParallelGroup, VectorKind};
use crate::types::DataType;
use crate::work::{Node, Pass, Phase};

/// Appends the forward ops of the attention part.
pub(crate) fn forward(local: &Local, layer: &Layer, nodes: &mut Vec<Node>) {
    let h = local.model.hidden;
    nodes.push(local.norm("attention_norm", layer.norm, local.precision.activations));
    local.gather_tokens(nodes);
    local.quantise("quantise_qkv", local.tokens, h, local.precision.activations, nodes);
    let out_width = match layer.attention {
        Attention::Grouped { .. } => grouped(local, &layer.attention, nodes),
        Attention::Latent { .. } => latent(local, &layer.attention, nodes),
    };
    local.quantise("quantise_out", local.tokens, out_width, local.precision.activations, nodes);
    nodes.push(local.projection("out_proj", local.tokens, h, out_width));
    if layer.parallel {
        return; // one reduction serves both parts
    }
    local.reduce_tokens(nodes);
    if layer.norms > 2 {
        nodes.push(local.norm("attention_post_norm", layer.norm, local.precision.residual));
    }
    local.residual_add("attention_residual", nodes);
}

/// QKV to attention; gives the width of the attention output on this chip.
fn grouped(local: &Local, attention: &Attention, nodes: &mut Vec<Node>) -> u64 {
    let Attention::Grouped { heads, kv_heads, head_dim, window, chunked, qk_norm, rotary, .. } = *attention else { return 0 };
    let t = local.shard.tensor_parallel;
    let (q_heads, kv) = (heads / t, (kv_heads / t).max(1));
    let qk_heads = q_heads.saturating_add(kv);
    let n = product([qk_heads.saturating_add(kv), head_dim]);
    nodes.push(local.projection("qkv_proj", local.tokens, n, local.model.hidden));
    let qk_bytes = local.residual_bytes(local.tokens, product([qk_heads, head_dim]));
    if qk_norm {
        nodes.push(vector("qk_norm", VectorKind::RmsNorm, product([local.tokens, qk_heads]), head_dim, qk_bytes, qk_bytes));
    }
    let kv_elements = product([2, kv, head_dim]);
    position(local, rotary, qk_heads, head_dim, kv_elements, nodes);
    gather_keys(local, kv_elements, nodes);
    let shape = shape(local, (q_heads, kv), (head_dim, head_dim), window);
    let op = if chunked && window > 0 { in_chunks(local, shape) } else { masked(local, shape) };
    nodes.push(Node { name: "attention", op: Op::Attention(op), pass: Pass::Forward });
    sum_partial_outputs(local, q_heads, head_dim, nodes);
    product([q_heads, head_dim])
}

/// Latent projections to attention; gives the width of the attention output on this chip.
fn latent(local: &Local, attention: &Attention, nodes: &mut Vec<Node>) -> u64 {
    let Attention::Latent { heads, q_rank, kv_rank, rope_dim, nope_dim, v_dim, indexer } = *attention else { return 0 };
    let (h, tokens) = (local.model.hidden, local.tokens);
    let q_heads = heads / local.shard.tensor_parallel;
    let (key_width, head_width) = (kv_rank.saturating_add(rope_dim), nope_dim.saturating_add(rope_dim));
    nodes.push(local.projection("latent_down_proj", tokens, q_rank.saturating_add(key_width), h));
    let latents = q_rank.saturating_add(kv_rank);
    let latent_bytes = local.residual_bytes(tokens, latents);
    nodes.push(vector("latent_norm", norm_vector(NormKind::RmsNorm), tokens, latents, latent_bytes, latent_bytes));
    local.quantise("quantise_latent", tokens, latents, local.precision.activations, nodes);
    nodes.push(local.projection("q_up_proj", tokens, product([q_heads, head_width]), if q_rank == 0 { h } else { q_rank }));
    position(local, true, q_heads.saturating_add(1), rope_dim, key_width.saturating_add(indexer.1), nodes);
    let keys = local.work.context.saturating_add(local.work.new_tokens);
    let sparse = indexer.2 > 0 && keys > indexer.2;
    index(local, q_rank, indexer, sparse, nodes);
    gather_keys(local, key_width, nodes);
    let window = if sparse { indexer.2 } else { 0 };
    if local.work.phase == Phase::Decode || (sparse && !local.train) {
        nodes.push(per_head(local, "q_absorb", q_heads, kv_rank, nope_dim));
        let shared = shape(local, (q_heads, 1), (key_width, kv_rank), window);
        let op = AttentionOp { shared_kv: true, ..shared };
        nodes.push(Node { name: "attention", op: Op::Attention(masked(local, op)), pass: Pass::Forward });
        sum_partial_outputs(local, q_heads, kv_rank, nodes);
        nodes.push(per_head(local, "v_absorb", q_heads, v_dim, kv_rank));
    } else {
        let expanded =
            product([local.work.sequences, local.work.context.div_ceil(local.shard.context_parallel).saturating_add(local.positions)]);
        nodes.push(local.projection("kv_up_proj", expanded, product([q_heads, nope_dim.saturating_add(v_dim)]), kv_rank));
        let op = AttentionOp { kv: local.precision.attention, ..shape(local, (q_heads, q_heads), (head_width, v_dim), window) };
        nodes.push(Node { name: "attention", op: Op::Attention(masked(local, op)), pass: Pass::Forward });
    }
    product([q_heads, v_dim])
}

/// Causal attention whose lengths are not yet set.
fn shape(local: &Local, (heads, kv_heads): (u64, u64), (d_qk, d_v): (u64, u64), window: u64) -> AttentionOp {
    AttentionOp {
        sequences: local.work.sequences,
        heads,
        kv_heads,
        q_len: 0,
        kv_len: 0,
        d_qk,
        d_v,
        causal: true,
        window,
        a: local.precision.attention,
        kv: kv_format(local),
        shared_kv: false,
        backward: false,
    }
}

/// One product per head with a weight of `k × n`.
fn per_head(local: &Local, name: &'static str, heads: u64, n: u64, k: u64) -> Node {
    let p = local.precision;
    gemm(name, Gemm { batch: heads, m: local.tokens, n, k, a: p.residual, b: p.residual, out: p.residual })
}

/// Keys of the indexer, and its queries and scores once there are more keys than it keeps; replicated on every rank.
fn index(local: &Local, q_rank: u64, (heads, dim, top_k): (u64, u64, u64), sparse: bool, nodes: &mut Vec<Node>) {
    let (h, tokens) = (local.model.hidden, local.tokens);
    if heads == 0 {
        return;
    }
    nodes.push(local.projection("index_k_proj", tokens, dim.saturating_add(heads), h));
    if !sparse {
        return;
    }
    nodes.push(local.projection("index_q_proj", tokens, product([heads, dim]), if q_rank == 0 { h } else { q_rank }));
    let cached = local.precision.kv;
    let scores = AttentionOp { a: cached, kv: cached, shared_kv: true, ..shape(local, (heads, 1), (dim, 1), 0) };
    let op = masked(local, scores);
    nodes.push(Node { name: "index_scores", op: Op::Attention(op), pass: Pass::Forward });
    let read = DataType::Fp32.bytes_of(product([tokens, op.kv_len]));
    let write = DataType::Fp32.bytes_of(product([tokens, top_k.min(op.kv_len)]));
    nodes.push(vector("index_top_k", VectorKind::TopK, tokens, op.kv_len, read, write));
}

/// Rotary positions of queries and keys, and the append to the cache; without rotary positions only the append.
fn position(local: &Local, rotary: bool, heads: u64, dim: u64, kv_elements: u64, nodes: &mut Vec<Node>) {
    let qk = local.residual_bytes(local.tokens, product([heads, dim]));
    let cached = product([local.tokens, kv_elements]);
    let append = if local.train { 0 } else { local.precision.kv.bytes_of(cached) };
    let source = if local.train { 0 } else { local.precision.residual.bytes_of(cached) };
    if rotary {
        nodes.push(vector(
            "rope",
            VectorKind::Rope,
            product([local.tokens, heads]),
            dim,
            qk.saturating_add(source),
            qk.saturating_add(append),
        ));
    } else if !local.train {
        nodes.push(vector("kv_append", VectorKind::Permute, local.tokens, kv_elements, source, append));
    }
}

/// Format in which keys and values are read: the cache's once there is one.
fn kv_format(local: &Local) -> DataType {
    if local.work.phase == Phase::Decode || local.work.context > 0 { local.precision.kv } else { local.precision.attention }
}

/// Lengths under the causal mask. Positions split over a context group see, balanced, half of the new keys each.
fn masked(local: &Local, op: AttentionOp) -> AttentionOp {
    let (new, context, ranks) = (local.work.new_tokens, local.work.context, local.shard.context_parallel);
    let seen = if op.window > 0 { context.min(op.window - 1) } else { context };
    if local.work.phase == Phase::Decode {
        let kv_len = seen.saturating_add(new).div_ceil(ranks);
        return AttentionOp { q_len: new, kv_len, causal: new > 1 && ranks == 1, ..op };
    }
    if ranks == 1 {
        return AttentionOp { q_len: new, kv_len: seen.saturating_add(new), ..op };
    }
    let mean = context.saturating_add(new.saturating_add(1).div_ceil(2));
    let kv_len = if op.window > 0 { mean.min(op.window) } else { mean };
    AttentionOp { q_len: local.positions, kv_len, causal: false, window: 0, ..op }
}

/// Lengths when a position sees only its own chunk: whole chunks become sequences of their own; a decode step lies, on average over steps,
/// in the middle of its chunk.
fn in_chunks(local: &Local, op: AttentionOp) -> AttentionOp {
    let (new, context, chunk) = (local.work.new_tokens, local.work.context, op.window);
    let all = context.saturating_add(new);
    if all <= chunk {
        return AttentionOp { window: 0, ..masked(local, AttentionOp { window: 0, ..op }) };
    }
    if local.work.phase == Phase::Decode {
        let kv_len = chunk.saturating_add(1).div_ceil(2).div_ceil(local.shard.context_parallel);
        return AttentionOp { q_len: new, kv_len: kv_len.max(new), causal: new > 1, window: 0, ..op };
    }
    let q_len = local.positions.min(chunk);
    let chunks = local.positions.div_ceil(chunk);
    AttentionOp { sequences: op.sequences.saturating_mul(chunks), q_len, kv_len: q_len, causal: true, window: 0, ..op }
}

/// Context parallelism in training and prefill: every rank sees the keys of all, gathered in a ring.
fn gather_keys(local: &Local, kv_elements: u64, nodes: &mut Vec<Node>) {
    if local.shard.context_parallel > 1 && local.work.phase != Phase::Decode {
        let bytes = local.residual_bytes(product([local.work.sequences, local.work.new_tokens]), kv_elements);
        nodes.push(collective("context_all_gather", CollectiveKind::AllGather, bytes, ParallelGroup::Context));
    }
}

/// Context parallelism in decode: outputs of the parts of the cache, with their two softmax sums, are added.
fn sum_partial_outputs(local: &Local, heads: u64, dim: u64, nodes: &mut Vec<Node>) {
    if local.shard.context_parallel > 1 && local.work.phase == Phase::Decode {
        let bytes = local.residual_bytes(local.tokens, product([heads, dim.saturating_add(2)]));
        nodes.push(collective("context_all_reduce", CollectiveKind::AllReduce, bytes, ParallelGroup::Context));
    }
}
