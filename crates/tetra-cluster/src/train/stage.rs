//! Stages of a pipeline: how long a microbatch takes in each, what each keeps in memory.

use tetra_quantity::Bytes;

use crate::train::ask::{TrainAsk, Trained};
use crate::train::constants::TrainConstants;
use crate::train::frame::{Frame, Job, StageSums};
use crate::train::layout::{Layout, Offload, Recompute, Schedule};
use crate::train::memory::{StageHolds, TrainMemory, of_stage};
use crate::train::piece::Spent;
use crate::train::pipeline::{Line, RUNS, Run, in_flight};
use crate::train::schedule::{ChunkTime, Play};

/// Time of one microbatch in one stage, exposed parts only.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct StageTime {
    pub(crate) gemm: f64,
    pub(crate) attention: f64,
    pub(crate) vector: f64,
    pub(crate) recompute: f64,
    pub(crate) tensor: f64,
    pub(crate) context: f64,
    pub(crate) expert: f64,
    pub(crate) transfer: f64,
    pub(crate) host: f64,
    pub(crate) interference: f64,
    pub(crate) offload: f64,
}

impl StageTime {
    pub(crate) fn compute(&self) -> f64 {
        self.gemm + self.attention + self.vector + self.recompute
    }

    pub(crate) fn total(&self) -> f64 {
        self.compute() + self.tensor + self.context + self.expert + self.transfer + self.host + self.interference + self.offload
    }

    fn mean(&self, other: &Self) -> Self {
        let mean = |of: fn(&Self) -> f64| 0.5 * (of(self) + of(other));
        Self {
            gemm: mean(|t| t.gemm),
            attention: mean(|t| t.attention),
            vector: mean(|t| t.vector),
            recompute: mean(|t| t.recompute),
            tensor: mean(|t| t.tensor),
            context: mean(|t| t.context),
            expert: mean(|t| t.expert),
            transfer: mean(|t| t.transfer),
            host: mean(|t| t.host),
            interference: mean(|t| t.interference),
            offload: mean(|t| t.offload),
        }
    }

    /// The same by passes: half of the transfers each way, what is exposed or waited for in proportion.
    fn run(&self, stage: &StageSums, transfer: &Transfer, dispatch: f64) -> Run {
        // Waiting for the host that recomputation takes away is taken from it, not from the other passes: no pass is shorter where more is recomputed.
        let alone = (self.total() - self.host - self.recompute).max(stage.once.ops * dispatch);
        let (all, passes) = (stage.once.all().max(f64::MIN_POSITIVE), alone - transfer.busy);
        let forward = passes * stage.ahead / all + 0.5 * transfer.busy;
        let weight = passes * stage.weight / all;
        Run { count: stage.stages, forward, input: self.total() - forward - weight, weight }
    }
}

/// All stages.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Pipeline {
    /// One microbatch in the busiest stage; with layers of both ends on each stage, half of what two take.
    pub(crate) worst: StageTime,
    /// Time of the pipeline.
    pub(crate) time: f64,
    pub(crate) memory: TrainMemory,
    /// Optimiser state of the fullest stage, wherever it lies.
    pub(crate) state: Bytes,
    /// Dynamic energy of one microbatch, mean over chips.
    pub(crate) energy: f64,
}

impl Pipeline {
    /// Time in which the busiest stage has nothing to do.
    pub(crate) fn bubble(&self, m: f64) -> f64 {
        (self.time - m * self.worst.total()).max(0.0)
    }

    /// The pipeline of a plan.
    pub(crate) fn of(job: &Job<'_>, frame: &Frame, layout: &Layout) -> Self {
        let p = layout.pipeline_parallel.max(1) as f64;
        let transfer = transfer(&job.ask, frame, layout, job.train());
        let (mut out, mut line, mut most) = (Self::default(), Kinds::default(), 0.0);
        for stage in &frame.stages {
            out.hold(job, frame, layout, stage);
            let (mut time, mut energy) = stage_time(job, layout, frame, stage, &transfer);
            line.add(time.run(stage, &transfer, job.train().dispatch_s));
            if let Some(other) = mirrored(layout, frame, stage) {
                let (second, joules) = stage_time(job, layout, frame, other, &transfer);
                (time, energy) = (time.mean(&second), 0.5 * (energy + joules));
            }
            out.energy += stage.stages * energy / p;
            let total = time.total();
            if total > most {
                (most, out.worst) = (total, time);
            }
        }
        out.time = line.time(layout, frame, transfer.latency, &out.worst);
        out
    }

    /// One microbatch in the busiest stage, and in all stages.
    pub(crate) fn busiest(job: &Job<'_>, frame: &Frame, layout: &Layout) -> (f64, f64) {
        let transfer = transfer(&job.ask, frame, layout, job.train());
        let times = frame.stages.iter().map(|stage| (stage.stages, stage_time(job, layout, frame, stage, &transfer).0.total()));
        times.fold((0.0, 0.0), |(most, all), (count, time)| (f64::max(most, time), all + count * time))
    }

    fn hold(&mut self, job: &Job<'_>, frame: &Frame, layout: &Layout, stage: &StageSums) {
        let either_order = job.chip.compute.rate.fp4 > 0.0;
        let holds = StageHolds { trained: job.trained, either_order, ..holds(layout, frame, stage) };
        let memory = of_stage(&holds, &job.ask, layout, job.train());
        if memory.optimizer > self.state {
            self.state = memory.optimizer;
        }
        let memory = if layout.offload == Offload::NONE { memory } else { memory.offloaded(layout.offload, &holds, &job.ask) };
        let memory = memory.hosted(stage.share(hosted(layout)), &holds);
        let host = if memory.host > self.memory.host { memory.host } else { self.memory.host };
        if memory.total() > self.memory.total() {
            self.memory = memory;
        }
        self.memory.host = host;
    }
}

/// The step of a plan as it is played exactly; `None` without a pipeline.
pub(crate) fn play_of(job: &Job<'_>, frame: &Frame, layout: &Layout) -> Option<Play> {
    let (stages, chunks) = (layout.pipeline_parallel as usize, layout.virtual_stages as usize);
    if stages < 2 {
        return None;
    }
    let transfer = transfer(&job.ask, frame, layout, job.train());
    let mut each = Vec::with_capacity(stages);
    for stage in &frame.stages {
        let (time, _) = stage_time(job, layout, frame, stage, &transfer);
        let (run, v) = (time.run(stage, &transfer, job.train().dispatch_s), chunks as f64);
        let send = 0.5 * transfer.busy / v;
        let chunk = ChunkTime {
            forward: run.forward / v - send,
            again: time.recompute / v,
            input: (run.input - time.recompute) / v - send,
            weight: run.weight / v,
            send,
        };
        each.resize(each.len() + stage.stages as usize, chunk);
    }
    let folded = layout.schedule == Schedule::ZeroBubbleV;
    let stage = |k: usize| if folded && k >= stages { 2 * stages - 1 - k } else { k % stages };
    let times = (0..stages * chunks).filter_map(|k| each.get(stage(k)).copied()).collect();
    let microbatches = frame.microbatches.ceil() as usize;
    Some(Play { schedule: layout.schedule, stages, chunks, microbatches, times, latency: transfer.latency, together: 1.0 })
}

/// Layers whose kept bytes wait in the host's memory.
fn hosted(layout: &Layout) -> u64 {
    if let Recompute::Hosted(layers) = layout.recompute { layers } else { 0 }
}

/// The runs of a pipeline's stages.
#[derive(Clone, Copy, Default)]
struct Kinds {
    runs: [Run; RUNS],
    count: usize,
}

impl Kinds {
    fn add(&mut self, run: Run) {
        if self.count < RUNS {
            self.runs[self.count] = run;
            self.count += 1;
            return;
        }
        let last = &mut self.runs[RUNS - 1];
        let (a, b) = (last.count, run.count);
        let mix = |x: f64, y: f64| (a * x + b * y) / (a + b);
        *last = Run {
            count: a + b,
            forward: mix(last.forward, run.forward),
            input: mix(last.input, run.input),
            weight: mix(last.weight, run.weight),
        };
    }

    fn time(&self, layout: &Layout, frame: &Frame, latency: f64, worst: &StageTime) -> f64 {
        let microbatches = frame.microbatches;
        if layout.pipeline_parallel < 2 {
            return microbatches * worst.total();
        }
        let runs = &self.runs[..self.count];
        let line = || Line { schedule: layout.schedule, runs, chunks: layout.virtual_stages as f64, microbatches, latency };
        frame.lines.time(layout, || line().time_of(&frame.outlines))
    }
}

/// The other stage whose layers a stage holds too.
fn mirrored<'f>(layout: &Layout, frame: &'f Frame, stage: &StageSums) -> Option<&'f StageSums> {
    if layout.schedule == Schedule::DualPipe { frame.mirrored(stage.index) } else { None }
}

/// What one stage computes again per microbatch.
fn again(layout: &Layout, stage: &StageSums) -> Spent {
    match layout.recompute {
        Recompute::None | Recompute::Hosted(_) => Spent::default(),
        Recompute::Cheap => stage.cheap,
        Recompute::Selective => stage.core,
        Recompute::Full => stage.forward,
        Recompute::Layers(n) => {
            let mut part = Spent::default();
            part.add(&stage.forward, stage.share(n));
            part
        }
    }
}

/// Time of one microbatch in a stage, and its energy.
fn stage_time(job: &Job<'_>, layout: &Layout, frame: &Frame, stage: &StageSums, transfer: &Transfer) -> (StageTime, f64) {
    let c = job.train();
    let (once, again) = (&stage.once, again(layout, stage));
    let mut time = exposed(once, &again, &job.ask, layout, c, frame);
    time.transfer = transfer.busy;
    if layout.offload.moves() || matches!(layout.recompute, Recompute::Hosted(_)) {
        copy(job, layout, stage, &mut time);
    }
    time.host = ((once.ops + again.ops) * c.dispatch_s - time.total()).max(0.0);
    (time, once.energy + again.energy + once.link_energy + again.link_energy + transfer.energy)
}

/// A microbatch's copies from and to the host, both directions at once: weights for both passes, gradients added up, what the passes keep. What compute hides slows it.
fn copy(job: &Job<'_>, layout: &Layout, stage: &StageSums, time: &mut StageTime) {
    let offload = layout.offload;
    let parameters = stage.dense_parameters + stage.expert_parameters;
    let gradients = parameters * job.ask.gradient.bytes() * job.trained;
    let (mut read, mut write) = (0.0, 0.0);
    if offload.weights {
        read += 2.0 * parameters * job.ask.precision.residual.bytes() + gradients;
        write += gradients;
    }
    if offload.activations {
        let kept = kept(layout, stage);
        read += kept;
        write += kept;
    }
    if let Recompute::Hosted(layers) = layout.recompute {
        let hosted = stage.share(layers) * stage.kept.all;
        read += hosted;
        write += hosted;
    }
    let copies = f64::max(read, write) / job.network.host.link.value();
    let hidden = copies.min(time.compute());
    time.interference += job.train().interference * hidden;
    time.offload = copies - hidden;
}

/// Compute, and what of its communication no compute hides.
fn exposed(once: &Spent, again: &Spent, ask: &TrainAsk<'_>, layout: &Layout, c: &TrainConstants, frame: &Frame) -> StageTime {
    let overlapped = ask.framework.overlaps;
    // Frozen products make no weight gradients beside which a scatter could run, and the adapter beside a product waits for its whole input.
    let tensor_share = if overlapped && layout.sequence_parallel && ask.trained == Trained::All { c.tensor_exposed } else { 1.0 };
    let context_share = if overlapped { c.tensor_exposed } else { 1.0 };
    let beside = (frame.experts_cross && layout.pipeline_parallel > 1) || layout.schedule == Schedule::DualPipe;
    let expert_share = if overlapped && beside {
        c.expert_overlapped
    } else if overlapped {
        c.expert_exposed
    } else {
        1.0
    };
    let (tensor, context, expert) = (once.tensor + again.tensor, once.context + again.context, once.expert + again.expert);
    let exchange = (expert_share * expert).max(expert - once.compute());
    let hidden = (1.0 - tensor_share) * tensor + (1.0 - context_share) * context + (expert - exchange);
    StageTime {
        gemm: once.gemm,
        attention: once.attention,
        vector: once.vector,
        recompute: again.compute(),
        tensor: tensor_share * tensor,
        context: context_share * context,
        expert: exchange,
        interference: c.interference * hidden,
        ..StageTime::default()
    }
}

/// Transfers between stages.
struct Transfer {
    /// Time that they keep a stage busy per microbatch: one forward, one backward, per chunk.
    busy: f64,
    /// Time of one of them that keeps no stage busy.
    latency: f64,
    energy: f64,
}

fn transfer(ask: &TrainAsk<'_>, frame: &Frame, layout: &Layout, c: &TrainConstants) -> Transfer {
    let (each, energy) = frame.transfer;
    let times = 2.0 * layout.virtual_stages as f64;
    let beside = layout.virtual_stages > 1 || layout.schedule != Schedule::OneForwardOneBackward;
    let share = if ask.framework.overlaps && beside { c.pipeline_exposed } else { 1.0 };
    Transfer { busy: share * times * each, latency: (1.0 - share) * each, energy: times * energy }
}

/// Bytes that one microbatch keeps on a stage.
fn kept(layout: &Layout, stage: &StageSums) -> f64 {
    match layout.recompute {
        Recompute::Layers(n) => stage.kept.all + stage.share(n) * (stage.kept.input - stage.kept.all),
        same_for_all => stage.kept.with(same_for_all),
    }
}

fn holds(layout: &Layout, frame: &Frame, stage: &StageSums) -> StageHolds {
    let (p, v) = (layout.pipeline_parallel.max(1) as f64, layout.virtual_stages.max(1) as f64);
    let other = mirrored(layout, frame, stage);
    let both = |of: fn(&StageSums) -> f64| of(stage) + other.map_or(0.0, of);
    let share = if other.is_some() { 0.5 } else { 1.0 };
    StageHolds {
        dense_parameters: both(|s| s.dense_parameters),
        expert_parameters: both(|s| s.expert_parameters),
        largest_layer: stage.largest_layer,
        kept: share * (kept(layout, stage) + other.map_or(0.0, |o| kept(layout, o))),
        layer: stage.working,
        working: if layout.recompute == Recompute::None { 0.0 } else { stage.working },
        in_flight: in_flight(layout.schedule, p, v, frame.microbatches, stage.index as f64),
        head: stage.last || other.is_some_and(|o| o.last),
        copies: 1 + u64::from(other.is_some()),
        ..StageHolds::default()
    }
}
