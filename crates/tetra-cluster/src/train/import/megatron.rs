//! Arguments of Megatron-LM (`megatron/training/arguments.py`) as a job, from a command line or from the script that holds it.
//!
//! Three kinds of argument: those carried over, those that bear on time or memory and are not (named in the notes), those that do neither (listed). Any other is named as
//! unknown. Defaults are Megatron-LM's: vocabulary padded to a multiple of 128 times the tensor-parallel degree, `4·h` inner width, `8/3·h` when gated is left to the user.

use std::collections::BTreeMap;

use tetra_workload::DataType;

use super::megatron_model::model;
use super::shell::{Script, read};
use super::{ImportError, StatedJob, UNKNOWN, short};
use crate::train::layout::{Recompute, StateSharding};

/// Arguments without effect on time and memory of a step, by how they begin.
const HARMLESS: [&str; 62] = [
    "--adam",
    "--sgd",
    "--lr",
    "--min-lr",
    "--weight-decay",
    "--start-weight-decay",
    "--end-weight-decay",
    "--clip-grad",
    "--init-method",
    "--seed",
    "--log",
    "--tensorboard",
    "--wandb",
    "--save",
    "--load",
    "--data-",
    "--data_",
    "--split",
    "--tokenizer",
    "--vocab-file",
    "--merge-file",
    "--train-",
    "--valid",
    "--test-",
    "--eval",
    "--exit",
    "--num-workers",
    "--no-load",
    "--no-save",
    "--ckpt",
    "--use-checkpoint",
    "--finetune",
    "--override-opt",
    "--use-mcore-models",
    "--use-legacy-models",
    "--timing",
    "--master",
    "--rdzv",
    "--node",
    "--local-rank",
    "--job",
    "--attention-dropout",
    "--hidden-dropout",
    "--rotary",
    "--no-position",
    "--norm-epsilon",
    "--apply-layernorm-1p",
    "--distributed-backend",
    "--distributed-timeout",
    "--moe-router-load-balancing",
    "--moe-aux-loss",
    "--moe-z-loss",
    "--moe-router-score",
    "--moe-router-bias",
    "--moe-router-topk-scaling",
    "--moe-router-pre-softmax",
    "--dataloader",
    "--initial-loss",
    "--loss-scale",
    "--dist-ckpt",
    "--async-save",
    "--ffn-bias",
];

/// Arguments that bear on time or memory and have no place in the model of a step.
const UNPRICED: [&str; 33] = [
    "--overlap-grad-reduce",
    "--overlap-param-gather",
    "--tp-comm",
    "--no-overlap-p2p",
    "--overlap-p2p",
    "--defer-embedding",
    "--attention-backend",
    "--use-flash-attn",
    "--transformer-impl",
    "--cross-entropy",
    "--moe-token-dispatcher",
    "--moe-permute-fusion",
    "--moe-enable-deepep",
    "--moe-expert-capacity",
    "--moe-pad-expert",
    "--moe-router-dtype",
    "--moe-router-fusion",
    "--enable-cuda-graph",
    "--cuda-graph",
    "--external-cuda-graph",
    "--empty-unused-memory",
    "--cp-comm-type",
    "--decoder-first-pipeline",
    "--decoder-last-pipeline",
    "--account-for",
    "--pipeline-model-parallel-layout",
    "--gradient-accumulation-fusion",
    "--no-gradient-accumulation-fusion",
    "--no-masked-softmax",
    "--no-bias",
    "--moe-grouped-gemm",
    "--manual-gc",
    "--fp8-",
];

/// Arguments by name without dashes: line and values.
pub(super) struct Arguments<'a> {
    file: &'a str,
    all: BTreeMap<String, (usize, Vec<String>)>,
}

/// Reads the arguments in a script; `file` is its name for messages.
///
/// # Errors
/// The first mistake: place, cause, mend.
pub fn megatron(file: &str, text: &str) -> Result<StatedJob, ImportError> {
    let script = read(file, text)?;
    let mut job = job(&Arguments::of(file, &script))?;
    job.notes.extend(script.notes);
    Ok(job)
}

impl<'a> Arguments<'a> {
    fn of(file: &'a str, script: &Script) -> Self {
        let mut all: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
        let mut open: Option<String> = None;
        for (line, word) in &script.words {
            let word = word.clone().unwrap_or_else(|| UNKNOWN.into());
            if let Some(name) = word.strip_prefix("--").filter(|n| !n.is_empty()) {
                let (name, value) = name.split_once('=').map_or((name, None), |(n, v)| (n, Some(v.to_owned())));
                let name = name.replace('_', "-");
                all.insert(name.clone(), (*line, value.into_iter().collect()));
                open = Some(name);
            } else if let Some(values) = open.as_ref().and_then(|name| all.get_mut(name)) {
                values.1.push(word);
            }
        }
        Self { file, all }
    }

    pub(super) fn mistake(&self, name: &str, cause: &str, mend: &str) -> ImportError {
        let line = self.all.get(name).map_or(1, |(line, _)| *line);
        ImportError { file: self.file.to_owned(), line, cause: format!("--{name} {cause}"), mend: mend.to_owned() }
    }

    /// Whether a flag is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// The first value of an argument.
    pub(super) fn word(&self, name: &str) -> Option<&str> {
        self.all.get(name)?.1.first().map(String::as_str).filter(|w| !w.is_empty() && *w != UNKNOWN)
    }

    /// Whether only a command knows the value.
    fn is_unknown(&self, name: &str) -> bool {
        self.all.get(name).is_some_and(|(_, values)| values.first().is_some_and(|w| w == UNKNOWN))
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, name: &str, most: u64) -> Result<Option<u64>, ImportError> {
        if !self.has(name) || self.is_unknown(name) {
            return Ok(None);
        }
        let text = self.word(name).unwrap_or_default();
        let found = text.parse().ok().filter(|n| (1..=most).contains(n));
        found
            .map(Some)
            .ok_or_else(|| self.mistake(name, &format!("is \"{}\"", short(text)), &format!("write a whole number from 1 to {most}")))
    }

    /// A whole number that must be there.
    pub(super) fn needed(&self, name: &str, most: u64) -> Result<u64, ImportError> {
        self.count(name, most)?.ok_or_else(|| self.mistake(name, "is missing", "add it, or name a model"))
    }
}

/// Largest degree, batch or length.
const MOST: u64 = 1 << 24;

fn job(a: &Arguments<'_>) -> Result<StatedJob, ImportError> {
    let mut job = StatedJob::default();
    let tensor = a.count("tensor-model-parallel-size", MOST)?;
    let pipeline = a.count("pipeline-model-parallel-size", MOST)?;
    let s = &mut job.stated;
    // What Megatron-LM takes where an argument is left out is not searched.
    s.tensor_parallel = Some(tensor.unwrap_or(1));
    s.pipeline_parallel = Some(pipeline.unwrap_or(1));
    s.context_parallel = Some(a.count("context-parallel-size", MOST)?.unwrap_or(1));
    s.expert_parallel = Some(a.count("expert-model-parallel-size", MOST)?.unwrap_or(1));
    s.micro_batch = a.count("micro-batch-size", MOST)?;
    s.sequence_parallel = Some(a.has("sequence-parallel"));
    s.sharding = Some(sharding(a));
    job.global_batch = a.count("global-batch-size", MOST)?;
    job.sequence = a.count("seq-length", MOST)?;
    job.chips = chips(a)?;
    job.format = format(a)?;
    let wide = a.has("accumulate-allreduce-grads-in-fp32") || a.has("bf16") && !a.has("grad-reduce-in-bf16");
    job.gradient = wide.then_some(DataType::Fp32);
    if a.has("num-layers") {
        job.model = Some(model(a, &mut job.notes)?);
    }
    let layers = job.model.as_ref().map(|m| m.layers.len() as u64);
    job.stated.virtual_stages = Some(chunks(a, pipeline.unwrap_or(1), layers)?);
    job.stated.recompute = Some(recompute(a, job.stated.virtual_stages.unwrap_or(1), &mut job.notes)?);
    sorted(a, &mut job);
    Ok(job)
}

fn sharding(a: &Arguments<'_>) -> StateSharding {
    let full = a.has("use-torch-fsdp2") || a.has("use-custom-fsdp") || a.has("use-megatron-fsdp");
    match a.word("data-parallel-sharding-strategy") {
        Some("optim") => StateSharding::Optimizer,
        Some("optim_grads") => StateSharding::Gradients,
        Some("optim_grads_params") => StateSharding::Full,
        _ if full => StateSharding::Full,
        _ if a.has("use-distributed-optimizer") => StateSharding::Optimizer,
        _ => StateSharding::None,
    }
}

/// Chips from the launcher's arguments.
fn chips(a: &Arguments<'_>) -> Result<Option<u64>, ImportError> {
    let each = [a.count("nproc-per-node", MOST)?, a.count("gpus-per-node", MOST)?];
    let nodes = [a.count("nnodes", MOST)?, a.count("num-nodes", MOST)?];
    let [each, nodes] = [each, nodes].map(|[x, y]| x.or(y));
    Ok(a.count("world-size", MOST)?.or_else(|| Some(each?.saturating_mul(nodes.unwrap_or(1)))))
}

fn format(a: &Arguments<'_>) -> Result<Option<DataType>, ImportError> {
    let recipe = a.word("fp8-recipe");
    if let Some(word) = a.word("fp4-format") {
        return if word.starts_with("e2m1") {
            Ok(Some(DataType::Nvfp4))
        } else {
            Err(a.mistake("fp4-format", &format!("is \"{}\"", short(word)), "write e2m1"))
        };
    }
    Ok(match a.word("fp8-format") {
        Some("e4m3" | "hybrid") if recipe == Some("mxfp8") => Some(DataType::Mxfp8),
        Some("e4m3" | "hybrid") => Some(DataType::Fp8),
        Some(other) => return Err(a.mistake("fp8-format", &format!("is \"{}\"", short(other)), "write e4m3 or hybrid")),
        None if a.has("fp8-hybrid") || a.has("fp8-e4m3") => Some(DataType::Fp8),
        None if a.has("bf16") => Some(DataType::Bf16),
        None if a.has("fp16") => Some(DataType::Fp16),
        None => Some(DataType::Fp32),
    })
}

/// Chunks per stage.
fn chunks(a: &Arguments<'_>, pipeline: u64, layers: Option<u64>) -> Result<u64, ImportError> {
    if let Some(chunks) = a.count("num-virtual-stages-per-pipeline-rank", MOST)? {
        return Ok(chunks);
    }
    let name = "num-layers-per-virtual-pipeline-stage";
    let (Some(each), Some(layers)) = (a.count(name, MOST)?, layers) else { return Ok(1) };
    let whole = pipeline.saturating_mul(each);
    if layers.is_multiple_of(whole) {
        return Ok((layers / whole).max(1));
    }
    Err(a.mistake(name, &format!("is {each}: {layers} layers are no multiple of {pipeline} stages of so many"), "correct it"))
}

fn recompute(a: &Arguments<'_>, chunks: u64, notes: &mut Vec<String>) -> Result<Recompute, ImportError> {
    let selective = a.has("recompute-activations");
    match a.word("recompute-granularity") {
        None if selective => Ok(Recompute::Selective),
        None => Ok(Recompute::None),
        Some("selective") => {
            if a.has("recompute-modules") {
                notes.push("--recompute-modules: only the attention core is recomputed here".into());
            }
            Ok(Recompute::Selective)
        }
        Some("full") => {
            let layers = a.count("recompute-num-layers", MOST)?.unwrap_or(1);
            if a.word("recompute-method") == Some("block") {
                return Ok(Recompute::Layers(layers.saturating_mul(chunks)));
            }
            if layers > 1 {
                notes.push(format!("--recompute-method uniform over {layers} layers: one input per layer is kept here"));
            }
            Ok(Recompute::Full)
        }
        Some(other) => Err(a.mistake("recompute-granularity", &format!("is \"{}\"", short(other)), "write selective or full")),
    }
}

/// What else there is: carried over elsewhere, unpriced, harmless or unknown.
fn sorted(a: &Arguments<'_>, job: &mut StatedJob) {
    for name in a.all.keys() {
        let word = format!("--{name}");
        if a.is_unknown(name) {
            job.notes.push(format!("{} is set by a command or an argument of the script: give it as a flag", short(&word)));
        }
        if CARRIED.contains(&name.as_str()) {
            continue;
        }
        if UNPRICED.iter().any(|u| word.starts_with(u)) {
            job.notes.push(format!("{} bears on time or memory and is not carried over", short(&word)));
        } else if HARMLESS.iter().any(|h| word.starts_with(h)) {
            job.left_out.push(short(&word));
        } else {
            job.notes.push(format!("{} is not known here and not carried over", short(&word)));
        }
    }
}

/// Arguments that are read.
const CARRIED: [&str; 66] = [
    "tensor-model-parallel-size",
    "pipeline-model-parallel-size",
    "context-parallel-size",
    "expert-model-parallel-size",
    "expert-tensor-parallel-size",
    "micro-batch-size",
    "global-batch-size",
    "seq-length",
    "sequence-parallel",
    "use-distributed-optimizer",
    "use-torch-fsdp2",
    "use-custom-fsdp",
    "use-megatron-fsdp",
    "data-parallel-sharding-strategy",
    "nproc-per-node",
    "gpus-per-node",
    "nnodes",
    "num-nodes",
    "world-size",
    "fp4-format",
    "fp8-format",
    "fp8-recipe",
    "fp8-hybrid",
    "fp8-e4m3",
    "bf16",
    "fp16",
    "accumulate-allreduce-grads-in-fp32",
    "grad-reduce-in-bf16",
    "num-layers",
    "num-virtual-stages-per-pipeline-rank",
    "num-layers-per-virtual-pipeline-stage",
    "recompute-activations",
    "recompute-granularity",
    "recompute-method",
    "recompute-num-layers",
    "recompute-modules",
    "hidden-size",
    "num-attention-heads",
    "group-query-attention",
    "num-query-groups",
    "kv-channels",
    "ffn-hidden-size",
    "swiglu",
    "untie-embeddings-and-output-weights",
    "normalization",
    "position-embedding-type",
    "use-rotary-position-embeddings",
    "max-position-embeddings",
    "disable-bias-linear",
    "add-qkv-bias",
    "qk-layernorm",
    "vocab-size",
    "padded-vocab-size",
    "make-vocab-size-divisible-by",
    "multi-latent-attention",
    "q-lora-rank",
    "kv-lora-rank",
    "qk-head-dim",
    "qk-pos-emb-head-dim",
    "v-head-dim",
    "num-experts",
    "moe-router-topk",
    "moe-ffn-hidden-size",
    "moe-shared-expert-intermediate-size",
    "moe-layer-freq",
    "mtp-num-layers",
];
