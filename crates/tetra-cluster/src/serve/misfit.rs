//! Why a service does not fit, as values that are written out only when shown, and why a measured row is refused.

use tetra_quantity::{Bytes, Seconds};

/// Why a service does not fit.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum ServeMisfit {
    /// Weights alone, or with one sequence, are larger than the memory.
    #[error(
        "weights of {weights} and the cache of one sequence of {sequence} need more than the {usable} that each chip can use: raise tensor_parallel, pipeline_parallel or hbm.stacks, or narrow the precision"
    )]
    Weights {
        /// Weights of one chip.
        weights: Bytes,
        /// Cache of one full sequence on one chip.
        sequence: Bytes,
        /// What the engine may use.
        usable: Bytes,
    },
    /// The batch does not fit.
    #[error(
        "a batch of {batch} needs {need} on each chip, {usable} can be used, which holds {most} sequences: lower batch, or raise tensor_parallel or hbm.stacks"
    )]
    Cache {
        /// Asked.
        batch: u64,
        /// Needed on one chip.
        need: Bytes,
        /// What the engine may use.
        usable: Bytes,
        /// Most sequences that fit.
        most: u64,
    },
    /// Too slow to the first token.
    #[error("time to first token is {found} at best, {asked} is asked: raise tensor_parallel, or loosen ttft")]
    Ttft {
        /// Least found.
        found: Seconds,
        /// Asked.
        asked: Seconds,
    },
    /// Too slow per token.
    #[error("time per output token is {found} at best, {asked} is asked: raise tensor_parallel or hbm.stacks, or loosen tpot")]
    Tpot {
        /// Least found.
        found: Seconds,
        /// Asked.
        asked: Seconds,
    },
    /// The model cannot be split so.
    #[error("{why}")]
    Shard {
        /// What does not divide.
        why: tetra_workload::ShardMisfit,
    },
    /// Chips that must exchange data have no link.
    #[error("the layout makes chips exchange data over a link whose rate is 0: raise scale_up or scale_out, or lower tensor_parallel")]
    NoLink,
    /// More stages than layers.
    #[error("{stages} stages need as many layers, the model has {layers}: lower pipeline_parallel")]
    Stages {
        /// Asked.
        stages: u64,
        /// There.
        layers: u64,
    },
    /// A degree of experts for a model that has none.
    #[error("expert_parallel is {degree}, the model has no experts: leave it out")]
    NoExperts {
        /// Asked.
        degree: u64,
    },
    /// Nothing is asked for.
    #[error("{what} is {found}: give at least 1")]
    Empty {
        /// Which knob.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// More than any machine serves.
    #[error("{what} is {found}: at most {most} is allowed")]
    Beyond {
        /// Which knob.
        what: &'static str,
        /// Its value.
        found: u64,
        /// Largest value.
        most: u64,
    },
    /// No layout was tried.
    #[error("no layout of up to {chips} chips can hold the model: raise hbm.stacks or scale_up_domain")]
    NoLayout {
        /// Chips of the largest layout tried.
        chips: u64,
    },
}

/// Why a measured row is not predicted.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Refusal {
    /// It does not fit, though it ran.
    #[error("{0}")]
    Misfit(ServeMisfit),
    /// An image model.
    #[error("diffusion is not modelled yet")]
    Diffusion,
    /// A column that nothing can fill.
    #[error("column {0} is blank or not a number and nothing can fill it")]
    Blank(&'static str),
    /// A word that is not known.
    #[error("column {0} holds a word that is not known")]
    Word(&'static str),
    /// A metric that is not known.
    #[error("this metric is not modelled")]
    Metric,
}

impl From<ServeMisfit> for Refusal {
    fn from(misfit: ServeMisfit) -> Self {
        Self::Misfit(misfit)
    }
}
