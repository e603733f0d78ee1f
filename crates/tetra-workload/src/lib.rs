//! Workloads: a model as its makers publish it, and the ops that one step of it asks for. No chip in sight.

mod catalogue;
mod count;
mod describe;
mod error;
mod graph;
pub mod hf;
mod misfit;
mod model;
mod op;
mod op_count;
mod shape;
mod types;
mod unet;
mod work;

pub use catalogue::{Aliases, near};
pub use count::Parameters;
pub use describe::{Description, Shape, TokenCost, describe, weight_bytes};
pub use error::ConfigError;
pub use graph::{Prediction, graph, prediction};
pub use misfit::ShardMisfit;
pub use model::{Attention, FeedForward, Layer, Model, Norm, NormKind, Routing};
pub use op::{AttentionOp, Collective, CollectiveKind, Gemm, GroupedGemm, Op, ParallelGroup, VectorKind, VectorOp};
pub use shape::DenseShape;
pub use types::{DataType, FormatError, MacType, Precision};
pub use unet::{UNet, UNetStep};
pub use work::{Graph, LayerGraph, Node, Pass, Phase, Shard, Work};
