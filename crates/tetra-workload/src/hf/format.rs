//! Formats of published weights: `torch_dtype` or `dtype`, and what `quantization_config` makes of the matrices. Embedding, head, norms and routers
//! stay wide, as all published files keep them; attention does where the file says so.

use super::json::{Kind, Value};
use super::reader::{HEADS, Reader};
use crate::types::{DataType, Precision};

/// Names of attention's projections.
const PROJECTIONS: &[&str] =
    &["q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj"];

/// Formats of the published weights: `torch_dtype` or `dtype`, and what `quantization_config` makes of the matrices.
pub(crate) fn precision(r: &mut Reader) -> Precision {
    let key = if r.has("dtype") && !r.has("torch_dtype") { "dtype" } else { "torch_dtype" };
    r.free(&["dtype", "torch_dtype"]);
    let line = r.value(key).map_or(1, |v| v.line);
    let wide = match r.word(key) {
        None | Some("bfloat16") => DataType::Bf16,
        Some("float16") => DataType::Fp16,
        Some("float32") => DataType::Fp32,
        Some(other) => {
            let shown: String = other.chars().take(64).collect();
            r.wrong(key, line, format!("is \"{shown}\""), "supported: bfloat16, float16, float32");
            DataType::Bf16
        }
    };
    let mut precision = Precision::uniform(wide);
    let Some(mut q) = r.object("quantization_config") else { return precision };
    quantised(&mut q, &mut precision);
    r.absorb(q);
    precision
}

fn quantised(q: &mut Reader, precision: &mut Precision) {
    q.free(&["activation_scheme", "fmt", "scale_fmt", "weight_block_size"]);
    let wide_attention =
        ["modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules"].map(|key| keeps_attention(q, key)).contains(&true);
    let wide = *precision;
    let line = q.value("quant_method").map_or(1, |v| v.line);
    match q.word("quant_method") {
        Some("fp8") => {
            (precision.weights, precision.expert_weights) = (DataType::Fp8, DataType::Fp8);
            (precision.activations, precision.expert_activations) = (DataType::Fp8, DataType::Fp8);
        }
        Some("mxfp4") => precision.expert_weights = DataType::Mxfp4,
        Some("modelopt") => modelopt(q, precision),
        Some("awq" | "gptq") => integers(q, precision),
        Some("compressed-tensors") => compressed(q, precision),
        other => {
            let shown: String = other.unwrap_or("absent").chars().take(64).collect();
            q.wrong("quant_method", line, format!("is \"{shown}\""), "supported: fp8, mxfp4, compressed-tensors, modelopt, awq, gptq");
        }
    }
    if wide_attention {
        (precision.weights, precision.activations) = (wide.weights, wide.activations);
    }
}

/// Whether a list of modules that stay wide names the projections of attention; then only experts are narrow.
fn keeps_attention(q: &mut Reader, key: &'static str) -> bool {
    let items = q.list(key).unwrap_or_default();
    items.iter().any(|item| {
        let Kind::Text(text) = &item.kind else { return false };
        let Some((_, part)) = text.rsplit_once("self_attn") else { return false };
        let part = part.trim_matches(['.', '*', '$', '/']);
        part.is_empty() || PROJECTIONS.iter().any(|p| part.ends_with(p))
    })
}

/// NVIDIA Model Optimizer: one format for all matrices.
fn modelopt(q: &mut Reader, precision: &mut Precision) {
    q.free(&["config_groups", "producer", "group_size"]);
    let line = q.value("quant_algo").map_or(1, |v| v.line);
    let format = match q.word("quant_algo") {
        Some("FP8") => DataType::Fp8,
        Some("NVFP4") => DataType::Nvfp4,
        other => {
            let shown: String = other.unwrap_or("absent").chars().take(64).collect();
            q.wrong("quant_algo", line, format!("is \"{shown}\""), "supported: FP8, NVFP4");
            return;
        }
    };
    (precision.weights, precision.expert_weights) = (format, format);
    (precision.activations, precision.expert_activations) = (format, format);
    cache(q, precision);
}

/// AWQ and GPTQ: integer weights alone.
fn integers(q: &mut Reader, precision: &mut Precision) {
    q.free(&["group_size", "zero_point", "version", "desc_act", "sym", "damp_percent", "true_sequential", "static_groups"]);
    let line = q.value("bits").map_or(1, |v| v.line);
    let format = match q.whole("bits", HEADS) {
        4 => DataType::Int4,
        8 => DataType::Int8,
        bits => {
            q.wrong("bits", line, format!("is {bits}"), "supported: 4, 8");
            return;
        }
    };
    (precision.weights, precision.expert_weights) = (format, format);
}

/// An 8-bit float cache, where the file says so.
fn cache(q: &mut Reader, precision: &mut Precision) {
    let Some(mut scheme) = q.object("kv_cache_scheme") else { return };
    scheme.free(&["dynamic", "strategy", "symmetric", "observer", "observer_kwargs", "group_size", "block_structure", "actorder"]);
    let line = scheme.value("num_bits").map_or(1, |v| v.line);
    if scheme.whole("num_bits", HEADS) == 8 {
        precision.kv = DataType::Fp8;
    } else {
        scheme.wrong("num_bits", line, "is not 8", "only an 8-bit cache is supported");
    }
    scheme.one_of("type", &["float"]);
    q.absorb(scheme);
}

/// compressed-tensors: the first group's weights say the format.
fn compressed(q: &mut Reader, precision: &mut Precision) {
    q.free(&["format", "quantization_status", "global_compression_ratio", "sparsity_config", "transform_config", "version"]);
    cache(q, precision);
    let Some(groups) = q.value("config_groups") else {
        q.wrong("config_groups", 1, "is missing", "add it");
        return;
    };
    let group = if let Kind::Map(m) = &groups.kind { m.first().map(|(_, g)| g) } else { None };
    let weights = group.and_then(|g| field(g, "weights"));
    let bits = weights.and_then(|w| field(w, "num_bits")).map(|v| &v.kind);
    let kind = weights.and_then(|w| field(w, "type")).map(|v| &v.kind);
    let format = match (bits, kind) {
        (Some(Kind::Number(bits)), Some(Kind::Text(kind))) => match (*bits as u64, kind.as_str()) {
            (4, "int") => Some(DataType::Int4),
            (8, "int") => Some(DataType::Int8),
            (4, "float") => Some(DataType::Nvfp4),
            (8, "float") => Some(DataType::Fp8),
            _ => None,
        },
        _ => None,
    };
    let Some(format) = format else {
        q.wrong("config_groups", groups.line, "has weights of an unknown kind", "supported: int of 4 or 8 bits, float of 4 or 8 bits");
        return;
    };
    (precision.weights, precision.expert_weights) = (format, format);
    if group.and_then(|g| field(g, "input_activations")).is_some_and(|v| v.kind != Kind::Null) {
        (precision.activations, precision.expert_activations) = (format, format);
    }
}

fn field<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let Kind::Map(map) = &value.kind else { return None };
    map.iter().find(|(k, _)| k == key).map(|(_, v)| v)
}
