//! Which serving layouts a search tries, and which of them counts as best.

use tetra_workload::{FeedForward, Model};

use crate::serve::layout::Split;
use crate::serve::misfit::ServeMisfit;

/// What counts as best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Fewest chip-seconds per output token.
    Cost,
    /// Greatest product of tokens per second and chip with tokens per second and user: the knee between both, for when no limit is given.
    Knee,
}

/// Which layouts are tried.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct SearchSpace {
    /// Most chips of one worker.
    pub chips_max: u64,
    /// Most stages.
    pub stages_max: u64,
    /// Most sequences per tensor-parallel group.
    pub batch_max: u64,
    /// Only this split, if given.
    pub split: Option<Split>,
    /// Degrees that are given while the others are free.
    pub given: Given,
    /// Whether workers that only compute prompts, beside workers that only decode, are tried too.
    pub disaggregated: bool,
    /// Only this batch, if given.
    pub batch: Option<u64>,
    /// What counts as best.
    pub goal: Goal,
}

impl SearchSpace {
    /// Workers of at most `chips_max` chips in at most four stages, any batch, least cost.
    pub const fn within(chips_max: u64) -> Self {
        Self {
            chips_max,
            stages_max: 4,
            batch_max: 1 << 16,
            split: None,
            given: Given::NONE,
            disaggregated: false,
            batch: None,
            goal: Goal::Cost,
        }
    }
}

/// Degrees that are given; the others are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize)]
pub struct Given {
    /// Tensor parallelism.
    pub tensor_parallel: Option<u64>,
    /// Stages.
    pub pipeline_parallel: Option<u64>,
    /// Attention groups.
    pub attention_data: Option<u64>,
    /// Chips over which experts are spread.
    pub expert_parallel: Option<u64>,
}

impl Given {
    /// Everything is free.
    pub const NONE: Self = Self { tensor_parallel: None, pipeline_parallel: None, attention_data: None, expert_parallel: None };

    /// Whether the model has what the degrees split.
    ///
    /// # Errors
    /// A degree of experts for a model without, more stages than layers.
    pub(crate) fn check(&self, model: &Model) -> Result<(), ServeMisfit> {
        let layers = model.layers.len() as u64;
        if let Some(stages) = self.pipeline_parallel.filter(|p| *p > layers) {
            return Err(ServeMisfit::Stages { stages, layers });
        }
        let experts = model.layers.iter().any(|l| matches!(l.feed_forward, FeedForward::Experts { .. }));
        match self.expert_parallel {
            Some(degree) if degree > 1 && !experts => Err(ServeMisfit::NoExperts { degree }),
            _ => Ok(()),
        }
    }

    /// The split of the given degrees, with 1 for the rest.
    pub(crate) fn split(&self) -> Split {
        let tensor = self.tensor_parallel.unwrap_or(1).max(1);
        let groups = self.attention_data.unwrap_or(1).max(1);
        let expert = self.expert_parallel.unwrap_or(1).max(1);
        Split {
            tensor_parallel: tensor,
            pipeline_parallel: self.pipeline_parallel.unwrap_or(1).max(1),
            attention_data: groups,
            expert_parallel: expert,
            expert_tensor: (tensor.saturating_mul(groups) / expert).max(1),
        }
    }

    /// Fewest chips of a worker with these degrees.
    pub fn chips(&self) -> u64 {
        let one = |degree: Option<u64>| degree.unwrap_or(1).max(1);
        let stage = one(self.tensor_parallel).saturating_mul(one(self.attention_data)).max(one(self.expert_parallel));
        stage.saturating_mul(one(self.pipeline_parallel))
    }
}
