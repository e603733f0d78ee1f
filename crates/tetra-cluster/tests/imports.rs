//! Jobs as other programs state them: published command lines and configurations give the degrees they are known for, and any text gives a job or a placed mistake.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use tetra_cluster::train::import::{ImportError, StatedJob, calculon, calculon_system, megatron, mlperf};
use tetra_cluster::{Recompute, StateSharding};
use tetra_workload::{Attention, DataType, FeedForward};

/// In the manner of Megatron-LM's `examples/gpt3/train_gpt3_175b_distributed.sh`.
const GPT3: &str = r#"#!/bin/bash
# Runs the "175B" parameter model
export CUDA_DEVICE_MAX_CONNECTIONS=1
GPUS_PER_NODE=8
NUM_NODES=${NODES:-128}
WORLD_SIZE=$(($GPUS_PER_NODE*$NUM_NODES))
CHECKPOINT_PATH=$1 #<Specify path>
DISTRIBUTED_ARGS=(
    --nproc_per_node $GPUS_PER_NODE
    --nnodes $NUM_NODES
    --master_addr $MASTER_ADDR
)
GPT_MODEL_ARGS=(
    --num-layers 96
    --hidden-size 12288
    --num-attention-heads 96
    --seq-length 2048
    --max-position-embeddings 2048
    --attention-backend auto # Can use (flash/fused/unfused/local)
)
TRAINING_ARGS=(
    --micro-batch-size 1
    --global-batch-size 1536
    --rampup-batch-size 16 16 5859375
    --weight-decay 0.1
    --fp16
    --recompute-granularity full --recompute-method uniform --recompute-num-layers 1
)
MODEL_PARALLEL_ARGS=(
	--tensor-model-parallel-size 8
	--pipeline-model-parallel-size 16
        --num-layers-per-virtual-pipeline-stage 3
)
torchrun ${DISTRIBUTED_ARGS[@]} pretrain_gpt.py \
    ${GPT_MODEL_ARGS[@]} \
    --save $CHECKPOINT_PATH
"#;

#[test]
fn a_script_of_megatron_gives_the_published_gpt3() {
    let job = megatron("gpt3.sh", GPT3).unwrap();
    let model = job.model.as_ref().unwrap();
    assert_eq!((model.layers.len(), model.hidden, model.vocabulary, model.learned_positions), (96, 12_288, 51_200, 2048));
    // 175 billion parameters.
    assert!((model.parameters().total() as f64 / 174.6e9 - 1.0).abs() < 0.005);
    assert_eq!((job.chips, job.global_batch, job.sequence, job.format), (Some(1024), Some(1536), Some(2048), Some(DataType::Fp16)));
    let s = job.stated;
    assert_eq!((s.tensor_parallel, s.pipeline_parallel, s.virtual_stages, s.micro_batch), (Some(8), Some(16), Some(2), Some(1)));
    assert_eq!((s.recompute, s.sharding), (Some(Recompute::Full), Some(StateSharding::None)));
    assert!(job.notes.iter().any(|n| n.contains("--attention-backend")), "{:?}", job.notes);
    assert!(job.notes.iter().any(|n| n.contains("--rampup-batch-size is not known")), "{:?}", job.notes);
    assert!(job.left_out.iter().any(|n| n == "--weight-decay"), "{:?}", job.left_out);
}

#[test]
fn deepseek_v3_has_its_published_parameters() {
    let text = "--num-layers 61 --hidden-size 7168 --ffn-hidden-size 18432 --num-attention-heads 128 --multi-latent-attention --q-lora-rank 1536 \
        --kv-lora-rank 512 --qk-head-dim 128 --qk-pos-emb-head-dim 64 --v-head-dim 128 --num-experts 256 --moe-router-topk 8 --moe-ffn-hidden-size 2048 \
        --moe-shared-expert-intermediate-size 2048 --moe-layer-freq ([0]*3+[1]*58) --swiglu --disable-bias-linear --normalization RMSNorm \
        --untie-embeddings-and-output-weights --position-embedding-type rope --vocab-size 129280 --seq-length 4096 --bf16 --expert-model-parallel-size 64 \
        --pipeline-model-parallel-size 16 --use-distributed-optimizer";
    let quoted = text.replace("([0]*3+[1]*58)", "\"([0]*3+[1]*58)\"");
    let job = megatron("arguments", &quoted).unwrap();
    let parameters = job.model.as_ref().unwrap().parameters();
    assert!((parameters.total() as f64 / 671e9 - 1.0).abs() < 0.005, "{}", parameters.total());
    assert!((parameters.active() as f64 / 37e9 - 1.0).abs() < 0.02, "{}", parameters.active());
    assert_eq!((job.stated.expert_parallel, job.gradient), (Some(64), Some(DataType::Fp32)));
}

#[test]
fn grouped_queries_fp8_and_blocks_of_recomputation() {
    let job = megatron(
        "arguments",
        "--num-layers=80 --hidden-size=8192 --num-attention-heads=64 --group-query-attention --num-query-groups=8 --ffn-hidden-size=28672 --swiglu \
         --seq-length 8192 --fp8-format hybrid --recompute-granularity full --recompute-method block --recompute-num-layers 2 \
         --num-virtual-stages-per-pipeline-rank 5 --pipeline-model-parallel-size 4 --sequence-parallel --some-new-thing 3",
    )
    .unwrap();
    let layer = job.model.as_ref().unwrap().layers[0];
    assert!(matches!(layer.attention, Attention::Grouped { heads: 64, kv_heads: 8, head_dim: 128, .. }));
    assert!(matches!(layer.feed_forward, FeedForward::Dense { ffn: 28_672, gated: true, .. }));
    assert_eq!((job.stated.recompute, job.format), (Some(Recompute::Layers(10)), Some(DataType::Fp8)));
    assert!(job.notes.iter().any(|n| n.contains("--some-new-thing is not known")));
}

/// In the manner of NVIDIA's `config_DGXH100_64x8x72x4x8_mbs2_cg.sh` of GPT-3, whose run is known by its log: 512 chips, TP 4, PP 8, microbatch 2.
const CONFIG: &str = r#"source $(dirname ${BASH_SOURCE[0]})/config_common.sh
source $(dirname ${BASH_SOURCE[0]})/config_fp8.sh
export MINIBS=128
export TENSOR_MODEL_PARALLEL=4
export PIPELINE_MODEL_PARALLEL=8
export INTERLEAVED_PIPELINE=6
export MICRO_BATCH_SIZE=${MBS:-2}
export FP8="${FP8:-True}" SEQ_PARALLEL=True
export TP_COMM_OVERLAP=True
export DGXNNODES=64
export DGXNGPU=8
export DGXSYSTEM=$(basename $(readlink -f ${BASH_SOURCE[0]}) | sed 's/^config_//' | sed 's/\.sh$//' )
export WALLTIME_RUNANDTIME=$(( 10 + 60*2 ))
"#;

#[test]
fn a_configuration_of_mlperf_gives_degrees_and_warns() {
    let job = mlperf("config.sh", CONFIG).unwrap();
    let s = job.stated;
    assert_eq!((s.tensor_parallel, s.pipeline_parallel, s.virtual_stages, s.micro_batch), (Some(4), Some(8), Some(6), Some(2)));
    assert_eq!((job.chips, job.global_batch, job.format, s.sequence_parallel), (Some(512), Some(2048), Some(DataType::Fp8), Some(true)));
    let notes = job.notes.join("\n");
    assert!(notes.contains("line 1: the file sourced here is not read"), "{notes}");
    assert!(notes.contains("logs of published runs override such files") && notes.contains("TP_COMM_OVERLAP bears on"), "{notes}");
    assert!(job.left_out.iter().any(|n| n == "DGXSYSTEM"), "{:?}", job.left_out);
}

#[test]
fn arithmetic_and_defaults_follow_the_shell() {
    let text =
        "A=3\nB=$((A*4 - 2))\n: ${C:=7}\nexport TP=$(( (B + ${C}) / 2 % 5 ))\nPP=${UNSET:-${A}}\nMBS='2'\nVP=${PP:+6}\nGBS=\"${B}0\"";
    let job = mlperf("a", text).unwrap();
    let s = job.stated;
    assert_eq!((s.tensor_parallel, s.pipeline_parallel, s.micro_batch, s.virtual_stages), (Some(3), Some(3), Some(2), Some(6)));
    assert_eq!(job.global_batch, Some(100));
    assert_eq!(mlperf("a", "export TP=$(nproc)").unwrap().stated.tensor_parallel, None);
}

/// Megatron-1T as published (arXiv 2104.04473), in the keys of Calculon.
const BLOCKS: &str = r#"{"name": "megatron-1T", "hidden": 25600, "feedforward": 102400, "seq_size": 2048, "attn_heads": 160, "attn_size": 160, "num_blocks": 128}"#;
const EXECUTION: &str = r#"{
  "num_procs": 3072, "tensor_par": 4, "pipeline_par": 64, "data_par": 12,
  "tensor_par_net": 0, "pipeline_par_net": 1, "data_par_net": 1,
  "batch_size": 3072, "microbatch_size": 4, "datatype": "float16", "fused_activation": true, "attention_type": "multihead",
  "activation_recompute": "full", "pipeline_interleaving": 2, "optimizer_sharding": true, "tensor_par_comm_type": "p2p_rs_ag",
  "tensor_par_overlap": "none", "seq_par_ag_redo": false, "data_par_overlap": false, "weight_offload": false,
  "activations_offload": false, "optimizer_offload": true, "training": true
}"#;
const SYSTEM: &str = r#"{"matrix": {"float16": {"tflops": 312}}, "mem1": {"GiB": 80, "GBps": 2039},
 "networks": [{"bandwidth": 300, "efficiency": 0.8, "size": 8}, {"bandwidth": 25, "efficiency": 0.9, "size": 65536}]}"#;

#[test]
fn files_of_calculon_give_the_published_model_and_its_execution() {
    let job = calculon(("1T.json", BLOCKS), ("exec.json", EXECUTION)).unwrap();
    let parameters = job.model.as_ref().unwrap().parameters().total() as f64;
    // 12·L·h² + 13·L·h: 1008 billion with the vocabulary that is left out here.
    let (l, h) = (128.0, 25_600.0);
    assert!((parameters / (12.0 * l * h * h + 13.0 * l * h) - 1.0).abs() < 1e-6, "{parameters}");
    let s = job.stated;
    assert_eq!(
        (job.chips, job.global_batch, s.tensor_parallel, s.pipeline_parallel, s.data_parallel),
        (Some(3072), Some(3072), Some(4), Some(64), Some(12))
    );
    assert_eq!((s.virtual_stages, s.recompute, s.sharding), (Some(2), Some(Recompute::Full), Some(StateSharding::Optimizer)));
    assert_eq!((s.sequence_parallel, s.offload.map(|o| (o.weights, o.optimizer))), (Some(true), Some((false, true))));
    assert!(job.notes.iter().any(|n| n == "\"data_par_overlap\" of exec.json is not carried over"), "{:?}", job.notes);
    let system = calculon_system("a100.json", SYSTEM).unwrap();
    assert_eq!(system.memory.unwrap().value(), 80.0 * 1024f64.powi(3));
    assert_eq!((system.scale_up.map(|s| (s.0.value(), s.1)), system.scale_out.map(|b| b.value())), (Some((300e9, 8)), Some(25e9)));
    let said = |e: Result<StatedJob, ImportError>| e.unwrap_err().to_string();
    assert_eq!(said(calculon(("m", "{}"), ("e", "{}"))), "m:1: \"seq_size\" is \"\": write a whole number from 1 to 16777216");
    assert!(
        said(calculon(("m", BLOCKS), ("e", &EXECUTION.replace("\"full\"", "\"some\""))))
            .contains("e:5: \"activation_recompute\" is \"some\": write none")
    );
}

#[test]
fn mistakes_have_place_cause_and_mend() {
    let said = |e: Result<StatedJob, ImportError>| e.unwrap_err().to_string();
    assert_eq!(said(megatron("a", "x\n--num-layers many")), "a:2: --num-layers is \"many\": write a whole number from 1 to 4096");
    assert_eq!(said(megatron("a", "--num-layers 4")), "a:1: --hidden-size is missing: add it, or name a model");
    assert_eq!(said(mlperf("a", "TP=2\nPP=x")), "a:2: PP is \"x\": write a whole number from 1");
    assert_eq!(said(mlperf("a", "TP=\"2")), "a:1: a quote is not closed: close it");
    let layers = "--num-layers 10 --hidden-size 64 --num-attention-heads 4 --pipeline-model-parallel-size 4 --num-layers-per-virtual-pipeline-stage 3";
    assert!(said(megatron("a", layers)).contains("10 layers are no multiple of 4 stages of so many"));
    assert!(
        said(megatron("a", "--num-layers 4 --hidden-size 64 --num-attention-heads 4 --num-experts 4 --moe-router-topk 8"))
            .contains("more than 4 experts")
    );
}

fn read_or_refused(text: &str) {
    let start = std::time::Instant::now();
    let system = calculon_system("a", text).map(|_| StatedJob::default());
    for result in
        [megatron("a", text), mlperf("a", text), calculon(("a", text), ("b", EXECUTION)), calculon(("a", BLOCKS), ("b", text)), system]
    {
        if let Err(e) = result {
            assert!(e.line >= 1 && !e.cause.is_empty() && !e.mend.is_empty());
        }
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{} bytes", text.len());
}

#[test]
fn gigantic_and_hostile_texts_end() {
    let grows: String = (0..200).map(|i| format!("A{}=$A{i}$A{i}\n", i + 1)).collect();
    for text in [
        "${".repeat(300_000),
        "$((".repeat(200_000),
        "${A:-".repeat(200) + &"}".repeat(200),
        "$(".repeat(100_000) + &")".repeat(100_000),
        "A=$((".to_owned() + &"(".repeat(100_000) + "1" + &")".repeat(100_000) + "))",
        "A=$((".to_owned() + &"-".repeat(100_000) + "1))",
        "A0=x\n".to_owned() + &grows,
        "TP=$((9223372036854775807+1))\nPP=$((1/0))\nCP=$((-9223372036854775807-1))\nVP=$((5%0))".into(),
        "--a ".repeat(60_000),
        "A=b\n".repeat(200_000),
        "é".repeat(400_000),
        "\"".repeat(100_001),
        "--num-layers 4096 --hidden-size 16777216 --num-attention-heads 1 --moe-layer-freq [1]*4096+[1]*4096 --num-experts 2".into(),
        "--moe-layer-freq [0]*0+[0]*0 --num-experts 2 --num-layers 1 --hidden-size 1 --num-attention-heads 1".into(),
        "DGXNNODES=18446744073709551615\nDGXNGPU=18446744073709551615\nMINIBS=18446744073709551615".into(),
        "x".repeat(2 << 20),
    ] {
        read_or_refused(&text);
    }
}

proptest! {
    #[test]
    fn any_change_of_a_script_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), value in prop::sample::select(vec!["0", "-1", "1e9", "99999999999999999999", "nan", "${", "'", "$((", "\u{0}", ""])) {
        for text in [GPT3, CONFIG, BLOCKS, EXECUTION, SYSTEM] {
            let mut bytes = text.as_bytes().to_vec();
            let i = at.index(bytes.len());
            bytes[i] = byte;
            read_or_refused(&String::from_utf8_lossy(&bytes));
            read_or_refused(&text.chars().take(cut.index(text.len())).collect::<String>());
            let mut words: Vec<&str> = text.split(' ').collect();
            let w = at.index(words.len());
            words[w] = value;
            read_or_refused(&words.join(" "));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-a-zA-Z0-9 =$(){}\"'`:;|\\\\\n*/+%#]{0,300}") {
        read_or_refused(&text);
    }
}
