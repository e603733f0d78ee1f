//! Rows of published serving and inference measurements, as read: every column may be blank. Here words become formats and worker columns become splits.

use tetra_chip::Chip;
use tetra_workload::{Attention, DataType, FeedForward, MacType, Model, Precision};

use crate::network::Network;
use crate::serve::layout::Split;
use crate::serve::misfit::Refusal;

/// Columns of one kind of worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct WorkerRow {
    /// Sequences at once per attention group.
    pub batch: Option<u64>,
    /// Workers.
    pub workers: Option<u64>,
    /// Tensor parallelism of attention.
    pub tensor_parallel: Option<u64>,
    /// Stages.
    pub pipeline_parallel: Option<u64>,
    /// Attention groups.
    pub attention_data: Option<u64>,
    /// Chips per expert.
    pub expert_tensor: Option<u64>,
    /// Chips over which experts are spread.
    pub expert_parallel: Option<u64>,
}

/// One row of a serving table.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct ServingRow {
    /// Format of the run.
    pub precision: Option<String>,
    /// Format of dense weights.
    pub gemm_precision: Option<String>,
    /// Format of expert weights.
    pub moe_precision: Option<String>,
    /// `aggregated` or `disaggregated`; blank is aggregated.
    pub mode: Option<String>,
    /// Prompt tokens.
    pub input: Option<u64>,
    /// Output tokens.
    pub output: Option<u64>,
    /// Worker that does both, when aggregated.
    pub worker: WorkerRow,
    /// Worker of prompts.
    pub prefill: WorkerRow,
    /// Worker that decodes.
    pub decode: WorkerRow,
}

/// One row of an inference table.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct InferenceRow {
    /// Chips of the system.
    pub chips: Option<u64>,
    /// Tensor parallelism.
    pub tensor_parallel: Option<u64>,
    /// Stages.
    pub pipeline_parallel: Option<u64>,
    /// Format.
    pub precision: Option<String>,
    /// Sequences at once.
    pub batch: Option<u64>,
    /// Prompt tokens, a mean.
    pub input: Option<f64>,
    /// Output tokens, a mean.
    pub output: Option<f64>,
    /// `offline`, `server`, `server-interactive`, `prefill`, `e2e`.
    pub phase: Option<String>,
    /// What was measured.
    pub metric: String,
    /// Unit of the value.
    pub unit: String,
}

fn word(column: &'static str, text: &Option<String>) -> Result<Option<DataType>, Refusal> {
    match text.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Refusal::Word(column)),
    }
}

/// Formats of a serving row; the second value tells whether a blank was filled with 16 bits.
///
/// # Errors
/// A word that is not known.
pub fn precision_of(row: &ServingRow, chip: &Chip) -> Result<(Precision, bool), Refusal> {
    let run = word("precision", &row.precision)?;
    let gemm = word("gemm_precision", &row.gemm_precision)?;
    let moe = word("moe_precision", &row.moe_precision)?;
    let base = gemm.or(run).or(moe);
    let dense = Precision::uniform(base.unwrap_or(DataType::Bf16));
    let experts = Precision::uniform(moe.or(run).or(gemm).unwrap_or(DataType::Bf16));
    let precision = Precision { expert_weights: experts.expert_weights, expert_activations: experts.expert_activations, ..dense };
    Ok((widened(precision, chip), base.is_none()))
}

/// The same where the chip multiplies no 4-bit floats: its kernels widen such weights to 16 bits and keep 16-bit activations.
fn widened(mut precision: Precision, chip: &Chip) -> Precision {
    if chip.compute.rate.fp4 > 0.0 {
        return precision;
    }
    for format in [&mut precision.activations, &mut precision.expert_activations] {
        if format.mac() == MacType::Fp4 {
            *format = precision.residual;
        }
    }
    precision
}

/// Format of an inference row; blank takes the narrowest of 8 and 16 bits that the chip multiplies.
///
/// # Errors
/// A word that is not known.
pub fn inference_precision(row: &InferenceRow, chip: &Chip) -> Result<(Precision, bool), Refusal> {
    let given = word("precision", &row.precision)?;
    let narrow = if chip.compute.rate.fp8 > 0.0 { DataType::Fp8 } else { DataType::Fp16 };
    Ok((widened(Precision::uniform(given.unwrap_or(narrow)), chip), given.is_none()))
}

/// A worker's split and how many of its groups each group of its columns stands for; `None` when tensor parallelism is blank.
///
/// Some tables count the chips of experts twice (`tp = s²` where `moe_tp = moe_ep = s`): when that would leave the scale-up domain, the degree is `s`. A
/// tensor degree that does not divide the heads is its largest divisor that does, in several groups: of one set of experts, or, without
/// experts, instances of their own. Expert columns that do not cover the same chips keep the expert degree, if that divides them.
pub fn split_of(row: &WorkerRow, model: &Model, network: &Network) -> Option<(Split, f64)> {
    let mut asked = row.tensor_parallel?.max(1);
    let mut groups = row.attention_data.unwrap_or(1).max(1);
    let (wanted, by_tensor) = (row.expert_parallel.unwrap_or(1).max(1), row.expert_tensor.unwrap_or(0));
    let twice = wanted > 1 && wanted == by_tensor && asked.saturating_mul(groups) == wanted.saturating_mul(wanted);
    if twice && asked.saturating_mul(groups) > network.domain {
        (asked, groups) = if asked > 1 { (asked.div_ceil(wanted), groups) } else { (asked, groups.div_ceil(wanted)) };
    }
    let tensor = common_divisor(asked, heads(model));
    groups = groups.saturating_mul(asked / tensor);
    let share = groups as f64 / row.attention_data.unwrap_or(1).max(1) as f64;
    let split = Split { tensor_parallel: tensor, pipeline_parallel: row.pipeline_parallel.unwrap_or(1).max(1), ..Split::ONE };
    let Some(experts) = experts(model) else {
        return Some((split, share));
    };
    let chips = tensor.saturating_mul(groups);
    if groups.is_power_of_two() && wanted.saturating_mul(by_tensor) == chips && experts.is_multiple_of(wanted) {
        return Some((Split { attention_data: groups, expert_parallel: wanted, expert_tensor: by_tensor, ..split }, share));
    }
    Some((spread(split, groups, wanted, experts), share))
}

/// Groups that share experts over as many chips as divide these.
fn spread(split: Split, groups: u64, wanted: u64, experts: u64) -> Split {
    let chips = split.tensor_parallel.saturating_mul(groups);
    if groups.is_power_of_two() {
        let expert = common_divisor(common_divisor(wanted, chips), experts);
        return Split { attention_data: groups, expert_parallel: expert, expert_tensor: chips / expert, ..split };
    }
    let even = 1_u64 << groups.ilog2();
    let chips = split.tensor_parallel.saturating_mul(even);
    let expert = common_divisor(chips, experts);
    Split { attention_data: even, expert_parallel: expert, expert_tensor: chips / expert, ..split }
}

fn heads(model: &Model) -> u64 {
    model.layers.iter().fold(0, |all, l| {
        let (heads, kv) = match l.attention {
            Attention::Grouped { heads, kv_heads, .. } => (heads, kv_heads),
            Attention::Latent { heads, .. } => (heads, heads),
        };
        common_divisor_or(all, common_divisor_or(heads, if kv > 0 && heads % kv == 0 { 0 } else { kv }))
    })
}

fn experts(model: &Model) -> Option<u64> {
    model.layers.iter().find_map(|l| match l.feed_forward {
        FeedForward::Experts { experts, .. } => Some(experts.max(1)),
        FeedForward::Dense { .. } => None,
    })
}

fn common_divisor_or(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor_or(b, a % b) }
}

fn common_divisor(a: u64, b: u64) -> u64 {
    common_divisor_or(a, b).max(1)
}
