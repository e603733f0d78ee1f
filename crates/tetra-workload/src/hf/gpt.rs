//! Families in the manner of GPT-2: layer norms, biases, a feed-forward of two matrices. GPT-2 and GPT-3 (Radford et al. 2019; arXiv
//! 2005.14165), GPT-J, OPT (arXiv 2205.01068), BLOOM (arXiv 2211.05100), GPT-NeoX (arXiv 2204.06745), MPT (MosaicML 2023).

use super::reader::{HEADS, LAYERS, Reader, WIDTH};
use super::shared::{self, Frame, Grouped, LAYER_NORM};
use crate::model::{Attention, FeedForward, Layer, Model, Norm, NormKind};

/// Activation functions of two matrices; all cost the same.
const ACTIVATIONS: &[&str] = &["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu"];
/// Rows that OPT's position table has beyond its positions (the transformers library's `OPTLearnedPositionalEmbedding`).
const OPT_POSITION_OFFSET: u64 = 2;
/// Feed-forward width over hidden width unless said otherwise.
const FFN_RATIO: u64 = 4;

/// A model whose layers are all alike.
struct Alike {
    frame: Frame,
    layer: Layer,
}

impl Alike {
    fn model(self, r: &mut Reader, name: &str, family: &str) -> Model {
        let layers = vec![self.layer; self.frame.layers as usize];
        Model { final_norm: self.layer.norm, ..self.frame.model(r, name, family, layers) }
    }
}

/// Heads that all have their own keys.
fn multi_head(r: &mut Reader, keys: &[&'static str], hidden: u64) -> Attention {
    let line = keys.iter().find_map(|k| r.value(k)).map_or(1, |v| v.line);
    let heads = r.whole_of(keys, HEADS);
    if !hidden.is_multiple_of(heads) && r.sound() {
        r.wrong(keys[0], line, format!("is {heads}, which does not divide the hidden width {hidden}"), "choose a divisor");
    }
    shared::grouped(heads, heads, (hidden / heads).max(1))
}

fn two_matrices(ffn: u64, bias: bool) -> FeedForward {
    FeedForward::Dense { ffn, gated: false, bias }
}

/// Keys of GPT-2 and GPT-J that change no cost.
const GPT_FREE: &[&str] = &[
    "attn_pdrop",
    "embd_pdrop",
    "resid_pdrop",
    "layer_norm_epsilon",
    "reorder_and_upcast_attn",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "rotary",
];

fn gpt(r: &mut Reader, norms: u64, parallel: bool, bias: bool, tied: bool) -> Alike {
    r.free(GPT_FREE);
    r.one_of("activation_function", ACTIVATIONS);
    let hidden = r.whole("n_embd", WIDTH);
    let max_context = r.whole_of(&["n_positions", "n_ctx"], WIDTH);
    let attention = multi_head(r, &["n_head"], hidden).with_bias(bias, bias);
    let ffn = r.whole_or("n_inner", WIDTH, hidden.saturating_mul(FFN_RATIO));
    let layer = Layer { attention, feed_forward: two_matrices(ffn, true), norm: LAYER_NORM, norms, parallel };
    Alike {
        frame: Frame {
            hidden,
            layers: r.whole("n_layer", LAYERS),
            vocabulary: r.whole("vocab_size", WIDTH),
            max_context,
            tied: r.flag("tie_word_embeddings", tied),
        },
        layer,
    }
}

/// GPT-2 and GPT-3 (whose banded sparse layers are taken as full ones, as every published account of its FLOP does).
pub(crate) fn gpt2(r: &mut Reader, name: &str) -> Model {
    let mut alike = gpt(r, 2, false, true, true);
    alike.layer.attention = alike.layer.attention.unrotated();
    let positions = alike.frame.max_context;
    Model { learned_positions: positions, ..alike.model(r, name, "gpt2") }
}

/// GPT-J: both parts in parallel after one norm, no biases in attention, a biased head.
pub(crate) fn gptj(r: &mut Reader, name: &str) -> Model {
    r.free(&["rotary_dim"]);
    let alike = gpt(r, 1, true, false, false);
    Model { head_bias: true, ..alike.model(r, name, "gptj") }
}

/// OPT.
pub(crate) fn opt(r: &mut Reader, name: &str) -> Model {
    r.free(&["activation_dropout", "dropout", "init_std", "layerdrop", "_remove_final_layer_norm"]);
    r.one_of("activation_function", ACTIVATIONS);
    r.must_be("do_layer_norm_before", true);
    r.must_be("layer_norm_elementwise_affine", true);
    let hidden = r.whole("hidden_size", WIDTH);
    let line = r.value("word_embed_proj_dim").map_or(1, |v| v.line);
    if r.whole_or("word_embed_proj_dim", WIDTH, hidden) != hidden && r.sound() {
        r.wrong("word_embed_proj_dim", line, format!("differs from hidden_size {hidden}"), "projected embeddings are not supported");
    }
    let bias = r.flag("enable_bias", true);
    let attention = multi_head(r, &["num_attention_heads"], hidden).with_bias(bias, bias).unrotated();
    let layer =
        Layer { attention, feed_forward: two_matrices(r.whole("ffn_dim", WIDTH), bias), norm: LAYER_NORM, norms: 2, parallel: false };
    let positions = r.whole("max_position_embeddings", WIDTH);
    let alike = Alike {
        frame: Frame {
            hidden,
            layers: r.whole("num_hidden_layers", LAYERS),
            vocabulary: r.whole("vocab_size", WIDTH),
            max_context: positions,
            tied: r.flag("tie_word_embeddings", true),
        },
        layer,
    };
    Model { learned_positions: positions + OPT_POSITION_OFFSET, ..alike.model(r, name, "opt") }
}

/// BLOOM: ALiBi instead of positions, a norm after the embedding.
pub(crate) fn bloom(r: &mut Reader, name: &str) -> Model {
    r.free(&[
        "attention_softmax_in_fp32",
        "bias_dropout_fusion",
        "hidden_dropout",
        "layer_norm_epsilon",
        "masked_softmax_fusion",
        "offset_alibi",
        "skip_bias_add",
        "skip_bias_add_qkv",
        "slow_but_exact",
        "unk_token_id",
    ]);
    r.must_be("apply_residual_connection_post_layernorm", false);
    let hidden = r.whole_of(&["hidden_size", "n_embed"], WIDTH);
    let attention = multi_head(r, &["n_head", "num_attention_heads"], hidden).with_bias(true, true).unrotated();
    let ffn = r.whole_or("n_inner", WIDTH, hidden.saturating_mul(FFN_RATIO));
    let layer = Layer { attention, feed_forward: two_matrices(ffn, true), norm: LAYER_NORM, norms: 2, parallel: false };
    let alike = Alike {
        frame: Frame {
            hidden,
            layers: r.whole_of(&["n_layer", "num_hidden_layers"], LAYERS),
            vocabulary: r.whole("vocab_size", WIDTH),
            max_context: r.whole_or("seq_length", WIDTH, WIDTH),
            tied: r.flag("tie_word_embeddings", true),
        },
        layer,
    };
    Model { embedding_norm: true, ..alike.model(r, name, "bloom") }
}

/// GPT-NeoX: rotary positions, both parts in parallel unless said otherwise, each with its norm.
pub(crate) fn neox(r: &mut Reader, name: &str) -> Model {
    r.free(&[
        "attention_dropout",
        "hidden_dropout",
        "hidden_dropout_prob",
        "layer_norm_eps",
        "rotary_emb_base",
        "rotary_pct",
        "partial_rotary_factor",
    ]);
    r.one_of("hidden_act", ACTIVATIONS);
    let hidden = r.whole("hidden_size", WIDTH);
    let bias = r.flag("attention_bias", true);
    let attention = multi_head(r, &["num_attention_heads"], hidden).with_bias(bias, bias);
    let parallel = r.flag("use_parallel_residual", true);
    let layer =
        Layer { attention, feed_forward: two_matrices(r.whole("intermediate_size", WIDTH), true), norm: LAYER_NORM, norms: 2, parallel };
    let alike = Alike {
        frame: Frame {
            hidden,
            layers: r.whole("num_hidden_layers", LAYERS),
            vocabulary: r.whole("vocab_size", WIDTH),
            max_context: r.whole("max_position_embeddings", WIDTH),
            tied: r.flag("tie_word_embeddings", false),
        },
        layer,
    };
    alike.model(r, name, "gpt_neox")
}

/// MPT: ALiBi or learned positions, no biases at all when `no_bias`.
pub(crate) fn mpt(r: &mut Reader, name: &str) -> Model {
    r.free(&["emb_pdrop", "embedding_fraction", "init_config", "init_device", "logit_scale", "resid_pdrop", "tokenizer_name", "verbose"]);
    r.free(&["fc_type"]);
    r.must_be("tie_word_embeddings", true);
    r.one_of("norm_type", &["low_precision_layernorm", "layernorm"]);
    let hidden = r.whole("d_model", WIDTH);
    let bias = !r.flag("no_bias", false);
    let (attention, alibi) = mpt_attention(r, hidden, bias);
    let ratio = r.whole_or("expansion_ratio", HEADS, FFN_RATIO);
    mpt_ffn(r);
    let norm = Norm { kind: NormKind::LayerNorm, bias };
    let feed_forward = two_matrices(hidden.saturating_mul(ratio), bias);
    let max_context = r.whole("max_seq_len", WIDTH);
    let learned = r.flag("learned_pos_emb", true) && !alibi;
    let alike = Alike {
        frame: Frame { hidden, layers: r.whole("n_layers", LAYERS), vocabulary: r.whole("vocab_size", WIDTH), max_context, tied: true },
        layer: Layer { attention, feed_forward, norm, norms: 2, parallel: false },
    };
    Model { learned_positions: if learned { max_context } else { 0 }, ..alike.model(r, name, "mpt") }
}

fn mpt_attention(r: &mut Reader, hidden: u64, bias: bool) -> (Attention, bool) {
    let plain = multi_head(r, &["n_heads"], hidden).with_bias(bias, bias).unrotated();
    let Some(mut a) = r.object("attn_config") else { return (plain, false) };
    a.free(&["alibi_bias_max", "attn_impl", "attn_pdrop", "attn_uses_sequence_id", "clip_qkv", "softmax_scale"]);
    a.one_of("attn_type", &["multihead_attention"]);
    a.must_be("prefix_lm", false);
    a.must_be("qk_ln", false);
    a.must_be("qk_gn", false);
    a.must_be("rope", false);
    let alibi = a.flag("alibi", false);
    r.absorb(a);
    (plain, alibi)
}

fn mpt_ffn(r: &mut Reader) {
    if let Some(mut f) = r.object("ffn_config") {
        f.one_of("ffn_type", &["mptmlp"]);
        f.free(&["fc_type"]);
        r.absorb(f);
    }
}
