//! Prices layouts of one job on one chip, remembering what they have in common; and the smallest number of chips that trains in a given time.
//!
//! Ops are timed once per (tensor, context, expert, microbatch, sequence parallel); all else is arithmetic on their sums. Spaces of plans are searched in
//! [`crate::train::seek`].

use std::collections::HashMap;
use std::rc::Rc;

use tetra_chip::{Chip, FixedState, OpTimer};
use tetra_quantity::{Seconds, Tokens};
use tetra_workload::FeedForward;

use crate::constants::ClusterConstants;
use crate::goodput::{Goodput, of_job};
use crate::network::Network;
use crate::train::ask::{TrainAsk, Trained};
use crate::train::frame::{Frame, Job};
use crate::train::framework::{AttentionKernels, Framework};
use crate::train::layout::{Layout, Recompute};
use crate::train::memory::checkpoint_bytes;
use crate::train::misfit::{Fit, TrainMisfit};
use crate::train::piece::Pieces;
use crate::train::pipeline::Outlines;
use crate::train::schedule::{self, Picture, Play};
use crate::train::space::PlanSpace;
use crate::train::split::Split;
use crate::train::stage::play_of;
use crate::train::step::{JobCount, TrainStep, check, microbatches, model_flop, peak_flop_per_second, price, step_of_frame};

/// What the search may try.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct SearchLimits {
    /// Largest tensor-parallel degree, and never more than a domain.
    pub tensor_parallel: u64,
    /// Largest number of stages.
    pub pipeline_parallel: u64,
    /// Largest context-parallel degree.
    pub context_parallel: u64,
    /// Largest expert-parallel degree.
    pub expert_parallel: u64,
    /// Largest microbatch.
    pub micro_batch: u64,
    /// Most chunks per stage.
    pub virtual_stages: u64,
    /// Fewest tokens of a sequence on one chip.
    pub context_tokens: u64,
    /// Only powers of two for degrees of tensor, context and expert parallelism.
    pub powers_of_two: bool,
}

impl SearchLimits {
    /// Everything that people run.
    pub const WIDE: Self = Self {
        tensor_parallel: 64,
        pipeline_parallel: 128,
        context_parallel: 64,
        expert_parallel: 256,
        micro_batch: 64,
        virtual_stages: 16,
        context_tokens: 1024,
        powers_of_two: false,
    };
    /// A small space for inner loops.
    pub const NARROW: Self = Self {
        tensor_parallel: 16,
        pipeline_parallel: 32,
        context_parallel: 4,
        expert_parallel: 64,
        micro_batch: 2,
        virtual_stages: 8,
        context_tokens: 2048,
        powers_of_two: true,
    };
}

/// A whole run.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct TrainRun {
    /// Chips.
    pub chips: u64,
    /// The step.
    pub step: TrainStep,
    /// Failures and checkpoints.
    pub goodput: Goodput,
    /// Time of the run.
    pub time: Seconds,
}

type Key = (u64, u64, u64, u64, bool);

/// Prices layouts of one job on one chip and remembers op sums.
pub struct Searcher<'a> {
    pub(crate) job: Job<'a>,
    /// Parameters of the model, counted once.
    parameters: f64,
    pieces: HashMap<Key, Fit<Rc<Pieces>>, FixedState>,
    splits: HashMap<(u64, u64), Split, FixedState>,
    outlines: Rc<Outlines>,
    /// The last one.
    frame: Option<Frame>,
    count: JobCount,
}

/// The picture of a step, with its figures in words.
fn drawn(step: &TrainStep, play: &Play, chip: &Chip, most: usize) -> Option<String> {
    let played = schedule::play(play)?;
    let (l, b) = (&step.layout, &step.breakdown);
    let chunks = if play.chunks > 1 { format!(" of {} chunks", play.chunks) } else { String::new() };
    let title = format!("{}: {} stages{chunks}, {} microbatches of {}", l.schedule.name(), play.stages, play.microbatches, l.micro_batch);
    let closed = step.time - b.data - b.optimizer - b.jitter;
    let words = format!(
        "{} x {}: passes take {} played, {closed} in closed form; then exchange {} and optimiser {}; with waiting for slow chips {}",
        l.chips(),
        chip.name,
        Seconds(played.time),
        b.data,
        b.optimizer,
        step.time
    );
    let after = [b.data.value(), b.optimizer.value()];
    Some(schedule::svg(&Picture { play, played: &played, title: &title, words: &words, after, most }))
}

impl<'a> Searcher<'a> {
    /// A searcher that has seen nothing.
    pub fn new(ask: TrainAsk<'a>, chip: &'a Chip, timer: &'a dyn OpTimer, network: &'a Network, constants: &'a ClusterConstants) -> Self {
        let parameters = ask.model.parameters().total() as f64;
        let job = Job::new(ask, chip, timer, network, constants);
        Self {
            job,
            parameters,
            pieces: HashMap::default(),
            splits: HashMap::default(),
            outlines: Rc::default(),
            frame: None,
            count: JobCount::of(&ask),
        }
    }

    /// What is asked.
    pub fn ask(&self) -> &TrainAsk<'a> {
        &self.job.ask
    }

    /// The network that joins the chips.
    pub fn network(&self) -> &'a Network {
        self.job.network
    }

    /// No plan that only recomputes or off-loads more than this one is faster.
    ///
    /// # Errors
    /// Why the layout cannot be run on any memory.
    pub fn bound(&mut self, layout: &Layout) -> Fit<Seconds> {
        let job = self.job;
        Ok(Seconds(price(&job, self.frame(layout)?, layout).least))
    }

    /// Prices one layout even when its memory does not fit.
    ///
    /// # Errors
    /// Why the layout cannot be run on any memory.
    pub fn step_unbound(&mut self, layout: &Layout) -> Fit<TrainStep> {
        let (job, count) = (self.job, self.count);
        step_of_frame(&job, self.frame(layout)?, layout, &count)
    }

    /// The step of a layout as it is played exactly; `None` without a pipeline.
    ///
    /// # Errors
    /// Why the layout cannot be run on any memory.
    pub fn play(&mut self, layout: &Layout) -> Fit<Option<Play>> {
        let job = self.job;
        Ok(play_of(&job, self.frame(layout)?, layout))
    }

    /// The schedule of a step as a drawing (SVG) of at most `most` tasks; `None` without a pipeline.
    ///
    /// # Errors
    /// Why the layout cannot be run on any memory.
    pub fn drawing(&mut self, layout: &Layout, most: usize) -> Fit<Option<String>> {
        let step = self.step_unbound(layout)?;
        let play = self.play(layout)?;
        Ok(play.and_then(|play| drawn(&step, &play, self.job.chip, most)))
    }

    /// The frame of a layout.
    pub(crate) fn frame(&mut self, layout: &Layout) -> Fit<&Frame> {
        check(&self.job.ask, layout)?;
        let known = (Frame::split_of(layout), microbatches(&self.job.ask, layout));
        if self.frame.as_ref().is_none_or(|f| (f.split, f.microbatches) != known) {
            let pieces = self.pieces(layout)?;
            let (p, v) = (layout.pipeline_parallel, layout.virtual_stages);
            let split = self.splits.entry((p, v)).or_insert_with(|| Split::of(&pieces.depth, p, v));
            self.frame = Some(Frame::of(&self.job, layout, &pieces, split, &self.outlines));
        }
        self.frame.as_ref().ok_or(TrainMisfit::Blank("layout"))
    }

    fn pieces(&mut self, layout: &Layout) -> Fit<Rc<Pieces>> {
        let key = (layout.tensor_parallel, layout.context_parallel, layout.expert_parallel, layout.micro_batch, layout.sequence_parallel);
        let job = &self.job;
        let made = || Pieces::of(&job.ask, job.chip, job.timer, job.network, layout, job.train()).map(Rc::new);
        self.pieces.entry(key).or_insert_with(made).clone()
    }

    /// The same; when `recompute` is `Layers`, with the fastest way to fit the memory: nothing, cheap results, or as few whole layers as it takes computed again; or, without a
    /// pipeline, what as few layers as it takes keep in the host's memory.
    ///
    /// # Errors
    /// Why the layout cannot be run on any memory.
    pub fn step_relieved(&mut self, layout: &Layout) -> Fit<TrainStep> {
        if !matches!(layout.recompute, Recompute::Layers(_)) {
            return self.step_unbound(layout);
        }
        // What libraries relieve are inputs kept for gradients of weights; frozen products keep none.
        let relieves = self.job.ask.framework.relieves && self.job.ask.trained == Trained::All;
        let mut at = |recompute| self.step_unbound(&Layout { recompute, ..*layout });
        let (none, full) = (at(Recompute::None)?, at(Recompute::Full)?);
        if none.fits {
            return Ok(none);
        }
        let mut ways = if relieves { vec![at(Recompute::Cheap)?] } else { Vec::new() };
        ways.extend(self.fewest(layout, (&none, &full), Recompute::Layers)?);
        if relieves && layout.pipeline_parallel == 1 {
            let most = self.layers_per_stage(layout);
            let all = self.step_unbound(&Layout { recompute: Recompute::Hosted(most), ..*layout })?;
            ways.extend(self.fewest(layout, (&none, &all), Recompute::Hosted)?);
        }
        let fits = ways.into_iter().filter(|way| way.fits);
        Ok(fits.fold(full, |best, way| if !best.fits || way.time < best.time { way } else { best }))
    }

    fn layers_per_stage(&self, layout: &Layout) -> u64 {
        (self.job.ask.model.layers.len() as u64).div_ceil(layout.pipeline_parallel.max(1))
    }

    /// The step with as few layers relieved as the memory allows, between that of none and that of all of them.
    fn fewest(&mut self, layout: &Layout, (none, all): (&TrainStep, &TrainStep), way: fn(u64) -> Recompute) -> Fit<Option<TrainStep>> {
        if all.memory.total() > self.job.chip.memory.hbm {
            return Ok(None);
        }
        let (need, least, have) = (none.memory.total().value(), all.memory.total().value(), self.job.chip.memory.hbm.value());
        let per_stage = self.layers_per_stage(layout);
        let layers = ((need - have) / (need - least).max(1.0) * per_stage as f64).ceil().max(1.0) as u64;
        for relieved in layers..per_stage.min(layers.saturating_add(2)) {
            let step = self.step_unbound(&Layout { recompute: way(relieved), ..*layout })?;
            if step.fits {
                return Ok(Some(step));
            }
        }
        Ok(None)
    }

    /// Prices one layout.
    ///
    /// # Errors
    /// Why the layout does not fit.
    pub fn step(&mut self, layout: &Layout) -> Fit<TrainStep> {
        let step = self.step_relieved(layout)?;
        step.misfit(self.job.chip).map_or(Ok(step), Err)
    }

    /// Goodput and duration of a run of `tokens` with a given step.
    pub fn run(&self, step: &TrainStep, tokens: Tokens) -> TrainRun {
        let chips = step.layout.chips();
        let state = checkpoint_bytes(self.parameters, &step.layout, &self.job.constants.train);
        let goodput = of_job(chips, state, &self.job.constants.failures);
        let rate = step.tokens_per_second_per_chip * chips as f64 * goodput.goodput;
        let time = Seconds(tokens.value() / rate.max(f64::MIN_POSITIVE));
        TrainRun { chips, step: *step, goodput, time }
    }

    /// The fewest chips that train `tokens` within `limit`: for every way to split one replica, the fewest replicas. The batch asked is a
    /// ceiling: it is lowered to a multiple of replicas and stages.
    ///
    /// # Errors
    /// `NoSize` when no number of chips up to `most` does.
    pub fn smallest(&mut self, tokens: Tokens, limit: Seconds, most: u64, space: &PlanSpace) -> Fit<TrainRun> {
        let replicas = counts(self.job.ask.global_batch);
        let peak = peak_flop_per_second(self.job.chip, self.job.ask.precision.weights.mac());
        let flop = model_flop(self.job.ask.model, self.job.ask.global_batch, self.job.ask.sequence) * tokens.value()
            / self.job.ask.tokens().max(1.0);
        let floor = (flop / (peak * limit.value())).max(1.0);
        let mut found: Option<TrainRun> = None;
        for [tensor, context, pipeline] in splits(&self.job.ask, self.job.network.domain, &space.limits) {
            let group = tensor * context * pipeline;
            let bound = found.map_or(most, |f| f.chips.min(most));
            let low = replicas.partition_point(|&d| ((group.saturating_mul(d)) as f64) < floor);
            let high = replicas.partition_point(|&d| group.saturating_mul(d) <= bound);
            let better = self.fewest_replicas([tensor, pipeline, context], &replicas[low.min(high)..high], (tokens, limit), space);
            found = match (found, better) {
                (Some(f), Some(b)) => Some(if (b.chips, b.time.value()) < (f.chips, f.time.value()) { b } else { f }),
                (f, b) => f.or(b),
            };
        }
        found.ok_or(TrainMisfit::NoSize { chips: most })
    }

    /// More replicas never train slower, so the fewest are found by halving.
    fn fewest_replicas(
        &mut self,
        [tensor, pipeline, context]: [u64; 3],
        replicas: &[u64],
        (tokens, limit): (Tokens, Seconds),
        space: &PlanSpace,
    ) -> Option<TrainRun> {
        let (mut low, mut high, mut found) = (0, replicas.len(), None);
        while low < high {
            let middle = low + (high - low) / 2;
            let data = replicas[middle];
            let asked = self.job.ask.global_batch;
            self.job.ask.global_batch = rounded(asked, data, pipeline);
            let step = self.fastest([tensor, pipeline, data, context], space);
            self.job.ask.global_batch = asked;
            let run = step.ok().map(|s| self.run(&s, tokens)).filter(|r| r.time <= limit);
            if run.is_some() {
                (found, high) = (run, middle);
            } else {
                low = middle + 1;
            }
        }
        found
    }
}

/// Ways to split one replica: tensor, context and pipeline degree. Stages divide the layers, or the layers with embedding and head as two more.
fn splits(ask: &TrainAsk<'_>, domain: u64, limits: &SearchLimits) -> Vec<[u64; 3]> {
    let depth = ask.model.layers.len() as u64;
    let stages = |p: &u64| depth.is_multiple_of(*p) || (depth + 2).is_multiple_of(*p);
    let powers = |most: u64| (0..u64::BITS - 1).map(|i| 1u64 << i).take_while(move |x| *x <= most);
    let mut out = Vec::new();
    for tensor in powers(limits.tensor_parallel.min(domain)) {
        for context in powers(most_context(ask, limits)) {
            out.extend((1..=limits.pipeline_parallel.min(depth)).filter(stages).map(|p| [tensor, context, p]));
        }
    }
    out
}

/// Tensor, pipeline, data and context degrees whose product is `chips`.
pub(crate) fn grids(ask: &TrainAsk<'_>, chips: u64, domain: u64, limits: &SearchLimits) -> Vec<[u64; 4]> {
    const CHIPS_MAX: u64 = 1 << 24;
    let mut out = Vec::new();
    if chips > CHIPS_MAX {
        return out;
    }
    let pow = |x: &u64| !limits.powers_of_two || x.is_power_of_two();
    for tensor in divisors(chips).into_iter().filter(|&t| t <= limits.tensor_parallel.min(domain)).filter(pow) {
        for context in divisors(chips / tensor).into_iter().filter(|&c| c <= most_context(ask, limits)).filter(pow) {
            let left = chips / tensor / context;
            out.extend(divisors(left).into_iter().filter(|&p| p <= limits.pipeline_parallel).map(|p| [tensor, p, left / p, context]));
        }
    }
    out
}

/// Replica counts worth trying: all up to eight, then four per doubling.
fn counts(most: u64) -> Vec<u64> {
    let (mut out, mut count, mut step) = (Vec::new(), 1u64, 1u64);
    while count <= most && out.len() < u64::BITS as usize * 4 {
        out.push(count);
        if count >= 8 * step {
            step *= 2;
        }
        count = count.saturating_add(step);
    }
    out
}

/// The largest batch up to `batch` that `data` replicas split evenly, into whole rounds of the pipeline where that is possible.
fn rounded(batch: u64, data: u64, pipeline: u64) -> u64 {
    let round = data.saturating_mul(pipeline);
    if batch >= round { batch / round * round } else { batch / data * data }
}

fn most_context(ask: &TrainAsk<'_>, limits: &SearchLimits) -> u64 {
    limits.context_parallel.min(ask.sequence / limits.context_tokens.max(1)).max(1)
}

/// Routed experts of a layer, 1 without.
pub(crate) fn experts(ask: &TrainAsk<'_>) -> u64 {
    let of = |f: &FeedForward| if let FeedForward::Experts { experts, .. } = f { *experts } else { 1 };
    ask.model.layers.iter().map(|l| of(&l.feed_forward)).max().unwrap_or(1)
}

/// Recomputations worth trying; `Layers(0)` stands for as many layers as memory asks. The attention core alone is worth it when its scores go
/// through memory, and came together with sequence parallelism (arXiv 2205.05198).
pub(crate) fn choices(framework: Framework, sequence_parallel: bool) -> &'static [Recompute] {
    match framework.attention {
        AttentionKernels::Unfused if sequence_parallel => &[Recompute::None, Recompute::Selective, Recompute::Full],
        AttentionKernels::Unfused => &[Recompute::None, Recompute::Full],
        _ => &[Recompute::Layers(0)],
    }
}

/// Divisors in ascending order.
pub(crate) fn divisors(n: u64) -> Vec<u64> {
    let mut small = Vec::new();
    let mut large = Vec::new();
    let mut d = 1u64;
    while d.saturating_mul(d) <= n {
        if n.is_multiple_of(d) {
            small.push(d);
            if d != n / d {
                large.push(n / d);
            }
        }
        d += 1;
    }
    small.extend(large.into_iter().rev());
    small
}
