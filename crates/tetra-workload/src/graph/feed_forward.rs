//! Ops of a layer's feed-forward part, dense or routed.
//!
//! With `E` experts, `k` per token and `T` tokens routed at random, an expert is missed by all with probability `(1 − k/E)^T`; the fullest of
//! `n` experts with mean load `λ` holds the least `x` with `n·P(Poisson(λ) > x) < 1/2` when `λ` is small, `λ + √(2 λ (1 − k/E) ln n)` when it is
//! large (Raab and Steger 1998). A token visits `g·(1 − (1 − 1/g)^k)` of `g` ranks and is sent to each once (DeepSeek-V3, arXiv 2412.19437,
//! section 3.2.2). Tokens that every rank of a tensor group already holds are not sent: each rank takes its experts' and the sums are reduced.

use super::local::{Local, collective, gemm, vector};
use crate::count::product;
use crate::model::{FeedForward, Layer, Routing};
use crate::op::{CollectiveKind, Gemm, GroupedGemm, Op, ParallelGroup, VectorKind};
use crate::types::DataType;
use crate::work::{Node, Pass};

/// Mean load above which the normal limit replaces the Poisson sum.
const LARGE_LOAD: f64 = 100.0;

/// Appends the forward ops of the feed-forward part.
pub(crate) fn forward(local: &Local, layer: &Layer, nodes: &mut Vec<Node>) {
    let p = local.precision;
    if !layer.parallel || layer.norms > 1 {
        let next = if matches!(layer.feed_forward, FeedForward::Dense { .. }) { p.activations } else { p.residual };
        nodes.push(local.norm("ffn_norm", layer.norm, next));
    }
    match layer.feed_forward {
        FeedForward::Dense { ffn, gated, .. } => {
            if !layer.parallel {
                local.gather_tokens(nodes);
            }
            dense(local, ["ffn_up", "ffn_activation", "ffn_down"], ffn, gated, (p.activations, p.weights), nodes);
            local.reduce_tokens(nodes);
        }
        FeedForward::Experts { .. } => experts(local, &layer.feed_forward, nodes),
    }
    if layer.norms > 2 {
        nodes.push(local.norm("ffn_post_norm", layer.norm, p.residual));
    }
    local.residual_add("ffn_residual", nodes);
}

/// Two products with the activation function between them; a gated up-product makes both halves at once.
fn dense(local: &Local, names: [&'static str; 3], ffn: u64, gated: bool, (a, b): (DataType, DataType), nodes: &mut Vec<Node>) {
    let (h, tokens, out) = (local.model.hidden, local.tokens, local.precision.residual);
    let inner = ffn / local.shard.tensor_parallel;
    local.quantise("quantise_ffn", tokens, h, a, nodes);
    nodes.push(gemm(names[0], Gemm { batch: 1, m: tokens, n: product([1 + u64::from(gated), inner]), k: h, a, b, out }));
    nodes.push(local.activation(names[1], tokens, inner, gated, a));
    local.quantise("quantise_ffn", tokens, inner, a, nodes);
    nodes.push(gemm(names[2], Gemm { batch: 1, m: tokens, n: h, k: inner, a, b, out }));
}

/// Router, dispatch, experts, combine, and the shared expert beside them.
fn experts(local: &Local, feed_forward: &FeedForward, nodes: &mut Vec<Node>) {
    let FeedForward::Experts { experts, top_k, ffn, shared_ffn, gated, shared_gate, .. } = *feed_forward else { return };
    let (h, p, shard) = (local.model.hidden, local.precision, local.shard);
    let exchanged = Exchange::of(local);
    let routed_tokens = if exchanged.needed { local.norm_tokens } else { local.tokens };
    if !exchanged.needed {
        local.gather_tokens(nodes);
    }
    nodes.push(gemm("router", Gemm { batch: 1, m: routed_tokens, n: experts, k: h, a: p.residual, b: p.residual, out: DataType::Fp32 }));
    let scores = DataType::Fp32.bytes_of(product([routed_tokens, experts]));
    nodes.push(vector(
        "top_k",
        VectorKind::TopK,
        routed_tokens,
        experts,
        scores,
        DataType::Fp32.bytes_of(product([2, routed_tokens, top_k])),
    ));
    exchanged.dispatch(local, top_k, nodes);
    let load = Load::of(exchanged.all_tokens, experts, top_k, shard.expert_parallel);
    routed(local, load, (ffn / shard.expert_tensor, gated), (exchanged.all_tokens.div_ceil(shard.expert_parallel), top_k), nodes);
    exchanged.combine(local, top_k, nodes);
    if shared_ffn > 0 {
        if exchanged.needed {
            local.gather_tokens(nodes);
        }
        let formats = (p.expert_activations, p.expert_weights);
        dense(local, ["shared_up", "shared_activation", "shared_down"], shared_ffn, gated, formats, nodes);
        if shared_gate {
            nodes.push(gemm("shared_gate", Gemm { batch: 1, m: local.tokens, n: 1, k: h, a: p.residual, b: p.residual, out: p.residual }));
        }
    }
    if !exchanged.needed || shared_ffn > 0 {
        local.reduce_tokens(nodes);
    }
    if !exchanged.needed && local.copies > shard.tensor_parallel {
        let bytes = local.residual_bytes(local.tokens, h);
        nodes.push(collective("context_all_reduce", CollectiveKind::AllReduce, bytes, ParallelGroup::Context));
    }
}

/// Permutation, grouped products, permutation back.
fn routed(local: &Local, load: Load, (inner, gated): (u64, bool), (tokens, top_k): (u64, u64), nodes: &mut Vec<Node>) {
    let (h, p) = (local.model.hidden, local.precision);
    let (a, b, out) = (p.expert_activations, p.expert_weights, p.residual);
    let rows_in = product([load.rows, h]);
    let once = if copied(local) { load.rows } else { tokens.min(load.rows) };
    // Where tokens come narrow, or in serving, rows are written as the products read them; else a pass of its own makes them so.
    let wide = copied(local);
    let permuted = if wide { p.residual } else { a };
    nodes.push(vector("permute", VectorKind::Permute, load.rows, h, local.residual_bytes(once, h), permuted.bytes_of(rows_in)));
    if wide {
        local.quantise("quantise_rows", load.rows, h, a, nodes);
    }
    let shape = GroupedGemm { experts: load.experts, rows: load.rows, rows_max: load.rows_max, n: 0, k: 0, a, b, out };
    let up = GroupedGemm { n: product([1 + u64::from(gated), inner]), k: h, ..shape };
    nodes.push(Node { name: "expert_up", op: Op::GroupedGemm(up), pass: Pass::Forward });
    nodes.push(local.activation("expert_activation", load.rows, inner, gated, a));
    local.quantise("quantise_expert", load.rows, inner, a, nodes);
    nodes.push(Node { name: "expert_down", op: Op::GroupedGemm(GroupedGemm { n: h, k: inner, ..shape }), pass: Pass::Forward });
    let weighted = load.rows.min(tokens.saturating_mul(top_k));
    nodes.push(vector("unpermute", VectorKind::Permute, weighted, h, p.residual.bytes_of(rows_in), local.residual_bytes(once, h)));
}

/// What the experts of one chip receive.
#[derive(Debug, Clone, Copy)]
struct Load {
    experts: u64,
    rows: u64,
    rows_max: u64,
}

impl Load {
    fn of(tokens: u64, experts: u64, top_k: u64, ranks: u64) -> Self {
        let here = (experts / ranks).max(1);
        let rows = tokens.saturating_mul(top_k).div_ceil(ranks).max(1);
        let share = (top_k as f64 / experts.max(1) as f64).min(1.0);
        let missed = (tokens as f64 * (-share).ln_1p()).exp();
        let hit = ((here as f64 * (1.0 - missed)).ceil() as u64).clamp(1, here.min(rows));
        let mean = tokens as f64 * share;
        let fullest = fullest(here as f64, mean, share).min(tokens as f64).ceil() as u64;
        Self { experts: hit, rows, rows_max: fullest.clamp(rows.div_ceil(hit), rows) }
    }
}

/// Expected load of the fullest of `bins` bins.
fn fullest(bins: f64, mean: f64, share: f64) -> f64 {
    if mean > LARGE_LOAD {
        return mean + (2.0 * mean * (1.0 - share) * bins.ln()).sqrt();
    }
    let (mut x, mut term) = (0.0, (-mean).exp());
    let mut beyond = 1.0 - term;
    while bins * beyond > 0.5 && term > 0.0 {
        x += 1.0;
        term *= mean / x;
        beyond -= term;
    }
    f64::max(x, 1.0)
}

/// How tokens reach experts on other chips.
struct Exchange {
    /// Whether chips of the expert grid hold different tokens.
    needed: bool,
    /// Tokens of all chips of the expert grid.
    all_tokens: u64,
    /// Tokens that this chip sends.
    own_tokens: u64,
}

impl Exchange {
    fn of(local: &Local) -> Self {
        let shard = local.shard;
        let all_tokens = if local.copies == shard.tensor_parallel {
            product([local.tokens, shard.context_parallel, shard.attention_data])
        } else {
            product([local.tokens, shard.attention_data])
        };
        let chips = shard.expert_parallel.saturating_mul(shard.expert_tensor);
        let split = shard.sequence_parallel && shard.tensor_parallel > 1 && shard.expert_parallel > 1;
        Self { needed: local.copies < chips || split, all_tokens, own_tokens: all_tokens.div_ceil(chips) }
    }

    fn dispatch(&self, local: &Local, top_k: u64, nodes: &mut Vec<Node>) {
        if self.needed {
            let narrow = local.precision.expert_activations;
            let format = if copied(local) { local.precision.residual } else { narrow };
            self.copies("expert_copies", local, top_k, false, nodes);
            self.all_to_all("expert_dispatch", local, top_k, format, nodes);
            self.within_expert("expert_all_gather", CollectiveKind::AllGather, local, top_k, nodes);
        }
    }

    fn combine(&self, local: &Local, top_k: u64, nodes: &mut Vec<Node>) {
        if self.needed {
            self.within_expert("expert_reduce_scatter", CollectiveKind::ReduceScatter, local, top_k, nodes);
            self.all_to_all("expert_combine", local, top_k, local.precision.residual, nodes);
            self.copies("expert_sum", local, top_k, true, nodes);
            if local.shard.tensor_parallel > 1 && !local.shard.sequence_parallel {
                let bytes = local.residual_bytes(local.tokens, local.model.hidden);
                nodes.push(collective("tensor_all_gather", CollectiveKind::AllGather, bytes, ParallelGroup::Tensor));
            }
        }
    }

    /// One copy of each token per expert is laid out for sending, or summed when it is back.
    fn copies(&self, name: &'static str, local: &Local, top_k: u64, back: bool, nodes: &mut Vec<Node>) {
        if copied(local) {
            let (h, rows) = (local.model.hidden, self.own_tokens.saturating_mul(top_k));
            let (one, all) = (local.residual_bytes(self.own_tokens, h), local.residual_bytes(rows, h));
            let (read, write) = if back { (all, one) } else { (one, all) };
            nodes.push(vector(name, VectorKind::Permute, rows, h, read, write));
        }
    }

    fn all_to_all(&self, name: &'static str, local: &Local, top_k: u64, format: DataType, nodes: &mut Vec<Node>) {
        let ranks = local.shard.expert_parallel;
        if ranks > 1 {
            let sent = (self.own_tokens as f64 * sent_to(local, ranks, top_k) * (1.0 - 1.0 / ranks as f64)).ceil() as u64;
            let bytes = format.bytes_of(product([sent, local.model.hidden]));
            nodes.push(collective(name, CollectiveKind::AllToAll, bytes, ParallelGroup::Expert));
        }
    }

    /// Ranks that share an expert gather the rows that each of them received.
    fn within_expert(&self, name: &'static str, kind: CollectiveKind, local: &Local, top_k: u64, nodes: &mut Vec<Node>) {
        let (ranks, share) = (local.shard.expert_parallel, local.shard.expert_tensor);
        if share > 1 {
            let received = (self.own_tokens as f64 * sent_to(local, ranks, top_k)).ceil() as u64;
            let bytes = local.residual_bytes(product([received, share]), local.model.hidden);
            nodes.push(collective(name, kind, bytes, ParallelGroup::ExpertTensor));
        }
    }
}

/// Whether a token is sent once per expert at full width: so training libraries do where routing does not limit the ranks that a token visits; those
/// made for limited routing send it once per rank, in the format of the experts.
fn copied(local: &Local) -> bool {
    local.train && local.model.routing == Routing::FREE && local.shard.expert_parallel > 1
}

/// Copies of one token that are sent: distinct ranks that hold an expert of one token.
fn sent_to(local: &Local, ranks: u64, top_k: u64) -> f64 {
    if copied(local) {
        return top_k as f64;
    }
    local.model.routing.visited(ranks as f64, top_k as f64)
}
