//! Many chips together: links and collectives, parallel layouts, memory fit, training steps, serving, goodput and fleets. No money.

pub mod cluster;
pub mod collective;
mod constants;
pub mod fleet;
pub mod goodput;
mod network;
mod network_text;
pub mod serve;
pub mod train;

pub use cluster::Cluster;
pub use constants::{ClusterConstants, NetworkConstants, Protocol};
pub use fleet::{Fleet, LoadProfile, size_fleet};
pub use goodput::FailureConstants;
pub use network::{Host, Network, Tier};
pub use network_text::gigabits_per_node;
pub use serve::{ServeAsk, ServeConstants, ServeLayout, ServeMisfit, Serving};
pub use train::{
    AttentionKernels, Convergence, Fit, Framework, Layout, Offload, PlanSpace, PlansCut, Recompute, RowDefaults, Schedule, SearchLimits,
    Searcher, StateSharding, Stated, StatedStep, TrainAsk, TrainBreakdown, TrainConstants, TrainFound, TrainMetric, TrainMisfit,
    TrainPrediction, TrainRow, TrainRun, TrainStep, Trained, WhyNot, predict, shape,
};
