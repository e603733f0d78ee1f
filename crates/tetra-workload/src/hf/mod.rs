//! Reads a model from the `config.json` that its makers publish (the key names of the transformers library).
//!
//! Each family has the keys that change cost, which are read, and the keys that do not, which are passed over; any other key is an error,
//! so that nothing that changes cost is ignored. All mistakes of a file are reported together.

mod deepseek;
mod format;
mod gemma;
mod gpt;
mod json;
mod llama;
mod llama4;
mod reader;
mod routed;
mod shared;
mod vision;

use crate::error::ConfigError;
use crate::model::Model;
use json::{Kind, Value};
pub(crate) use reader::LAYERS;
use reader::Reader;
pub(crate) use shared::{FREE, LAYER_NORM, RMS};

/// Builds a model from the keys of one family.
type Family = fn(&mut Reader, &str) -> Model;

/// Supported values of `model_type`, or of `architectures[0]` where there is none.
const FAMILIES: &[(&str, &str, Family)] = &[
    ("gpt2", "GPT2LMHeadModel", gpt::gpt2),
    ("gptj", "GPTJForCausalLM", gpt::gptj),
    ("opt", "OPTForCausalLM", gpt::opt),
    ("bloom", "BloomForCausalLM", gpt::bloom),
    ("gpt_neox", "GPTNeoXForCausalLM", gpt::neox),
    ("mpt", "MPTForCausalLM", gpt::mpt),
    ("llama", "LlamaForCausalLM", llama::llama),
    ("nemotron", "NemotronForCausalLM", llama::nemotron),
    ("mistral", "MistralForCausalLM", llama::mistral),
    ("qwen2", "Qwen2ForCausalLM", llama::qwen2),
    ("qwen3", "Qwen3ForCausalLM", llama::qwen3),
    ("gemma", "GemmaForCausalLM", gemma::gemma),
    ("gemma2", "Gemma2ForCausalLM", gemma::gemma2),
    ("gemma3_text", "Gemma3ForCausalLM", gemma::gemma3_text),
    ("gemma3", "Gemma3ForConditionalGeneration", gemma::gemma3),
    ("mixtral", "MixtralForCausalLM", routed::mixtral),
    ("qwen2_moe", "Qwen2MoeForCausalLM", routed::qwen2_moe),
    ("qwen3_moe", "Qwen3MoeForCausalLM", routed::qwen3_moe),
    ("gpt_oss", "GptOssForCausalLM", routed::gpt_oss),
    ("minimax_m2", "MiniMaxM2ForCausalLM", routed::minimax),
    ("glm4_moe", "Glm4MoeForCausalLM", routed::glm4),
    ("llama4", "Llama4ForConditionalGeneration", llama4::llama4),
    ("llama4_text", "Llama4ForCausalLM", llama4::text),
    ("deepseek_v2", "DeepseekV2ForCausalLM", deepseek::deepseek),
    ("deepseek_v3", "DeepseekV3ForCausalLM", deepseek::deepseek),
    ("deepseek_v32", "DeepseekV32ForCausalLM", deepseek::deepseek),
    ("kimi_k2", "KimiK2ForCausalLM", deepseek::deepseek),
    ("kimi_k25", "KimiK25ForConditionalGeneration", deepseek::kimi),
    ("glm_moe_dsa", "GlmMoeDsaForCausalLM", deepseek::deepseek),
];

/// Names of the supported families.
pub fn families() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _, _)| *name)
}

/// Reads a model; `name` is what it will be called.
///
/// # Errors
/// Every mistake of the file: broken JSON, an unknown family or key, a value out of range.
pub fn read_config(name: &str, json: &str) -> Result<Model, Vec<ConfigError>> {
    let broken =
        |b: json::Broken| ConfigError { file: name.to_string(), line: b.line, key: b.key, cause: b.cause, mend: b.mend.to_string() };
    let value = json::parse(json).map_err(|all| all.into_iter().map(broken).collect::<Vec<_>>())?;
    let whole = |line, cause: String, mend: String| vec![ConfigError { file: name.to_string(), line, key: String::new(), cause, mend }];
    let Kind::Map(map) = &value.kind else {
        return Err(whole(value.line, format!("is {}, not an object", value.kind.name()), "give a model's config.json".to_string()));
    };
    let family = find_family(map).map_err(|(line, cause)| {
        let all: Vec<_> = families().collect();
        whole(line, cause, format!("supported values of model_type: {}", all.join(", ")))
    })?;
    let mut reader = Reader::new(name, "", value.line, map);
    let model = (family.2)(&mut reader, name);
    let mut errors = reader.finish();
    if errors.is_empty() {
        errors = shared::whole_model(name, &model);
    }
    errors.sort_by_key(|e| e.line);
    if errors.is_empty() { Ok(model) } else { Err(errors) }
}

fn find_family(map: &[(String, Value)]) -> Result<&'static (&'static str, &'static str, Family), (usize, String)> {
    let text = |v: &Value| if let Kind::Text(t) = &v.kind { Some(t.clone()) } else { None };
    let get = |key: &str| map.iter().find(|(k, _)| k == key).map(|(_, v)| v);
    if let Some(v) = get("model_type") {
        let word = text(v).ok_or_else(|| (v.line, format!("model_type is {}, not a string", v.kind.name())))?;
        let shown: String = word.chars().take(64).collect();
        return FAMILIES.iter().find(|(name, _, _)| *name == word).ok_or((v.line, format!("model_type \"{shown}\" is not a known family")));
    }
    let Some(v) = get("architectures") else { return Err((1, "neither model_type nor architectures says which family it is".to_string())) };
    let first = if let Kind::List(items) = &v.kind { items.first().and_then(text) } else { None };
    let word = first.ok_or((v.line, "architectures is not a list of names".to_string()))?;
    let shown: String = word.chars().take(64).collect();
    FAMILIES
        .iter()
        .find(|(_, class, _)| *class == word)
        .ok_or((v.line, format!("architecture \"{shown}\" is not known and there is no model_type")))
}
