//! Ops: the unit of work that a chip times. Shapes are those of one chip's share; everything is an integer so that an op is a memo key.

use crate::types::DataType;

/// One op on one chip, or one collective between chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum Op {
    /// A matrix product.
    Gemm(Gemm),
    /// One matrix product per expert with its own rows.
    GroupedGemm(GroupedGemm),
    /// Fused attention.
    Attention(AttentionOp),
    /// An element-wise or row-wise op on the vector lanes.
    Vector(VectorOp),
    /// Communication; timed by the cluster, not by the chip.
    Collective(Collective),
}

/// `C[batch, m, n] = A[batch, m, k] · B[batch, k, n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Gemm {
    /// Independent products.
    pub batch: u64,
    /// Rows (tokens).
    pub m: u64,
    /// Columns (output features).
    pub n: u64,
    /// Summed dimension (input features).
    pub k: u64,
    /// Format of A as multiplied.
    pub a: DataType,
    /// Format of B as stored.
    pub b: DataType,
    /// Format of C.
    pub out: DataType,
}

/// Products of `experts` matrices `[k, n]` with their own rows, `rows` in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct GroupedGemm {
    /// Distinct experts on this chip that receive at least one row: their weights are read.
    pub experts: u64,
    /// Rows of all experts on this chip.
    pub rows: u64,
    /// Rows of the fullest expert on this chip.
    pub rows_max: u64,
    /// Output features.
    pub n: u64,
    /// Input features.
    pub k: u64,
    /// Format of the rows as multiplied.
    pub a: DataType,
    /// Format of the weights as stored.
    pub b: DataType,
    /// Format of the result.
    pub out: DataType,
}

/// Fused attention `softmax(Q Kᵀ) V` over `sequences`, each with `q_len` new positions against `kv_len` keys (its own new ones included).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct AttentionOp {
    /// Sequences in the batch.
    pub sequences: u64,
    /// Query heads on this chip.
    pub heads: u64,
    /// Key-value heads on this chip (1 for latent attention in its absorbed form).
    pub kv_heads: u64,
    /// New positions per sequence.
    pub q_len: u64,
    /// Keys per sequence; with a window, no more than the window is read by one query.
    pub kv_len: u64,
    /// Width of a query and key head.
    pub d_qk: u64,
    /// Width of a value head.
    pub d_v: u64,
    /// Whether position i sees only keys up to i.
    pub causal: bool,
    /// Sliding window in positions; 0 means none.
    pub window: u64,
    /// Format of Q and of the products.
    pub a: DataType,
    /// Format of the cache.
    pub kv: DataType,
    /// Whether V lies inside K (latent attention: one read of the cache serves both).
    pub shared_kv: bool,
    /// Whether this is the backward pass (five products instead of two).
    pub backward: bool,
}

/// Kinds of vector op; the chip knows how many lane operations an element of each takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum VectorKind {
    /// Row-wise softmax (unfused attention, routing).
    Softmax,
    /// Mean and variance normalisation.
    LayerNorm,
    /// Root-mean-square normalisation.
    RmsNorm,
    /// GELU.
    Gelu,
    /// SiLU of one half times the other.
    GatedSilu,
    /// Sum of two tensors.
    Add,
    /// Rotary position embedding.
    Rope,
    /// Row gather from the embedding table.
    Gather,
    /// Choice of the top-k experts or tokens.
    TopK,
    /// Token permutation before and after experts.
    Permute,
    /// Conversion to a narrower format with its scales.
    Quantise,
    /// Cross-entropy over the vocabulary, forward and backward.
    CrossEntropy,
    /// Optimiser update.
    Optimizer,
    /// Dropout.
    Dropout,
}

/// A vector op over `rows × cols` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct VectorOp {
    /// What it computes.
    pub kind: VectorKind,
    /// Independent rows.
    pub rows: u64,
    /// Elements per row.
    pub cols: u64,
    /// Bytes read, all inputs together.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
}

/// Kinds of communication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum CollectiveKind {
    /// Sum to all.
    AllReduce,
    /// Concatenation to all.
    AllGather,
    /// Sum, scattered.
    ReduceScatter,
    /// Personalised exchange (expert dispatch and combine).
    AllToAll,
    /// From one pipeline stage to the next.
    SendRecv,
}

/// The group of chips that a collective runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub enum ParallelGroup {
    /// Tensor (and sequence) parallel ranks.
    Tensor,
    /// Expert parallel ranks.
    Expert,
    /// Tensor parallel ranks inside one expert.
    ExpertTensor,
    /// Context parallel ranks.
    Context,
    /// Data parallel ranks.
    Data,
    /// Neighbouring pipeline stages.
    Pipeline,
}

/// A collective: `bytes` is the full tensor for all-reduce, all-gather (result) and reduce-scatter (input), and what one chip
/// sends in total for all-to-all and send-receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Collective {
    /// What it does.
    pub kind: CollectiveKind,
    /// Size, see above.
    pub bytes: u64,
    /// Over which chips.
    pub group: ParallelGroup,
}
