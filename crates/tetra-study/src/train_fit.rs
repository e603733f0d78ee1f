//! The smallest number of chips that trains a model in the time asked, and the time that a given number takes.
//!
//! `time(n) = steps · step(n) / goodput(n)`. Layouts of a declared list (tensor × pipeline × recomputation), the best of them in every order of
//! microbatches, are priced at a first guess of `n`; the best few are then taken to the smallest data parallelism that is fast enough, by bisection. Chip-seconds are bounded from below by
//! `6 · active parameters · tokens / peak`. Leaves out: context and expert parallelism, growth of the batch.

use tetra_chip::{Chip, OpTimer};
use tetra_cluster::train::{TrainStep, peak_flop_per_second};
use tetra_cluster::{ClusterConstants, Layout, Network, Recompute, Schedule, Searcher, StateSharding, TrainAsk, TrainMisfit};
use tetra_quantity::{Seconds, Tokens, Watts};
use tetra_workload::{Attention, Model};

use crate::study::Training;

/// A training run to be fitted.
#[derive(Debug, Clone, Copy)]
pub struct TrainJob<'a> {
    /// Model, formats, batch.
    pub ask: TrainAsk<'a>,
    /// Tokens of one run.
    pub tokens: Tokens,
    /// Longest time of one run.
    pub within: Seconds,
    /// Operations that one run cannot do without.
    pub flop_least: f64,
}

/// How a chip trains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainAbility {
    /// Chips.
    pub chips: u64,
    /// Time of one run, failures included.
    pub time: Seconds,
    /// One step.
    pub step: TrainStep,
    /// Share of the time that makes progress.
    pub goodput: f64,
    /// Power of a chip at work.
    pub busy: Watts,
    /// Power of a chip without work.
    pub idle: Watts,
}

/// Why a run cannot be done.
pub type TrainReason = TrainMisfit;

/// Layouts taken from the first guess to the smallest size.
const KEPT: usize = 3;

impl<'a> TrainJob<'a> {
    /// The run of a study on its model.
    pub fn of(t: &Training, model: &'a Model) -> Self {
        let ask = TrainAsk::new(model, t.precision, t.global_batch, t.sequence);
        let table = model.vocabulary as f64 * model.hidden as f64;
        // Matrix products of forward and backward alone: attention is left out, the embedding table is no product.
        let flop_least = 6.0 * (model.parameters().active() as f64 - table).max(0.0) * t.tokens.value();
        Self { ask, tokens: t.tokens, within: t.within, flop_least }
    }
}

/// Chip-seconds that one run takes at the arrays' peak: no layout needs fewer.
pub fn train_bound(job: &TrainJob<'_>, chip: &Chip) -> f64 {
    job.flop_least / peak_flop_per_second(chip, job.ask.precision.weights.mac()).max(f64::MIN_POSITIVE)
}

/// Prices layouts of one job on one chip.
pub struct Trainer<'a> {
    job: &'a TrainJob<'a>,
    chip: &'a Chip,
    network: &'a Network,
    searcher: Searcher<'a>,
}

impl<'a> Trainer<'a> {
    /// A trainer that has priced nothing.
    pub fn new(
        job: &'a TrainJob<'a>,
        chip: &'a Chip,
        timer: &'a dyn OpTimer,
        network: &'a Network,
        constants: &'a ClusterConstants,
    ) -> Self {
        Self { job, chip, network, searcher: Searcher::new(job.ask, chip, timer, network, constants) }
    }

    /// Time of one run in a layout with `data` replicas.
    ///
    /// # Errors
    /// A layout that does not fit.
    pub fn run(&mut self, layout: &Layout, data: u64) -> Result<TrainAbility, TrainMisfit> {
        let step = self.searcher.step(&Layout { data_parallel: data.max(1), ..*layout })?;
        let run = self.searcher.run(&step, self.job.tokens);
        Ok(TrainAbility {
            chips: run.chips,
            time: run.time,
            step,
            goodput: run.goodput.goodput,
            busy: step.power,
            idle: self.chip.power.idle,
        })
    }

    /// The fewest chips that train in time.
    ///
    /// # Errors
    /// Why no layout fits, or that none is fast enough.
    pub fn smallest(&mut self) -> Result<TrainAbility, TrainMisfit> {
        let mut best: Option<TrainAbility> = None;
        let mut largest = 0;
        for layout in self.promising()? {
            largest = largest.max(layout.model_chips().saturating_mul(self.job.ask.global_batch));
            if let Some(found) = self.smallest_of(&layout)
                && best.is_none_or(|b| found.chips < b.chips)
            {
                best = Some(found);
            }
        }
        best.ok_or(TrainMisfit::NoSize { chips: largest })
    }

    /// The layouts with most tokens per second and chip at a first guess of the size.
    fn promising(&mut self) -> Result<Vec<Layout>, TrainMisfit> {
        /// Share of peak at which the first guess assumes that training runs.
        const GUESS: f64 = 0.5;
        let chips = train_bound(self.job, self.chip) / GUESS / self.job.within.value().max(1.0);
        let mut found: Vec<(f64, Layout)> = Vec::new();
        let mut misfit = TrainMisfit::NoLayout { chips: chips.clamp(1.0, 1e12) as u64 };
        for [usual, fallback] in layouts(self.job.ask.model, self.network) {
            let fitting = found.len();
            for layout in usual.iter().chain(&fallback) {
                if found.len() > fitting && fallback.contains(layout) {
                    break;
                }
                let data = ((chips / layout.model_chips() as f64).ceil().max(1.0) as u64).min(self.job.ask.global_batch);
                match self.run(layout, data) {
                    Ok(run) => found.push((1.0 / (run.time.value() * run.chips as f64), *layout)),
                    Err(e) => misfit = e,
                }
            }
        }
        let best = |found: &mut Vec<(f64, Layout)>| {
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            found.truncate(KEPT);
        };
        best(&mut found);
        for layout in found.clone().iter().flat_map(|f| ordered(&f.1, self.job.ask.model.layers.len() as u64)) {
            let data = ((chips / layout.model_chips() as f64).ceil().max(1.0) as u64).min(self.job.ask.global_batch);
            if let Ok(run) = self.run(&layout, data) {
                found.push((1.0 / (run.time.value() * run.chips as f64), layout));
            }
        }
        best(&mut found);
        if found.is_empty() { Err(misfit) } else { Ok(found.into_iter().map(|f| f.1).collect()) }
    }

    fn smallest_of(&mut self, layout: &Layout) -> Option<TrainAbility> {
        let within = self.job.within;
        let least = train_bound(self.job, self.chip) / within.value().max(1.0) / layout.model_chips().max(1) as f64;
        let most = self.job.ask.global_batch.max(1);
        let mut low = (least.floor().max(0.0) as u64).min(most - 1);
        let mut in_time = |data: u64| self.run(layout, data).ok().filter(|r| r.time <= within);
        // More replicas are not always faster: bubbles grow as microbatches run out. So sizes are tried upwards, a quarter more each.
        let mut high = low + 1;
        let mut best = loop {
            if let Some(run) = in_time(high) {
                break run;
            }
            if high >= most {
                return None;
            }
            (low, high) = (high, (high + high.div_ceil(4)).min(most));
        };
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match in_time(middle) {
                Some(run) => (high, best) = (middle, run),
                None => low = middle,
            }
        }
        Some(best)
    }

    /// Time of one run on about `chips` chips in the layout of `like`.
    pub fn time_on(&mut self, like: &TrainAbility, chips: f64) -> Seconds {
        let data = (chips / like.step.layout.model_chips().max(1) as f64).floor().clamp(1.0, self.job.ask.global_batch as f64) as u64;
        // A fleet that is no whole number of replicas, or too small for the state, runs as fast as its chips allow.
        let run = self.run(&like.step.layout, data).unwrap_or(*like);
        run.time * (run.chips as f64 / chips.max(1.0))
    }
}

/// A layout in every other order that its pipeline can run, each with the chunks that it asks.
fn ordered(layout: &Layout, layers: u64) -> Vec<Layout> {
    let with = |schedule| {
        let virtual_stages = if schedule == Schedule::ZeroBubbleV { 2 } else { 1 };
        let able = layout.pipeline_parallel > 1 && layout.pipeline_parallel * virtual_stages <= layers;
        able.then_some(Layout { schedule, virtual_stages, ..*layout })
    };
    Schedule::ALL.into_iter().filter(|s| *s != layout.schedule).filter_map(with).collect()
}

/// The declared list of layouts: tensor parallelism inside the scale-up domain × stages; of each the usual forms, and those that save memory.
fn layouts(model: &Model, network: &Network) -> Vec<[Vec<Layout>; 2]> {
    /// Most stages tried; most chunks per stage; tensor parallelism from and to.
    const STAGES: u64 = 32;
    const CHUNKS: u64 = 4;
    const TENSOR: (u64, u64) = (4, 32);
    let heads = model.layers.first().map_or(1, |l| match l.attention {
        Attention::Grouped { heads, .. } | Attention::Latent { heads, .. } => heads.max(1),
    });
    let layers = model.layers.len().max(1) as u64;
    let powers = |least: u64, most: u64| (0..u64::BITS - 1).map(|i| 1u64 << i).filter(move |p| *p >= least).take_while(move |p| *p <= most);
    let mut out = Vec::new();
    for tensor in powers(TENSOR.0.min(network.domain), TENSOR.1.min(network.domain)).filter(|t| heads.is_multiple_of(*t)) {
        for stages in powers(1, STAGES.min(layers)) {
            let chunks = if stages > 1 { CHUNKS.min(layers / stages).max(1) } else { 1 };
            let form = |context, virtual_stages, recompute| Layout {
                tensor_parallel: tensor,
                pipeline_parallel: stages,
                context_parallel: context,
                virtual_stages,
                recompute,
                sequence_parallel: tensor > 1,
                sharding: StateSharding::Optimizer,
                ..Layout::ONE
            };
            let usual = vec![form(1, chunks, Recompute::None), form(2, chunks, Recompute::None)];
            let saving = vec![form(1, 1, Recompute::None), form(1, chunks, Recompute::Full), form(2, 1, Recompute::None)];
            out.push([usual, saving]);
        }
    }
    out
}
