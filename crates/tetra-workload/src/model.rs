//! A model as published: its layers, their shapes, its vocabulary. Given, never found.

use crate::types::Precision;

/// A transformer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Model {
    /// Name for people (file stem or `_name_or_path`).
    pub name: String,
    /// Value of `model_type` or `architectures[0]`.
    pub family: String,
    /// Width of the residual stream.
    pub hidden: u64,
    /// Rows of the embedding table.
    pub vocabulary: u64,
    /// Whether the output head shares the embedding table.
    pub tied_embeddings: bool,
    /// Learned position embeddings: number of positions, 0 for rotary or ALiBi.
    pub learned_positions: u64,
    /// Longest context stated.
    pub max_context: u64,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// Extra layers that predict further tokens (multi-token prediction); not counted in the published total.
    pub predict_layers: Vec<Layer>,
    /// Groups to which the experts of one token are limited.
    pub routing: Routing,
    /// Normalisation after the last layer.
    pub final_norm: Norm,
    /// Normalisation after the embedding (BLOOM).
    pub embedding_norm: bool,
    /// Whether the output head has a bias.
    pub head_bias: bool,
    /// Formats in which its makers publish it.
    pub precision: Precision,
    /// Parameters outside the language model that count in the published total (vision tower); they cost memory, no time.
    pub other_parameters: u64,
}

/// Experts in groups of equal size, of which a token's experts come from a few (DeepSeek-V3, arXiv 2412.19437, section 2.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Routing {
    /// Groups, at least 1.
    pub groups: u64,
    /// Groups that one token may use.
    pub chosen: u64,
}

impl Routing {
    /// Any expert for any token.
    pub const FREE: Self = Self { groups: 1, chosen: 1 };

    /// A limit; one that limits nothing is none.
    pub const fn limited(groups: u64, chosen: u64) -> Self {
        if chosen == 0 || chosen >= groups { Self::FREE } else { Self { groups, chosen } }
    }

    /// Distinct places that hold an expert of one token, of `places` with as many experts each: `p·(1 - (1 - 1/p)^k)` without groups. With more
    /// places than groups the same within each chosen group; with fewer, those that hold a chosen group.
    pub fn visited(&self, places: f64, top_k: f64) -> f64 {
        let free = |places: f64, k: f64| places * (1.0 - (1.0 - 1.0 / places).powf(k));
        let (groups, chosen) = (self.groups as f64, (self.chosen as f64).min(top_k).max(1.0));
        if places >= groups {
            return chosen * free(places / groups, top_k / chosen);
        }
        let here = groups / places;
        let missed: f64 = (0..chosen as u64).map(|i| ((groups - here - i as f64) / (groups - i as f64)).max(0.0)).product();
        (places * (1.0 - missed)).min(free(places, top_k))
    }
}

/// Kind of normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum NormKind {
    /// Scale and shift.
    LayerNorm,
    /// Scale only.
    RmsNorm,
    /// Without parameters.
    Plain,
}

/// A normalisation layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Norm {
    /// Which kind.
    pub kind: NormKind,
    /// Whether it has a shift.
    pub bias: bool,
}

/// One transformer layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Layer {
    /// Attention part.
    pub attention: Attention,
    /// Feed-forward part.
    pub feed_forward: FeedForward,
    /// Normalisation before (or after) each part.
    pub norm: Norm,
    /// Normalisations per layer over the hidden width (2, or 4 with sandwich norms, 1 for parallel parts with a shared norm).
    pub norms: u64,
    /// Whether attention and feed-forward run in parallel on the same input.
    pub parallel: bool,
}

/// Attention of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum Attention {
    /// Multi-head, grouped-query or multi-query attention.
    Grouped {
        /// Query heads.
        heads: u64,
        /// Key-value heads.
        kv_heads: u64,
        /// Width of a head.
        head_dim: u64,
        /// Sliding window or chunk, 0 for none.
        window: u64,
        /// Whether `window` is a chunk: a position sees its own chunk only (Llama 4), not the last `window` positions.
        chunked: bool,
        /// Bias on Q, K, V.
        qkv_bias: bool,
        /// Bias on the output projection.
        out_bias: bool,
        /// Whether Q and K are normalised per head.
        qk_norm: bool,
        /// Parameters of that normalisation, both weights together.
        qk_norm_elements: u64,
        /// Learned attention sinks (one scalar per head).
        sinks: bool,
        /// Whether positions are rotary.
        rotary: bool,
    },
    /// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434).
    Latent {
        /// Query heads.
        heads: u64,
        /// Rank of the query projection, 0 for a full projection.
        q_rank: u64,
        /// Rank of the KV latent.
        kv_rank: u64,
        /// Width of the rotary part.
        rope_dim: u64,
        /// Width of the non-rotary part of Q and K.
        nope_dim: u64,
        /// Width of V.
        v_dim: u64,
        /// Sparse attention: an indexer with (heads, head width, top-k keys); zeros for none.
        indexer: (u64, u64, u64),
    },
}

/// Feed-forward of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum FeedForward {
    /// One network for all tokens.
    Dense {
        /// Inner width.
        ffn: u64,
        /// Whether gated (three matrices instead of two).
        gated: bool,
        /// Whether biased.
        bias: bool,
    },
    /// Routed experts, optionally beside shared ones.
    Experts {
        /// Routed experts.
        experts: u64,
        /// Experts per token.
        top_k: u64,
        /// Inner width of a routed expert.
        ffn: u64,
        /// Inner width of all shared experts together, 0 for none.
        shared_ffn: u64,
        /// Whether gated.
        gated: bool,
        /// Whether experts have biases.
        bias: bool,
        /// Whether the router has a bias (correction bias counts).
        router_bias: bool,
        /// Whether the shared expert has its own gate (one vector over the hidden width).
        shared_gate: bool,
    },
}
