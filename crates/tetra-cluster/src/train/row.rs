//! Prediction for one row of a table of training measurements. Blank columns are free: the best valid value is taken and named.
//!
//! Rules for what is blank: a shape of which only the parameters are known has `h = 128·L` (`12·L·h² = P`) with heads of 128; key-value heads equal heads; the inner width is `4·h`; an
//! inner width other than `4·h` belongs to a gated network with RMS norms, rotary positions and the vocabulary of 128,256 such models have, else 51,200; the batch is eight
//! sequences per stage and replica; without a format, 16-bit floats; `amp_…` sums gradients in 32 bits. The library is told by the table's words or by the columns ([`Framework::of_row`]); the words
//! `FULL_SHARD`, `SHARD_GRAD_OP`, `FSDP2`, `FSDP=0`, `FSDP=1` and `ZeRO-1` to `ZeRO-3` also tell how state is split.

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::Tokens;
use tetra_workload::{DataType, DenseShape, Model, Precision};

use crate::constants::ClusterConstants;
use crate::network::Network;
use crate::network_text::NODE_CHIPS;
use crate::train::ask::{TrainAsk, Trained};
use crate::train::constants::{RowDefaults, compiled};
use crate::train::converge::{Convergence, TargetRun, TokenRun, run_of_tokens, run_to_target};
use crate::train::framework::{AttentionKernels, Framework, RowSigns};
use crate::train::layout::{Layout, Recompute, StateSharding};
use crate::train::misfit::{Fit, TrainMisfit};
use crate::train::search::{SearchLimits, Searcher, choices, experts, grids};
use crate::train::step::TrainStep;

/// What a row measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainMetric {
    /// Seconds per step.
    IterationTime,
    /// Operations with recomputation per second and chip, in TFLOP/s.
    HardwareTflopsPerChip,
    /// Operations of the model per second and chip, in TFLOP/s.
    ModelTflopsPerChip,
    /// Tokens per second and chip.
    TokensPerSecondPerChip,
    /// Tokens per second of all chips.
    TokensPerSecond,
    /// Sequences per second of all chips.
    SamplesPerSecond,
    /// Sequences per second and chip.
    SamplesPerSecondPerChip,
    /// Model FLOP utilisation in per cent.
    Mfu,
    /// Hardware FLOP utilisation in per cent.
    Hfu,
    /// Memory of the fullest chip, in GB.
    PeakMemory,
}

impl TrainMetric {
    /// From the word in a table's column `metric`; `None` for what a step cannot tell (time to train needs convergence).
    pub fn of(word: &str) -> Option<Self> {
        const WORDS: [(&[&str], TrainMetric); 10] = [
            (&["iteration_time", "step_time", "time_per_step", "time_per_iteration", "train_step_time"], TrainMetric::IterationTime),
            (&["hw_tflops_per_accel", "hardware_tflops_per_accel"], TrainMetric::HardwareTflopsPerChip),
            (&["tflops_per_accel", "model_tflops_per_accel", "tflops"], TrainMetric::ModelTflopsPerChip),
            (&["tokens_per_s_per_accel"], TrainMetric::TokensPerSecondPerChip),
            (&["tokens_per_s", "throughput", "tokens_per_day"], TrainMetric::TokensPerSecond),
            (&["samples_per_s", "sequences_per_s"], TrainMetric::SamplesPerSecond),
            (&["samples_per_s_per_accel", "sequences_per_s_per_accel"], TrainMetric::SamplesPerSecondPerChip),
            (&["mfu"], TrainMetric::Mfu),
            (&["hfu"], TrainMetric::Hfu),
            (&["peak_memory", "memory", "memory_gb", "peak_memory_gb"], TrainMetric::PeakMemory),
        ];
        let lower = word.trim().to_lowercase().replace([' ', '-', '/'], "_").replace("_second", "_s").replace("_sec", "_s");
        let plain = ["_gpu", "_chip", "_device", "_tpu"].iter().fold(lower, |w, name| w.replace(&format!("per{name}"), "per_accel"));
        WORDS.iter().find(|(words, _)| words.contains(&plain.as_str())).map(|(_, metric)| *metric)
    }
}

/// One row; `None` and empty text are blank.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainRow<'a> {
    /// The model, when its name is that of a known configuration.
    pub model: Option<&'a Model>,
    /// Parameters.
    pub parameters: Option<f64>,
    /// Layers.
    pub layers: Option<u64>,
    /// Hidden width.
    pub hidden: Option<u64>,
    /// Query heads.
    pub heads: Option<u64>,
    /// Key-value heads.
    pub kv_heads: Option<u64>,
    /// Inner width.
    pub ffn: Option<u64>,
    /// Vocabulary.
    pub vocabulary: Option<u64>,
    /// Tokens per sequence.
    pub sequence: Option<u64>,
    /// Sequences per step.
    pub global_batch: Option<u64>,
    /// Sequences per microbatch.
    pub micro_batch: Option<u64>,
    /// Tensor-parallel degree.
    pub tensor_parallel: Option<u64>,
    /// Stages.
    pub pipeline_parallel: Option<u64>,
    /// Chunks per stage.
    pub virtual_stages: Option<u64>,
    /// Replicas.
    pub data_parallel: Option<u64>,
    /// Context-parallel degree.
    pub context_parallel: Option<u64>,
    /// Expert-parallel degree.
    pub expert_parallel: Option<u64>,
    /// Whether sequence parallel.
    pub sequence_parallel: Option<bool>,
    /// Recomputation.
    pub recompute: Option<Recompute>,
    /// Format as the table writes it.
    pub precision: &'a str,
    /// Chips.
    pub chips: Option<u64>,
    /// Network as the table writes it.
    pub network: &'a str,
    /// Library; blank: by the rules of [`Framework::of_row`].
    pub framework: Option<Framework>,
    /// What the table says of the libraries, in its words.
    pub libraries: &'a str,
    /// Which weights are trained.
    pub trained: Trained,
    /// Tokens of the whole run.
    pub tokens: Option<f64>,
    /// Samples to the target of the run.
    pub convergence: Option<Convergence>,
}

/// What a row should measure.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TrainPrediction {
    /// The step.
    pub step: TrainStep,
    /// Sequences of the step.
    pub batch: u64,
    /// Whether some blank columns were filled by search.
    pub searched: bool,
    /// The run to the target, when one is given.
    pub target: Option<TargetRun>,
    /// The run, when its tokens are stated.
    pub run: Option<TokenRun>,
}

impl TrainPrediction {
    /// The figure of a metric, in the unit of the tables.
    pub fn value(&self, metric: TrainMetric) -> f64 {
        let step = &self.step;
        let per_chip = step.layout.chips().max(1) as f64 * step.time.value();
        match metric {
            TrainMetric::IterationTime => step.time.value(),
            TrainMetric::HardwareTflopsPerChip => step.hardware_flop.value() / per_chip / 1e12,
            TrainMetric::ModelTflopsPerChip => step.model_flop.value() / per_chip / 1e12,
            TrainMetric::TokensPerSecondPerChip => step.tokens_per_second_per_chip,
            TrainMetric::TokensPerSecond => step.tokens_per_second_per_chip * step.layout.chips().max(1) as f64,
            TrainMetric::SamplesPerSecond => self.batch as f64 / step.time.value(),
            TrainMetric::SamplesPerSecondPerChip => self.batch as f64 / per_chip,
            TrainMetric::Mfu => 100.0 * step.mfu,
            TrainMetric::Hfu => 100.0 * step.hfu,
            TrainMetric::PeakMemory => step.memory.total().value() / 1e9,
        }
    }
}

/// Predicts a row.
///
/// # Errors
/// What is blank and cannot be filled, or why the stated layout cannot run.
pub fn predict(row: &TrainRow<'_>, chip: &Chip, timer: &dyn OpTimer, constants: &ClusterConstants) -> Fit<TrainPrediction> {
    let defaults = &constants.rows;
    let row = &run_size(row, chip, constants);
    let made;
    let model = match row.model.filter(|m| agrees(row, m)) {
        Some(model)
            if row.sequence.is_none_or(|s| s <= model.max_context && (model.learned_positions == 0 || s <= model.learned_positions)) =>
        {
            model
        }
        Some(model) => {
            let longest = row.sequence.unwrap_or(model.max_context);
            let learned_positions = if model.learned_positions > 0 { longest } else { 0 };
            made = Model { max_context: longest, learned_positions, ..model.clone() };
            &made
        }
        None => {
            made = shape(row, defaults)?;
            &made
        }
    };
    let network = Network::named(row.network, chip, constants);
    let ask = ask_of(row, model, chip, defaults);
    let mut searcher = Searcher::new(ask, chip, timer, &network, constants);
    // One program for a whole torus.
    let sliced = compiled(chip) && !network.scale_up.switched && network.domain > NODE_CHIPS;
    // Where nothing is known of the batch either, whole layers are recomputed: what such libraries do unless told.
    let fullest = sliced && row.global_batch.is_none() && row.micro_batch.is_none();
    let row = &TrainRow { recompute: row.recompute.or(fullest.then_some(Recompute::Full)), ..*row };
    let candidates = candidates(row, searcher.ask(), network.domain)?;
    let best = if sliced { least_split(&candidates, &mut searcher)? } else { best_of(&candidates, &mut searcher)? };
    let ask = searcher.ask();
    let target = row.convergence.map(|c| run_to_target(ask, &best, &c));
    let run = row.tokens.map(|t| run_of_tokens(ask, &best, Tokens(t), &constants.train, &constants.failures));
    let batch = ask.global_batch;
    Ok(TrainPrediction { step: best, batch, searched: candidates.len() > 1, target, run })
}

/// The row with the batch and the chips of a whole run where it states none.
fn run_size<'a>(row: &TrainRow<'a>, chip: &Chip, constants: &ClusterConstants) -> TrainRow<'a> {
    let defaults = &constants.rows;
    // A whole run whose chips are not stated has as many as the batch fills.
    let run = row.tokens.is_some() && row.chips.is_none();
    let usual = defaults.run_batch_tokens / row.sequence.unwrap_or(defaults.sequence).max(1);
    let global_batch = row.global_batch.or(run.then_some(usual.max(1)));
    // And enough that its state fills a quarter of their memory.
    let state = row.model.map_or(0.0, |m| m.parameters().total() as f64 * (constants.train.optimizer_bytes + 4.0));
    let least = ((4.0 * state / chip.memory.hbm.value()) as u64).next_power_of_two();
    let filled = global_batch.filter(|_| row.tokens.is_some()).map(|b| (b / defaults.batch_per_stage.max(1)).max(least));
    TrainRow { chips: row.chips.or(filled), global_batch, ..*row }
}

/// Whether a row that states layers and width means this model: tables name models of which they run a part.
fn agrees(row: &TrainRow<'_>, model: &Model) -> bool {
    let same = |stated: Option<u64>, own: u64| stated.is_none_or(|s| s == own);
    row.hidden.is_none() || (same(row.layers, model.layers.len() as u64) && same(row.hidden, model.hidden))
}

fn ask_of<'a>(row: &TrainRow<'_>, model: &'a Model, chip: &Chip, defaults: &RowDefaults) -> TrainAsk<'a> {
    let word = row.precision.trim();
    let stated = DataType::told(word);
    let format = stated.unwrap_or(if chip.year < defaults.bf16_from_year { DataType::Fp16 } else { DataType::Bf16 });
    let framework = row.framework.unwrap_or_else(|| Framework::of_row(row.libraries, &signs(row, format), chip, defaults.bf16_from_year));
    // Products that add gradients sum half precision in 32 bits, too.
    let summed = format == DataType::Bf16 || (format == DataType::Fp16 && framework.adds_gradients);
    let wide = word.starts_with("amp") || (framework.wide_sums && summed);
    let gradient = if wide { DataType::Fp32 } else { Precision::uniform(format).residual };
    let known = row.model.map(|m| m.max_context.min(defaults.sequence_most));
    let sequence = row.sequence.or(known).unwrap_or(defaults.sequence).max(1);
    let replicas = row.data_parallel.or_else(|| data_of(row)).or(row.chips).unwrap_or(1);
    let stages = row.pipeline_parallel.unwrap_or(1);
    let batch = defaults.batch_per_stage.saturating_mul(stages).saturating_mul(replicas);
    TrainAsk {
        model,
        precision: Precision::uniform(format),
        gradient,
        global_batch: row.global_batch.unwrap_or(batch).max(1),
        sequence,
        framework,
        trained: row.trained,
        current_scaling: TrainAsk::scales_at_hand(word),
        balanced: row.libraries.to_lowercase().contains("balanced"),
    }
}

/// What of the columns tells the library.
fn signs(row: &TrainRow<'_>, format: DataType) -> RowSigns {
    RowSigns {
        format,
        tensor_split: row.tensor_parallel.is_some_and(|t| t > 1),
        unsplit: [row.tensor_parallel, row.pipeline_parallel, row.expert_parallel].iter().all(|d| *d == Some(1))
            && row.context_parallel.unwrap_or(1) == 1,
        autocast: row.precision.trim().starts_with("amp"),
        sequence_parallel: row.sequence_parallel == Some(true),
        recompute: row.recompute,
    }
}

/// How state is split, where the table says it.
fn stated_sharding(words: &str) -> Option<StateSharding> {
    const WORDS: [(&str, StateSharding); 8] = [
        ("SHARD_GRAD_OP", StateSharding::Gradients),
        ("FULL_SHARD", StateSharding::Full),
        ("FSDP2", StateSharding::Full),
        ("FSDP=1", StateSharding::Full),
        ("FSDP=0", StateSharding::Optimizer),
        ("ZeRO-1", StateSharding::Optimizer),
        ("ZeRO-2", StateSharding::Gradients),
        ("ZeRO-3", StateSharding::Full),
    ];
    WORDS.iter().find(|(w, _)| words.contains(w)).map(|(_, s)| *s)
}

fn data_of(row: &TrainRow<'_>) -> Option<u64> {
    let model_chips = row.tensor_parallel?.saturating_mul(row.pipeline_parallel?).saturating_mul(row.context_parallel.unwrap_or(1));
    row.chips.map(|n| n / model_chips.max(1))
}

/// All ways to spread the job that agree with the stated columns.
fn candidates(row: &TrainRow<'_>, ask: &TrainAsk<'_>, domain: u64) -> Fit<Vec<Layout>> {
    let data = row.data_parallel.or_else(|| data_of(row));
    // Some tables count what splits a sequence among the replicas.
    let data = data_of(row).filter(|d| *d > 0 && data.is_some_and(|stated| stated > *d)).or(data);
    if let (Some(tensor), Some(pipeline), Some(data)) = (row.tensor_parallel, row.pipeline_parallel, data) {
        return Ok(on_grid(row, [tensor, pipeline, data, row.context_parallel.unwrap_or(1)], ask));
    }
    let chips = row.chips.ok_or(TrainMisfit::Blank("n_accel"))?;
    let limits = SearchLimits {
        tensor_parallel: row.tensor_parallel.unwrap_or(SearchLimits::WIDE.tensor_parallel),
        pipeline_parallel: row.pipeline_parallel.unwrap_or(SearchLimits::WIDE.pipeline_parallel),
        ..SearchLimits::WIDE
    };
    let agrees = |stated: Option<u64>, degree: u64| stated.is_none_or(|s| s == degree);
    let mut all = grids(ask, chips, domain.max(row.tensor_parallel.unwrap_or(1)), &limits);
    all.retain(|&[tensor, pipeline, data, context]| {
        let stated = agrees(row.tensor_parallel, tensor) && agrees(row.pipeline_parallel, pipeline);
        stated && agrees(row.data_parallel, data) && agrees(row.context_parallel, context) && data <= ask.global_batch
    });
    all.retain(|grid| grid[1] <= ask.model.layers.len() as u64);
    // Replicas that take unequal shares of the batch only where no others are there.
    let even = |grid: &[u64; 4]| ask.global_batch.is_multiple_of(grid[2]);
    if all.iter().any(even) {
        all.retain(even);
    }
    let out: Vec<Layout> = all.into_iter().flat_map(|grid| on_grid(row, grid, ask)).collect();
    if out.is_empty() { Err(TrainMisfit::NoLayout { chips }) } else { Ok(out) }
}

/// The fastest candidate that fits; where none fits, the one that needs least memory (`fits` tells): the run of a table did take place.
pub(crate) fn best_of(candidates: &[Layout], searcher: &mut Searcher<'_>) -> Fit<TrainStep> {
    let mut best: Option<TrainStep> = None;
    let mut misfit = TrainMisfit::Blank("layout");
    for layout in candidates {
        let step = match searcher.step_relieved(layout) {
            Ok(step) => step,
            Err(why) => {
                misfit = why;
                continue;
            }
        };
        let better = best.is_none_or(|b| match (step.fits, b.fits) {
            (true, true) => step.time < b.time,
            (false, false) => step.memory.total() < b.memory.total(),
            (fits, _) => fits,
        });
        if better {
            best = Some(step);
        }
    }
    best.ok_or(misfit)
}

/// The best of those that split stages, sequences and tensors least, of those that fit: a program for a whole torus splits state over all of it first.
fn least_split(candidates: &[Layout], searcher: &mut Searcher<'_>) -> Fit<TrainStep> {
    let split = |l: &Layout| (l.pipeline_parallel, l.context_parallel, l.tensor_parallel);
    let splits: std::collections::BTreeSet<_> = candidates.iter().map(split).collect();
    for least in splits {
        let alike: Vec<Layout> = candidates.iter().filter(|l| split(l) == least).copied().collect();
        if let Some(step) = best_of(&alike, searcher).ok().filter(|s| s.fits) {
            return Ok(step);
        }
    }
    best_of(candidates, searcher)
}

fn on_grid(row: &TrainRow<'_>, grid: [u64; 4], ask: &TrainAsk<'_>) -> Vec<Layout> {
    const MICRO_BATCH_MAX: u64 = 64;
    let [tensor, pipeline, data, context] = grid;
    let per_replica = (ask.global_batch / data.max(1)).max(1);
    let micro = match row.micro_batch {
        Some(m) => vec![m],
        None => (1..=MICRO_BATCH_MAX).filter(|m| per_replica.is_multiple_of(*m)).collect(),
    };
    let sequence_parallel = tensor > 1 && row.sequence_parallel.unwrap_or(ask.framework.attention != AttentionKernels::Unfused);
    let shardings = shardings(row, ask, pipeline);
    let recomputes = row.recompute.map_or(choices(ask.framework, sequence_parallel).to_vec(), |r| vec![r]);
    let group = tensor.saturating_mul(data).saturating_mul(context);
    let experts = match row.expert_parallel {
        Some(e) => vec![e],
        None => (1..=experts(ask).min(group)).filter(|e| experts(ask).is_multiple_of(*e) && group.is_multiple_of(*e)).collect(),
    };
    let base = Layout {
        tensor_parallel: tensor,
        pipeline_parallel: pipeline,
        data_parallel: data,
        context_parallel: context,
        sequence_parallel,
        ..Layout::ONE
    };
    let mut out = Vec::new();
    for (&micro_batch, &expert_parallel) in micro.iter().flat_map(|m| experts.iter().map(move |e| (m, e))) {
        for virtual_stages in chunks(row, ask, pipeline, per_replica / micro_batch.max(1)) {
            for &recompute in &recomputes {
                let layout = Layout { micro_batch, expert_parallel, virtual_stages, recompute, ..base };
                out.extend(shardings.iter().map(|&sharding| Layout { sharding, ..layout }));
            }
        }
    }
    out
}

/// How state may be spread: as stated, else as the library usually does.
fn shardings(row: &TrainRow<'_>, ask: &TrainAsk<'_>, pipeline: u64) -> Vec<StateSharding> {
    let usual = ask.framework.sharding;
    match stated_sharding(row.libraries) {
        // Frozen weights have no optimiser state to be sharded with: each replica holds them.
        None if ask.trained != Trained::All => vec![usual],
        // In a pipeline weights stay gathered from one microbatch to the next.
        Some(StateSharding::Full) if pipeline > 1 => vec![StateSharding::Gradients],
        Some(stated) => vec![stated],
        None if usual == StateSharding::Optimizer && pipeline == 1 && ask.framework.overlaps => vec![usual, StateSharding::Full],
        None => vec![usual],
    }
}

/// Chunks per stage: as stated, else all that divide the layers, or the layers with embedding and head as two more, while microbatches fill the
/// stages.
fn chunks(row: &TrainRow<'_>, ask: &TrainAsk<'_>, pipeline: u64, microbatches: u64) -> Vec<u64> {
    const CHUNKS_MAX: u64 = 16;
    let depth = ask.model.layers.len() as u64;
    match row.virtual_stages {
        Some(v) => vec![v],
        None if pipeline > 1 && microbatches.is_multiple_of(pipeline) => {
            let even = |chunks: u64| depth.is_multiple_of(chunks) || (depth + 2).is_multiple_of(chunks);
            (1..=CHUNKS_MAX).filter(|v| *v == 1 || even(v.saturating_mul(pipeline))).collect()
        }
        None => vec![1],
    }
}

/// A model from the shape columns.
///
/// # Errors
/// `Blank` when neither the shape nor the number of parameters is there.
pub fn shape(row: &TrainRow<'_>, defaults: &RowDefaults) -> Fit<Model> {
    let (hidden, layers) = match (row.hidden, row.layers) {
        (Some(h), Some(l)) => (h, l),
        _ => shape_of_parameters(row.parameters.ok_or(TrainMisfit::Blank("shape"))?, row, defaults),
    };
    let heads = row.heads.unwrap_or(hidden / defaults.head_width.max(1)).max(1);
    let ffn = row.ffn.unwrap_or(hidden.saturating_mul(4));
    let gated = ffn != hidden.saturating_mul(4);
    let vocabulary = row.vocabulary.unwrap_or(if gated { defaults.gated_vocabulary } else { defaults.plain_vocabulary });
    let sequence = row.sequence.unwrap_or(defaults.sequence);
    let widths = DenseShape {
        layers: layers.min(defaults.layers_max),
        hidden,
        heads,
        kv_heads: row.kv_heads.unwrap_or(heads),
        ffn,
        vocabulary,
        learned_positions: if gated { 0 } else { sequence },
        llama: gated,
    };
    Ok(Model { max_context: sequence, ..widths.model("") })
}

/// `12·L·h² = P` with `h = aspect·L`, rounded to whole heads, which tensors divide, and layers, which stages and their chunks divide.
fn shape_of_parameters(parameters: f64, row: &TrainRow<'_>, defaults: &RowDefaults) -> (u64, u64) {
    const PER_LAYER: u32 = 12;
    let per_layer = f64::from(PER_LAYER);
    let whole = |value: f64, of: u64| (value / of.max(1) as f64).round().max(1.0) * of.max(1) as f64;
    let hidden = (parameters.max(1.0) * defaults.aspect / per_layer).cbrt();
    let hidden = whole(hidden / defaults.head_width as f64, row.tensor_parallel.unwrap_or(defaults.heads_of)) * defaults.head_width as f64;
    let chunks = row.pipeline_parallel.unwrap_or(1).saturating_mul(row.virtual_stages.unwrap_or(1));
    let layers = whole(parameters / (per_layer * hidden * hidden), chunks.max(defaults.layers_of));
    (hidden as u64, layers as u64)
}
