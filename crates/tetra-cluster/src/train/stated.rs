//! A job of which a person states some of the layout: what is stated is kept, what is left out is searched.
//!
//! Left out are, until they are stated: schedules other than 1F1B, off-loading, and state split beyond the optimiser's in a pipeline.

use crate::network::Network;
use crate::train::ask::TrainAsk;
use crate::train::framework::{AttentionKernels, Framework};
use crate::train::layout::{Layout, Offload, Recompute, Schedule, StateSharding};
use crate::train::misfit::{Fit, TrainMisfit};
use crate::train::row::best_of;
use crate::train::search::{SearchLimits, Searcher, choices, experts, grids};
use crate::train::step::TrainStep;

/// Largest microbatch tried.
const MICRO_BATCH_MAX: u64 = 64;
/// Most chunks per stage tried.
const CHUNKS_MAX: u64 = 16;

/// The layout as far as it is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Stated {
    /// Tensor-parallel degree.
    pub tensor_parallel: Option<u64>,
    /// Stages.
    pub pipeline_parallel: Option<u64>,
    /// Replicas.
    pub data_parallel: Option<u64>,
    /// Context-parallel degree.
    pub context_parallel: Option<u64>,
    /// Expert-parallel degree.
    pub expert_parallel: Option<u64>,
    /// Chunks per stage.
    pub virtual_stages: Option<u64>,
    /// Sequences per microbatch.
    pub micro_batch: Option<u64>,
    /// Recomputation.
    pub recompute: Option<Recompute>,
    /// Whether sequence parallel.
    pub sequence_parallel: Option<bool>,
    /// How state is spread.
    pub sharding: Option<StateSharding>,
    /// Order of microbatches.
    pub schedule: Option<Schedule>,
    /// What lies in the host's memory.
    pub offload: Option<Offload>,
}

/// The fastest step that agrees with what is stated.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct StatedStep {
    /// The step; its memory may not fit (`fits` tells) where none that agrees does.
    pub step: TrainStep,
    /// Layouts that agree.
    pub tried: u64,
}

impl Stated {
    /// Whether a layout has the stated degrees of tensor, pipeline, data and context parallelism.
    pub(crate) fn agrees_on_grid(&self, l: &Layout) -> bool {
        let pairs = [
            (self.tensor_parallel, l.tensor_parallel),
            (self.pipeline_parallel, l.pipeline_parallel),
            (self.data_parallel, l.data_parallel),
            (self.context_parallel, l.context_parallel),
        ];
        pairs.iter().all(|(stated, degree)| stated.is_none_or(|s| s == *degree))
    }

    /// Whether a layout splits the job as stated.
    pub(crate) fn agrees(&self, l: &Layout) -> bool {
        let pairs = [(self.expert_parallel, l.expert_parallel), (self.virtual_stages, l.virtual_stages), (self.micro_batch, l.micro_batch)];
        let sequence = self.sequence_parallel.is_none_or(|s| s == l.sequence_parallel || l.tensor_parallel == 1);
        self.agrees_on_grid(l) && sequence && pairs.iter().all(|(stated, degree)| stated.is_none_or(|s| s == *degree))
    }

    /// The fastest layout on `chips` that agrees with what is stated.
    ///
    /// # Errors
    /// Degrees whose product is another number of chips, or why none of the layouts runs.
    pub fn best(&self, chips: u64, searcher: &mut Searcher<'_>, network: &Network) -> Fit<StatedStep> {
        let layouts = self.layouts(searcher.ask(), chips, network)?;
        let step = best_of(&layouts, searcher)?;
        Ok(StatedStep { step, tried: layouts.len() as u64 })
    }

    /// All layouts on `chips` that agree.
    ///
    /// # Errors
    /// Degrees whose product is another number of chips, or no layout at all.
    pub fn layouts(&self, ask: &TrainAsk<'_>, chips: u64, network: &Network) -> Fit<Vec<Layout>> {
        let mut out = Vec::new();
        for grid in self.grids(ask, chips, network)? {
            self.on_grid(ask, grid, &mut out);
        }
        if out.is_empty() { Err(TrainMisfit::NoLayout { chips }) } else { Ok(out) }
    }

    /// Tensor, pipeline, data and context degrees.
    fn grids(&self, ask: &TrainAsk<'_>, chips: u64, network: &Network) -> Fit<Vec<[u64; 4]>> {
        let stated = [self.tensor_parallel, self.pipeline_parallel, self.data_parallel, self.context_parallel];
        if stated.iter().filter(|d| d.is_some()).count() >= 2 && stated[0].is_some() && stated[1].is_some() {
            let [tensor, pipeline] = [stated[0], stated[1]].map(|d| d.unwrap_or(1));
            let context = self.context_parallel.unwrap_or(1);
            let group = tensor.saturating_mul(pipeline).saturating_mul(context).max(1);
            let data = self.data_parallel.unwrap_or((chips / group).max(1));
            let product = group.saturating_mul(data);
            if product != chips {
                return Err(TrainMisfit::Chips { product, chips });
            }
            return Ok(vec![[tensor, pipeline, data, context]]);
        }
        let most = |stated: Option<u64>, wide: u64| stated.unwrap_or(wide);
        let limits = SearchLimits {
            tensor_parallel: most(self.tensor_parallel, SearchLimits::WIDE.tensor_parallel),
            pipeline_parallel: most(self.pipeline_parallel, SearchLimits::WIDE.pipeline_parallel),
            context_parallel: most(self.context_parallel, SearchLimits::WIDE.context_parallel),
            context_tokens: if self.context_parallel.is_some() { 1 } else { SearchLimits::WIDE.context_tokens },
            ..SearchLimits::WIDE
        };
        let agrees = |grid: &[u64; 4]| stated.iter().zip(grid).all(|(s, g)| s.is_none_or(|s| s == *g));
        let reach = network.domain.max(self.tensor_parallel.unwrap_or(1));
        let usable = |g: &[u64; 4]| g[2] <= ask.global_batch && ask.global_batch.is_multiple_of(g[2]);
        Ok(grids(ask, chips, reach, &limits).into_iter().filter(agrees).filter(usable).collect())
    }

    fn on_grid(&self, ask: &TrainAsk<'_>, [tensor, pipeline, data, context]: [u64; 4], out: &mut Vec<Layout>) {
        let per_replica = (ask.global_batch / data.max(1)).max(1);
        let sequence_parallel = tensor > 1 && self.sequence_parallel.unwrap_or(ask.framework.attention != AttentionKernels::Unfused);
        let base = Layout {
            tensor_parallel: tensor,
            pipeline_parallel: pipeline,
            data_parallel: data,
            context_parallel: context,
            sequence_parallel,
            schedule: self.schedule.unwrap_or_default(),
            offload: self.offload.unwrap_or(Offload::NONE),
            ..Layout::ONE
        };
        let recomputes = self.recompute.map_or(choices(ask.framework, sequence_parallel).to_vec(), |r| vec![r]);
        let shardings = self.shardings(ask.framework, pipeline);
        for micro_batch in self.micro_batches(per_replica) {
            for virtual_stages in self.chunks(ask, pipeline, per_replica / micro_batch.max(1)) {
                for expert_parallel in self.experts(ask, tensor.saturating_mul(data).saturating_mul(context)) {
                    let layout = Layout { micro_batch, expert_parallel, virtual_stages, ..base };
                    for &recompute in &recomputes {
                        out.extend(shardings.iter().map(|&sharding| Layout { recompute, sharding, ..layout }));
                    }
                }
            }
        }
    }

    fn micro_batches(&self, per_replica: u64) -> Vec<u64> {
        self.micro_batch.map_or_else(|| (1..=MICRO_BATCH_MAX).filter(|m| per_replica.is_multiple_of(*m)).collect(), |m| vec![m])
    }

    /// As stated, else the library's usual, and without stages also all state split where the library overlaps its exchange.
    /// The library's way, and in jobs of one stage full sharding beside the optimiser's.
    fn shardings(&self, framework: Framework, pipeline: u64) -> Vec<StateSharding> {
        match (self.sharding, framework.sharding) {
            (Some(stated), _) => vec![stated],
            (None, StateSharding::Optimizer) if pipeline == 1 && framework.overlaps => {
                vec![StateSharding::Optimizer, StateSharding::Full]
            }
            (None, usual) => vec![usual],
        }
    }

    fn experts(&self, ask: &TrainAsk<'_>, group: u64) -> Vec<u64> {
        let all = experts(ask);
        let divides = |e: &u64| all.is_multiple_of(*e) && group.is_multiple_of(*e);
        self.expert_parallel.map_or_else(|| (1..=all.min(group)).filter(divides).collect(), |e| vec![e])
    }

    /// Chunks that divide the layers, or the layers with embedding and head as two more, while microbatches fill the stages.
    fn chunks(&self, ask: &TrainAsk<'_>, pipeline: u64, microbatches: u64) -> Vec<u64> {
        let depth = ask.model.layers.len() as u64;
        let even = |chunks: u64| depth.is_multiple_of(chunks) || (depth + 2).is_multiple_of(chunks);
        let interleaves = self.schedule.is_none_or(|s| s == Schedule::OneForwardOneBackward);
        match self.virtual_stages {
            Some(v) => vec![v],
            None if interleaves && pipeline > 1 && microbatches.is_multiple_of(pipeline) => {
                (1..=CHUNKS_MAX).filter(|v| *v == 1 || even(v.saturating_mul(pipeline))).collect()
            }
            None => vec![1],
        }
    }
}
