//! Broken config files: every mistake is said with its place, cause and mend; nothing panics; nothing takes long.

use proptest::prelude::*;
use std::time::{Duration, Instant};
use tetra_workload::hf::read_config;

fn file(stem: &str) -> String {
    let path = format!("{}/../../models/{stem}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

fn errors(text: &str) -> String {
    let start = Instant::now();
    let all = read_config("x.json", text).expect_err("a broken file");
    assert!(start.elapsed() < Duration::from_secs(1));
    all.iter().map(|e| format!("{e}\n")).collect()
}

fn with(stem: &str, key: &str, value: &str) -> String {
    let text = file(stem);
    let line = text.lines().find(|l| l.trim_start().starts_with(&format!("\"{key}\""))).expect(key);
    let comma = if line.trim_end().ends_with(',') { "," } else { "" };
    text.replacen(line, &format!("  \"{key}\": {value}{comma}"), 1)
}

const LLAMA: &str = "Meta-Llama-3.1-8B";

#[test]
fn unknown_family_and_key_are_named() {
    let text = errors(&with(LLAMA, "model_type", "\"mamba9\""));
    assert!(text.contains("model_type \"mamba9\" is not a known family: supported values of model_type: gpt2,"), "{text}");
    let text = errors(&file(LLAMA).replace("\"hidden_act\"", "\"hiden_act\""));
    assert!(text.contains("key \"hiden_act\" is not known for this family: did you mean \"hidden_act\"?"), "{text}");
    let text = errors(&file(LLAMA).replacen('{', "{\n\"mamba_layers\": 3,", 1));
    assert!(text.starts_with("x.json:2: key \"mamba_layers\" is not known"), "{text}");
    let text = errors("{\"architectures\": [\"NewForCausalLM\"]}");
    assert!(text.contains("architecture \"NewForCausalLM\" is not known"), "{text}");
}

#[test]
fn keys_that_change_cost_are_never_passed_over() {
    assert!(errors(&with(LLAMA, "hidden_act", "\"moe9\"")).contains("which would change the cost"));
    assert!(errors(&with(LLAMA, "mlp_bias", "true")).contains("only false is supported"));
    assert!(errors(&with("mpt-7b", "norm_type", "\"rmsnorm\"")).contains("supported: low_precision_layernorm"));
    assert!(errors(&with("opt-6.7b", "word_embed_proj_dim", "512")).contains("projected embeddings are not supported"));
    assert!(errors(&with("DeepSeek-V3", "quant_method", "\"ternary\"")).contains("quantization_config.quant_method"));
}

#[test]
fn bad_values_are_all_reported_together() {
    for bad in ["-1", "0", "1e300", "4096.5", "\"4096\"", "true", "[]", "{}", "99999999999999999999"] {
        let text = errors(&with(LLAMA, "hidden_size", bad));
        assert!(text.contains("key \"hidden_size\" is ") && text.contains("write a whole number from 1 to 16777216"), "{bad}: {text}");
        assert!(text.starts_with("x.json:10:"), "{text}");
    }
    let mut text = with(LLAMA, "hidden_size", "-1");
    text = text.replace("\"num_hidden_layers\": 32", "\"num_hidden_layers\": 1000000");
    text = text.replace("\"vocab_size\"", "\"vocabulary\"");
    let all = read_config("x", &text).expect_err("four mistakes");
    let keys: Vec<&str> = all.iter().map(|e| e.key.as_str()).collect();
    assert!(["hidden_size", "num_hidden_layers", "vocab_size", "vocabulary"].iter().all(|k| keys.contains(k)), "{keys:?}");
    assert!(errors(&with(LLAMA, "num_attention_heads", "33")).contains("does not divide"));
    assert!(errors(&with("Qwen3-30B-A3B", "num_experts_per_tok", "200")).contains("more than 128 experts"));
}

#[test]
fn broken_json_is_placed() {
    assert!(errors("").contains("x.json:1: the text ends too early"));
    assert!(errors("[1]").contains("is a list, not an object"));
    assert!(errors("{\"a\": NaN}").contains("\"NaN\" is not a JSON value"));
    assert!(errors("{\n\"a\": 1e999}").starts_with("x.json:2: \"1e999\" is too large"));
    assert!(errors("{\"a\": 1,\n\"a\": 2, \"model_type\": \"llama\"}").contains("x.json:2: key \"a\" is given twice, on lines 1 and 2"));
    assert!(errors(&"[".repeat(1 << 20)).contains("nested deeper than 64"));
    assert!(errors(&"{\"a\":".repeat(1 << 18)).contains("nested deeper than 64"));
    assert!(errors(&" ".repeat((1 << 22) + 1)).contains("4194305 bytes"));
    let many: String = (0..200_000).map(|i| format!("\"k{i}\":1,")).collect();
    assert!(errors(&format!("{{{many}\"model_type\":\"llama\"}}")).contains("more unknown keys"));
    let same = "\"a\":1,".repeat(500_000);
    assert!(errors(&format!("{{{same}\"model_type\":\"llama\"}}")).contains("given twice"));
    let layers = with("gpt-oss-20b", "layer_types", "[").replacen("[\n", &format!("[{}\"x\"],\n", "\"x\",".repeat(1000)), 1);
    assert!(read_config("x", &layers).is_err());
}

#[test]
fn the_largest_legal_model_is_bounded() {
    let mut text = with("DeepSeek-V3", "n_routed_experts", "65536");
    for (key, value) in [("hidden_size", "16777216"), ("moe_intermediate_size", "16777216"), ("num_hidden_layers", "10000")] {
        let line = text.lines().find(|l| l.trim_start().starts_with(&format!("\"{key}\""))).expect(key).to_string();
        text = text.replacen(&line, &format!("  \"{key}\": {value},"), 1);
    }
    assert!(errors(&text).contains("more than 1000000000000000 parameters"));
}

const STEMS: [&str; 8] =
    ["DeepSeek-V3", "gpt-oss-20b", "Llama-4-Scout-17B-16E-Instruct", "Kimi-K2.5", "gemma-3-27b-it", "mpt-7b", "GLM-4.5", "MiniMax-M2.5"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_files_are_refused(stem in 0usize..STEMS.len(), at in 0.0f64..1.0) {
        let text = file(STEMS[stem]);
        let text = text.trim_end();
        let end = (text.len() as f64 * at) as usize;
        if let Some(cut) = text.get(..end) {
            prop_assert!(read_config("x", cut).is_err());
        }
    }

    #[test]
    fn changed_bytes_never_panic(stem in 0usize..STEMS.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = file(STEMS[stem]).into_bytes();
        for (at, byte) in changes {
            let i = at.index(bytes.len());
            bytes[i] = byte;
        }
        let _ = read_config("x", &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn changed_values_never_panic(stem in 0usize..STEMS.len(), line in any::<prop::sample::Index>(), value in prop::sample::select(vec![
        "null", "true", "-7", "0", "1", "2", "3", "1e300", "0.5", "\"\"", "\"silu\"", "[]", "[[]]", "[1,2]", "{}", "{\"a\":{}}", "16777216", "65536",
    ])) {
        let text = file(STEMS[stem]);
        let lines: Vec<&str> = text.lines().collect();
        let i = line.index(lines.len());
        let changed: Vec<String> = lines.iter().enumerate().map(|(k, l)| match l.split_once(": ") {
            Some((key, old)) if k == i && !old.trim_end().ends_with(['{', '[']) => {
                format!("{key}: {value}{}", if old.trim_end().ends_with(',') { "," } else { "" })
            }
            _ => (*l).to_string(),
        }).collect();
        if let Ok(m) = read_config("x", &changed.join("\n")) {
            use tetra_workload::*;
            let _ = describe(&m);
            for t in [1, 2, 8] {
                let shard = Shard { tensor_parallel: t, expert_parallel: t, ..Shard::ONE };
                for work in [Work::train(1, 128), Work::prefill(2, 300), Work::decode(3, 9000)] {
                    if let Ok(g) = graph(&m, &work, &shard, &m.precision) {
                        prop_assert!(g.flop().is_finite() && g.flop() > 0.0);
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}") {
        let _ = read_config("x", &text);
    }
}

#[test]
fn the_corpus_says_what_its_expectations_say() {
    let folder = format!("{}/tests/corpus", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("the corpus").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    let mut seen = 0;
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "json")) {
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
        let all = read_config(name, &std::fs::read_to_string(path).expect(name)).expect_err(name);
        let said: String = all.iter().map(|e| format!("{e}\n")).collect();
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if std::env::var_os("WRITE_EXPECTATIONS").is_some() {
            std::fs::write(path.with_extension("txt"), &said).expect(name);
        } else {
            assert_eq!(said, expected, "{name}");
        }
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}
