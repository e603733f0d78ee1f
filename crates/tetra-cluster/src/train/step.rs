//! Time, memory and energy of one training step.
//!
//! A stage's time per microbatch is the sum of its ops, of the exposed part of its communication and of what it waits for the host. With `m`
//! microbatches and `v` chunks per stage, `T = m·max t + (Σt - max t)/v` (Megatron-LM, arXiv 2104.04473, section 2.2, for uneven stages), never less than one
//! microbatch's way through all stages and the last chunk's `m - 1` repeats. Exchange between replicas and the optimiser step follow. All parts add up to the total.
//! Hidden communication slows the compute that hides it (arXiv 2507.03114). Utilisation counts the attention of all pairs (convention of arXiv 2205.05198).
//!
//! Leaves out: zero-bubble schedules, imbalance between experts beyond one factor, slow chips beyond one factor per doubling.

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::{Flop, Joules, Seconds, Watts};
use tetra_workload::{Attention, Collective, CollectiveKind, MacType, Model, Op, ParallelGroup, VectorKind, VectorOp};

use crate::collective::{Span, time_over};
use crate::constants::ClusterConstants;
use crate::fleet::LoadProfile;
use crate::network::Network;
use crate::train::ask::{Kernels, TrainAsk};
use crate::train::constants::TrainConstants;
use crate::train::layout::{Layout, Recompute, StateSharding};
use crate::train::memory::TrainMemory;
use crate::train::misfit::{Fit, TrainMisfit};
use crate::train::piece::{Pieces, link_energy, span_of};
use crate::train::stage::{Pipeline, StageTime};

/// Where the time of a step goes; the parts sum to the step.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct TrainBreakdown {
    /// Matrix products, forward and backward.
    pub gemm: Seconds,
    /// Attention cores.
    pub attention: Seconds,
    /// Vector ops.
    pub vector: Seconds,
    /// Forward work done again.
    pub recompute: Seconds,
    /// Exposed tensor-parallel communication.
    pub tensor: Seconds,
    /// Exposed context-parallel communication.
    pub context: Seconds,
    /// Exposed expert exchange.
    pub expert: Seconds,
    /// Exposed transfers between stages.
    pub transfer: Seconds,
    /// Waiting for the host.
    pub host: Seconds,
    /// Slowing of compute by communication behind it.
    pub interference: Seconds,
    /// Pipeline bubble.
    pub bubble: Seconds,
    /// Exposed exchange between replicas.
    pub data: Seconds,
    /// Optimiser step.
    pub optimizer: Seconds,
    /// Waiting for the slowest chip.
    pub jitter: Seconds,
}

impl TrainBreakdown {
    /// Names and parts in the order of the fields.
    pub fn parts(&self) -> [(&'static str, Seconds); 14] {
        [
            ("gemm", self.gemm),
            ("attention", self.attention),
            ("vector", self.vector),
            ("recompute", self.recompute),
            ("tensor", self.tensor),
            ("context", self.context),
            ("expert", self.expert),
            ("transfer", self.transfer),
            ("host", self.host),
            ("interference", self.interference),
            ("bubble", self.bubble),
            ("data", self.data),
            ("optimizer", self.optimizer),
            ("jitter", self.jitter),
        ]
    }

    /// Sum of the parts.
    pub fn total(&self) -> Seconds {
        self.parts().iter().map(|p| p.1).sum()
    }
}

/// One training step.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TrainStep {
    /// Layout.
    pub layout: Layout,
    /// Time of the step.
    pub time: Seconds,
    /// Its parts.
    pub breakdown: TrainBreakdown,
    /// Memory of the fullest chip.
    pub memory: TrainMemory,
    /// Whether that fits the chip.
    pub fits: bool,
    /// Energy of one chip per step, static power included; optics and switches belong to the site.
    pub energy: Joules,
    /// Mean power of one chip.
    pub power: Watts,
    /// Operations of the model, whole step.
    pub model_flop: Flop,
    /// The same with recomputation.
    pub hardware_flop: Flop,
    /// Model operations over what the arrays could do in that time.
    pub mfu: f64,
    /// Hardware operations over the same.
    pub hfu: f64,
    /// Tokens per second and chip.
    pub tokens_per_second_per_chip: f64,
}

impl TrainStep {
    /// Electrical load of a chip that trains so for the share `duty` of the time.
    pub fn load(&self, chip: &Chip, duty: f64) -> LoadProfile {
        LoadProfile { busy: self.power, idle: chip.power.idle, duty }
    }

    /// Why the step does not fit the chip, if it does not.
    pub fn misfit(&self, chip: &Chip) -> Option<TrainMisfit> {
        let activations = self.memory.activations + self.memory.logits;
        let misfit = TrainMisfit::Memory { need: self.memory.total(), state: self.memory.state(), activations, have: chip.memory.hbm };
        (!self.fits).then_some(misfit)
    }
}

/// Prices one layout.
///
/// # Errors
/// Why the layout does not fit.
pub fn step(
    ask: &TrainAsk<'_>,
    chip: &Chip,
    timer: &dyn OpTimer,
    network: &Network,
    layout: &Layout,
    constants: &ClusterConstants,
) -> Fit<TrainStep> {
    let step = step_unbound(ask, chip, timer, network, layout, constants)?;
    step.misfit(chip).map_or(Ok(step), Err)
}

/// Prices one layout even when its memory does not fit (`fits` tells).
///
/// # Errors
/// Why the layout cannot be run on any memory.
pub fn step_unbound(
    ask: &TrainAsk<'_>,
    chip: &Chip,
    timer: &dyn OpTimer,
    network: &Network,
    layout: &Layout,
    constants: &ClusterConstants,
) -> Fit<TrainStep> {
    check(ask, layout)?;
    let pieces = Pieces::of(ask, chip, timer, network, layout, &constants.train)?;
    step_of_pieces(ask, chip, timer, network, layout, constants, &pieces)
}

pub(crate) fn check(ask: &TrainAsk<'_>, layout: &Layout) -> Fit<()> {
    let degrees = [
        (layout.tensor_parallel, "tensor_parallel"),
        (layout.pipeline_parallel, "pipeline_parallel"),
        (layout.data_parallel, "data_parallel"),
        (layout.context_parallel, "context_parallel"),
        (layout.expert_parallel, "expert_parallel"),
        (layout.virtual_stages, "virtual_stages"),
        (layout.micro_batch, "micro_batch"),
        (ask.global_batch, "global_batch"),
        (ask.sequence, "sequence"),
    ];
    if let Some((_, name)) = degrees.into_iter().find(|(degree, _)| *degree == 0) {
        return Err(TrainMisfit::Zero(name));
    }
    if layout.data_parallel > ask.global_batch {
        return Err(TrainMisfit::Batch { batch: ask.global_batch, replicas: layout.data_parallel });
    }
    let layers = ask.model.layers.len() as u64;
    if layout.pipeline_parallel.saturating_mul(layout.virtual_stages) > layers {
        return Err(TrainMisfit::Stages { stages: layout.pipeline_parallel, chunks: layout.virtual_stages, layers });
    }
    Ok(())
}

/// Microbatches per replica; the last may be smaller.
pub(crate) fn microbatches(ask: &TrainAsk<'_>, layout: &Layout) -> f64 {
    (ask.global_batch as f64 / (layout.data_parallel as f64 * layout.micro_batch as f64)).max(1.0)
}

pub(crate) fn step_of_pieces(
    ask: &TrainAsk<'_>,
    chip: &Chip,
    timer: &dyn OpTimer,
    network: &Network,
    layout: &Layout,
    constants: &ClusterConstants,
    pieces: &Pieces,
) -> Fit<TrainStep> {
    let c = &constants.train;
    let m = microbatches(ask, layout);
    let pipeline = Pipeline::of(ask, network, layout, c, pieces, m);
    let worst = pipeline.worst;
    let mut breakdown = repeated(&worst, m, layout);
    breakdown.bubble = Seconds(pipeline.bubble(m, layout));
    let (data, data_energy) = data_exchange(ask, network, layout, c, &pipeline, m);
    breakdown.data = Seconds(data);
    breakdown.optimizer = optimizer(timer, layout, c, &pipeline);
    let doublings = (layout.chips() as f64 / network.domain.min(8) as f64).log2().max(0.0);
    breakdown.jitter = breakdown.total() * (c.jitter * doublings);
    let time = breakdown.total();
    if !time.value().is_finite() {
        return Err(TrainMisfit::NoLink);
    }
    let still = chip.power.idle.value().max(chip.power.cap.value() * c.static_fraction);
    let joules = pipeline.energy * m + data_energy + still * time.value();
    Ok(assembled(ask, chip, layout, &pieces.count, &pipeline, (breakdown, joules)))
}

fn assembled(
    ask: &TrainAsk<'_>,
    chip: &Chip,
    layout: &Layout,
    count: &JobCount,
    pipeline: &Pipeline,
    (breakdown, joules): (TrainBreakdown, f64),
) -> TrainStep {
    let time = breakdown.total();
    let model = count.flop;
    let hardware = model + count.again(ask, layout);
    let peak = peak_flop_per_second(chip, ask.precision.weights.mac()) * layout.chips() as f64;
    let possible = (peak * time.value()).max(f64::MIN_POSITIVE);
    TrainStep {
        layout: *layout,
        time,
        breakdown,
        memory: pipeline.memory,
        fits: pipeline.memory.total() <= chip.memory.hbm,
        energy: Joules(joules),
        power: Watts(joules / time.value().max(f64::MIN_POSITIVE)),
        model_flop: Flop(model),
        hardware_flop: Flop(hardware),
        mfu: model / possible,
        hfu: hardware / possible,
        tokens_per_second_per_chip: ask.tokens() / time.value().max(f64::MIN_POSITIVE) / layout.chips().max(1) as f64,
    }
}

fn repeated(worst: &StageTime, m: f64, _layout: &Layout) -> TrainBreakdown {
    let s = |x: f64| Seconds(x * m);
    TrainBreakdown {
        gemm: s(worst.gemm),
        attention: s(worst.attention),
        vector: s(worst.vector),
        recompute: s(worst.recompute),
        tensor: s(worst.tensor),
        context: s(worst.context),
        expert: s(worst.expert),
        transfer: s(worst.transfer),
        host: s(worst.host),
        interference: s(worst.interference),
        ..TrainBreakdown::default()
    }
}

/// Exposed exchange between replicas, and its energy: gradients and weights once per step, or with fully sharded state once per microbatch.
fn data_exchange(ask: &TrainAsk<'_>, network: &Network, layout: &Layout, c: &TrainConstants, pipeline: &Pipeline, m: f64) -> (f64, f64) {
    let dense = span_of(ParallelGroup::Data, layout);
    let shard = layout.shard();
    let cells = layout.tensor_parallel.saturating_mul(layout.context_parallel).saturating_mul(shard.attention_data).max(1);
    let all = layout.tensor_parallel.saturating_mul(layout.context_parallel).saturating_mul(layout.data_parallel);
    let expert = Span { size: (all / cells).max(1), stride: cells };
    let wide = ask.precision.weights.bytes().min(ask.precision.residual.bytes());
    let exchange = |kind, parameters: f64, width: f64, span| {
        let collective = Collective { kind, bytes: (parameters * width) as u64, group: ParallelGroup::Data };
        (time_over(&collective, span, network).value(), link_energy(&collective, span, network, c))
    };
    let both = |kind, width| {
        let (a, b) = (exchange(kind, pipeline.dense_parameters, width, dense), exchange(kind, pipeline.expert_parameters, width, expert));
        (a.0 + b.0, a.1 + b.1)
    };
    let (scatter, scatter_j) = both(CollectiveKind::ReduceScatter, ask.gradient.bytes());
    let (gather, gather_j) = both(CollectiveKind::AllGather, wide);
    if layout.sharding == StateSharding::Full {
        let each = 2.0 * gather + scatter;
        let hidden = ((1.0 - c.sharded_exposed) * each).min(pipeline.worst.compute());
        return ((each - hidden + c.interference * hidden) * m, (2.0 * gather_j + scatter_j) * m);
    }
    let once = scatter + gather;
    let hidden = if ask.kernels == Kernels::Plain { 0.0 } else { ((1.0 - c.data_exposed) * once).min(window(layout, pipeline, m)) };
    (once - hidden + c.interference * hidden, scatter_j + gather_j)
}

/// Compute behind which a chunk's exchange can hide: the last microbatch, and with `v` chunks the others of the last `p` microbatches.
fn window(layout: &Layout, pipeline: &Pipeline, m: f64) -> f64 {
    let (p, v) = (layout.pipeline_parallel as f64, layout.virtual_stages.max(1) as f64);
    pipeline.worst.compute() * (1.0 + (m.min(p) - 1.0).max(0.0) * (v - 1.0) / v)
}

fn optimizer(timer: &dyn OpTimer, layout: &Layout, c: &TrainConstants, pipeline: &Pipeline) -> Seconds {
    const ROW: u64 = 1024;
    let held = pipeline.optimizer_parameters(layout);
    let rows = ((held / ROW as f64) as u64).max(1);
    let bytes = |per: f64| (held * per) as u64;
    let op = VectorOp {
        kind: VectorKind::Optimizer,
        rows,
        cols: ROW,
        read_bytes: bytes(c.optimizer_read_bytes),
        write_bytes: bytes(c.optimizer_write_bytes),
    };
    timer.cost(&Op::Vector(op)).time
}

/// Operations per second of a chip's arrays at full clock.
pub fn peak_flop_per_second(chip: &Chip, mac: MacType) -> f64 {
    let c = &chip.compute;
    let rate = match mac {
        MacType::Fp16 => 1.0,
        MacType::Fp32 => c.rate.fp32,
        MacType::Fp8 => c.rate.fp8.max(1.0),
        MacType::Int8 => c.rate.int8.max(1.0),
        MacType::Fp4 => c.rate.fp4.max(c.rate.fp8).max(1.0),
    };
    2.0 * c.cores as f64 * c.arrays_per_core as f64 * c.array_rows as f64 * c.array_columns as f64 * c.clock.value() * rate
}

/// Operations of forward and backward pass over `batch` sequences: `6·N_active` per token, and for attention of all pairs `12·s·a·d` per layer.
pub fn model_flop(model: &Model, batch: u64, sequence: u64) -> f64 {
    let tokens = batch as f64 * sequence as f64;
    let forward = 2.0 * model.parameters().active() as f64 + forward_core_flop_per_token(model, sequence);
    // The backward pass takes twice the forward's.
    tokens * (forward + 2.0 * forward)
}

/// What every step of one job has in common, counted once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct JobCount {
    /// Operations of a step.
    flop: f64,
    /// Operations per token of forward matrix products, and of attention's core.
    forward: [f64; 2],
}

impl JobCount {
    pub(crate) fn of(ask: &TrainAsk<'_>) -> Self {
        let model = ask.model;
        let matrix = model.parameters().active() as f64 - model.vocabulary as f64 * model.hidden as f64;
        let core = forward_core_flop_per_token(model, ask.sequence);
        Self { flop: model_flop(model, ask.global_batch, ask.sequence), forward: [2.0 * matrix.max(0.0), core] }
    }

    /// Operations done again.
    fn again(&self, ask: &TrainAsk<'_>, layout: &Layout) -> f64 {
        let [matrix, core] = self.forward;
        let (tokens, forward) = (ask.tokens(), matrix + core);
        let layers = |n: u64| n.saturating_mul(layout.pipeline_parallel) as f64 / ask.model.layers.len().max(1) as f64;
        match layout.recompute {
            Recompute::None => 0.0,
            Recompute::Selective => tokens * core,
            Recompute::Full => tokens * forward,
            Recompute::Layers(n) => tokens * forward * layers(n).min(1.0),
        }
    }
}

fn forward_core_flop_per_token(model: &Model, sequence: u64) -> f64 {
    let per_layer = |a: &Attention| match *a {
        Attention::Grouped { heads, head_dim, window, .. } => {
            let seen = if window > 0 { window.min(sequence) } else { sequence };
            2.0 * heads as f64 * (head_dim + head_dim) as f64 * seen as f64
        }
        Attention::Latent { heads, rope_dim, nope_dim, v_dim, .. } => {
            2.0 * heads as f64 * (rope_dim + nope_dim + v_dim) as f64 * sequence as f64
        }
    };
    model.layers.iter().map(|l| per_layer(&l.attention)).sum()
}
