//! Families with routed experts and grouped attention: Mixtral (arXiv 2401.04088), Qwen2-MoE, Qwen3-MoE (arXiv 2505.09388), gpt-oss
//! (arXiv 2508.10925), MiniMax-M2, GLM-4.5 (arXiv 2508.06471).

use super::json::Kind;
use super::llama::{GATES, qwen_windows};
use super::reader::{HEADS, LAYERS, Reader, WIDTH};
use super::shared::{self, Frame, Grouped, RMS, pre_norm};
use crate::count::product;
use crate::model::{FeedForward, Layer, Model};

/// Number of experts under a key, and how many of them a token visits.
pub(crate) fn experts_and_choice(r: &mut Reader, key: &'static str) -> (u64, u64) {
    let experts = r.whole(key, HEADS);
    let line = r.value("num_experts_per_tok").map_or(1, |v| v.line);
    let top_k = r.whole("num_experts_per_tok", HEADS);
    if top_k > experts && r.sound() {
        r.wrong("num_experts_per_tok", line, format!("is {top_k}, more than {experts} experts"), "lower it");
    }
    (experts, top_k.min(experts))
}

fn plain_experts(experts: u64, top_k: u64, ffn: u64) -> FeedForward {
    FeedForward::Experts { experts, top_k, ffn, shared_ffn: 0, gated: true, bias: false, router_bias: false, shared_gate: false }
}

/// Mixtral.
pub(crate) fn mixtral(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let (heads, kv_heads, head_dim) = shared::heads(r, frame.hidden);
    let window = r.count("sliding_window", WIDTH);
    r.one_of("hidden_act", GATES);
    let (experts, top_k) = experts_and_choice(r, "num_local_experts");
    let feed_forward = plain_experts(experts, top_k, r.whole("intermediate_size", WIDTH));
    let attention = shared::grouped(heads, kv_heads, head_dim).with_window(window);
    let layers = vec![pre_norm(attention, feed_forward, RMS); frame.layers as usize];
    frame.model(r, name, "mixtral", layers)
}

/// Qwen2-MoE: biases on Q, K, V; a shared expert with its own gate.
pub(crate) fn qwen2_moe(r: &mut Reader, name: &str) -> Model {
    qwen_moe(r, name, true)
}

/// Qwen3-MoE: normalised Q and K; no shared expert.
pub(crate) fn qwen3_moe(r: &mut Reader, name: &str) -> Model {
    qwen_moe(r, name, false)
}

fn qwen_moe(r: &mut Reader, name: &str, second: bool) -> Model {
    let frame = Frame::read(r, false);
    let (heads, kv_heads, head_dim) = shared::heads(r, frame.hidden);
    let plain = shared::grouped(heads, kv_heads, head_dim);
    let attention = if second {
        plain.with_bias(r.flag("qkv_bias", true), false)
    } else {
        let bias = r.flag("attention_bias", false);
        plain.with_bias(bias, bias).with_qk_norm(product([2, head_dim]))
    };
    r.one_of("hidden_act", GATES);
    r.free(&["norm_topk_prob"]);
    let (experts, top_k) = experts_and_choice(r, "num_experts");
    let ffn = r.whole("moe_intermediate_size", WIDTH);
    let shared_ffn = if second { r.count("shared_expert_intermediate_size", WIDTH) } else { 0 };
    let gate = shared_ffn > 0;
    let routed = FeedForward::Experts { experts, top_k, ffn, shared_ffn, gated: true, bias: false, router_bias: false, shared_gate: gate };
    let dense = FeedForward::Dense { ffn: r.whole("intermediate_size", WIDTH), gated: true, bias: false };
    let step = r.whole_or("decoder_sparse_step", LAYERS, 1);
    let windows = qwen_windows(r, frame.layers);
    let only_dense: Vec<u64> = match r.list("mlp_only_layers") {
        Some(items) => items.iter().map(|i| r.bounded("mlp_only_layers", i, 0, LAYERS)).collect(),
        None => Vec::new(),
    };
    let layers = windows.into_iter().zip(0u64..).map(|(window, i)| {
        let sparse = (i + 1) % step == 0 && !only_dense.contains(&i);
        pre_norm(attention.with_window(window), if sparse { routed } else { dense }, RMS)
    });
    let layers = layers.collect();
    frame.model(r, name, if second { "qwen2_moe" } else { "qwen3_moe" }, layers)
}

/// gpt-oss: biases everywhere, attention sinks, a window in every other layer.
pub(crate) fn gpt_oss(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let (heads, kv_heads, head_dim) = shared::heads(r, frame.hidden);
    let bias = r.flag("attention_bias", true);
    r.one_of("hidden_act", GATES);
    r.free(&["initial_context_length", "swiglu_limit"]);
    let (experts, top_k) = experts_and_choice(r, "num_local_experts");
    let line = r.value("experts_per_token").map_or(1, |v| v.line);
    let again = r.whole_or("experts_per_token", HEADS, top_k);
    if again != top_k {
        r.wrong("experts_per_token", line, format!("is {again}, num_experts_per_tok is {top_k}"), "make them equal");
    }
    let ffn = r.whole("intermediate_size", WIDTH);
    let feed_forward =
        FeedForward::Experts { experts, top_k, ffn, shared_ffn: 0, gated: true, bias: true, router_bias: true, shared_gate: false };
    let mut plain = shared::grouped(heads, kv_heads, head_dim).with_bias(bias, bias);
    if let crate::model::Attention::Grouped { sinks, .. } = &mut plain {
        *sinks = true;
    }
    let window = r.whole("sliding_window", WIDTH);
    let listed = shared::sliding_layers(r, frame.layers, "sliding_attention");
    let layers = (0..frame.layers).map(|i| {
        let slides = listed.as_ref().map_or(i % 2 == 0, |l| l[i as usize]);
        pre_norm(plain.with_window(if slides { window } else { 0 }), feed_forward, RMS)
    });
    let layers = layers.collect();
    frame.model(r, name, "gpt_oss", layers)
}

/// MiniMax-M2: Q and K normalised over all heads together, three prediction modules.
pub(crate) fn minimax(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let (heads, kv_heads, head_dim) = shared::heads(r, frame.hidden);
    let window = r.count("sliding_window", WIDTH);
    let mut attention = shared::grouped(heads, kv_heads, head_dim).with_window(window);
    r.free(&["layernorm_full_attention_beta", "layernorm_linear_attention_beta", "layernorm_mlp_beta", "mlp_intermediate_size"]);
    r.free(&["shared_moe_mode"]);
    r.one_of("qk_norm_type", &["per_layer"]);
    if r.flag("use_qk_norm", true) {
        attention = attention.with_qk_norm(product([heads.saturating_add(kv_heads), head_dim]));
    }
    r.one_of("hidden_act", GATES);
    r.free(&["rotary_dim", "scoring_func"]);
    only_softmax_attention(r);
    let (experts, top_k) = experts_and_choice(r, "num_local_experts");
    let feed_forward = FeedForward::Experts {
        experts,
        top_k,
        ffn: r.whole("intermediate_size", WIDTH),
        shared_ffn: r.count("shared_intermediate_size", WIDTH),
        gated: true,
        bias: false,
        router_bias: r.flag("use_routing_bias", true),
        shared_gate: false,
    };
    let layer = pre_norm(attention, feed_forward, RMS);
    let modules = product([r.count("num_mtp_modules", LAYERS), r.whole_or("mtp_transformer_layers", LAYERS, 1)]).min(LAYERS);
    let predict = if r.flag("use_mtp", false) { modules } else { 0 };
    let mut model = frame.model(r, name, "minimax_m2", vec![layer; frame.layers as usize]);
    model.predict_layers = vec![layer; predict as usize];
    model
}

/// MiniMax lists the kind of attention by layer; 1 is softmax, 0 linear.
fn only_softmax_attention(r: &mut Reader) {
    for item in r.list("attn_type_list").unwrap_or_default() {
        if item.kind != Kind::Number(1.0) {
            r.wrong("attn_type_list", item.line, "names a layer without softmax attention", "only 1 is supported");
            return;
        }
    }
}

/// GLM-4.5: biases on Q, K, V, normalised Q and K, dense first layers, shared expert, one prediction layer.
pub(crate) fn glm4(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let (heads, kv_heads, head_dim) = shared::heads(r, frame.hidden);
    let mut attention = shared::grouped(heads, kv_heads, head_dim).with_bias(r.flag("attention_bias", false), false);
    if r.flag("use_qk_norm", false) {
        attention = attention.with_qk_norm(product([2, head_dim]));
    }
    r.one_of("hidden_act", GATES);
    r.free(&["norm_topk_prob", "partial_rotary_factor", "routed_scaling_factor"]);
    let (experts, top_k) = experts_and_choice(r, "n_routed_experts");
    let ffn = r.whole("moe_intermediate_size", WIDTH);
    let shared_ffn = product([r.count("n_shared_experts", HEADS), ffn]);
    let routed = FeedForward::Experts { experts, top_k, ffn, shared_ffn, gated: true, bias: false, router_bias: true, shared_gate: false };
    let dense = FeedForward::Dense { ffn: r.whole("intermediate_size", WIDTH), gated: true, bias: false };
    let first = r.count("first_k_dense_replace", LAYERS);
    let predict = r.count("num_nextn_predict_layers", LAYERS);
    let layers: Vec<Layer> = (0..frame.layers).map(|i| pre_norm(attention, if i < first { dense } else { routed }, RMS)).collect();
    let mut model = frame.model(r, name, "glm4_moe", layers);
    model.predict_layers = vec![pre_norm(attention, routed, RMS); predict as usize];
    model.routing = shared::routing(r);
    model
}
