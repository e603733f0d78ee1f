//! Why a training layout does not fit: what was asked, what was there, which knob relieves it.

use tetra_quantity::Bytes;
use tetra_workload::ShardMisfit;

/// A training layout that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error, serde::Serialize)]
pub enum TrainMisfit {
    /// The model cannot be split so.
    #[error(transparent)]
    Shard(#[from] ShardMisfit),
    /// A degree is zero.
    #[error("{0} is 0: set it to 1 or more")]
    Zero(&'static str),
    /// More replicas than sequences.
    #[error("global_batch {batch} is less than data_parallel {replicas}: raise global_batch or lower data_parallel")]
    Batch {
        /// Asked sequences per step.
        batch: u64,
        /// Asked replicas.
        replicas: u64,
    },
    /// More stages than layers.
    #[error(
        "{stages} stages of {chunks} chunks need {} layers, the model has {layers}: lower pipeline_parallel or virtual_stages",
        stages.saturating_mul(*chunks)
    )]
    Stages {
        /// Asked stages.
        stages: u64,
        /// Asked chunks per stage.
        chunks: u64,
        /// Layers there.
        layers: u64,
    },
    /// The schedule cannot order the microbatches.
    #[error("schedule {schedule} needs {need}: change {knob} or the schedule")]
    Schedule {
        /// Asked schedule.
        schedule: &'static str,
        /// What it needs.
        need: &'static str,
        /// Where to set that.
        knob: &'static str,
    },
    /// The fullest chip holds less than is needed.
    #[error(
        "the fullest chip needs {need} (state {state}, activations {activations}), HBM holds {have}: raise tensor_parallel, pipeline_parallel or recompute, or lower micro_batch"
    )]
    Memory {
        /// Needed.
        need: Bytes,
        /// Of that, weights, gradients and optimiser state.
        state: Bytes,
        /// Of that, activations.
        activations: Bytes,
        /// There.
        have: Bytes,
    },
    /// The host's memory holds less than is off-loaded.
    #[error("the host's memory holds less than the {need} per chip that are off-loaded: off-load less, or raise host_memory")]
    HostMemory {
        /// Needed per chip.
        need: Bytes,
    },
    /// Chips that must exchange data have no link.
    #[error("the layout makes chips exchange data over a link whose rate is 0: raise scale_up or scale_out, or choose a layout without it")]
    NoLink,
    /// The stated degrees need another number of chips.
    #[error("tensor x pipeline x data x context parallel is {product} chips, {chips} are asked: correct one of them or leave one out")]
    Chips {
        /// Chips of the degrees.
        product: u64,
        /// Chips asked.
        chips: u64,
    },
    /// The cluster is smaller than the job.
    #[error("{chips} chips are asked, the cluster has {have}: lower the number of chips or name a larger cluster")]
    Cluster {
        /// Chips asked.
        chips: u64,
        /// Chips there.
        have: u64,
    },
    /// No layout of the searched space fits on so many chips.
    #[error("no layout on {chips} chips fits: raise the number of chips, HBM or global_batch")]
    NoLayout {
        /// Chips.
        chips: u64,
    },
    /// No number of chips up to the limit trains in time.
    #[error("no layout on up to {chips} chips trains in the time asked: raise the time or the limit")]
    NoSize {
        /// Largest number of chips tried.
        chips: u64,
    },
    /// Columns are blank that nothing can fill.
    #[error("the row states neither a model nor its {0}: fill the column")]
    Blank(&'static str),
}

/// A value, or the reason why there is none.
pub type Fit<T> = Result<T, TrainMisfit>;
