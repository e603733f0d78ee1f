//! Stages of a pipeline: which layers each holds, how long a microbatch takes in it, what it keeps in memory.
//!
//! Layers that do not divide evenly are spread so that no stage holds two more than another; or, where that is faster, embedding and head take the place of a layer
//! in the first and the last chunk.

use tetra_workload::{Collective, CollectiveKind, ParallelGroup};

use crate::collective::time_over;
use crate::network::Network;
use crate::train::ask::{Kernels, TrainAsk};
use crate::train::constants::TrainConstants;
use crate::train::layout::{Layout, Recompute, StateSharding};
use crate::train::memory::{StageHolds, TrainMemory, in_flight, of_stage};
use crate::train::piece::{Pieces, Spent, link_energy, span_of};

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
}

impl StageTime {
    pub(crate) fn compute(&self) -> f64 {
        self.gemm + self.attention + self.vector + self.recompute
    }

    pub(crate) fn total(&self) -> f64 {
        self.compute() + self.tensor + self.context + self.expert + self.transfer + self.host + self.interference
    }
}

/// All stages.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Pipeline {
    pub(crate) worst: StageTime,
    /// Sum of the times of all stages.
    pub(crate) sum: f64,
    pub(crate) memory: TrainMemory,
    /// Parameters of the fullest stage.
    pub(crate) dense_parameters: f64,
    pub(crate) expert_parameters: f64,
    /// Dynamic energy of one microbatch, mean over chips.
    pub(crate) energy: f64,
}

/// What a stage holds: counts of each layer shape, ends.
struct Stage<'a> {
    counts: &'a [f64],
    index: u64,
    first: bool,
    last: bool,
}

impl Stage<'_> {
    /// Share of the stage's layers that `layers` of them make.
    fn share(&self, layers: u64) -> f64 {
        let all: f64 = self.counts.iter().sum();
        if all > 0.0 { (layers as f64 / all).min(1.0) } else { 0.0 }
    }
}

impl Pipeline {
    pub(crate) fn of(
        ask: &TrainAsk<'_>,
        network: &Network,
        layout: &Layout,
        c: &TrainConstants,
        pieces: &Pieces,
        microbatches: f64,
    ) -> Self {
        let even = Self::split(ask, network, layout, c, pieces, microbatches, 0);
        let chunks = layout.pipeline_parallel.saturating_mul(layout.virtual_stages).max(1);
        if chunks < 2 || pieces.depth().is_multiple_of(chunks) {
            return even;
        }
        let slots = Self::split(ask, network, layout, c, pieces, microbatches, 1);
        if slots.time(microbatches, layout) < even.time(microbatches, layout) { slots } else { even }
    }

    /// Time of the pipeline.
    fn time(&self, m: f64, layout: &Layout) -> f64 {
        m * self.worst.total() + self.bubble(m, layout)
    }

    /// Time in which the slowest stage has nothing to do.
    pub(crate) fn bubble(&self, m: f64, layout: &Layout) -> f64 {
        let (v, t) = (layout.virtual_stages.max(1) as f64, self.worst.total());
        let busy = m * t;
        let filled = busy + (self.sum - t) / v;
        let through = self.sum + (m - 1.0).max(0.0) * t / v;
        filled.max(through) - busy
    }

    pub(crate) fn optimizer_parameters(&self, layout: &Layout) -> f64 {
        let replicas = layout.data_parallel.saturating_mul(layout.context_parallel).max(1) as f64;
        if layout.sharding == StateSharding::None {
            return self.dense_parameters + self.expert_parameters;
        }
        let expert_replicas = (replicas * layout.tensor_parallel as f64 / layout.expert_parallel.max(1) as f64).max(1.0).min(replicas);
        self.dense_parameters / replicas + self.expert_parameters / expert_replicas
    }

    fn split(
        ask: &TrainAsk<'_>,
        network: &Network,
        layout: &Layout,
        c: &TrainConstants,
        pieces: &Pieces,
        microbatches: f64,
        slots: u64,
    ) -> Self {
        let (p, v) = (layout.pipeline_parallel.max(1), layout.virtual_stages.max(1));
        let transfer = transfer(ask, network, layout, c);
        let mut out = Self::default();
        let mut counts = vec![0.0; pieces.layers.len()];
        let mut last: Option<(Vec<f64>, StageTime, f64)> = None;
        for stage in 0..p {
            layers_of(stage, p, v, slots, pieces, &mut counts);
            let here = Stage { counts: &counts, index: stage, first: stage == 0, last: stage + 1 == p };
            let same = last.as_ref().filter(|(known, _, _)| !here.first && !here.last && stage > 1 && *known == counts);
            let (time, energy) = match same {
                Some((_, time, energy)) => (*time, *energy),
                None => stage_time(ask, layout, c, pieces, &here, transfer),
            };
            out.sum += time.total();
            out.energy += energy / p as f64;
            if time.total() > out.worst.total() {
                out.worst = time;
            }
            out.hold(ask, layout, c, pieces, &here, microbatches);
            last = Some((counts.clone(), time, energy));
        }
        out
    }

    fn hold(&mut self, ask: &TrainAsk<'_>, layout: &Layout, c: &TrainConstants, pieces: &Pieces, stage: &Stage<'_>, m: f64) {
        // Memory is fullest at one of the ends; stages between them hold no more parameters than the fullest of these.
        if !(stage.first || stage.last || stage.index == 1) {
            return;
        }
        let holds = holds(layout, pieces, stage, m);
        let memory = of_stage(&holds, ask, layout, c);
        if memory.total() > self.memory.total() {
            self.memory = memory;
        }
        if holds.dense_parameters + holds.expert_parameters > self.dense_parameters + self.expert_parameters {
            (self.dense_parameters, self.expert_parameters) = (holds.dense_parameters, holds.expert_parameters);
        }
    }
}

/// Layers of each shape in the chunks of one stage.
fn layers_of(stage: u64, p: u64, v: u64, slots: u64, pieces: &Pieces, counts: &mut [f64]) {
    let (depth, chunks) = (pieces.depth(), p * v);
    counts.fill(0.0);
    for chunk in (0..v).map(|j| j * p + stage) {
        let (from, to) = (boundary(chunk, chunks, depth, slots), boundary(chunk + 1, chunks, depth, slots));
        for (count, before) in counts.iter_mut().zip(&pieces.before) {
            *count += f64::from(before[to as usize] - before[from as usize]);
        }
    }
}

/// First layer of a chunk: `slots` places at each end belong to embedding and head.
fn boundary(chunk: u64, chunks: u64, depth: u64, slots: u64) -> u64 {
    let places = depth + 2 * slots;
    let (each, more) = (places / chunks, places % chunks);
    let place = chunk * each + chunk.min(more);
    place.saturating_sub(slots).min(depth)
}

fn stage_time(
    ask: &TrainAsk<'_>,
    layout: &Layout,
    c: &TrainConstants,
    pieces: &Pieces,
    stage: &Stage<'_>,
    transfer: (f64, f64),
) -> (StageTime, f64) {
    let (mut once, mut again) = (Spent::default(), Spent::default());
    for (count, layer) in stage.counts.iter().zip(&pieces.layers) {
        once.add(&layer.passes.forward, *count);
        once.add(&layer.passes.backward, *count);
        match layout.recompute {
            Recompute::None => {}
            Recompute::Selective => again.add(&layer.core, *count),
            Recompute::Full => again.add(&layer.passes.forward, *count),
            Recompute::Layers(n) => again.add(&layer.passes.forward, *count * stage.share(n)),
        }
    }
    for (here, passes) in [(stage.first, &pieces.embedding), (stage.last, &pieces.head)] {
        if here {
            once.add(&passes.forward, 1.0);
            once.add(&passes.backward, 1.0);
        }
    }
    let mut time = exposed(&once, &again, ask, layout, c, pieces);
    time.transfer = transfer.0 * f64::from(u8::from(layout.pipeline_parallel > 1));
    time.host = ((once.ops + again.ops) * c.dispatch_s - time.total()).max(0.0);
    (time, once.energy + again.energy + once.link_energy + again.link_energy + transfer.1)
}

/// Compute, and what of its communication no compute hides.
fn exposed(once: &Spent, again: &Spent, ask: &TrainAsk<'_>, layout: &Layout, c: &TrainConstants, pieces: &Pieces) -> StageTime {
    let overlapped = ask.kernels != Kernels::Plain;
    let tensor_share = if overlapped && layout.sequence_parallel { c.tensor_exposed } else { 1.0 };
    let context_share = if overlapped { c.tensor_exposed } else { 1.0 };
    let beside = pieces.experts_cross && layout.pipeline_parallel > 1;
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

/// Exposed time of a stage's transfers per microbatch, and their energy: one forward, one backward, per chunk.
fn transfer(ask: &TrainAsk<'_>, network: &Network, layout: &Layout, c: &TrainConstants) -> (f64, f64) {
    if layout.pipeline_parallel < 2 {
        return (0.0, 0.0);
    }
    let elements = layout.micro_batch as f64 * ask.sequence as f64 * ask.model.hidden as f64;
    let split = layout.context_parallel.saturating_mul(layout.tensor_parallel).max(1) as f64;
    let bytes = (elements * ask.precision.residual.bytes() / split) as u64;
    let collective = Collective { kind: CollectiveKind::SendRecv, bytes, group: ParallelGroup::Pipeline };
    let span = span_of(ParallelGroup::Pipeline, layout);
    let each = time_over(&collective, span, network).value();
    let times = 2.0 * layout.virtual_stages as f64;
    let share = if ask.kernels != Kernels::Plain && layout.virtual_stages > 1 { c.pipeline_exposed } else { 1.0 };
    (share * times * each, times * link_energy(&collective, span, network, c))
}

fn holds(layout: &Layout, pieces: &Pieces, stage: &Stage<'_>, microbatches: f64) -> StageHolds {
    let mut holds = StageHolds { in_flight: in_flight(layout, microbatches, stage.index), head: stage.last, ..StageHolds::default() };
    for (count, layer) in stage.counts.iter().zip(&pieces.layers) {
        holds.dense_parameters += count * layer.dense_parameters;
        holds.expert_parameters += count * layer.expert_parameters;
        holds.kept += count
            * match layout.recompute {
                Recompute::Layers(n) => layer.kept.all + stage.share(n) * (layer.kept.input - layer.kept.all),
                same_for_all => layer.kept.with(same_for_all),
            };
        if *count > 0.0 {
            holds.largest_layer = holds.largest_layer.max(layer.dense_parameters + layer.expert_parameters);
            let working = if layout.recompute == Recompute::None { 0.0 } else { layer.kept.all };
            holds.working = holds.working.max(working);
        }
    }
    if stage.first {
        holds.dense_parameters += pieces.embedding_parameters;
    }
    if stage.last {
        holds.dense_parameters += if stage.first { pieces.head_parameters } else { pieces.head_parameters.max(0.0) };
        if !stage.first && pieces.head_parameters <= 0.0 {
            // A tied head needs its own copy of the embedding on the last stage.
            holds.dense_parameters += pieces.embedding_parameters;
        }
    }
    holds
}
