//! Gemma 1, 2 and 3 (arXiv 2403.08295, 2408.00118, 2503.19786): wide heads, GeGLU, the embedding shared with the head; from 2 on four norms per
//! layer and sliding windows between full layers; in 3 normalised Q and K and an optional vision tower.

use super::llama::GATES;
use super::reader::{HEADS, LAYERS, Reader, WIDTH};
use super::shared::{self, Frame, Grouped, RMS};
use super::vision;
use crate::model::{Attention, FeedForward, Layer, Model};

/// Keys that only scale or cap logits.
const SCALES: &[&str] = &[
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "query_pre_attn_scalar",
    "cache_implementation",
    "rope_local_base_freq",
    "sliding_window_size",
];

/// Defaults of `Gemma3TextConfig` in the transformers library.
const GEMMA3_VOCABULARY: u64 = 262_208;
/// See above.
const GEMMA3_CONTEXT: u64 = 131_072;
/// See above: query heads, key-value heads, head width.
const GEMMA3_HEADS: (u64, u64, u64) = (8, 4, 256);

fn parts(r: &mut Reader, (heads, kv_heads, head_dim): (u64, u64, u64)) -> (Attention, FeedForward) {
    r.one_of("hidden_act", GATES);
    r.one_of("hidden_activation", GATES);
    r.must_be("attention_bias", false);
    r.free(SCALES);
    let feed_forward = FeedForward::Dense { ffn: r.whole("intermediate_size", WIDTH), gated: true, bias: false };
    (shared::grouped(heads, kv_heads, head_dim), feed_forward)
}

/// Gemma 1.
pub(crate) fn gemma(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, true);
    let heads = shared::heads(r, frame.hidden);
    let (attention, feed_forward) = parts(r, heads);
    let layers = vec![shared::pre_norm(attention, feed_forward, RMS); frame.layers as usize];
    frame.model(r, name, "gemma", layers)
}

/// Gemma 2: every other layer slides, the first one too.
pub(crate) fn gemma2(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, true);
    let heads = shared::heads(r, frame.hidden);
    let (attention, feed_forward) = parts(r, heads);
    let layers = sliding(r, &frame, attention, feed_forward, 2);
    frame.model(r, name, "gemma2", layers)
}

/// The language model of Gemma 3: one full layer after every five that slide, unless said otherwise.
pub(crate) fn gemma3_text(r: &mut Reader, name: &str) -> Model {
    let frame = Frame {
        hidden: r.whole("hidden_size", WIDTH),
        layers: r.whole("num_hidden_layers", LAYERS),
        vocabulary: r.whole_or("vocab_size", WIDTH, GEMMA3_VOCABULARY),
        max_context: r.whole_or("max_position_embeddings", WIDTH, GEMMA3_CONTEXT),
        tied: r.flag("tie_word_embeddings", true),
    };
    let heads = gemma3_heads(r);
    let (attention, feed_forward) = parts(r, heads);
    r.must_be("use_bidirectional_attention", false);
    let attention = attention.with_qk_norm(heads.2.saturating_mul(2));
    let layers = sliding(r, &frame, attention, feed_forward, 6);
    frame.model(r, name, "gemma3_text", layers)
}

/// Heads, key-value heads and head width; published files leave out what is as by default.
fn gemma3_heads(r: &mut Reader) -> (u64, u64, u64) {
    let (heads, kv_heads, head_dim) = GEMMA3_HEADS;
    let line = r.value("num_key_value_heads").map_or(1, |v| v.line);
    let heads = r.whole_or("num_attention_heads", HEADS, heads);
    let kv_heads = r.whole_or("num_key_value_heads", HEADS, kv_heads);
    if !heads.is_multiple_of(kv_heads) && r.sound() {
        r.wrong("num_key_value_heads", line, format!("is {kv_heads}, which does not divide {heads} attention heads"), "choose a divisor");
    }
    (heads, kv_heads, r.whole_or("head_dim", HEADS, head_dim))
}

/// Gemma 3 with its vision tower.
pub(crate) fn gemma3(r: &mut Reader, name: &str) -> Model {
    r.free(&["boi_token_index", "eoi_token_index", "image_token_index", "mm_tokens_per_image"]);
    let Some(mut text) = r.object("text_config") else {
        r.free(&["vision_config"]);
        r.wrong("text_config", 1, "is missing", "add it: the language model's keys");
        return Frame::ONE.model(r, name, "", Vec::new());
    };
    let mut model = gemma3_text(&mut text, name);
    r.absorb(text);
    r.must_be("tie_word_embeddings", model.tied_embeddings);
    model.precision = super::format::precision(r);
    model.family = "gemma3".to_string();
    model.other_parameters = vision::siglip(r, model.hidden);
    model
}

fn sliding(r: &mut Reader, frame: &Frame, attention: Attention, feed_forward: FeedForward, every: u64) -> Vec<Layer> {
    let width = r.whole("sliding_window", WIDTH);
    let key = if r.has("_sliding_window_pattern") { "_sliding_window_pattern" } else { "sliding_window_pattern" };
    let pattern = r.whole_or(key, LAYERS.min(HEADS), every);
    let listed = shared::sliding_layers(r, frame.layers, "sliding_attention");
    (0..frame.layers)
        .map(|i| {
            let slides = listed.as_ref().map_or((i + 1) % pattern != 0, |l| l[i as usize]);
            let attention = attention.with_window(if slides { width } else { 0 });
            Layer { attention, feed_forward, norm: RMS, norms: 4, parallel: false }
        })
        .collect()
}
