//! Configurations of NVIDIA's MLPerf training submissions (`config_*.sh`): exported variables as a job. The benchmark's model and sequence are not in them.
//!
//! `MINIBS` is the batch of one data-parallel rank; the global batch is that times the ranks unless one is stated. What runs took is in their logs, which often override
//! these files: the notes say so.

use std::collections::BTreeSet;

use tetra_workload::DataType;

use super::shell::{Script, read};
use super::{ImportError, StatedJob, short};
use crate::train::layout::Recompute;

/// Names of each variable, newest first.
const TENSOR: [&str; 3] = ["TENSOR_MODEL_PARALLEL", "TP", "TENSOR_PARALLEL"];
const PIPELINE: [&str; 3] = ["PIPELINE_MODEL_PARALLEL", "PP", "PIPELINE_PARALLEL"];
const CONTEXT: [&str; 2] = ["CONTEXT_PARALLEL", "CP"];
const EXPERT: [&str; 3] = ["EXPERT_MODEL_PARALLEL", "EXPERT_PARALLEL", "EP"];
const CHUNKS: [&str; 4] = ["INTERLEAVED_PIPELINE", "VIRTUAL_PIPELINE_MODEL_PARALLEL", "VIRTUAL_PIPELINE", "VP"];
const MICRO: [&str; 3] = ["MICRO_BATCH_SIZE", "MBS", "MICROBS"];
const GLOBAL: [&str; 2] = ["GLOBAL_BATCH_SIZE", "GBS"];
const PER_RANK: [&str; 1] = ["MINIBS"];
const SEQUENCE: [&str; 4] = ["SEQ_LENGTH", "SEQ_LEN", "ENCODER_SEQ_LENGTH", "MAX_SEQ_LENGTH"];
const NODES: [&str; 2] = ["DGXNNODES", "NNODES"];
const EACH: [&str; 2] = ["DGXNGPU", "GPUS_PER_NODE"];
const BLOCKS: [&str; 3] = ["ACT_CKPT_NUM_LAYERS", "ACTIVATIONS_CHECKPOINT_NUM_LAYERS", "RECOMPUTE_NUM_LAYERS"];
const GRANULARITY: [&str; 3] = ["ACT_CKPT_GRANULARITY", "ACTIVATIONS_CHECKPOINT_GRANULARITY", "RECOMPUTE_GRANULARITY"];
/// Flags that are read.
const FLAGS: [&str; 5] = ["SEQ_PARALLEL", "SEQUENCE_PARALLEL", "FP8", "FP8_HYBRID", "FP4"];
/// Parts of names that bear on time or memory and have no place in the model of a step.
const UNPRICED: [&str; 19] = [
    "OVERLAP",
    "CUDA_GRAPH",
    "CUDAGRAPH",
    "NCCL",
    "SHARP",
    "UB_",
    "COMM",
    "FUSED",
    "FUSION",
    "OFFLOAD",
    "FSDP",
    "DIST_OPT",
    "DISTRIBUTED",
    "ASYM",
    "LORA",
    "PEFT",
    "FP8_",
    "FP4_",
    "DP_RS",
];

/// Reads a configuration; `file` is its name for messages.
///
/// # Errors
/// The first mistake: place, cause, mend.
pub fn mlperf(file: &str, text: &str) -> Result<StatedJob, ImportError> {
    let mut script = read(file, text)?;
    let mut of = |names: &[&str]| names.iter().find(|n| script.values.contains_key(**n)).map_or(Ok(None), |n| script.count(n));
    let mut job = StatedJob::default();
    let s = &mut job.stated;
    s.tensor_parallel = of(&TENSOR)?;
    s.pipeline_parallel = of(&PIPELINE)?;
    s.context_parallel = of(&CONTEXT)?;
    s.expert_parallel = of(&EXPERT)?;
    s.virtual_stages = of(&CHUNKS)?;
    s.micro_batch = of(&MICRO)?;
    let (global, per_rank, blocks) = (of(&GLOBAL)?, of(&PER_RANK)?, of(&BLOCKS)?);
    job.sequence = of(&SEQUENCE)?;
    let (nodes, each) = (of(&NODES)?, of(&EACH)?);
    job.chips = nodes.map(|n| n.saturating_mul(each.unwrap_or(8)));
    if nodes.is_some() && each.is_none() {
        job.notes.push("the number of chips per node is not stated: 8 are taken".into());
    }
    let ranks = job.chips.map(|chips| {
        let group = [s.tensor_parallel, s.pipeline_parallel, s.context_parallel].map(|d| d.unwrap_or(1));
        (chips / group.iter().fold(1u64, |a, d| a.saturating_mul(*d)).max(1)).max(1)
    });
    job.global_batch = global.or_else(|| Some(per_rank?.saturating_mul(ranks?)));
    s.sequence_parallel = script.flag("SEQ_PARALLEL").or(script.flag("SEQUENCE_PARALLEL"));
    s.recompute = recompute(&script, blocks, s.virtual_stages.unwrap_or(1));
    job.format = [("FP4", DataType::Nvfp4), ("FP8_HYBRID", DataType::Fp8), ("FP8", DataType::Fp8)]
        .into_iter()
        .find_map(|(name, format)| (script.flag(name) == Some(true)).then_some(format));
    sort(&script, &mut job);
    if job.model.is_none() {
        job.notes.push("the benchmark's model is not in the file: name it".into());
    }
    job.notes.push("logs of published runs override such files: take batch and layout from the log where there is one".into());
    job.notes.extend(script.notes);
    Ok(job)
}

/// Recomputation; a number of layers is per chunk.
fn recompute(script: &Script, blocks: Option<u64>, chunks: u64) -> Option<Recompute> {
    let word = GRANULARITY.iter().find_map(|n| script.values.get(*n)?.1.clone());
    match (word.as_deref().map(str::trim), blocks) {
        (Some("selective"), _) => Some(Recompute::Selective),
        (Some("full") | None, Some(layers)) => Some(Recompute::Layers(layers.saturating_mul(chunks))),
        (Some("full"), None) => Some(Recompute::Full),
        _ => None,
    }
}

/// What else is set: unpriced, or without effect.
fn sort(script: &Script, job: &mut StatedJob) {
    let lists: [&[&str]; 13] =
        [&TENSOR, &PIPELINE, &CONTEXT, &EXPERT, &CHUNKS, &MICRO, &GLOBAL, &PER_RANK, &SEQUENCE, &NODES, &EACH, &BLOCKS, &GRANULARITY];
    let read: BTreeSet<&str> = lists.into_iter().flatten().chain(&FLAGS).copied().collect();
    for name in script.values.keys().filter(|n| !read.contains(n.as_str())) {
        if UNPRICED.iter().any(|u| name.contains(u)) {
            job.notes.push(format!("{} bears on time or memory and is not carried over", short(name)));
        } else {
            job.left_out.push(short(name));
        }
    }
}
