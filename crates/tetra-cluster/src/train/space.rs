//! Spaces of plans: every product of the listed choices that a job can run on so many chips.
//!
//! A point is a whole [`Layout`]. Points that split the job alike share a base (degrees, chunks, microbatch, sequence parallelism); what a base leaves open is recomputation,
//! sharding of state, schedule and off-loading. Where it is asked, microbatches and replicas need not divide the batch: the last microbatch of a replica is smaller then, and the
//! replica with most sequences is waited for. Leaves out: sharding where there is one replica, chunks without a pipeline or with microbatches that do not fill it.

use crate::train::ask::TrainAsk;
use crate::train::frame::Frame;
use crate::train::layout::{Layout, Offload, Recompute, Schedule, StateSharding};
use crate::train::search::{SearchLimits, divisors, experts, grids};
use crate::train::stated::Stated;

/// A space of plans on a number of chips.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PlanSpace {
    /// Chips.
    pub chips: u64,
    /// Fewest of them that a plan may use; the others are spares.
    pub least_chips: u64,
    /// Most of each degree.
    pub limits: SearchLimits,
    /// Whether tensor groups may span scale-up domains.
    pub tensor_across: bool,
    /// Whether chunks may hold different numbers of layers; else layers divide, or do so with embedding and head as two more.
    pub uneven: bool,
    /// Whether plans without sequence parallelism are tried where tensor parallelism would allow it.
    pub without_sequence_parallel: bool,
    /// Whether the attention core alone may be recomputed.
    pub selective: bool,
    /// Whether every number of layers may be recomputed; else all or none.
    pub some_layers: bool,
    /// Whether microbatches and replicas need not divide the batch.
    pub ragged: bool,
    /// Whether state may be fully sharded in a pipeline: each microbatch gathers the weights of every stage anew.
    pub sharded_stages: bool,
    /// Ways to spread state.
    pub shardings: Vec<StateSharding>,
    /// Orders of microbatches.
    pub schedules: Vec<Schedule>,
    /// What may lie in the host's memory.
    pub offloads: Vec<Offload>,
    /// What a person fixed.
    pub stated: Stated,
}

impl PlanSpace {
    /// What today's frameworks run on `chips` chips, without off-loading.
    pub fn usual(chips: u64) -> Self {
        Self {
            chips,
            least_chips: chips,
            limits: SearchLimits { powers_of_two: true, ..SearchLimits::WIDE },
            tensor_across: false,
            uneven: false,
            without_sequence_parallel: false,
            selective: true,
            some_layers: true,
            ragged: false,
            sharded_stages: false,
            shardings: vec![StateSharding::None, StateSharding::Optimizer, StateSharding::Gradients, StateSharding::Full],
            schedules: vec![Schedule::OneForwardOneBackward],
            offloads: vec![Offload::NONE],
            stated: Stated::default(),
        }
    }

    /// The same with what a person stated.
    pub fn with(mut self, stated: &Stated) -> Self {
        let limits = &mut self.limits;
        let degrees = [stated.tensor_parallel, stated.context_parallel, stated.expert_parallel];
        limits.powers_of_two &= degrees.iter().flatten().all(|d| d.is_power_of_two());
        limits.tensor_parallel = stated.tensor_parallel.unwrap_or(limits.tensor_parallel);
        limits.pipeline_parallel = stated.pipeline_parallel.unwrap_or(limits.pipeline_parallel);
        limits.context_parallel = stated.context_parallel.unwrap_or(limits.context_parallel);
        limits.expert_parallel = stated.expert_parallel.unwrap_or(limits.expert_parallel);
        limits.virtual_stages = stated.virtual_stages.unwrap_or(limits.virtual_stages);
        limits.micro_batch = limits.micro_batch.max(stated.micro_batch.unwrap_or(1));
        self.uneven |= stated.virtual_stages.is_some();
        self.ragged |= stated.micro_batch.is_some() || stated.data_parallel.is_some();
        self.sharded_stages |= stated.sharding == Some(StateSharding::Full);
        self.tensor_across |= stated.tensor_parallel.is_some();
        self.without_sequence_parallel |= stated.sequence_parallel == Some(false);
        self.shardings = stated.sharding.map_or(self.shardings, |s| vec![s]);
        self.schedules = stated.schedule.map_or(self.schedules, |s| vec![s]);
        self.offloads = stated.offload.map_or(self.offloads, |o| vec![o]);
        self.stated = *stated;
        self
    }

    /// Every combination of what can be off-loaded.
    pub fn all_offloads() -> Vec<Offload> {
        let of = |i: u8| Offload { weights: i & 1 != 0, activations: i & 2 != 0, optimizer: i & 4 != 0 };
        (0..8).map(of).collect()
    }

    /// Every plan of the space; some cannot run, for reasons that only the model's shapes tell.
    pub fn plans_of(&self, ask: &TrainAsk<'_>, domain: u64) -> Vec<Layout> {
        let mut out = Vec::new();
        for base in self.bases(ask, domain) {
            for column in self.columns(ask, &base) {
                self.open(ask, &column, |plan| out.push(plan));
            }
        }
        out
    }

    /// Every plan of a column.
    pub(crate) fn open(&self, ask: &TrainAsk<'_>, column: &Layout, mut take: impl FnMut(Layout)) {
        let chain = self.chain(ask, column);
        for &offload in &self.offloads {
            let selective = self.selective().then_some(Recompute::Selective);
            for recompute in (0..chain.len()).map(|i| chain.at(i)).chain(selective) {
                take(Layout { recompute, offload, ..*column });
            }
        }
    }

    /// The ways to split the job, each with what it leaves open at rest.
    pub(crate) fn bases(&self, ask: &TrainAsk<'_>, domain: u64) -> Vec<Layout> {
        let reach = if self.tensor_across { u64::MAX } else { domain };
        let mut out = Vec::new();
        for chips in (self.least_chips.max(1)..=self.chips).rev() {
            for grid in grids(ask, chips, reach, &self.limits) {
                self.on_grid(ask, grid, &mut out);
            }
        }
        out
    }

    /// Those with given degrees of tensor, pipeline, data and context parallelism.
    pub(crate) fn on_grid(&self, ask: &TrainAsk<'_>, [tensor, pipeline, data, context]: [u64; 4], out: &mut Vec<Layout>) {
        if pipeline > ask.model.layers.len() as u64 || data > ask.global_batch || !(self.ragged || ask.global_batch.is_multiple_of(data)) {
            return;
        }
        let grid = Layout {
            tensor_parallel: tensor,
            pipeline_parallel: pipeline,
            data_parallel: data,
            context_parallel: context,
            sharding: StateSharding::None,
            ..Layout::ONE
        };
        if !self.stated.agrees_on_grid(&grid) {
            return;
        }
        let from = out.len();
        for expert_parallel in self.expert_degrees(ask, tensor * context * data) {
            self.grid(ask, &Layout { expert_parallel, ..grid }, out);
        }
        let mut kept = out.split_off(from);
        kept.retain(|l| self.stated.agrees(l));
        out.append(&mut kept);
    }

    fn expert_degrees(&self, ask: &TrainAsk<'_>, group: u64) -> impl Iterator<Item = u64> {
        let (most, powers) = (self.limits.expert_parallel, self.limits.powers_of_two);
        divisors(experts(ask)).into_iter().filter(move |&e| e <= most && group.is_multiple_of(e) && (!powers || e.is_power_of_two()))
    }

    fn grid(&self, ask: &TrainAsk<'_>, grid: &Layout, out: &mut Vec<Layout>) {
        let (depth, pipeline) = (ask.model.layers.len() as u64, grid.pipeline_parallel);
        let per_replica = ask.global_batch.div_ceil(grid.data_parallel);
        for micro_batch in self.micro_batches(per_replica) {
            let count = per_replica.div_ceil(micro_batch);
            let fills = pipeline > 1 && if self.ragged { count >= pipeline } else { count.is_multiple_of(pipeline) };
            let chunks = if fills { self.limits.virtual_stages.min(depth / pipeline).max(1) } else { 1 };
            for virtual_stages in 1..=chunks {
                let all = pipeline * virtual_stages;
                let even = depth.is_multiple_of(all) || (depth + 2).is_multiple_of(all);
                if virtual_stages > 1 && !even && !self.uneven {
                    continue;
                }
                let base = Layout { micro_batch, virtual_stages, ..*grid };
                if grid.tensor_parallel == 1 || self.without_sequence_parallel {
                    out.push(base);
                }
                if grid.tensor_parallel > 1 {
                    out.push(Layout { sequence_parallel: true, ..base });
                }
            }
        }
    }

    /// Microbatches tried of a replica's sequences.
    fn micro_batches(&self, sequences: u64) -> Vec<u64> {
        let most = self.limits.micro_batch.min(sequences);
        let all: Vec<u64> = if self.ragged { (1..=most).collect() } else { divisors(sequences) };
        let power = |m: &u64| !self.limits.powers_of_two || m.is_power_of_two() || self.stated.micro_batch == Some(*m);
        all.into_iter().filter(|m| *m <= most).filter(power).collect()
    }

    /// Whether the attention core alone may be recomputed.
    pub(crate) fn selective(&self) -> bool {
        self.selective && self.stated.recompute.is_none()
    }

    /// Whether a base can spread its state so.
    pub(crate) fn shards(&self, base: &Layout, sharding: StateSharding) -> bool {
        let replicas = base.data_parallel * base.context_parallel;
        match sharding {
            StateSharding::None => true,
            StateSharding::Optimizer | StateSharding::Gradients => replicas > 1 || !self.shardings.contains(&StateSharding::None),
            StateSharding::Full => replicas > 1 && (base.pipeline_parallel == 1 || self.sharded_stages),
        }
    }

    /// Whether a base can run its microbatches so.
    pub(crate) fn orders(ask: &TrainAsk<'_>, base: &Layout, schedule: Schedule) -> bool {
        Layout { schedule, ..*base }.unordered(ask.global_batch).is_none()
    }

    /// Recomputations of a base by how much they compute again: all but the attention core's, which stands beside.
    pub(crate) fn chain(&self, ask: &TrainAsk<'_>, base: &Layout) -> Chain {
        let per_stage = (ask.model.layers.len() as u64).div_ceil(base.pipeline_parallel);
        Chain { between: if self.some_layers { per_stage.saturating_sub(1) } else { 0 }, stated: self.stated.recompute }
    }

    /// Points of a column: one base, sharding and schedule.
    pub(crate) fn column(&self, ask: &TrainAsk<'_>, base: &Layout) -> u64 {
        (self.chain(ask, base).len() + u64::from(self.selective())) * self.offloads.len() as u64
    }

    /// Plans of the space, those included that the model's shapes rule out.
    pub fn count(&self, ask: &TrainAsk<'_>, domain: u64) -> u64 {
        self.bases(ask, domain).iter().map(|base| self.plans(ask, base)).sum()
    }

    /// Plans of a base.
    pub(crate) fn plans(&self, ask: &TrainAsk<'_>, base: &Layout) -> u64 {
        self.columns(ask, base).count() as u64 * self.column(ask, base)
    }

    /// All that some plan off-loads.
    pub(crate) fn most_offload(&self) -> Offload {
        let any = |of: fn(&Offload) -> bool| self.offloads.iter().any(of);
        Offload { weights: any(|o| o.weights), activations: any(|o| o.activations), optimizer: any(|o| o.optimizer) }
    }

    /// The rule by which a plan that can run is no point of the space.
    pub fn leaves_out(&self, ask: &TrainAsk<'_>, plan: &Layout, domain: u64) -> Option<&'static str> {
        let base = Frame::split_of(plan);
        let splits = self.bases(ask, domain);
        let degrees = |l: &Layout| (l.tensor_parallel, l.pipeline_parallel, l.data_parallel, l.context_parallel, l.expert_parallel);
        let alike = || splits.iter().filter(|s| degrees(s) == degrees(plan));
        let chain = self.chain(ask, plan);
        let recomputes = match plan.recompute {
            recompute if self.stated.recompute.is_some() => self.stated.recompute == Some(recompute),
            Recompute::Selective => self.selective,
            Recompute::Layers(n) => n > 0 && n + 1 < chain.len(),
            Recompute::None | Recompute::Full => true,
            Recompute::Cheap | Recompute::Hosted(_) => false,
        };
        let rules = [
            ((self.least_chips..=self.chips).contains(&plan.chips()), "chips"),
            (alike().next().is_some(), "tensor, pipeline, data, context or expert parallelism"),
            (alike().any(|s| s.micro_batch == plan.micro_batch), "micro_batch"),
            (splits.contains(&base), "virtual_stages or sequence_parallel"),
            (recomputes, "recompute"),
            (self.shardings.contains(&plan.sharding) && self.shards(plan, plan.sharding), "sharding"),
            (self.schedules.contains(&plan.schedule) && Self::orders(ask, plan, plan.schedule), "schedule"),
            (self.offloads.contains(&plan.offload), "offload"),
        ];
        rules.into_iter().find(|(kept, _)| !kept).map(|(_, rule)| rule)
    }

    /// Columns of a base.
    pub(crate) fn columns<'s>(&'s self, ask: &TrainAsk<'s>, base: &'s Layout) -> impl Iterator<Item = Layout> + 's {
        let ask = *ask;
        let schedules = self.schedules.iter().filter(move |s| Self::orders(&ask, base, **s));
        schedules.flat_map(move |&schedule| {
            let shardings = self.shardings.iter().filter(|s| self.shards(base, **s));
            shardings.map(move |&sharding| Layout { schedule, sharding, ..*base })
        })
    }
}

/// Recomputation from none over some layers of each stage to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain {
    /// Steps between none and all.
    between: u64,
    /// What a person fixed: the only step.
    stated: Option<Recompute>,
}

impl Chain {
    pub(crate) fn len(self) -> u64 {
        if self.stated.is_some() { 1 } else { self.between + 2 }
    }

    /// The `i`-th step.
    pub(crate) fn at(self, i: u64) -> Recompute {
        match (self.stated, i) {
            (Some(stated), _) => stated,
            (None, 0) => Recompute::None,
            (None, i) if i <= self.between => Recompute::Layers(i),
            _ => Recompute::Full,
        }
    }
}
