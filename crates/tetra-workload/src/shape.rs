//! A dense decoder from its published widths alone, for tables that give shapes and no config file (Megatron-LM, BLOOM, MPT, vTrain).
//!
//! Parameters are `12·L·h² + 13·L·h + V·h + s·h + 2h` for the classic GPT (arXiv 2104.04473, equation 2).

use crate::hf::{LAYER_NORM, RMS};
use crate::model::{Attention, FeedForward, Layer, Model, Routing};
use crate::types::{DataType, Precision};

/// Widths of a dense decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
pub struct DenseShape {
    /// Layers.
    pub layers: u64,
    /// Width of the residual stream.
    pub hidden: u64,
    /// Query heads.
    pub heads: u64,
    /// Key-value heads.
    pub kv_heads: u64,
    /// Inner width of the feed-forward.
    pub ffn: u64,
    /// Rows of the embedding table.
    pub vocabulary: u64,
    /// Learned positions, 0 for rotary or ALiBi ones.
    pub learned_positions: u64,
    /// Whether in the manner of Llama (RMS norms, rotary, gated, no biases, head of its own) instead of GPT (layer norms, biases, shared head).
    pub llama: bool,
}

impl DenseShape {
    /// The model of these widths; zero widths are taken as one.
    pub fn model(&self, name: &str) -> Model {
        let (heads, biased) = (self.heads.max(1), !self.llama);
        let attention = Attention::Grouped {
            heads,
            kv_heads: self.kv_heads.clamp(1, heads),
            head_dim: (self.hidden / heads).max(1),
            window: 0,
            chunked: false,
            qkv_bias: biased,
            out_bias: biased,
            qk_norm: false,
            qk_norm_elements: 0,
            sinks: false,
            rotary: self.llama,
        };
        let feed_forward = FeedForward::Dense { ffn: self.ffn.max(1), gated: self.llama, bias: biased };
        let norm = if self.llama { RMS } else { LAYER_NORM };
        let layer = Layer { attention, feed_forward, norm, norms: 2, parallel: false };
        let layers = usize::try_from(self.layers.clamp(1, crate::hf::LAYERS)).unwrap_or(1);
        Model {
            name: name.to_string(),
            family: if self.llama { "llama" } else { "gpt2" }.to_string(),
            hidden: self.hidden.max(1),
            vocabulary: self.vocabulary.max(1),
            tied_embeddings: biased,
            learned_positions: self.learned_positions,
            max_context: u64::MAX,
            layers: vec![layer; layers],
            predict_layers: Vec::new(),
            routing: Routing::FREE,
            final_norm: norm,
            embedding_norm: false,
            head_bias: false,
            precision: Precision::uniform(DataType::Bf16),
            other_parameters: 0,
        }
    }
}
