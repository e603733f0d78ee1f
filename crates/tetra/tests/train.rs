//! `tetra train` through the program: parts sum to the step and to the memory, changes that it names give what it says, jobs of other programs are those of
//! flags, and what cannot be is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn tetra(words: &[&str]) -> Output {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(env!("CARGO_BIN_EXE_tetra")).arg("train").args(words).current_dir(folder).output().unwrap()
}

fn json(words: &[&str]) -> Value {
    let output = tetra(&[words, &["--json"]].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn said(words: &[&str], code: i32) -> String {
    let output = tetra(words);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
    text
}

fn seconds(found: &Value) -> f64 {
    found["step"]["time"].as_f64().unwrap()
}

const JOBS: [&[&str]; 4] = [
    &[
        "Meta-Llama-3.1-70B",
        "--cluster",
        "dgx-h100",
        "--n",
        "512",
        "--global-batch",
        "512",
        "--seq",
        "8192",
        "--tp",
        "8",
        "--pp",
        "4",
        "--vpp",
        "5",
    ],
    &[
        "GPT-3-175B",
        "--cluster",
        "selene",
        "--n",
        "1024",
        "--global-batch",
        "1536",
        "--seq",
        "2048",
        "--framework",
        "megatron-2021",
        "--recompute",
        "full",
    ],
    &["Mixtral-8x7B-v0.1", "--chip", "H100", "--n", "64", "--global-batch", "256", "--seq", "4096", "--ep", "8", "--precision", "fp8"],
    &["Llama-2-7b", "--cluster", "tpu-v5p-pod", "--n", "64", "--global-batch", "64", "--seq", "4096", "--sharding", "full"],
];

#[test]
fn parts_sum_to_the_step_and_shares_to_one() {
    for job in JOBS {
        let found = json(job);
        let parts: f64 = found["time"].as_array().unwrap().iter().map(|p| p["time"].as_f64().unwrap()).sum();
        let shares: f64 = found["time"].as_array().unwrap().iter().map(|p| p["share"].as_f64().unwrap()).sum();
        assert!((parts / seconds(&found) - 1.0).abs() < 1e-9 && (shares - 1.0).abs() < 1e-9, "{job:?}: {parts} {shares}");
        let memory = found["memory"].as_array().unwrap();
        let bytes = |name: &str| memory.iter().find(|m| m["name"] == name).unwrap()["bytes"].as_f64().unwrap();
        let kinds: f64 = memory.iter().map(|m| m["bytes"].as_f64().unwrap()).sum::<f64>() - bytes("sum") - bytes("HBM");
        assert!((kinds / bytes("sum") - 1.0).abs() < 1e-9 && bytes("sum") <= bytes("HBM"), "{job:?}");
        let (low, high) = (found["interval"]["low"].as_f64().unwrap(), found["interval"]["high"].as_f64().unwrap());
        assert!(low < seconds(&found) && seconds(&found) < high);
        let rates = &found["rates"];
        assert!(rates["mfu_causal"].as_f64() < rates["mfu"].as_f64() && rates["mfu"].as_f64() <= rates["hfu"].as_f64(), "{rates}");
    }
}

/// The layout of an answer as flags.
fn flags(found: &Value) -> Vec<String> {
    let l = &found["step"]["layout"];
    let pairs = [
        ("--tp", "tensor_parallel"),
        ("--pp", "pipeline_parallel"),
        ("--dp", "data_parallel"),
        ("--cp", "context_parallel"),
        ("--ep", "expert_parallel"),
        ("--vpp", "virtual_stages"),
        ("--micro-batch", "micro_batch"),
        ("--sp", "sequence_parallel"),
        ("--sharding", "sharding"),
    ];
    let mut out: Vec<String> = pairs.iter().flat_map(|(flag, key)| [(*flag).to_owned(), l[key].to_string().replace('"', "")]).collect();
    let recompute = &l["recompute"];
    let word = recompute.as_str().map_or_else(|| recompute["layers"].to_string(), str::to_owned);
    out.extend(["--recompute".to_owned(), word]);
    out
}

#[test]
fn a_change_with_a_knob_gives_what_is_said() {
    let job = ["Meta-Llama-3.1-70B", "--chip", "H100", "--n", "256", "--global-batch", "512", "--seq", "4096", "--tp", "4", "--pp", "4"];
    let found = json(&job);
    let layout = flags(&found);
    let mut tried = 0;
    for change in found["changes"].as_array().unwrap().iter().filter(|c| c["knob"].is_string()) {
        let knobs: Vec<&str> = change["knob"].as_str().unwrap().split(' ').collect();
        // The knob's flags take the place of the layout's and the job's.
        let mut words: Vec<String> = job.iter().map(|w| (*w).to_owned()).chain(layout.iter().cloned()).collect();
        let mut seen = std::collections::BTreeSet::new();
        for pair in knobs.chunks(2) {
            seen.insert(pair[0].to_owned());
        }
        if seen.contains("--schedule") {
            seen.insert("--vpp".to_owned());
        }
        let mut kept = vec![words.remove(0)];
        for pair in words.chunks(2) {
            let stated_twice = ["--tp", "--pp"].contains(&pair[0].as_str()) && kept.contains(&pair[0]);
            if !seen.contains(&pair[0]) && !stated_twice {
                kept.extend(pair.iter().cloned());
            }
        }
        let all: Vec<&str> = kept.iter().map(String::as_str).chain(knobs.iter().copied()).collect();
        let then = json(&all);
        let (a, b) = (seconds(&then), change["time"].as_f64().unwrap());
        assert!((a / b - 1.0).abs() < 1e-9, "{}: {a} {b}", change["what"]);
        tried += 1;
    }
    assert!(tried >= 6, "{tried} changes with a knob");
    let gains: Vec<f64> = found["changes"].as_array().unwrap().iter().map(|c| c["gain"].as_f64().unwrap()).collect();
    assert!(gains.is_sorted_by(|a, b| a >= b));
}

#[test]
fn a_search_is_never_slower_than_what_a_person_states() {
    let job = ["Meta-Llama-3.1-8B", "--chip", "H100", "--n", "64", "--global-batch", "128", "--seq", "8192"];
    let stated = json(&[&job[..], &["--tp", "2", "--pp", "2"]].concat());
    let searched = json(&[&job[..], &["--search", "--why-not", "tp=2,pp=2", "--front"]].concat());
    assert!(seconds(&searched) <= seconds(&stated) * (1.0 + 1e-9));
    assert!(searched["search"]["plans"].as_u64() > searched["search"]["priced"].as_u64());
    assert!(searched["why_not"]["Slower"]["times"].as_f64().unwrap() >= 1.0, "{}", searched["why_not"]);
    let front = searched["front"].as_array().unwrap();
    assert!(front.windows(2).all(|w| w[0]["time"].as_f64() < w[1]["time"].as_f64()) && !front.is_empty());
    let kept = json(&[&job[..], &["--search", "--tp", "4", "--micro-batch", "3", "--recompute", "full"]].concat());
    assert_eq!(kept["step"]["layout"]["recompute"], "full");
    let unmeasured = json(&[&job[..], &["--search", "--pp", "4", "--schedule", "zb-h1"]].concat());
    assert!(unmeasured["measured"].is_null() && unmeasured["step"]["layout"]["schedule"] == "zb-h1");
    let free = json(&[&job[..], &["--search", "--pp", "4", "--sharding", "optimizer"]].concat());
    let measured = &free["measured"];
    assert!(free["step"]["layout"]["schedule"] == "1f1b" || measured["layout"]["schedule"] == "1f1b", "{measured}");
    assert!(measured.is_null() || measured["time"].as_f64() >= free["step"]["time"].as_f64());
    assert_eq!((&kept["step"]["layout"]["tensor_parallel"], &kept["step"]["layout"]["micro_batch"]), (&Value::from(4), &Value::from(3)));
}

#[test]
fn a_job_in_the_words_of_others_is_the_same_job() {
    let arguments = "--num-layers 32 --hidden-size 4096 --num-attention-heads 32 --group-query-attention --num-query-groups 8 --ffn-hidden-size 14336 --swiglu \
        --normalization RMSNorm --disable-bias-linear --untie-embeddings-and-output-weights --position-embedding-type rope --vocab-size 128256 \
        --seq-length 8192 --micro-batch-size 1 --global-batch-size 128 --tensor-model-parallel-size 2 --pipeline-model-parallel-size 2 \
        --use-distributed-optimizer --sequence-parallel --bf16 --grad-reduce-in-bf16 --nproc-per-node 8 --nnodes 8 --lr 3e-4 --tp-comm-overlap";
    let flags = ["Meta-Llama-3.1-8B", "--chip", "H100", "--n", "64", "--global-batch", "128", "--seq", "8192", "--tp", "2", "--pp", "2"];
    let rest =
        ["--cp", "1", "--ep", "1", "--vpp", "1", "--micro-batch", "1", "--recompute", "none", "--sp", "true", "--sharding", "optimizer"];
    let (a, b) = (json(&["--chip", "H100", "--megatron", arguments]), json(&[&flags[..], &rest].concat()));
    assert_eq!(seconds(&a), seconds(&b));
    assert!(a["notes"].to_string().contains("--tp-comm-overlap") && a["left_out"].to_string().contains("--lr"));
    // A flag goes before the text.
    let other = json(&["--chip", "H100", "--megatron", arguments, "--tp", "4"]);
    assert_eq!(other["step"]["layout"]["tensor_parallel"], 4);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config_64.sh");
    std::fs::write(
        &path,
        "export TP=${TP:-4}\nexport PP=8\nexport VP=5\nMBS=1\nMINIBS=72\nDGXNNODES=64\nDGXNGPU=8\nFP8=True\nSEQ_PARALLEL=True\n",
    )
    .unwrap();
    let job = json(&["Meta-Llama-3.1-70B", "--cluster", "dgx-h100", "--seq", "8192", "--mlperf", path.to_str().unwrap()]);
    let l = &job["step"]["layout"];
    assert_eq!((l["tensor_parallel"].as_u64(), l["virtual_stages"].as_u64(), l["data_parallel"].as_u64()), (Some(4), Some(5), Some(16)));
    assert!(job["notes"].to_string().contains("logs of published runs override such files"));
}

#[test]
fn files_of_calculon_are_the_job_of_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let model =
        write("m.json", r#"{"hidden": 6144, "feedforward": 24576, "seq_size": 2048, "attn_heads": 64, "attn_size": 96, "num_blocks": 48}"#);
    let run = r#"{"num_procs": 8, "tensor_par": 8, "pipeline_par": 1, "data_par": 1, "batch_size": 4, "microbatch_size": 4, "datatype": "float16",
        "activation_recompute": "full", "pipeline_interleaving": 1, "optimizer_sharding": false, "tensor_par_comm_type": "ar"}"#;
    let run = write("e.json", run);
    let system = |rate: u32| write(&format!("s{rate}.json"), &format!("{{\"networks\": [{{\"bandwidth\": {rate}, \"size\": 8}}]}}"));
    let (whole, half) = (system(300), system(150));
    let at = |s: &str| json(&["--chip", "A100", "--framework", "megatron-2021", "--calculon", &model, &run, s]);
    let (a, b) = (at(&whole), at(&half));
    assert_eq!(a["step"]["layout"]["recompute"], "full");
    assert_eq!(seconds(&a), seconds(&json(&["--chip", "A100", "--framework", "megatron-2021", "--calculon", &model, &run])));
    assert!(seconds(&b) > seconds(&a), "half the rate of the links");
}

#[test]
fn what_cannot_be_is_refused_with_its_mend() {
    let job = ["Llama-2-7b", "--n", "64", "--global-batch", "64", "--seq", "2048"];
    let with = |more: &[&str], code| said(&[&job[..], more].concat(), code);
    assert!(with(&[], 2).contains("no chip is stated: give --chip or --cluster"));
    assert!(with(&["--cluster", "moon"], 2).contains("or one of a100-roce, aws-p5, dgx-h100,"));
    assert!(with(&["--cluster", "none.toml"], 2).contains("none.toml: no such file or folder"));
    assert!(with(&["--chip", "H100", "--framework", "abacus"], 2).contains("or one of megatron-2021,"));
    assert!(with(&["--chip", "H100", "--schedule", "zigzag"], 2).contains("--schedule \"zigzag\": write one of 1f1b, zb-h1,"));
    assert!(with(&["--chip", "H100", "--offload", "all"], 2).contains("write none, or weights+activations+optimizer"));
    assert!(with(&["--chip", "H100", "--why-not", "tp"], 2).contains("--why-not: \"tp\": write knob=value"));
    assert!(with(&["--chip", "H100", "--tokens", "-1"], 2).contains("write a number of tokens from 1 to 1e18"));
    assert!(with(&["--chip", "H100", "--megatron", "--num-layers x"], 2).contains("--num-layers is \"x\": write a whole number"));
    assert!(with(&["--chip", "H100", "--megatron", "none.sh"], 2).contains("none.sh: no such file or folder"));
    assert!(said(&["--chip", "H100", "--n", "8", "--global-batch", "8", "--seq", "8"], 2).contains("no model is stated"));
    let small = ["Llama-2-7b", "--cluster", "jean-zay", "--n", "4096", "--global-batch", "4096", "--seq", "2048"];
    assert!(said(&small, 1).contains("4096 chips are asked, the cluster has 416: lower the number of chips or name a larger cluster"));
    let tight = ["Meta-Llama-3.1-70B", "--chip", "H100", "--n", "64", "--global-batch", "64", "--seq", "8192", "--tp", "8", "--pp", "2"];
    let tight = [&tight[..], &["--recompute", "none", "--vpp", "1", "--micro-batch", "4"]].concat();
    let said_of_tight = said(&tight, 1);
    assert!(said_of_tight.contains("alone would make it fit"), "{said_of_tight}");
    let large = ["Meta-Llama-3.1-405B", "--chip", "A100", "--n", "8", "--global-batch", "8", "--seq", "8192", "--tp", "8", "--pp", "1"];
    assert!(said(&large, 1).contains("raise tensor_parallel, pipeline_parallel or recompute, or lower micro_batch"));
}
