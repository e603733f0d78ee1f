//! Llama 4 (Meta, model card, April 2025): experts in every `interleave_moe_layer_step`-th layer beside one shared expert, chunked attention with
//! rotary positions in three of four layers, full attention without them in the fourth, and a vision tower.

use super::llama::GATES;
use super::reader::{HEADS, LAYERS, Reader, WIDTH};
use super::shared::{self, Frame, Grouped, RMS, pre_norm};
use super::vision;
use crate::model::{Attention, FeedForward, Layer, Model};

/// Full attention stands in every fourth layer unless said otherwise.
const FULL_EVERY: u64 = 4;

/// Llama 4 with its vision tower.
pub(crate) fn llama4(r: &mut Reader, name: &str) -> Model {
    r.free(&["boi_token_index", "eoi_token_index", "image_token_index"]);
    let Some(mut inner) = r.object("text_config") else {
        r.free(&["vision_config"]);
        r.wrong("text_config", 1, "is missing", "add it: the language model's keys");
        return Frame::ONE.model(r, name, "", Vec::new());
    };
    let mut model = text(&mut inner, name);
    r.absorb(inner);
    r.must_be("tie_word_embeddings", model.tied_embeddings);
    model.precision = super::format::precision(r);
    model.family = "llama4".to_string();
    model.other_parameters = vision::llama4(r, model.hidden);
    model
}

/// The language model.
pub(crate) fn text(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let (heads, kv_heads, head_dim) = shared::heads(r, frame.hidden);
    let bias = r.flag("attention_bias", false);
    let mut plain = shared::grouped(heads, kv_heads, head_dim).with_bias(bias, bias);
    if r.flag("use_qk_norm", true) {
        plain = plain.with_qk_norm(0);
    }
    r.one_of("hidden_act", GATES);
    r.free(&["attn_scale", "attn_temperature_tuning", "floor_scale", "for_llm_compressor"]);
    let experts = experts(r);
    let dense = FeedForward::Dense { ffn: r.whole("intermediate_size_mlp", WIDTH), gated: true, bias: false };
    let step = r.whole_or("interleave_moe_layer_step", LAYERS, 1);
    let routed = listed(r, "moe_layers", frame.layers, |i| (i + 1) % step == 0);
    let rotary = rotary_layers(r, frame.layers);
    let chunk = r.count("attention_chunk_size", WIDTH);
    let chunked = shared::sliding_layers(r, frame.layers, "chunked_attention").unwrap_or_else(|| rotary.clone());
    let layers = (0..frame.layers as usize).map(|i| {
        let plain = if rotary[i] { plain } else { plain.unrotated() };
        let attention = if chunked[i] { in_chunks(plain, chunk) } else { plain };
        pre_norm(attention, if routed[i] { experts } else { dense }, RMS)
    });
    let layers: Vec<Layer> = layers.collect();
    frame.model(r, name, "llama4_text", layers)
}

fn experts(r: &mut Reader) -> FeedForward {
    let ffn = r.whole("intermediate_size", WIDTH);
    let (experts, top_k) = super::routed::experts_and_choice(r, "num_local_experts");
    FeedForward::Experts { experts, top_k, ffn, shared_ffn: ffn, gated: true, bias: false, router_bias: false, shared_gate: false }
}

fn in_chunks(mut attention: Attention, width: u64) -> Attention {
    if let Attention::Grouped { window, chunked, .. } = &mut attention {
        (*window, *chunked) = (width, width > 0);
    }
    attention
}

/// Layers named by index in a list, or by rule when it is absent or empty.
fn listed(r: &mut Reader, key: &'static str, layers: u64, rule: impl Fn(u64) -> bool) -> Vec<bool> {
    match r.list(key) {
        Some(items) if !items.is_empty() => {
            let mut found = vec![false; layers as usize];
            for item in items {
                found[r.bounded(key, item, 0, layers - 1) as usize] = true;
            }
            found
        }
        _ => (0..layers).map(rule).collect(),
    }
}

/// `no_rope_layers` holds 1 for a layer with rotary positions (the key's name says the opposite).
fn rotary_layers(r: &mut Reader, layers: u64) -> Vec<bool> {
    let every = r.whole_or("no_rope_layer_interval", HEADS, FULL_EVERY);
    let line = r.value("no_rope_layers").map_or(1, |v| v.line);
    match r.list("no_rope_layers") {
        Some(items) if items.len() as u64 == layers => items.iter().map(|i| r.bounded("no_rope_layers", i, 0, 1) == 1).collect(),
        Some(items) if !items.is_empty() => {
            r.wrong("no_rope_layers", line, format!("has {} entries for {layers} layers", items.len()), "give one entry per layer");
            vec![true; layers as usize]
        }
        _ => (0..layers).map(|i| (i + 1) % every != 0).collect(),
    }
}
