//! Families in the manner of Llama: RMS norms, rotary positions, gated feed-forward, no biases unless said (arXiv 2302.13971).

use super::reader::{LAYERS, Reader, WIDTH};
use super::shared::{self, Frame, Grouped, LAYER_NORM, RMS, pre_norm};
use crate::model::{Attention, FeedForward, Model};

/// Activation functions of a gated feed-forward; all cost the same.
pub(crate) const GATES: &[&str] = &["silu", "swish", "gelu", "gelu_pytorch_tanh", "gelu_new"];

/// A gated dense feed-forward.
pub(crate) fn gated(r: &mut Reader) -> FeedForward {
    r.one_of("hidden_act", GATES);
    FeedForward::Dense { ffn: r.whole("intermediate_size", WIDTH), gated: true, bias: false }
}

/// Grouped attention of `hidden` elements.
fn attention(r: &mut Reader, hidden: u64) -> (Attention, u64) {
    let (heads, kv_heads, head_dim) = shared::heads(r, hidden);
    (shared::grouped(heads, kv_heads, head_dim), head_dim)
}

/// Llama 2 and 3 (arXiv 2307.09288, 2407.21783).
pub(crate) fn llama(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let bias = r.flag("attention_bias", false);
    let attention = attention(r, frame.hidden).0.with_bias(bias, bias);
    r.must_be("mlp_bias", false);
    let layers = vec![pre_norm(attention, gated(r), RMS); frame.layers as usize];
    frame.model(r, name, "llama", layers)
}

/// Nemotron-4 (arXiv 2402.16819): squared ReLU between two matrices, layer norms.
pub(crate) fn nemotron(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let bias = r.flag("attention_bias", false);
    let attention = attention(r, frame.hidden).0.with_bias(bias, bias);
    r.one_of("hidden_act", &["relu2"]);
    r.must_be("mlp_bias", false);
    r.free(&["norm_eps", "partial_rotary_factor"]);
    let feed_forward = FeedForward::Dense { ffn: r.whole("intermediate_size", WIDTH), gated: false, bias: false };
    let layers = vec![pre_norm(attention, feed_forward, LAYER_NORM); frame.layers as usize];
    Model { final_norm: LAYER_NORM, ..frame.model(r, name, "nemotron", layers) }
}

/// Mistral (arXiv 2310.06825): a sliding window in every layer unless it is null.
pub(crate) fn mistral(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let window = r.count("sliding_window", WIDTH);
    let attention = attention(r, frame.hidden).0.with_window(window);
    let layers = vec![pre_norm(attention, gated(r), RMS); frame.layers as usize];
    frame.model(r, name, "mistral", layers)
}

/// Qwen 2 and 2.5 (arXiv 2407.10671): biases on Q, K and V.
pub(crate) fn qwen2(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let attention = attention(r, frame.hidden).0.with_bias(true, false);
    qwen(r, name, "qwen2", &frame, attention)
}

/// Qwen 3 (arXiv 2505.09388): normalised Q and K instead of biases.
pub(crate) fn qwen3(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let bias = r.flag("attention_bias", false);
    let (plain, head_dim) = attention(r, frame.hidden);
    let attention = plain.with_bias(bias, bias).with_qk_norm(head_dim.saturating_mul(2));
    qwen(r, name, "qwen3", &frame, attention)
}

/// Layers from `max_window_layers` on have the window when it is used.
fn qwen(r: &mut Reader, name: &str, family: &str, frame: &Frame, attention: Attention) -> Model {
    let feed_forward = gated(r);
    let windows = qwen_windows(r, frame.layers);
    let layers = windows.into_iter().map(|w| pre_norm(attention.with_window(w), feed_forward, RMS)).collect();
    frame.model(r, name, family, layers)
}

/// Window of each layer of a Qwen model, 0 for none.
pub(crate) fn qwen_windows(r: &mut Reader, layers: u64) -> Vec<u64> {
    let width = r.count("sliding_window", WIDTH);
    let used = r.flag("use_sliding_window", false);
    let from = r.count("max_window_layers", LAYERS);
    let listed = shared::sliding_layers(r, layers, "sliding_attention");
    (0..layers)
        .map(|i| {
            let slides = used && listed.as_ref().map_or(i >= from, |l| l[i as usize]);
            if slides { width } else { 0 }
        })
        .collect()
}
