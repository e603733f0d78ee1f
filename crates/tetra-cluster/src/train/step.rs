//! Time, memory and energy of one training step.
//!
//! A stage's time per microbatch is the sum of its ops, of the exposed part of its communication and of what it waits for the host; what the schedule makes of all stages
//! is `pipeline`'s. Exchange between replicas and the optimiser step follow. Copies from and to the host's memory count where they take longer than the compute beside them.
//! All parts add up to the total.
//! Hidden communication slows the compute that hides it (arXiv 2507.03114). Utilisation counts the attention of all pairs (convention of arXiv 2205.05198).
//!
//! Leaves out: imbalance between experts beyond one factor, slow chips beyond one factor per doubling.

use std::rc::Rc;

use tetra_chip::{Chip, OpTimer};
use tetra_quantity::{Flop, Joules, Seconds, Watts};
use tetra_workload::{Attention, MacType, Model};

use crate::constants::ClusterConstants;
use crate::fleet::LoadProfile;
use crate::network::Network;
use crate::train::ask::{TrainAsk, Trained};
use crate::train::constants::TrainConstants;
use crate::train::frame::{Exchange, Frame, Job, steps_share};
use crate::train::layout::{Layout, Recompute, Schedule, StateSharding};
use crate::train::memory::TrainMemory;
use crate::train::misfit::{Fit, TrainMisfit};
use crate::train::piece::Pieces;
use crate::train::split::Split;
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
    /// Copies from and to the host that no compute hides.
    pub offload: Seconds,
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
    pub fn parts(&self) -> [(&'static str, Seconds); 15] {
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
            ("offload", self.offload),
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
        if !self.fits && self.memory.total() <= chip.memory.hbm {
            return Some(TrainMisfit::HostMemory { need: self.memory.host });
        }
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
    let job = Job::new(*ask, chip, timer, network, constants);
    let pieces = Pieces::of(ask, chip, timer, network, layout, job.train())?;
    let split = Split::of(&pieces.depth, layout.pipeline_parallel, layout.virtual_stages);
    step_of_frame(&job, &Frame::of(&job, layout, &pieces, &split, &Rc::default()), layout, &JobCount::of(ask))
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
    if let Some((knob, need)) = layout.unordered(ask.global_batch) {
        return Err(TrainMisfit::Schedule { schedule: layout.schedule.name(), need, knob });
    }
    let layers = ask.model.layers.len() as u64;
    if layout.pipeline_parallel.saturating_mul(layout.virtual_stages) > layers {
        return Err(TrainMisfit::Stages { stages: layout.pipeline_parallel, chunks: layout.virtual_stages, layers });
    }
    Ok(())
}

/// Microbatches of the replica with most sequences; the last may be smaller.
pub(crate) fn microbatches(ask: &TrainAsk<'_>, layout: &Layout) -> f64 {
    (ask.global_batch.div_ceil(layout.data_parallel.max(1)) as f64 / layout.micro_batch as f64).max(1.0)
}

/// Time, memory and energy of a plan, without what follows from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Priced {
    pub(crate) breakdown: TrainBreakdown,
    pub(crate) time: f64,
    /// The time if compute hid of the exchange between replicas all that may be hidden.
    pub(crate) least: f64,
    pub(crate) memory: TrainMemory,
    pub(crate) joules: f64,
}

/// Prices a plan: arithmetic on its frame, nothing else.
pub(crate) fn price(job: &Job<'_>, frame: &Frame, layout: &Layout) -> Priced {
    let c = job.train();
    let m = frame.microbatches;
    let pipeline = Pipeline::of(job, frame, layout);
    let mut breakdown = repeated(&pipeline.worst, m);
    breakdown.bubble = Seconds(pipeline.bubble(m));
    // A pipeline with layers of both ends on each stage holds and exchanges everything twice; twice as many chips share the optimiser's state.
    let copies = if layout.schedule == Schedule::DualPipe { 2.0 } else { 1.0 };
    breakdown.optimizer = Seconds(optimizer(job, frame, layout, &pipeline, copies));
    // State gathered anew for each microbatch is waited for while the pipeline fills and drains, too.
    let fill = (layout.pipeline_parallel.max(1) - 1) as f64 / layout.virtual_stages.max(1) as f64;
    let exchange = |room| {
        let (time, energy) = data_exchange(&job.ask, layout, c, &frame.exchange, [m, fill], room);
        (copies * time, copies * energy)
    };
    let least = breakdown.total().value() + exchange(f64::INFINITY).0;
    let (data, data_energy) = exchange(room(layout, &pipeline, m));
    breakdown.data = Seconds(data);
    breakdown.jitter = breakdown.total() * frame.jitter;
    let time = breakdown.total().value();
    let still = job.chip.power.idle.value().max(job.chip.power.cap.value() * c.static_fraction);
    let joules = pipeline.energy * m + data_energy + still * time;
    Priced { breakdown, time, least: least * (1.0 + frame.jitter), memory: pipeline.memory, joules }
}

/// The optimiser's step; state that lies in the host's memory passes its link, both directions at once.
fn optimizer(job: &Job<'_>, frame: &Frame, layout: &Layout, pipeline: &Pipeline, copies: f64) -> f64 {
    let shared = steps_share(layout.sharding);
    let step = frame.optimizer[usize::from(shared)] * if shared { 1.0 } else { copies };
    if layout.offload.optimizer { step.max(pipeline.state.value() / job.network.host.link.value()) } else { step }
}

pub(crate) fn step_of_frame(job: &Job<'_>, frame: &Frame, layout: &Layout, count: &JobCount) -> Fit<TrainStep> {
    let priced = price(job, frame, layout);
    if priced.time.is_finite() { Ok(assembled(job, layout, count, &priced)) } else { Err(TrainMisfit::NoLink) }
}

fn assembled(job: &Job<'_>, layout: &Layout, count: &JobCount, priced: &Priced) -> TrainStep {
    let Job { ask, chip, .. } = job;
    let time = Seconds(priced.time);
    let model = ask.tokens() * count.flop;
    let hardware = model + count.again(ask, layout);
    let peak = peak_flop_per_second(chip, ask.precision.weights.mac()) * layout.chips() as f64;
    let possible = (peak * time.value()).max(f64::MIN_POSITIVE);
    TrainStep {
        layout: *layout,
        time,
        breakdown: priced.breakdown,
        memory: priced.memory,
        fits: priced.memory.total() <= chip.memory.hbm && priced.memory.host <= job.network.host.memory,
        energy: Joules(priced.joules),
        power: Watts(priced.joules / time.value().max(f64::MIN_POSITIVE)),
        model_flop: Flop(model),
        hardware_flop: Flop(hardware),
        mfu: model / possible,
        hfu: hardware / possible,
        tokens_per_second_per_chip: ask.tokens() / time.value().max(f64::MIN_POSITIVE) / layout.chips().max(1) as f64,
    }
}

fn repeated(worst: &StageTime, m: f64) -> TrainBreakdown {
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
        offload: s(worst.offload),
        ..TrainBreakdown::default()
    }
}

/// Exposed exchange between replicas of which `room` can hide, and its energy: gradients and weights once per step, or with fully sharded state once per
/// microbatch, of which the pipeline waits for `fill` more.
fn data_exchange(
    ask: &TrainAsk<'_>,
    layout: &Layout,
    c: &TrainConstants,
    exchange: &Exchange,
    [m, fill]: [f64; 2],
    room: f64,
) -> (f64, f64) {
    if layout.sharding == StateSharding::Full {
        let (across, across_j) = exchange.across;
        let behind = ((1.0 - c.data_exposed) * across).min(room * m);
        let once = across - behind + c.interference * behind;
        let (each, each_j) = by_layers(ask, c, exchange, (2.0, m), room);
        return (once + each * (1.0 + fill / m), across_j + each_j);
    }
    // A library made for fully sharded state gathers layer by layer, too, when weights stay for the backward pass.
    if layout.sharding == StateSharding::Gradients && ask.framework.sharding == StateSharding::Full {
        return by_layers(ask, c, exchange, (1.0, m), room);
    }
    let ((scatter, scatter_j), (gather, gather_j)) = (exchange.scatter, exchange.gather);
    // Frozen weights are never sent: what was trained is as large as its gradients.
    let (gather, gather_j) = if ask.trained == Trained::All { (gather, gather_j) } else { (scatter, scatter_j) };
    // Split gradients are summed over the replicas as each microbatch makes them.
    let rounds = if layout.sharding == StateSharding::Gradients { m } else { 1.0 };
    // Split optimiser state was first fed by an all-reduce: scatter and gather of gradients.
    let whole = !ask.framework.scatters_gradients && layout.sharding == StateSharding::Optimizer;
    let once = rounds * scatter * if whole { 2.0 } else { 1.0 } + gather;
    let hidden = if !ask.framework.overlaps { 0.0 } else { ((1.0 - c.data_exposed) * once).min(rounds * room) };
    (once - hidden + c.interference * hidden, rounds * scatter_j + gather_j)
}

/// Exposed exchange layer by layer in each of `m` microbatches, of which `room` can hide, and its energy: weights are gathered so many times, gradients scattered once.
fn by_layers(ask: &TrainAsk<'_>, c: &TrainConstants, exchange: &Exchange, (gathers, m): (f64, f64), room: f64) -> (f64, f64) {
    let ((scatter, scatter_j), (gather, gather_j)) = (exchange.scatter_layers, exchange.gather_layers);
    let each = gathers * gather + scatter;
    let ends = 1.0 / exchange.layers.max(1.0);
    let exposed = if ask.framework.gathers_ahead { ends.min(c.sharded_exposed) } else { c.sharded_exposed };
    let hidden = ((1.0 - exposed) * each).min(room);
    ((each - hidden + c.interference * hidden) * m, (gathers * gather_j + scatter_j) * m)
}

/// Compute behind which an exchange can hide: of one microbatch where all state is sharded; else, of a chunk's, the last microbatch, and with `v` chunks the others of the last `p`.
fn room(layout: &Layout, pipeline: &Pipeline, m: f64) -> f64 {
    let (p, v) = (layout.pipeline_parallel as f64, layout.virtual_stages.max(1) as f64);
    let others = if layout.sharding == StateSharding::Full { 0.0 } else { (m.min(p) - 1.0).max(0.0) * (v - 1.0) / v };
    pipeline.worst.compute() * (1.0 + others)
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
    batch as f64 * sequence as f64 * flop_per_token(model, sequence)
}

/// Operations of the forward pass over `batch` sequences.
pub fn forward_flop(model: &Model, batch: u64, sequence: u64) -> f64 {
    let passes = 1.0 + 2.0;
    model_flop(model, batch, sequence) / passes
}

fn flop_per_token(model: &Model, sequence: u64) -> f64 {
    let forward = 2.0 * model.parameters().active() as f64 + forward_core_flop_per_token(model, sequence);
    // The backward pass takes twice the forward's.
    forward + 2.0 * forward
}

/// What every step of one job has in common, counted once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct JobCount {
    /// Operations per token.
    flop: f64,
    /// Operations per token of forward matrix products, and of attention's core.
    forward: [f64; 2],
}

impl JobCount {
    pub(crate) fn of(ask: &TrainAsk<'_>) -> Self {
        let model = ask.model;
        let matrix = model.parameters().active() as f64 - model.vocabulary as f64 * model.hidden as f64;
        let core = forward_core_flop_per_token(model, ask.sequence);
        let all = flop_per_token(model, ask.sequence);
        let flop = match ask.trained {
            Trained::All => all,
            // Frozen weights have no gradient: one product less.
            Trained::Adapters(_) => all - 2.0 * model.parameters().active() as f64,
        };
        Self { flop, forward: [2.0 * matrix.max(0.0), core] }
    }

    /// Operations done again.
    fn again(&self, ask: &TrainAsk<'_>, layout: &Layout) -> f64 {
        let [matrix, core] = self.forward;
        let (tokens, forward) = (ask.tokens(), matrix + core);
        let layers = |n: u64| n.saturating_mul(layout.pipeline_parallel) as f64 / ask.model.layers.len().max(1) as f64;
        match layout.recompute {
            Recompute::None | Recompute::Cheap | Recompute::Hosted(_) => 0.0,
            // The published convention counts the core's products thrice again: `s/(3h)` for `s/(6h)` (arXiv 2205.05198 and the README tables after it).
            Recompute::Selective => 3.0 * tokens * core,
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
