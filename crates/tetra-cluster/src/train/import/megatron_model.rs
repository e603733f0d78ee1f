//! The model that arguments of Megatron-LM describe: widths, grouped or latent attention, dense or routed feed-forward, vocabulary padded as Megatron-LM does.

use tetra_workload::{Attention, DataType, FeedForward, Layer, Model, Norm, NormKind, Precision, Routing};

use super::megatron::Arguments;
use super::{ImportError, short};

/// Widest model, deepest model, most heads and experts.
const WIDTH: u64 = 1 << 24;
const LAYERS: u64 = 1 << 12;
const HEADS: u64 = 1 << 16;

/// Builds the model.
pub(super) fn model(a: &Arguments<'_>, notes: &mut Vec<String>) -> Result<Model, ImportError> {
    let (layers, hidden) = (a.needed("num-layers", LAYERS)?, a.needed("hidden-size", WIDTH)?);
    let rotary =
        a.has("use-rotary-position-embeddings") || matches!(a.word("position-embedding-type"), Some("rope" | "yarn" | "none" | "mrope"));
    let bias = !a.has("disable-bias-linear");
    let rms = a.word("normalization") == Some("RMSNorm");
    let norm = if rms { Norm { kind: NormKind::RmsNorm, bias: false } } else { Norm { kind: NormKind::LayerNorm, bias: true } };
    let attention = if a.has("multi-latent-attention") { latent(a)? } else { grouped(a, hidden, (bias, rotary))? };
    let dense = dense(a, hidden, bias)?;
    let sequence = a.count("seq-length", WIDTH)?.unwrap_or(1);
    let made = |feed_forward| Layer { attention, feed_forward, norm, norms: 2, parallel: false };
    let mut list = vec![made(dense); usize::try_from(layers).unwrap_or(1)];
    if let Some(routed) = routed(a, hidden)? {
        for (layer, is_routed) in list.iter_mut().zip(frequency(a, layers)?) {
            if is_routed {
                *layer = made(routed);
            }
        }
    }
    let further = a.count("mtp-num-layers", LAYERS)?.unwrap_or(0);
    let last = list.last().copied();
    Ok(Model {
        name: "of Megatron-LM's arguments".into(),
        family: if rms { "llama" } else { "gpt2" }.into(),
        hidden,
        vocabulary: vocabulary(a, notes)?,
        tied_embeddings: !a.has("untie-embeddings-and-output-weights"),
        learned_positions: if rotary { 0 } else { a.count("max-position-embeddings", WIDTH)?.unwrap_or(sequence) },
        max_context: sequence,
        layers: list,
        predict_layers: last.into_iter().flat_map(|l| vec![l; usize::try_from(further).unwrap_or(0)]).collect(),
        routing: Routing::FREE,
        final_norm: norm,
        embedding_norm: false,
        head_bias: false,
        precision: Precision::uniform(DataType::Bf16),
        other_parameters: 0,
    })
}

fn grouped(a: &Arguments<'_>, hidden: u64, (bias, rotary): (bool, bool)) -> Result<Attention, ImportError> {
    let heads = a.needed("num-attention-heads", HEADS)?;
    let kv_heads = if a.has("group-query-attention") { a.count("num-query-groups", HEADS)?.unwrap_or(1) } else { heads };
    if !heads.is_multiple_of(kv_heads) {
        return Err(a.mistake("num-query-groups", &format!("is {kv_heads}: {heads} heads are no multiple of it"), "correct it"));
    }
    let head_dim = match a.count("kv-channels", WIDTH)? {
        Some(width) => width,
        None if hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            return Err(a.mistake(
                "num-attention-heads",
                &format!("is {heads}: {hidden} is no multiple of it"),
                "correct it or add --kv-channels",
            ));
        }
    };
    let qk_norm = a.has("qk-layernorm");
    Ok(Attention::Grouped {
        heads,
        kv_heads,
        head_dim,
        window: 0,
        chunked: false,
        qkv_bias: bias || a.has("add-qkv-bias"),
        out_bias: bias,
        qk_norm,
        qk_norm_elements: if qk_norm { head_dim.saturating_mul(2) } else { 0 },
        sinks: false,
        rotary,
    })
}

/// Defaults of the latent form are those of `MLATransformerConfig`.
fn latent(a: &Arguments<'_>) -> Result<Attention, ImportError> {
    let given = |name, otherwise: u64| Ok(a.count(name, WIDTH)?.unwrap_or(otherwise));
    Ok(Attention::Latent {
        heads: a.needed("num-attention-heads", HEADS)?,
        q_rank: given("q-lora-rank", 0)?,
        kv_rank: given("kv-lora-rank", 512)?,
        rope_dim: given("qk-pos-emb-head-dim", 64)?,
        nope_dim: given("qk-head-dim", 128)?,
        v_dim: given("v-head-dim", 128)?,
        indexer: (0, 0, 0),
    })
}

fn dense(a: &Arguments<'_>, hidden: u64, bias: bool) -> Result<FeedForward, ImportError> {
    let gated = a.has("swiglu");
    let own = a.count("ffn-hidden-size", WIDTH)?;
    // arguments.py: with SwiGLU two thirds of 4h, rounded down to a multiple of 64.
    let usual = if gated { (hidden.saturating_mul(8) / 3 / 64).saturating_mul(64).max(1) } else { hidden.saturating_mul(4) };
    Ok(FeedForward::Dense { ffn: own.unwrap_or(usual), gated, bias })
}

fn routed(a: &Arguments<'_>, hidden: u64) -> Result<Option<FeedForward>, ImportError> {
    let Some(experts) = a.count("num-experts", HEADS)? else { return Ok(None) };
    let top_k = a.count("moe-router-topk", HEADS)?.unwrap_or(2);
    if top_k > experts {
        return Err(a.mistake("moe-router-topk", &format!("is {top_k}, more than {experts} experts"), "lower it"));
    }
    let wide = a.count("ffn-hidden-size", WIDTH)?.unwrap_or(hidden.saturating_mul(4));
    let ffn = a.count("moe-ffn-hidden-size", WIDTH)?.unwrap_or(wide);
    let shared_ffn = a.count("moe-shared-expert-intermediate-size", WIDTH)?.unwrap_or(0);
    let gated = a.has("swiglu");
    Ok(Some(FeedForward::Experts { experts, top_k, ffn, shared_ffn, gated, bias: false, router_bias: false, shared_gate: false }))
}

/// Which layers are routed: `N` for every N-th, or a list such as `([0]*3+[1]*58)`.
fn frequency(a: &Arguments<'_>, layers: u64) -> Result<Vec<bool>, ImportError> {
    let name = "moe-layer-freq";
    let text: String = a.word(name).unwrap_or("1").chars().filter(|c| !"() \"'".contains(*c)).collect();
    if let Ok(every) = text.parse::<u64>() {
        return Ok((0..layers).map(|i| i.is_multiple_of(every.max(1))).collect());
    }
    let wrong = || a.mistake(name, &format!("is \"{}\"", short(&text)), "write N, or a list such as ([0]*3+[1]*58)");
    let mut out = Vec::new();
    for part in text.split('+') {
        let (list, times) = part.split_once('*').unwrap_or((part, "1"));
        let times: u64 = times.parse().ok().filter(|t| *t <= LAYERS).ok_or_else(wrong)?;
        let inner = list.strip_prefix('[').and_then(|l| l.strip_suffix(']')).ok_or_else(wrong)?;
        let items: Vec<bool> =
            inner.split(',').map(|i| matches!(i, "0" | "1").then_some(i == "1")).collect::<Option<_>>().ok_or_else(wrong)?;
        for _ in 0..times.min(layers) {
            out.extend(&items);
        }
        if out.len() as u64 > LAYERS {
            return Err(wrong());
        }
    }
    if out.len() as u64 == layers {
        Ok(out)
    } else {
        Err(a.mistake(name, &format!("names {} layers of {layers}", out.len()), "correct it"))
    }
}

/// Rows of the embedding: padded to `--make-vocab-size-divisible-by` (128) times the tensor-parallel degree.
fn vocabulary(a: &Arguments<'_>, notes: &mut Vec<String>) -> Result<u64, ImportError> {
    const GPT2: u64 = 50_257;
    const MULTIPLE: u64 = 128;
    if let Some(padded) = a.count("padded-vocab-size", WIDTH)? {
        return Ok(padded);
    }
    let own = a.count("vocab-size", WIDTH)?;
    if own.is_none() {
        notes.push(format!("the vocabulary is in the tokenizer's file; {GPT2} entries (GPT-2) are taken: state --vocab-size"));
    }
    let multiple = a.count("make-vocab-size-divisible-by", WIDTH)?.unwrap_or(MULTIPLE);
    let each = multiple.saturating_mul(a.count("tensor-model-parallel-size", WIDTH)?.unwrap_or(1));
    Ok(own.unwrap_or(GPT2).div_ceil(each).saturating_mul(each).min(WIDTH))
}
