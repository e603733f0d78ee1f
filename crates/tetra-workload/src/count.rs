//! Parameters of a model by part, and bytes of its KV cache, as exact integers.
//!
//! Attention: `h·a·d + 2·h·g·d + a·d·h` (Megatron-LM, `theoretical_memory_usage.py`); latent attention:
//! `h·r_q + r_q·a·(d_n + d_r) + h·(r_kv + d_r) + r_kv·a·(d_n + d_v) + a·d_v·h` (DeepSeek-V2, arXiv 2405.04434, section 2.1);
//! feed-forward: `2·h·f`, or `3·h·f` when gated. Leaves out buffers that makers do not count (rotary tables, masks).

use crate::model::{Attention, FeedForward, Layer, Model, Norm, NormKind};
use crate::types::Precision;

/// Product that stops at the largest integer instead of overflowing.
pub(crate) fn product<const N: usize>(factors: [u64; N]) -> u64 {
    factors.into_iter().fold(1, u64::saturating_mul)
}

/// Sum that stops at the largest integer instead of overflowing.
pub(crate) fn total<const N: usize>(terms: [u64; N]) -> u64 {
    terms.into_iter().fold(0, u64::saturating_add)
}

/// Parameters of a model by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Parameters {
    /// Token embedding.
    pub embedding: u64,
    /// Learned position embedding.
    pub positions: u64,
    /// Attention projections with their biases, norms and sinks.
    pub attention: u64,
    /// Dense feed-forward layers.
    pub dense_feed_forward: u64,
    /// Routed experts, all of them.
    pub routed_experts: u64,
    /// Routed experts that one token visits.
    pub routed_experts_active: u64,
    /// Shared experts.
    pub shared_experts: u64,
    /// Routers.
    pub router: u64,
    /// Normalisations over the hidden width.
    pub norms: u64,
    /// Output head (0 when it shares the embedding).
    pub head: u64,
    /// Outside the language model (vision tower).
    pub other: u64,
    /// Multi-token prediction layers; in no total.
    pub predict_layers: u64,
    /// Whether the output head shares the embedding.
    pub tied_embeddings: bool,
}

impl Parameters {
    /// All parameters that makers count: everything but the multi-token prediction layers.
    pub fn total(&self) -> u64 {
        total([self.active_with_embedding(), self.routed_experts.saturating_sub(self.routed_experts_active), self.other])
    }

    /// Parameters that multiply one text token: the embedding row is looked up, not multiplied, unless the head shares the table.
    pub fn active(&self) -> u64 {
        let looked_up = if self.tied_embeddings { self.positions } else { self.embedding.saturating_add(self.positions) };
        self.active_with_embedding().saturating_sub(looked_up)
    }

    /// Active parameters as makers count them who include the whole embedding table.
    pub fn active_with_embedding(&self) -> u64 {
        total([
            self.embedding,
            self.positions,
            self.attention,
            self.dense_feed_forward,
            self.routed_experts_active,
            self.shared_experts,
            self.router,
            self.norms,
            self.head,
        ])
    }

    fn add_layer(&mut self, hidden: u64, layer: &Layer) {
        self.attention = self.attention.saturating_add(layer.attention.parameters(hidden));
        self.norms = self.norms.saturating_add(layer.norms.saturating_mul(layer.norm.parameters(hidden)));
        let f = layer.feed_forward.parameters(hidden);
        self.dense_feed_forward = self.dense_feed_forward.saturating_add(f.dense);
        self.routed_experts = self.routed_experts.saturating_add(f.routed);
        self.routed_experts_active = self.routed_experts_active.saturating_add(f.routed_active);
        self.shared_experts = self.shared_experts.saturating_add(f.shared);
        self.router = self.router.saturating_add(f.router);
    }
}

/// Parameters of one feed-forward by part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FeedForwardParameters {
    pub(crate) dense: u64,
    pub(crate) routed: u64,
    pub(crate) routed_active: u64,
    pub(crate) shared: u64,
    pub(crate) router: u64,
}

impl Norm {
    /// Parameters over `width` elements.
    pub fn parameters(&self, width: u64) -> u64 {
        match self.kind {
            NormKind::Plain => 0,
            NormKind::LayerNorm | NormKind::RmsNorm => width.saturating_mul(1 + u64::from(self.bias)),
        }
    }
}

impl Attention {
    /// Parameters for a residual stream of `hidden` elements.
    pub fn parameters(&self, hidden: u64) -> u64 {
        match *self {
            Self::Grouped { heads, kv_heads, head_dim, qkv_bias, out_bias, qk_norm_elements, sinks, .. } => {
                let (q, kv) = (heads.saturating_mul(head_dim), product([2, kv_heads, head_dim]));
                total([
                    product([2, hidden, q]),
                    product([hidden, kv]),
                    if qkv_bias { q.saturating_add(kv) } else { 0 },
                    if out_bias { hidden } else { 0 },
                    qk_norm_elements,
                    if sinks { heads } else { 0 },
                ])
            }
            Self::Latent { heads, q_rank, kv_rank, rope_dim, nope_dim, v_dim, indexer } => {
                let q_width = heads.saturating_mul(nope_dim.saturating_add(rope_dim));
                let q = if q_rank == 0 {
                    product([hidden, q_width])
                } else {
                    total([product([hidden, q_rank]), product([q_rank, q_width]), q_rank])
                };
                let kv = total([
                    product([hidden, kv_rank.saturating_add(rope_dim)]),
                    product([kv_rank, heads, nope_dim.saturating_add(v_dim)]),
                    kv_rank,
                ]);
                total([q, kv, product([heads, v_dim, hidden]), indexer_parameters(hidden, q_rank, indexer)])
            }
        }
    }
}

/// The indexer of sparse attention: queries from the query latent, one key per token with its layer norm, one weight per head (DeepSeek-V3.2).
pub(crate) fn indexer_parameters(hidden: u64, q_rank: u64, (heads, dim, _): (u64, u64, u64)) -> u64 {
    let q_from = if q_rank == 0 { hidden } else { q_rank };
    total([product([q_from, heads, dim]), product([hidden, dim]), product([2, dim]), product([hidden, heads])])
}

impl FeedForward {
    pub(crate) fn parameters(&self, hidden: u64) -> FeedForwardParameters {
        match *self {
            Self::Dense { ffn, gated, bias } => FeedForwardParameters { dense: network(hidden, ffn, gated, bias), ..Default::default() },
            Self::Experts { experts, top_k, ffn, shared_ffn, gated, bias, router_bias, shared_gate } => {
                let one = network(hidden, ffn, gated, bias);
                let shared = if shared_ffn == 0 { 0 } else { network(hidden, shared_ffn, gated, bias) };
                FeedForwardParameters {
                    dense: 0,
                    routed: one.saturating_mul(experts),
                    routed_active: one.saturating_mul(top_k),
                    shared: shared.saturating_add(if shared_gate { hidden } else { 0 }),
                    router: product([hidden, experts]).saturating_add(if router_bias { experts } else { 0 }),
                }
            }
        }
    }
}

fn network(hidden: u64, ffn: u64, gated: bool, bias: bool) -> u64 {
    let up = 1 + u64::from(gated);
    total([product([up + 1, hidden, ffn]), if bias { product([up, ffn]).saturating_add(hidden) } else { 0 }])
}

impl Layer {
    /// KV cache bytes per token of this layer, all heads together (latent and rotary key when latent; the indexer's keys too).
    pub fn kv_bytes_per_token(&self, precision: &Precision) -> u64 {
        precision.kv.bytes_of(match self.attention {
            Attention::Grouped { kv_heads, head_dim, .. } => product([2, kv_heads, head_dim]),
            Attention::Latent { kv_rank, rope_dim, indexer, .. } => total([kv_rank, rope_dim, indexer.1]),
        })
    }

    /// Most tokens of one sequence that the cache of this layer keeps, `u64::MAX` for all.
    pub fn kv_tokens_max(&self) -> u64 {
        match self.attention {
            Attention::Grouped { window, .. } if window > 0 => window,
            _ => u64::MAX,
        }
    }
}

impl Model {
    /// Parameters by part.
    pub fn parameters(&self) -> Parameters {
        let table = product([self.vocabulary, self.hidden]);
        let mut p = Parameters {
            embedding: table,
            positions: product([self.learned_positions, self.hidden]),
            head: total([if self.tied_embeddings { 0 } else { table }, if self.head_bias { self.vocabulary } else { 0 }]),
            other: self.other_parameters,
            tied_embeddings: self.tied_embeddings,
            ..Default::default()
        };
        p.norms = self.final_norm.parameters(self.hidden);
        if self.embedding_norm {
            p.norms = p.norms.saturating_add(self.final_norm.parameters(self.hidden));
        }
        for layer in &self.layers {
            p.add_layer(self.hidden, layer);
        }
        p.predict_layers = self.predict_parameters();
        p
    }

    /// Each prediction layer has, beside a layer, two norms, a projection from twice the hidden width (DeepSeek-V3, arXiv 2412.19437,
    /// section 2.2) and a norm before the head, which it shares with the model as it does the embedding.
    fn predict_parameters(&self) -> u64 {
        let mut p = Parameters::default();
        for layer in &self.predict_layers {
            p.add_layer(self.hidden, layer);
            p.norms = p.norms.saturating_add(layer.norm.parameters(self.hidden).saturating_mul(3));
            p.other = p.other.saturating_add(product([2, self.hidden, self.hidden]));
        }
        p.total()
    }

    /// Parameters that multiply one text token.
    pub fn active_parameters(&self) -> u64 {
        self.parameters().active()
    }

    /// KV cache bytes per token over all layers, windows not applied.
    pub fn kv_bytes_per_token(&self, precision: &Precision) -> u64 {
        self.layers.iter().fold(0, |sum, l| sum.saturating_add(l.kv_bytes_per_token(precision)))
    }

    /// KV cache bytes of one sequence of `tokens`, windows applied.
    pub fn kv_bytes(&self, tokens: u64, precision: &Precision) -> u64 {
        self.layers.iter().fold(0, |sum, l| sum.saturating_add(product([l.kv_bytes_per_token(precision), tokens.min(l.kv_tokens_max())])))
    }
}
