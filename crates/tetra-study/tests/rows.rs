//! Rows of training tables as people write them: other words for the same thing give the same figure, other units the figure in that unit.

#![allow(clippy::unwrap_used, clippy::panic)]

mod shipped;

use std::sync::LazyLock;

use shipped::{Texts, folder};
use tetra_chip::ChipSet;
use tetra_quantity::{TableText, Tables};
use tetra_study::validate::{Bench, predict, read};
use tetra_workload::Aliases;
use tetra_workload::hf::read_config;

static BENCH: LazyLock<Bench> = LazyLock::new(|| {
    let texts = Texts::shipped();
    let tables: Vec<_> = texts.tables.iter().map(|(name, text)| TableText { name, text }).collect();
    let tables = Tables::parse(&tables, &texts.tomls["sources"]).unwrap();
    let chips = ChipSet::parse(texts.chips.iter().map(|(n, t)| (n.as_str(), t.as_str()))).unwrap();
    let models = texts.models.iter().map(|(n, t)| (n.clone(), read_config(n, t).unwrap())).collect();
    let aliases = Aliases::parse(&folder("models", "csv")["aliases"]);
    let bench = Bench::new(&tables, chips, models, aliases).unwrap();
    bench.with_benchmarks(&texts.tomls["benchmarks"], &texts.tomls["services"]).unwrap()
});

const COLUMNS: [&str; 15] = [
    "id",
    "model",
    "params_b",
    "seq",
    "global_batch",
    "micro_batch",
    "tp",
    "pp",
    "sp",
    "recompute",
    "precision",
    "accelerator",
    "n_accel",
    "metric",
    "unit",
];

/// The prediction for a plain row with some columns changed.
fn row(changes: &[(&str, &str)]) -> Result<f64, String> {
    const PLAIN: [&str; 15] = ["r", "Llama2-7B", "", "4096", "128", "1", "2", "1", "", "none", "bf16", "H100", "8", "iteration_time", "s"];
    let cell = |(column, plain): (&&str, &&str)| {
        changes.iter().find(|(c, _)| c == column).map_or((*plain).to_owned(), |(_, v)| format!("\"{v}\""))
    };
    let mut header = COLUMNS.join(",");
    let mut line = COLUMNS.iter().zip(&PLAIN).map(cell).collect::<Vec<_>>().join(",");
    for (column, value) in changes.iter().filter(|(c, _)| !COLUMNS.contains(c)) {
        header += &format!(",{column}");
        line += &format!(",\"{value}\"");
    }
    let table = read("t.csv", &format!("{header},value\n{line},1\n")).unwrap();
    predict(&table, &BENCH).remove(0).prediction.map(|p| p.value)
}

fn same(column: &str, words: &[&str]) {
    let first = row(&[(column, words[0])]).unwrap();
    for word in words {
        assert_eq!(row(&[(column, word)]), Ok(first), "{column} {word}");
    }
}

#[test]
fn words_for_the_same_give_the_same() {
    same("precision", &["fp8", "FP8", "fp8_hybrid", "FP8 (delayed scaling)", "float8 rowwise", "fp8-sc"]);
    same("precision", &["mxfp8", "FP8-MX", "fp8_mx", "MXFP8"]);
    same("precision", &["bf16", "BF16", "bfloat16", "bf16-mixed", ""]);
    same("recompute", &["none", "None", "false", "0", "no"]);
    same("recompute", &["full", "Full", "true", "1", "all", "full (uniform)"]);
    same("recompute", &["selective", "core_attn", "selective op", "moe_act, layernorm"]);
    same("recompute", &["4 layers", "4", "full block 4"]);
    same("sp", &["true", "True", "1", "yes", ""]);
    same("sp", &["false", "0", "no"]);
    same("accelerator", &["H100", "NVIDIA H100 80GB HBM3", "8x H100 SXM5 (80GB, 700W)", "DGX H100"]);
    same("model", &["Llama2-7B", "meta-llama/Llama-2-7b-hf", "LLaMA2 7B pretraining"]);
    same("global_batch", &["1024", "1,024"]);
    same("micro_batch", &["", "n/a", "-"]);
}

#[test]
fn units_scale_the_figure() {
    let near = |changes: &[(&str, &str)], wanted: f64| {
        let found = row(changes).unwrap();
        assert!((found / wanted - 1.0).abs() < 1e-9, "{changes:?}: {found}, not {wanted}");
    };
    let seconds = row(&[]).unwrap();
    near(&[("metric", "step_time"), ("unit", "ms")], seconds * 1e3);
    near(&[("metric", "samples_per_s"), ("unit", "samples/s")], 128.0 / seconds);
    near(&[("metric", "tokens_per_s"), ("unit", "tok/s")], 128.0 * 4096.0 / seconds);
    near(&[("metric", "tokens_per_second_per_gpu"), ("unit", "tok/s/GPU")], 128.0 * 4096.0 / 8.0 / seconds);
    let mfu = row(&[("metric", "MFU"), ("unit", "%")]).unwrap();
    assert!((20.0..80.0).contains(&mfu), "{mfu}");
    near(&[("metric", "mfu"), ("unit", "fraction")], mfu / 100.0);
    let tflops = row(&[("metric", "model_tflops_per_accel"), ("unit", "TFLOP/s")]).unwrap();
    near(&[("metric", "tflops_per_gpu"), ("unit", "PFLOP/s")], tflops / 1e3);
    let hours = row(&[("metric", "accel_hours"), ("unit", "GPU-h"), ("notes", "2T tokens")]).unwrap();
    near(&[("metric", "gpu_hours"), ("unit", "M GPU-h"), ("notes", "2 trillion tokens")], hours / 1e6);
}

#[test]
fn names_among_other_words_are_found_and_sizes_are_read() {
    assert_eq!(row(&[("model", "LLAMA3_8B_SFT")]), row(&[("model", "Llama-3-8B")]));
    // A size that contradicts the model is believed: GPT-3 of 1.3 billion parameters is not GPT-3.
    let (small, large) = (row(&[("model", "GPT-3 1.3B")]).unwrap(), row(&[("model", "GPT-13B")]).unwrap());
    assert!((6.0..16.0).contains(&(large / small)), "{small} {large}");
    assert_eq!(row(&[("model", "GPT-13B")]), row(&[("model", "nobody's"), ("params_b", "13")]));
    assert!(row(&[("model", "nobody's")]).is_err());
    assert!(row(&[("accelerator", "nobody's")]).is_err());
    assert!(row(&[("recompute", "sometimes")]).is_err());
    // A sequence longer than a model knows is trained with longer positions.
    assert!(row(&[("model", "GPT-2 1.5B"), ("seq", "4096"), ("tp", "1")]).is_ok());
}

#[test]
fn adapters_in_a_name_train_adapters_alone() {
    let named = |model: &str| row(&[("model", model), ("precision", ""), ("metric", "tokens_per_s_per_accel")]).unwrap();
    assert!(named("LLAMA3_8B_LoRA") > 1.15 * named("LLAMA3_8B"));
}

#[test]
fn a_program_for_a_whole_torus_splits_state_first() {
    // Blank layouts of TPUs: no figure beyond what arrays reach with whole layers recomputed.
    for (model, chip, n) in [("MaxText-32B", "TPU v5p", "64"), ("Llama2-70B", "TPU v5p-128", "64"), ("Llama3.1-8B", "TPU v6e", "256")] {
        let blank = [("tp", ""), ("pp", ""), ("micro_batch", ""), ("global_batch", ""), ("recompute", ""), ("seq", ""), ("metric", "MFU")];
        let mfu = row(&[&blank[..], &[("model", model), ("accelerator", chip), ("n_accel", n)]].concat()).unwrap();
        assert!((25.0..75.0).contains(&mfu), "{model} {chip} {mfu}");
    }
}
