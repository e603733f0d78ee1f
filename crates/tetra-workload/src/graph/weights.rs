//! Weights, parameters and cache of one layer on one chip.

use super::local::Local;
use crate::count::{indexer_parameters, product, total};
use crate::model::{Attention, FeedForward, Layer};

/// One layer's share of a chip.
pub(crate) struct Weights {
    pub(crate) bytes: u64,
    pub(crate) parameters: u64,
    pub(crate) expert_parameters: u64,
    pub(crate) kv_bytes_per_token: u64,
}

impl Weights {
    pub(crate) fn of(local: &Local, layer: &Layer) -> Self {
        let (h, t, p) = (local.model.hidden, local.shard.tensor_parallel, local.precision);
        let norms = layer.norms.saturating_mul(layer.norm.parameters(h));
        let attention = attention_share(h, t, &layer.attention);
        let f = layer.feed_forward.parameters(h);
        let experts = f.routed.div_ceil(local.shard.expert_parallel.saturating_mul(local.shard.expert_tensor).max(1));
        let (dense, shared) = (f.dense.div_ceil(t), f.shared.div_ceil(t));
        let wide = norms.saturating_add(f.router);
        let bytes = total([
            p.weights.bytes_of(attention.saturating_add(dense)),
            p.expert_weights.bytes_of(experts.saturating_add(shared)),
            p.residual.bytes_of(wide),
        ]);
        Self {
            bytes,
            parameters: total([attention, dense, experts, shared, wide]),
            expert_parameters: if matches!(layer.feed_forward, FeedForward::Experts { .. }) { experts } else { 0 },
            kv_bytes_per_token: kv_share(local, layer),
        }
    }
}

/// Attention parameters on one of `t` ranks: heads are split, key-value heads replicate when there are fewer, latents and indexer replicate.
fn attention_share(h: u64, t: u64, attention: &Attention) -> u64 {
    match *attention {
        Attention::Grouped { heads, kv_heads, head_dim, qkv_bias, out_bias, qk_norm_elements, sinks, .. } => {
            let split = Attention::Grouped {
                heads: heads / t,
                kv_heads: (kv_heads / t).max(1),
                head_dim,
                window: 0,
                chunked: false,
                qkv_bias,
                out_bias,
                qk_norm: false,
                qk_norm_elements,
                sinks,
                rotary: false,
            };
            split.parameters(h)
        }
        Attention::Latent { heads, q_rank, kv_rank, rope_dim, nope_dim, v_dim, indexer } => {
            let none = (0, 0, 0);
            let split = Attention::Latent { heads: heads / t, q_rank, kv_rank, rope_dim, nope_dim, v_dim, indexer: none };
            let whole = split.parameters(h).saturating_sub(indexer_parameters(h, q_rank, none));
            whole.saturating_add(if indexer.0 > 0 { indexer_parameters(h, q_rank, indexer) } else { 0 })
        }
    }
}

fn kv_share(local: &Local, layer: &Layer) -> u64 {
    let elements = match layer.attention {
        Attention::Grouped { kv_heads, head_dim, .. } => product([2, (kv_heads / local.shard.tensor_parallel).max(1), head_dim]),
        Attention::Latent { kv_rank, rope_dim, indexer, .. } => total([kv_rank, rope_dim, indexer.1]),
    };
    local.precision.kv.bytes_of(elements).div_ceil(local.shard.context_parallel)
}
