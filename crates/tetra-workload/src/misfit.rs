//! Why a model cannot be split as asked: what was asked, what was there, which knob relieves it.

/// A split that does not fit the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error, serde::Serialize)]
pub enum ShardMisfit {
    /// A degree or a count is zero.
    #[error("{0} is 0: set it to 1 or more")]
    Zero(&'static str),
    /// Query heads do not divide evenly.
    #[error("tensor_parallel {tensor} does not divide {heads} attention heads: choose a divisor of {heads}")]
    Heads {
        /// Query heads of a layer.
        heads: u64,
        /// Asked.
        tensor: u64,
    },
    /// Key-value heads neither divide evenly nor replicate evenly.
    #[error("tensor_parallel {tensor} neither divides {kv_heads} key-value heads nor is a multiple of them: choose one that does")]
    KvHeads {
        /// Key-value heads of a layer.
        kv_heads: u64,
        /// Asked.
        tensor: u64,
    },
    /// The inner width does not divide evenly.
    #[error("{degree} ranks do not divide the feed-forward width {ffn}: lower tensor_parallel or the tensor share of an expert")]
    FeedForward {
        /// Inner width.
        ffn: u64,
        /// Ranks.
        degree: u64,
    },
    /// Experts do not divide evenly.
    #[error("expert_parallel {expert} does not divide {experts} experts: choose a divisor of {experts}")]
    Experts {
        /// Routed experts of a layer.
        experts: u64,
        /// Asked.
        expert: u64,
    },
    /// The expert grid covers other chips than the attention grid.
    #[error(
        "experts are spread over {expert_chips} chips, attention over {attention_chips}: make expert_parallel × expert tensor share equal tensor × attention data × context parallel"
    )]
    ExpertGrid {
        /// `expert × expert_tensor`.
        expert_chips: u64,
        /// `tensor × attention_data × context`.
        attention_chips: u64,
    },
    /// A model without experts cannot spread them.
    #[error("expert_parallel {expert} asked of a model without experts: set it to 1")]
    NoExperts {
        /// Asked.
        expert: u64,
    },
    /// More new positions than the model's positions.
    #[error("{tokens} positions asked, the model knows {max_context}: shorten the sequence")]
    Context {
        /// Asked: cached and new positions together.
        tokens: u64,
        /// What the model has learned positions for.
        max_context: u64,
    },
}
