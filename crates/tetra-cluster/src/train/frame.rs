//! What all plans have in common that split the job alike: sums over the layers of each kind of stage, exchange between replicas, the optimiser's step.
//!
//! A plan is priced in three layers. Sums over the ops of one microbatch ([`Pieces`]) depend on the degrees of tensor, context and expert parallelism, the microbatch and
//! sequence parallelism. A frame adds the degrees of pipeline and data parallelism and the chunks: whatever costs a root or a look at the timer is settled here. What is
//! recomputed, sharded, off-loaded, and in which order microbatches run, is left to arithmetic ([`crate::train::step::price`]).

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use tetra_chip::{Chip, FixedState, OpTimer};
use tetra_workload::{Collective, CollectiveKind, DataType, Op, ParallelGroup, VectorKind, VectorOp};

use crate::collective::{Span, time_over};
use crate::constants::ClusterConstants;
use crate::network::Network;
use crate::train::ask::TrainAsk;
use crate::train::constants::{TrainConstants, compiled};
use crate::train::layout::{Layout, Offload, Recompute, Schedule, StateSharding};
use crate::train::memory::Kept;
use crate::train::piece::{Passes, Pieces, Spent, link_energy, span_of};
use crate::train::pipeline::Outlines;
use crate::train::split::{Split, StageKind};
use crate::train::stage::Pipeline;
use crate::train::step::microbatches;

/// What every plan of a job has in common.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) ask: TrainAsk<'a>,
    pub(crate) chip: &'a Chip,
    pub(crate) timer: &'a dyn OpTimer,
    pub(crate) network: &'a Network,
    pub(crate) constants: &'a ClusterConstants,
    /// The constants of training that hold on this chip.
    train: TrainConstants,
    /// Share of the parameters that is trained.
    pub(crate) trained: f64,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        ask: TrainAsk<'a>,
        chip: &'a Chip,
        timer: &'a dyn OpTimer,
        network: &'a Network,
        constants: &'a ClusterConstants,
    ) -> Self {
        Self { ask, chip, timer, network, constants, train: constants.train.on(chip), trained: ask.trained_share() }
    }

    pub(crate) fn train(&self) -> &TrainConstants {
        &self.train
    }

    /// Replicas that wait for each other: chips of one domain run in step where one compiled program drives them all.
    fn apart(&self, layout: &Layout) -> u64 {
        let replicas = replicas(layout);
        if !compiled(self.chip) {
            return replicas;
        }
        replicas.div_ceil((self.network.domain / layout.model_chips().max(1)).max(1)).max(1)
    }
}

/// Sums over the layers of one kind of stage, ends included.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct StageSums {
    pub(crate) index: u64,
    pub(crate) stages: f64,
    pub(crate) layers: f64,
    pub(crate) last: bool,
    /// Forward and backward pass.
    pub(crate) once: Spent,
    /// Of that, seconds of the forward pass and of gradients of weights.
    pub(crate) ahead: f64,
    pub(crate) weight: f64,
    /// What full recomputation of the layers runs again.
    pub(crate) forward: Spent,
    /// What selective recomputation runs again.
    pub(crate) core: Spent,
    /// What is run again when only cheap results are.
    pub(crate) cheap: Spent,
    pub(crate) dense_parameters: f64,
    pub(crate) expert_parameters: f64,
    /// Parameters of the largest layer.
    pub(crate) largest_layer: f64,
    /// Kept bytes of one microbatch in all layers.
    pub(crate) kept: Kept,
    /// Kept bytes of the fullest layer.
    pub(crate) working: f64,
}

/// Exchange between replicas once: time and energy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Exchange {
    /// Gradients are summed.
    pub(crate) scatter: (f64, f64),
    /// Weights are gathered.
    pub(crate) gather: (f64, f64),
    /// The same layer by layer, as fully sharded state asks.
    pub(crate) scatter_layers: (f64, f64),
    pub(crate) gather_layers: (f64, f64),
    /// Parts in which the two are done.
    pub(crate) layers: f64,
    /// Gradients of a chip's share are summed over the groups that each hold all state.
    pub(crate) across: (f64, f64),
}

/// What all plans of one split have in common. Depends on every degree, the chunks, the microbatch, sequence parallelism and the batch; on nothing else of a layout.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// The layout it belongs to, without what it does not depend on.
    pub(crate) split: Layout,
    /// Microbatches per replica.
    pub(crate) microbatches: f64,
    /// Transfer of a microbatch between stages: time and energy.
    pub(crate) transfer: (f64, f64),
    /// Whether the expert group spans scale-up domains.
    pub(crate) experts_cross: bool,
    /// Share of the step that waiting for the slowest replica adds.
    pub(crate) jitter: f64,
    pub(crate) stages: Vec<StageSums>,
    pub(crate) exchange: Exchange,
    /// Step of the optimiser with all state and with its share of it.
    pub(crate) optimizer: [f64; 2],
    pub(crate) outlines: Rc<Outlines>,
    pub(crate) lines: Lines,
}

/// What is recomputed, in which order, and what moves each microbatch: on no other choice of a plan the time of its pipeline depends.
type Choice = (Schedule, Recompute, bool, bool);

/// Times of the pipelines of one frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Lines {
    known: RefCell<HashMap<Choice, f64, FixedState>>,
}

impl Lines {
    /// The time of a plan's pipeline.
    pub(crate) fn time(&self, layout: &Layout, worked_out: impl FnOnce() -> f64) -> f64 {
        let key = (layout.schedule, layout.recompute, layout.offload.weights, layout.offload.activations);
        *self.known.borrow_mut().entry(key).or_insert_with(worked_out)
    }
}

impl Frame {
    /// What a frame depends on: the layout with all else at rest.
    pub(crate) fn split_of(layout: &Layout) -> Layout {
        Layout {
            recompute: Recompute::None,
            sharding: StateSharding::None,
            schedule: Schedule::default(),
            offload: Offload::NONE,
            ..*layout
        }
    }

    /// Layers are spread evenly, or with places for embedding and head where that is no slower with nothing recomputed, in the order of 1F1B: the busiest stage's work, and a
    /// microbatch's way through the chunks of the others. It spares the ends memory.
    pub(crate) fn of(job: &Job<'_>, layout: &Layout, pieces: &Pieces, split: &Split, outlines: &Rc<Outlines>) -> Self {
        let even = Self::bare(job, layout, pieces, &split.even, outlines);
        let slots = split.slots.as_deref().map(|kinds| Self::bare(job, layout, pieces, kinds, outlines));
        let time = |f: &Self| {
            let (worst, way) = Pipeline::busiest(job, f, &f.split);
            f.microbatches * worst + (way - worst) / layout.virtual_stages.max(1) as f64
        };
        let faster = slots.filter(|s| time(s) <= time(&even)).unwrap_or(even);
        let fullest = fullest(&faster.stages);
        let optimizer = [false, true].map(|sharded| optimizer(job, held(layout, fullest, sharded)));
        let layers = faster.stages.iter().fold(1.0, |most: f64, s| most.max(s.layers));
        Self { exchange: exchange(job, layout, fullest, layers), optimizer, ..faster }
    }

    /// Without what follows the pipeline.
    fn bare(job: &Job<'_>, layout: &Layout, pieces: &Pieces, kinds: &[StageKind], outlines: &Rc<Outlines>) -> Self {
        let mut stages: Vec<StageSums> = kinds.iter().map(|k| StageSums::of(k, pieces)).collect();
        for stage in &mut stages {
            stage.once.vector += accumulation(job, layout, stage.dense_parameters + stage.expert_parameters);
        }
        Self {
            split: Self::split_of(layout),
            microbatches: microbatches(&job.ask, layout),
            transfer: transfer(job, layout),
            experts_cross: pieces.experts_cross,
            jitter: job.train().slowest_of(job.apart(layout)),
            stages,
            exchange: Exchange::default(),
            optimizer: [0.0; 2],
            outlines: Rc::clone(outlines),
            lines: Lines::default(),
        }
    }

    /// The stage as far from the last as `index` is from the first.
    pub(crate) fn mirrored(&self, index: u64) -> Option<&StageSums> {
        let all: f64 = self.stages.iter().map(|s| s.stages).sum();
        let mut left = all - 1.0 - index as f64;
        for stage in &self.stages {
            if left < stage.stages {
                return Some(stage);
            }
            left -= stage.stages;
        }
        self.stages.last()
    }

    /// No plan of this frame is faster: the stage with most compute, or the pair of stages that share the layers of both ends, works all the time.
    pub(crate) fn least(&self) -> f64 {
        let compute = |s: &StageSums| s.once.compute();
        let busy = self.stages.iter().map(|s| 0.5 * (compute(s) + self.mirrored(s.index).map_or(0.0, compute))).fold(0.0, f64::max);
        self.microbatches * busy * (1.0 + self.jitter)
    }
}

impl StageSums {
    fn of(kind: &StageKind, pieces: &Pieces) -> Self {
        let mut sums = Self { index: kind.index, stages: kind.stages, layers: kind.layers, last: kind.last, ..Self::default() };
        for (&count, layer) in kind.counts.iter().zip(&pieces.layers) {
            sums.pass(&layer.passes, count);
            sums.forward.add(&layer.again, count);
            sums.core.add(&layer.core, count);
            sums.cheap.add(&layer.cheap, count);
            sums.dense_parameters += count * layer.dense_parameters;
            sums.expert_parameters += count * layer.expert_parameters;
            sums.kept.add(&layer.kept, count);
            if count > 0.0 {
                sums.largest_layer = sums.largest_layer.max(layer.dense_parameters + layer.expert_parameters);
                sums.working = sums.working.max(layer.kept.all);
            }
        }
        sums.ends(kind, pieces);
        sums
    }

    fn pass(&mut self, passes: &Passes, times: f64) {
        self.once.add(&passes.forward, times);
        self.once.add(&passes.backward, times);
        self.ahead += times * passes.forward.all();
        self.weight += times * passes.weight;
    }

    fn ends(&mut self, kind: &StageKind, pieces: &Pieces) {
        if kind.first {
            self.pass(&pieces.embedding, 1.0);
            self.dense_parameters += pieces.embedding_parameters;
        }
        if kind.last {
            self.pass(&pieces.head, 1.0);
            self.dense_parameters += pieces.head_parameters.max(0.0);
            if !kind.first && pieces.head_parameters <= 0.0 {
                // A tied head needs its own copy of the embedding on the last stage.
                self.dense_parameters += pieces.embedding_parameters;
            }
        }
    }

    /// Share of the stage's layers that `layers` of them make.
    pub(crate) fn share(&self, layers: u64) -> f64 {
        if self.layers > 0.0 { (layers as f64 / self.layers).min(1.0) } else { 0.0 }
    }
}

/// Groups that hold the same weights and meet at the end of a step.
fn replicas(layout: &Layout) -> u64 {
    layout.data_parallel.saturating_mul(layout.context_parallel).max(1)
}

/// Dense and expert parameters of the fullest stage.
fn fullest(stages: &[StageSums]) -> (f64, f64) {
    let mut most = (0.0, 0.0);
    for s in stages {
        if s.dense_parameters + s.expert_parameters > most.0 + most.1 {
            most = (s.dense_parameters, s.expert_parameters);
        }
    }
    most
}

/// Parameters whose optimiser state one chip steps.
fn held(layout: &Layout, (dense, expert): (f64, f64), sharded: bool) -> f64 {
    if !sharded {
        return dense + expert;
    }
    let replicas = layout.data_parallel.saturating_mul(layout.context_parallel).max(1) as f64;
    let expert_replicas = (replicas * layout.tensor_parallel as f64 / layout.expert_parallel.max(1) as f64).max(1.0).min(replicas);
    dense / replicas + expert / expert_replicas
}

/// Which of [`Frame::optimizer`] a sharding takes.
pub(crate) fn steps_share(sharding: StateSharding) -> bool {
    sharding != StateSharding::None
}

fn optimizer(job: &Job<'_>, held: f64) -> f64 {
    const ROW: u64 = 1024;
    let c = job.train();
    let held = held * job.trained;
    let rows = ((held / ROW as f64) as u64).max(1);
    let bytes = |per: f64| (held * per) as u64;
    let op = VectorOp {
        kind: VectorKind::Optimizer,
        rows,
        cols: ROW,
        read_bytes: bytes(c.optimizer_read_bytes),
        write_bytes: bytes(c.optimizer_write_bytes),
    };
    job.timer.cost(&Op::Vector(op)).time.value()
}

/// Time to add the gradients of one microbatch to those of the others, beyond the 32-bit result that each product writes: a product that adds reads the old sum; else a pass
/// of its own adds a narrow gradient.
fn accumulation(job: &Job<'_>, layout: &Layout, parameters: f64) -> f64 {
    const ROW: u64 = 1024;
    let (narrow, sum) = (job.ask.precision.residual.bytes(), job.ask.gradient.bytes());
    let (read, written) = if job.ask.framework.adds_gradients {
        (sum, sum - DataType::Fp32.bytes())
    } else if microbatches(&job.ask, layout) > 1.0 {
        (narrow + sum, sum)
    } else {
        return 0.0;
    };
    if read + written <= 0.0 {
        return 0.0;
    }
    let bytes = (0.5 * parameters * (read + written)) as u64;
    let op = VectorOp {
        kind: VectorKind::Add,
        rows: ((parameters / ROW as f64) as u64).max(1),
        cols: ROW,
        read_bytes: bytes,
        write_bytes: bytes,
    };
    job.timer.cost(&Op::Vector(op)).time.value()
}

/// Time and energy of sending one microbatch to the next stage.
fn transfer(job: &Job<'_>, layout: &Layout) -> (f64, f64) {
    if layout.pipeline_parallel < 2 {
        return (0.0, 0.0);
    }
    let elements = layout.micro_batch as f64 * job.ask.sequence as f64 * job.ask.model.hidden as f64;
    let split = layout.context_parallel.saturating_mul(layout.tensor_parallel).max(1) as f64;
    let bytes = (elements * job.ask.precision.residual.bytes() / split) as u64;
    let collective = Collective { kind: CollectiveKind::SendRecv, bytes, group: ParallelGroup::Pipeline };
    let span = span_of(ParallelGroup::Pipeline, layout);
    let staged = if span.inside(job.network.domain) > 1 { 0.0 } else { split.min(job.network.domain as f64) * job.network.staged_s };
    (staged + time_over(&collective, span, job.network).value(), link_energy(&collective, span, job.network, job.train()))
}

/// All-reduce of a chip's share of the gradients over the groups of `within` chips.
fn across(layout: &Layout, within: u64, all_reduce: impl Fn(Span, f64) -> (f64, f64)) -> (f64, f64) {
    let all = layout.chips();
    if all <= within {
        return (0.0, 0.0);
    }
    let sharing = (within / layout.model_chips().max(1)).max(1);
    all_reduce(Span { size: all.div_ceil(within), stride: within }, 1.0 / sharing as f64)
}

/// Exchange of the gradients and weights of the fullest stage.
fn exchange(job: &Job<'_>, layout: &Layout, (dense_parameters, expert_parameters): (f64, f64), layers: f64) -> Exchange {
    let dense = span_of(ParallelGroup::Data, layout);
    let shard = layout.shard();
    let cells = layout.tensor_parallel.saturating_mul(layout.context_parallel).saturating_mul(shard.attention_data).max(1);
    let all = layout.tensor_parallel.saturating_mul(layout.context_parallel).saturating_mul(layout.data_parallel);
    let expert = Span { size: (all / cells).max(1), stride: cells };
    let residual = job.ask.precision.residual.bytes();
    let wide = if job.ask.framework.gathers_narrow { job.ask.precision.weights.bytes().min(residual) } else { residual };
    let one = |kind, parameters: f64, width: f64, span| {
        let collective = Collective { kind, bytes: (parameters * width) as u64, group: ParallelGroup::Data };
        (time_over(&collective, span, job.network).value(), link_energy(&collective, span, job.network, job.train()))
    };
    let over = |kind, width, parts: f64, within: u64| {
        let inside = |span: Span| Span { size: span.size.min((within / span.stride.max(1)).max(1)), ..span };
        let a = one(kind, dense_parameters / parts, width, inside(dense));
        let b = one(kind, expert_parameters / parts, width, inside(expert));
        (parts * (a.0 + b.0), parts * (a.1 + b.1))
    };
    let both = |kind, width, parts| over(kind, width, parts, u64::MAX);
    let within = job.train().sharded_over;
    let gradient = job.ask.gradient.bytes() * job.trained;
    Exchange {
        scatter: both(CollectiveKind::ReduceScatter, gradient, 1.0),
        gather: both(CollectiveKind::AllGather, wide, 1.0),
        scatter_layers: over(CollectiveKind::ReduceScatter, gradient, layers, within),
        gather_layers: over(CollectiveKind::AllGather, wide, layers, within),
        layers,
        across: across(layout, within, |span, share| {
            one(CollectiveKind::AllReduce, (dense_parameters + expert_parameters) * share, gradient, span)
        }),
    }
}
