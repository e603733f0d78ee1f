//! One chip's share of a step: how many tokens it holds where, and how the plain nodes are made.

use crate::count::product;
use crate::model::{Model, Norm, NormKind};
use crate::op::{Collective, CollectiveKind, Gemm, Op, ParallelGroup, VectorKind, VectorOp};
use crate::types::{DataType, Precision};
use crate::work::{Node, Pass, Phase, Shard, Work};

/// One chip's share.
pub(crate) struct Local<'a> {
    pub(crate) model: &'a Model,
    pub(crate) work: &'a Work,
    pub(crate) shard: &'a Shard,
    pub(crate) precision: &'a Precision,
    /// Whether a backward pass follows.
    pub(crate) train: bool,
    /// Positions of one sequence on this chip: split over the context group, save in decode, where the cache is split instead.
    pub(crate) positions: u64,
    /// Tokens that this chip's matrix products see.
    pub(crate) tokens: u64,
    /// Tokens that this chip's norms and residuals see.
    pub(crate) norm_tokens: u64,
    /// Chips that hold the same tokens after attention.
    pub(crate) copies: u64,
}

impl<'a> Local<'a> {
    pub(crate) fn new(model: &'a Model, work: &'a Work, shard: &'a Shard, precision: &'a Precision) -> Self {
        let decode = work.phase == Phase::Decode;
        let positions = if decode { work.new_tokens } else { work.new_tokens.div_ceil(shard.context_parallel) };
        let tokens = work.sequences.saturating_mul(positions);
        let norm_tokens = if shard.sequence_parallel { tokens.div_ceil(shard.tensor_parallel) } else { tokens };
        let copies = if decode { shard.tensor_parallel.saturating_mul(shard.context_parallel) } else { shard.tensor_parallel };
        Self { model, work, shard, precision, train: work.phase == Phase::Train, positions, tokens, norm_tokens, copies }
    }

    /// Bytes of `rows × cols` elements of the residual stream.
    pub(crate) fn residual_bytes(&self, rows: u64, cols: u64) -> u64 {
        self.precision.residual.bytes_of(rows.saturating_mul(cols))
    }

    /// A matrix product with dense weights.
    pub(crate) fn projection(&self, name: &'static str, m: u64, n: u64, k: u64) -> Node {
        let p = self.precision;
        gemm(name, Gemm { batch: 1, m, n, k, a: p.activations, b: p.weights, out: p.residual })
    }

    /// Normalisation of the residual stream. In serving it is fused with the residual sum before it; in training the sum is its own node.
    pub(crate) fn norm(&self, name: &'static str, norm: Norm, next: DataType) -> Node {
        let (rows, cols) = (self.norm_tokens, self.model.hidden);
        let stream = self.residual_bytes(rows, cols);
        let normed = if self.train { stream } else { next.bytes_of(rows.saturating_mul(cols)) };
        let fused = if self.train { 0 } else { stream };
        vector(name, norm_vector(norm.kind), rows, cols, stream.saturating_add(fused), normed.saturating_add(fused))
    }

    /// Sum of a block's output and the residual stream, where it is not fused into the next norm.
    pub(crate) fn residual_add(&self, name: &'static str, nodes: &mut Vec<Node>) {
        if self.train {
            let stream = self.residual_bytes(self.norm_tokens, self.model.hidden);
            nodes.push(vector(name, VectorKind::Add, self.norm_tokens, self.model.hidden, stream.saturating_mul(2), stream));
        }
    }

    /// Conversion of a matrix product's input to a narrower format, its own op in training; in serving the producer writes it so.
    pub(crate) fn quantise(&self, name: &'static str, rows: u64, cols: u64, to: DataType, nodes: &mut Vec<Node>) {
        let from = self.precision.residual;
        if self.train && to.sixteenth_bits() < from.sixteenth_bits() {
            let elements = rows.saturating_mul(cols);
            nodes.push(vector(name, VectorKind::Quantise, rows, cols, from.bytes_of(elements), to.bytes_of(elements)));
        }
    }

    /// Before a split matrix product: with sequence parallelism every rank gathers all tokens.
    pub(crate) fn gather_tokens(&self, nodes: &mut Vec<Node>) {
        if self.shard.tensor_parallel > 1 && self.shard.sequence_parallel {
            let bytes = self.residual_bytes(self.tokens, self.model.hidden);
            nodes.push(collective("tensor_all_gather", CollectiveKind::AllGather, bytes, ParallelGroup::Tensor));
        }
    }

    /// After a split matrix product: the partial sums are added.
    pub(crate) fn reduce_tokens(&self, nodes: &mut Vec<Node>) {
        if self.shard.tensor_parallel > 1 {
            let bytes = self.residual_bytes(self.tokens, self.model.hidden);
            let (name, kind) = if self.shard.sequence_parallel {
                ("tensor_reduce_scatter", CollectiveKind::ReduceScatter)
            } else {
                ("tensor_all_reduce", CollectiveKind::AllReduce)
            };
            nodes.push(collective(name, kind, bytes, ParallelGroup::Tensor));
        }
    }

    /// Activation function between two products; gated ones read both halves.
    pub(crate) fn activation(&self, name: &'static str, rows: u64, cols: u64, gated: bool, next: DataType) -> Node {
        let kind = if gated { VectorKind::GatedSilu } else { VectorKind::Gelu };
        let read = self.residual_bytes(rows, product([1 + u64::from(gated), cols]));
        let write = if self.train { self.residual_bytes(rows, cols) } else { next.bytes_of(rows.saturating_mul(cols)) };
        vector(name, kind, rows, cols, read, write)
    }
}

/// The vector op of a kind of normalisation.
pub(crate) fn norm_vector(kind: NormKind) -> VectorKind {
    match kind {
        NormKind::LayerNorm | NormKind::Plain => VectorKind::LayerNorm,
        NormKind::RmsNorm => VectorKind::RmsNorm,
    }
}

/// A forward matrix product.
pub(crate) fn gemm(name: &'static str, op: Gemm) -> Node {
    Node { name, op: Op::Gemm(op), pass: Pass::Forward }
}

/// A forward vector op.
pub(crate) fn vector(name: &'static str, kind: VectorKind, rows: u64, cols: u64, read_bytes: u64, write_bytes: u64) -> Node {
    Node { name, op: Op::Vector(VectorOp { kind, rows, cols, read_bytes, write_bytes }), pass: Pass::Forward }
}

/// A forward collective.
pub(crate) fn collective(name: &'static str, kind: CollectiveKind, bytes: u64, group: ParallelGroup) -> Node {
    Node { name, op: Op::Collective(Collective { kind, bytes, group }), pass: Pass::Forward }
}
