//! What the families share: keys without cost, widths, heads, windows, and the bound on a whole model.

use super::json::Kind;
use super::reader::{HEADS, LAYERS, Reader, WIDTH};
use crate::error::ConfigError;
use crate::model::{Attention, FeedForward, Layer, Model, Norm, NormKind, Routing};

/// Most parameters of a whole model.
const MOST_PARAMETERS: u64 = 1_000_000_000_000_000;

/// Keys that change no cost in any family: tokens, initial values, training losses, generation defaults, bookkeeping.
pub(crate) const FREE: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_name_or_path",
    "add_cross_attention",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "auto_map",
    "aux_loss_alpha",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "min_length",
    "model_type",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "rms_norm_eps",
    "router_aux_loss_coef",
    "router_jitter_noise",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
    "use_mrope",
];

/// RMS norm without shift.
pub(crate) const RMS: Norm = Norm { kind: NormKind::RmsNorm, bias: false };
/// Layer norm with scale and shift.
pub(crate) const LAYER_NORM: Norm = Norm { kind: NormKind::LayerNorm, bias: true };

/// Groups of experts and how many of them a token may use.
pub(crate) fn routing(r: &mut Reader) -> Routing {
    Routing::limited(r.count("n_group", HEADS), r.count("topk_group", HEADS))
}

/// Grouped attention without any extras.
pub(crate) fn grouped(heads: u64, kv_heads: u64, head_dim: u64) -> Attention {
    Attention::Grouped {
        heads,
        kv_heads,
        head_dim,
        window: 0,
        chunked: false,
        qkv_bias: false,
        out_bias: false,
        qk_norm: false,
        qk_norm_elements: 0,
        sinks: false,
        rotary: true,
    }
}

/// Changes that families make to plain grouped attention.
pub(crate) trait Grouped {
    /// With biases on Q, K, V and on the output.
    fn with_bias(self, qkv: bool, out: bool) -> Self;
    /// With a sliding window, 0 for none.
    fn with_window(self, width: u64) -> Self;
    /// With normalised Q and K, whose weights have so many elements.
    fn with_qk_norm(self, elements: u64) -> Self;
    /// Without rotary positions.
    fn unrotated(self) -> Self;
}

impl Grouped for Attention {
    fn with_bias(mut self, qkv: bool, out: bool) -> Self {
        if let Self::Grouped { qkv_bias, out_bias, .. } = &mut self {
            (*qkv_bias, *out_bias) = (qkv, out);
        }
        self
    }

    fn with_window(mut self, width: u64) -> Self {
        if let Self::Grouped { window, .. } = &mut self {
            *window = width;
        }
        self
    }

    fn with_qk_norm(mut self, elements: u64) -> Self {
        if let Self::Grouped { qk_norm, qk_norm_elements, .. } = &mut self {
            (*qk_norm, *qk_norm_elements) = (true, elements);
        }
        self
    }

    fn unrotated(mut self) -> Self {
        if let Self::Grouped { rotary, .. } = &mut self {
            *rotary = false;
        }
        self
    }
}

/// A layer with a norm before each part.
pub(crate) fn pre_norm(attention: Attention, feed_forward: FeedForward, norm: Norm) -> Layer {
    Layer { attention, feed_forward, norm, norms: 2, parallel: false }
}

/// Widths that most families spell alike.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) hidden: u64,
    pub(crate) layers: u64,
    pub(crate) vocabulary: u64,
    pub(crate) max_context: u64,
    pub(crate) tied: bool,
}

impl Frame {
    /// Stands for a language model that a file does not give.
    pub(crate) const ONE: Self = Self { hidden: 1, layers: 1, vocabulary: 1, max_context: 1, tied: true };

    /// Reads `hidden_size`, `num_hidden_layers`, `vocab_size`, `max_position_embeddings`, `tie_word_embeddings`.
    pub(crate) fn read(r: &mut Reader, tied: bool) -> Self {
        Self {
            hidden: r.whole("hidden_size", WIDTH),
            layers: r.whole("num_hidden_layers", LAYERS),
            vocabulary: r.whole("vocab_size", WIDTH),
            max_context: r.whole("max_position_embeddings", WIDTH),
            tied: r.flag("tie_word_embeddings", tied),
        }
    }

    /// A model of these layers, with no learned positions and an RMS norm at the end.
    pub(crate) fn model(&self, r: &mut Reader, name: &str, family: &str, layers: Vec<Layer>) -> Model {
        Model {
            name: name.to_string(),
            family: family.to_string(),
            hidden: self.hidden,
            vocabulary: self.vocabulary,
            tied_embeddings: self.tied,
            learned_positions: 0,
            max_context: self.max_context,
            layers,
            predict_layers: Vec::new(),
            routing: Routing::FREE,
            final_norm: RMS,
            embedding_norm: false,
            head_bias: false,
            precision: super::format::precision(r),
            other_parameters: 0,
        }
    }
}

/// Query heads, key-value heads (as many when absent) and head width (hidden over heads when absent).
pub(crate) fn heads(r: &mut Reader, hidden: u64) -> (u64, u64, u64) {
    let heads = r.whole("num_attention_heads", HEADS);
    let kv_heads = r.whole_or("num_key_value_heads", HEADS, heads);
    let line = r.value("num_key_value_heads").map_or(1, |v| v.line);
    if !heads.is_multiple_of(kv_heads) && r.sound() {
        r.wrong("num_key_value_heads", line, format!("is {kv_heads}, which does not divide {heads} attention heads"), "choose a divisor");
    }
    let head_dim = match r.value("head_dim") {
        Some(v) => r.bounded("head_dim", v, 1, HEADS),
        None => {
            if !hidden.is_multiple_of(heads) && r.sound() {
                let line = r.value("num_attention_heads").map_or(1, |v| v.line);
                r.wrong("num_attention_heads", line, format!("is {heads}, which does not divide hidden_size {hidden}"), "add head_dim");
            }
            (hidden / heads).max(1)
        }
    };
    (heads, kv_heads, head_dim)
}

/// Which layers have the window, as `layer_types` says; `None` when it is absent.
pub(crate) fn sliding_layers(r: &mut Reader, layers: u64, narrow: &str) -> Option<Vec<bool>> {
    let line = r.value("layer_types").map_or(1, |v| v.line);
    let items = r.list("layer_types")?;
    if items.len() as u64 != layers {
        r.wrong("layer_types", line, format!("has {} entries for {layers} layers", items.len()), "give one entry per layer");
        return None;
    }
    let mut sliding = Vec::with_capacity(items.len());
    for item in items {
        match &item.kind {
            Kind::Text(t) if t == narrow => sliding.push(true),
            Kind::Text(t) if t == "full_attention" => sliding.push(false),
            _ => {
                r.wrong("layer_types", item.line, "has an entry of an unknown kind", format!("supported: {narrow}, full_attention"));
                return None;
            }
        }
    }
    Some(sliding)
}

/// Bounds that no single key can break.
pub(crate) fn whole_model(name: &str, model: &Model) -> Vec<ConfigError> {
    let parameters = model.parameters().total();
    if parameters <= MOST_PARAMETERS {
        return Vec::new();
    }
    let cause = format!("the model has more than {MOST_PARAMETERS} parameters");
    let mend = "correct its widths, layers or experts".to_string();
    vec![ConfigError { file: name.to_string(), line: 1, key: String::new(), cause, mend }]
}
