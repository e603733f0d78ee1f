//! A summary of a model for people: parameters by part, what a token costs, what the cache and the weights take.
//!
//! FLOP of one token is `2 · active parameters` plus attention `2 · a · (d_qk + d_v)` for each key that it sees. Leaves out the vision tower's work.

use crate::count::Parameters;
use crate::model::{Attention, FeedForward, Model};
use crate::op_count::FLOP_PER_MAC;
use crate::types::{DataType, Precision};

/// Summary of a model.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Description {
    /// Name.
    pub name: String,
    /// Family.
    pub family: String,
    /// Layers.
    pub layers: u64,
    /// Hidden width.
    pub hidden: u64,
    /// Vocabulary.
    pub vocabulary: u64,
    /// Longest context stated.
    pub max_context: u64,
    /// Layers by shape, in order of their first appearance.
    pub shapes: Vec<Shape>,
    /// Parameters by part.
    pub parameters: Parameters,
    /// All parameters that makers count.
    pub parameters_total: u64,
    /// Parameters that multiply one token.
    pub parameters_active: u64,
    /// The same with the whole embedding table, as some makers count.
    pub parameters_active_with_embedding: u64,
    /// Formats in which it is published.
    pub published: Precision,
    /// What one token takes at several lengths of its context.
    pub token: Vec<TokenCost>,
    /// KV cache bytes per token by format, windows not applied.
    pub kv_bytes_per_token: Vec<(DataType, u64)>,
    /// Weight bytes by format, as published first.
    pub weight_bytes: Vec<(String, u64)>,
}

/// Layers of one shape.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Shape {
    /// How many layers.
    pub layers: u64,
    /// Attention.
    pub attention: Attention,
    /// Feed-forward.
    pub feed_forward: FeedForward,
}

/// What one more token takes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TokenCost {
    /// Tokens before it.
    pub context: u64,
    /// FLOP forward.
    pub flop: f64,
    /// KV cache bytes of the sequence at the published format, windows applied.
    pub kv_bytes: u64,
}

/// Summarises a model.
pub fn describe(model: &Model) -> Description {
    let parameters = model.parameters();
    let formats = [DataType::Bf16, DataType::Fp8, DataType::Nvfp4];
    let contexts = [0u64, 1 << 10, 1 << 13, 1 << 17].into_iter().filter(|c| *c < model.max_context.max(1));
    let published = ("published".to_string(), weight_bytes(model, &model.precision));
    let uniform = formats.map(|f| (format!("{f:?}").to_lowercase(), weight_bytes(model, &Precision::uniform(f))));
    Description {
        name: model.name.clone(),
        family: model.family.clone(),
        layers: model.layers.len() as u64,
        hidden: model.hidden,
        vocabulary: model.vocabulary,
        max_context: model.max_context,
        shapes: shapes(model),
        parameters,
        parameters_total: parameters.total(),
        parameters_active: parameters.active(),
        parameters_active_with_embedding: parameters.active_with_embedding(),
        published: model.precision,
        token: contexts.map(|context| token(model, context)).collect(),
        kv_bytes_per_token: formats.map(|f| (f, model.kv_bytes_per_token(&Precision { kv: f, ..model.precision }))).to_vec(),
        weight_bytes: [published].into_iter().chain(uniform).collect(),
    }
}

/// Weight bytes of the whole model, vision tower included, prediction layers not.
pub fn weight_bytes(model: &Model, precision: &Precision) -> u64 {
    let p = model.parameters();
    let dense = precision.weights.bytes_of(p.attention.saturating_add(p.dense_feed_forward));
    let experts = precision.expert_weights.bytes_of(p.routed_experts.saturating_add(p.shared_experts));
    let vocabulary = precision.vocabulary.bytes_of(p.embedding.saturating_add(p.positions).saturating_add(p.head));
    let wide = precision.residual.bytes_of(p.router.saturating_add(p.norms).saturating_add(p.other));
    dense.saturating_add(experts).saturating_add(vocabulary).saturating_add(wide)
}

fn shapes(model: &Model) -> Vec<Shape> {
    let mut found: Vec<Shape> = Vec::new();
    for layer in &model.layers {
        match found.iter_mut().find(|s| s.attention == layer.attention && s.feed_forward == layer.feed_forward) {
            Some(shape) => shape.layers += 1,
            None => found.push(Shape { layers: 1, attention: layer.attention, feed_forward: layer.feed_forward }),
        }
    }
    found
}

fn token(model: &Model, context: u64) -> TokenCost {
    let keys = context.saturating_add(1);
    let attention: f64 = model.layers.iter().map(|l| l.attention.products_per_token(keys)).sum();
    let flop = FLOP_PER_MAC * (model.active_parameters() as f64 + attention);
    TokenCost { context, flop, kv_bytes: model.kv_bytes(keys, &model.precision) }
}

impl Attention {
    /// Multiply-accumulates of QKᵀ and AV of one token that has `keys` keys before and with it; keys and values expanded when latent.
    fn products_per_token(&self, keys: u64) -> f64 {
        match *self {
            Self::Grouped { heads, head_dim, window, .. } => {
                let seen = if window > 0 { keys.min(window) } else { keys };
                heads as f64 * seen as f64 * (head_dim as f64 + head_dim as f64)
            }
            Self::Latent { heads, rope_dim, nope_dim, v_dim, indexer: (index_heads, index_dim, top_k), .. } => {
                let seen = if top_k > 0 { keys.min(top_k) } else { keys };
                let width = (rope_dim + nope_dim + v_dim) as f64;
                heads as f64 * seen as f64 * width + index_heads as f64 * index_dim as f64 * keys as f64
            }
        }
    }
}
