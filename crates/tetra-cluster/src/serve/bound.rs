//! Least chip-seconds per output token that any layout can reach: a roofline over the two resources of a chip.
//!
//! Per output token, memory moves the token's own cache, and the arrays do `(f·(O - 1) + F)/O` for its decode work `f` and the prompt's `F`. A split
//! adds its weights, `W/B` at the most sequences `B` that its memory holds and that TPOT lets through, the exchange with experts, and the host time of a
//! step; the split with the least sum bounds all. Leaves out everything else that adds time: links, launches, vector ops, waves, tiles.

use tetra_chip::Chip;
use tetra_quantity::Seconds;
use tetra_workload::{Graph, MacType, Node, Phase, Precision, Shard, Work, graph};

use crate::network::Network;
use crate::serve::ask::ServeAsk;
use crate::serve::constants::ServeConstants;
use crate::serve::kv;
use crate::serve::layout::Split;
use crate::serve::misfit::ServeMisfit;
use crate::serve::space::{Goal, SearchSpace};
use crate::serve::splits::within_domain;
use crate::serve::steady::check;

/// What a service needs of chips, whatever they are.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Demand {
    /// Weight bytes that every step reads.
    pub shared_bytes: f64,
    /// Weight bytes of all routed experts.
    pub expert_bytes: f64,
    /// Most experts per token over experts, over layers.
    pub expert_share: f64,
    /// Embedding bytes: held, hardly read.
    pub held_bytes: f64,
    /// Cache bytes of a sequence at its mean length.
    pub cache_bytes: f64,
    /// Cache bytes of a full sequence.
    pub full_cache_bytes: f64,
    /// Operations per decoded token.
    pub decode_flop: f64,
    /// Operations per prompt.
    pub prefill_flop: f64,
    /// Greatest degree to which the cache splits over a tensor group.
    pub cache_split: u64,
    /// Bytes that a token sends to one expert and gets back, over all layers with experts.
    pub expert_bytes_per_visit: f64,
    /// Most experts per token.
    pub top_k: f64,
    /// Groups to which they are limited.
    pub routing: tetra_workload::Routing,
}

/// Links of a chip, as far as the bound knows them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wires {
    domain: f64,
    up: f64,
    out: f64,
}

impl Wires {
    /// Of a network.
    pub fn of(network: &Network) -> Self {
        Self { domain: network.domain as f64, up: network.scale_up.bandwidth.value(), out: network.scale_out.bandwidth.value() }
    }

    /// Of a chip's own ports.
    pub fn ports(chip: &Chip) -> Self {
        let links = &chip.links;
        Self { domain: links.scale_up_domain.max(1) as f64, up: links.scale_up.value(), out: links.scale_out.value() }
    }

    /// Least time to exchange `bytes` over `ranks` chips.
    fn exchange(&self, bytes: f64, ranks: f64) -> f64 {
        let inside = self.domain.clamp(1.0, ranks);
        let over = |share: f64, rate: f64| if share > 0.0 && rate > 0.0 { bytes * share / rate } else { 0.0 };
        over((inside - 1.0) / ranks, self.up).max(over((ranks - inside) / ranks, self.out))
    }
}

/// The bound, by what causes it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bound {
    /// By memory traffic.
    pub memory: Seconds,
    /// By the arrays.
    pub compute: Seconds,
    /// By the best split: its share of the weights at the most sequences that fit, and the host.
    pub layout: Seconds,
    /// The largest of the three.
    pub chip_seconds_per_token: Seconds,
}

impl Demand {
    /// Of one service.
    ///
    /// # Errors
    /// A prompt longer than the model knows.
    pub fn of(ask: &ServeAsk<'_>) -> Result<Self, ServeMisfit> {
        check(ask)?;
        let of = |work: Work| graph(ask.model, &work, &Shard::ONE, &ask.precision).map_err(|why| ServeMisfit::Shard { why });
        let context = ask.input.saturating_add(ask.output / 2);
        let decode = of(Work { phase: Phase::Decode, sequences: 1, new_tokens: 1, context, logit_tokens: 1 })?;
        let prompt = of(Work { phase: Phase::Prefill, sequences: 1, new_tokens: ask.input.max(1), context: 0, logit_tokens: 1 })?;
        let all = kv::stage_weights(&decode, 1);
        let (mut expert_bytes, mut expert_share) = (0.0, 0.0_f64);
        for layer in &decode.layers {
            expert_bytes += layer.expert_parameters as f64 * layer.layers as f64 * ask.precision.expert_weights.bytes();
        }
        for layer in &ask.model.layers {
            if let tetra_workload::FeedForward::Experts { experts, top_k, .. } = layer.feed_forward {
                expert_share = expert_share.max(top_k as f64 / experts.max(1) as f64);
            }
        }
        let per_visit = ask.precision.expert_activations.bytes() + ask.precision.residual.bytes();
        let mut visits = (0.0_f64, 0.0);
        for layer in &ask.model.layers {
            if let tetra_workload::FeedForward::Experts { top_k, .. } = layer.feed_forward {
                visits = (visits.0.max(top_k as f64), visits.1 + ask.model.hidden as f64 * per_visit);
            }
        }
        let held = if decode.head_bytes > 0 { decode.embedding_bytes as f64 } else { 0.0 };
        let expert_bytes = expert_bytes.min(all - held);
        Ok(Self {
            shared_bytes: all - expert_bytes - held,
            expert_bytes,
            expert_share: expert_share.min(1.0),
            held_bytes: held,
            cache_bytes: kv::sequence_bytes(&decode, 1, ask.input as f64 + 0.5 * ask.output as f64),
            full_cache_bytes: kv::sequence_bytes(&decode, 1, ask.input as f64 + ask.output as f64),
            decode_flop: flop(&decode),
            prefill_flop: flop(&prompt),
            cache_split: cache_split(ask.model),
            expert_bytes_per_visit: visits.1,
            top_k: visits.0,
            routing: ask.model.routing,
        })
    }
}

/// What one chip of a split holds and does.
struct Share {
    chips: f64,
    groups: f64,
    stages: f64,
    shared: f64,
    expert: f64,
    held: f64,
    cache: f64,
    full_cache: f64,
    flop: f64,
}

impl Share {
    fn of(demand: &Demand, split: &Split) -> Self {
        let (groups, stages) = (split.attention_data as f64, split.pipeline_parallel as f64);
        let (chips, dense) = (split.chips() as f64, split.tensor_parallel as f64 * stages);
        let cache_split = split.tensor_parallel.min(demand.cache_split) as f64 * stages;
        let (shared, expert) = (demand.shared_bytes / dense, demand.expert_bytes / chips);
        Self {
            chips,
            groups,
            stages,
            shared,
            expert,
            held: shared + expert + demand.held_bytes / dense,
            cache: demand.cache_bytes / cache_split,
            full_cache: demand.full_cache_bytes / cache_split,
            flop: groups * demand.decode_flop / chips,
        }
    }

    /// Bytes of a step: each of the stages' turns reads the weights for its part of the batch.
    fn step_bytes(&self, demand: &Demand, batch: f64) -> f64 {
        let hit = 1.0 - (1.0 - demand.expert_share).powf((batch / self.stages).max(1.0) * self.groups);
        self.stages * (self.shared + self.expert * hit) + batch * self.cache
    }
}

/// A split with the least cost that it can reach and the most sequences that fit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub split: Split,
    pub least: f64,
    pub batch_max: u64,
}

impl Demand {
    /// Floor of one split; none where it does not fit in memory or one sequence is too slow.
    pub(crate) fn floor(
        &self,
        split: &Split,
        ask: &ServeAsk<'_>,
        (chip, wires): (&Chip, &Wires),
        space: &SearchSpace,
        constants: &ServeConstants,
    ) -> Option<Floor> {
        let share = Share::of(self, split);
        let room = chip.memory.hbm.value() * constants.memory_share - share.held;
        if room < share.full_cache {
            return None;
        }
        let batch_max = (1.0 + (room - share.full_cache) / share.cache.max(1.0)).min(space.batch_max as f64).max(1.0);
        let (bandwidth, peak) = (chip.memory.hbm_bandwidth.value(), peak(chip, &ask.precision));
        let sent = self.exchange(split, wires);
        let step = |batch: f64| self.step(&share, batch, sent, (bandwidth, peak), constants);
        let mut batch = batch_max.floor();
        if let Some(tpot) = ask.tpot {
            if step(1.0) > tpot.value() {
                return None;
            }
            // The step grows at least as its cache and its exchange do.
            let slope = (share.cache / bandwidth + sent).max(f64::MIN_POSITIVE);
            batch = batch.min(1.0 + (tpot.value() - step(1.0)) / slope);
        }
        let output = ask.output.max(1) as f64;
        let cost = |batch: f64| share.chips * step(batch) / (batch * share.groups);
        let least = match space.goal {
            Goal::Cost => cost(batch) * (output - 1.0) / output + self.prefill_flop / peak / output,
            Goal::Knee => share.chips * step(1.0) / share.groups * step(1.0) / batch_max,
        };
        Some(Floor { split: *split, least, batch_max: batch_max as u64 })
    }

    /// Least time of one step of a batch.
    fn step(&self, share: &Share, batch: f64, sent: f64, (bandwidth, peak): (f64, f64), constants: &ServeConstants) -> f64 {
        let products = (share.step_bytes(self, batch) / bandwidth).max(batch * share.flop / peak);
        products + batch * sent + constants.step.value() + constants.sequence.value() * batch
    }

    /// Least time of a step of one sequence, if a split holds the weights and its cache.
    fn fastest(&self, split: &Split, ask: &ServeAsk<'_>, (chip, wires): (&Chip, &Wires), constants: &ServeConstants) -> Option<f64> {
        let share = Share::of(self, split);
        let rates = (chip.memory.hbm_bandwidth.value(), peak(chip, &ask.precision));
        let fits = chip.memory.hbm.value() * constants.memory_share - share.held >= share.full_cache;
        fits.then(|| self.step(&share, 1.0, self.exchange(split, wires), rates, constants))
    }

    /// Least time of a chip's links per sequence of its group: every rank of experts that a token visits receives it once and answers once.
    fn exchange(&self, split: &Split, wires: &Wires) -> f64 {
        let ranks = split.expert_parallel.max(1) as f64;
        if split.attention_data <= 1 || ranks <= 1.0 {
            return 0.0;
        }
        let visited = self.routing.visited(ranks, self.top_k);
        let tokens = split.attention_data as f64 / split.stage_chips() as f64;
        wires.exchange(tokens * visited * self.expert_bytes_per_visit, ranks)
    }
}

fn cache_split(model: &tetra_workload::Model) -> u64 {
    let of = |l: &tetra_workload::Layer| match l.attention {
        tetra_workload::Attention::Grouped { kv_heads, .. } => kv_heads.max(1),
        tetra_workload::Attention::Latent { .. } => 1,
    };
    model.layers.iter().map(of).max().unwrap_or(1)
}

fn flop(graph: &Graph) -> f64 {
    let sum = |nodes: &[Node]| nodes.iter().map(|n| n.op.flop()).sum::<f64>();
    graph.layers.iter().map(|l| sum(&l.nodes) * l.layers as f64).sum::<f64>() + sum(&graph.head) + sum(&graph.embedding)
}

/// Operations per second of a chip at the best rate that any product of this precision may use.
pub(crate) fn peak(chip: &Chip, precision: &Precision) -> f64 {
    let c = &chip.compute;
    let rate = |mac: MacType| match mac {
        MacType::Fp32 => c.rate.fp32,
        MacType::Fp16 => 1.0,
        MacType::Fp8 => c.rate.fp8,
        MacType::Int8 => c.rate.int8,
        MacType::Fp4 => c.rate.fp4,
    };
    let best = [precision.activations, precision.expert_activations, precision.attention, precision.vocabulary]
        .iter()
        .fold(1.0_f64, |best, d| best.max(rate(d.mac())));
    let macs = c.cores as f64 * c.arrays_per_core as f64 * c.array_rows as f64 * c.array_columns as f64;
    2.0 * macs * c.clock.value() * c.boost() * best
}

/// The bound for a chip, over the layouts that `search` tries on the chip's own scale-up domain.
///
/// # Errors
/// No split that holds the weights and one sequence and is fast enough on paper.
pub fn bound(
    demand: &Demand,
    ask: &ServeAsk<'_>,
    chip: &Chip,
    space: &SearchSpace,
    constants: &ServeConstants,
) -> Result<Bound, ServeMisfit> {
    let output = ask.output.max(1) as f64;
    let later = (output - 1.0) / output;
    let (bandwidth, peak) = (chip.memory.hbm_bandwidth.value(), peak(chip, &ask.precision));
    let memory = Seconds(demand.cache_bytes * later / bandwidth);
    let compute = Seconds((demand.decode_flop * later + demand.prefill_flop / output) / peak);
    let space = SearchSpace { goal: Goal::Cost, ..*space };
    let wires = Wires::ports(chip);
    let splits = within_domain(ask.model, chip.links.scale_up_domain.max(1), &space);
    let floors = splits.iter().filter_map(|s| demand.floor(s, ask, (chip, &wires), &space, constants));
    match floors.map(|f| f.least).min_by(f64::total_cmp) {
        Some(least) => {
            Ok(Bound { memory, compute, layout: Seconds(least), chip_seconds_per_token: memory.max(compute).max(Seconds(least)) })
        }
        None => {
            let steps = splits.iter().filter_map(|s| demand.fastest(s, ask, (chip, &wires), constants));
            Err(match (steps.min_by(f64::total_cmp), ask.tpot) {
                (Some(step), Some(asked)) => ServeMisfit::Tpot { found: Seconds(step), asked },
                _ => ServeMisfit::NoLayout { chips: space.chips_max },
            })
        }
    }
}
