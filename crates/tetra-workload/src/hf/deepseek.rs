//! DeepSeek-V2, V3, R1 and V3.2 (arXiv 2405.04434, 2412.19437, V3.2 report), Kimi K2 and K2.5 (arXiv 2507.20534), GLM-5: latent attention, dense
//! first layers, routed and shared experts, multi-token prediction, in the last two kinds with an indexer that picks the keys.

use super::llama::GATES;
use super::reader::{HEADS, LAYERS, Reader, WIDTH};
use super::routed::experts_and_choice;
use super::shared::{Frame, RMS, pre_norm, routing};
use super::vision;
use crate::count::product;
use crate::model::{Attention, FeedForward, Layer, Model};

/// Keys of routing that choose which experts, not how many, and of scaling.
const ROUTING: &[&str] =
    &["ep_size", "norm_topk_prob", "routed_scaling_factor", "scoring_func", "seq_aux", "indexer_rope_interleave", "rope_interleave"];

/// All of the kind.
pub(crate) fn deepseek(r: &mut Reader, name: &str) -> Model {
    let frame = Frame::read(r, false);
    let family = r.word("model_type").unwrap_or("deepseek_v3");
    let attention = latent(r);
    r.one_of("hidden_act", GATES);
    r.free(ROUTING);
    let routed = experts(r);
    let dense = FeedForward::Dense { ffn: r.whole("intermediate_size", WIDTH), gated: true, bias: false };
    let (first, every) = (r.count("first_k_dense_replace", LAYERS), r.whole_or("moe_layer_freq", LAYERS, 1));
    let predict = r.count("num_nextn_predict_layers", LAYERS);
    let layer = |feed_forward| pre_norm(attention, feed_forward, RMS);
    let layers: Vec<Layer> = (0..frame.layers).map(|i| layer(if i >= first && i % every == 0 { routed } else { dense })).collect();
    let mut model = frame.model(r, name, family, layers);
    model.predict_layers = vec![layer(routed); predict as usize];
    model.routing = routing(r);
    model
}

/// Kimi K2.5: the language model of K2 with a vision tower.
pub(crate) fn kimi(r: &mut Reader, name: &str) -> Model {
    // Labels left out of the loss, tokens that stand for pictures, and how pictures are cut: none changes the cost of the language model.
    r.free(&["ignore_index", "media_placeholder_token_id", "use_unified_vision_chunk", "video_placeholder"]);
    r.free(&["dtype", "torch_dtype"]);
    let Some(mut text) = r.object("text_config") else {
        r.free(&["vision_config"]);
        r.wrong("text_config", 1, "is missing", "add it: the language model's keys");
        return Frame::ONE.model(r, name, "", Vec::new());
    };
    let mut model = deepseek(&mut text, name);
    r.absorb(text);
    r.must_be("tie_word_embeddings", model.tied_embeddings);
    model.family = "kimi_k25".to_string();
    model.other_parameters = vision::moon_vit(r);
    model
}

fn latent(r: &mut Reader) -> Attention {
    r.must_be("attention_bias", false);
    let heads = r.whole("num_attention_heads", HEADS);
    let line = r.value("num_key_value_heads").map_or(1, |v| v.line);
    let kv_heads = r.whole_or("num_key_value_heads", HEADS, heads);
    if kv_heads != heads {
        r.wrong(
            "num_key_value_heads",
            line,
            format!("is {kv_heads}, latent attention has {heads}"),
            "make it equal to num_attention_heads",
        );
    }
    let (nope_dim, rope_dim) = (r.whole("qk_nope_head_dim", HEADS), r.whole("qk_rope_head_dim", HEADS));
    let line = r.value("qk_head_dim").map_or(1, |v| v.line);
    let whole = r.whole_or("qk_head_dim", WIDTH, nope_dim.saturating_add(rope_dim));
    if whole != nope_dim.saturating_add(rope_dim) {
        r.wrong("qk_head_dim", line, format!("is {whole}"), "make it the sum of qk_nope_head_dim and qk_rope_head_dim");
    }
    r.free(&["head_dim"]); // the rotary part again
    let index = (r.count("index_n_heads", HEADS), r.count("index_head_dim", HEADS), r.count("index_topk", WIDTH));
    let indexer = if index.0 > 0 && index.1 > 0 && index.2 > 0 { index } else { (0, 0, 0) };
    if index != indexer {
        r.wrong("index_topk", 1, "stands without the other keys of the indexer", "give index_n_heads, index_head_dim and index_topk");
    }
    Attention::Latent {
        heads,
        q_rank: r.count("q_lora_rank", WIDTH),
        kv_rank: r.whole("kv_lora_rank", WIDTH),
        rope_dim,
        nope_dim,
        v_dim: r.whole("v_head_dim", HEADS),
        indexer,
    }
}

fn experts(r: &mut Reader) -> FeedForward {
    let (experts, top_k) = experts_and_choice(r, "n_routed_experts");
    let ffn = r.whole("moe_intermediate_size", WIDTH);
    let shared = r.count("n_shared_experts", HEADS);
    let method = r.word("topk_method");
    let router_bias = method.is_none_or(|m| m == "noaux_tc");
    r.one_of("topk_method", &["noaux_tc", "greedy", "group_limited_greedy"]);
    FeedForward::Experts {
        experts,
        top_k,
        ffn,
        shared_ffn: product([shared, ffn]),
        gated: true,
        bias: false,
        router_bias,
        shared_gate: false,
    }
}
