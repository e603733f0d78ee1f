//! What a service asks of the chips that serve it.

use tetra_quantity::Seconds;
use tetra_workload::{Model, Precision};

/// What a service asks.
#[derive(Debug, Clone, Copy)]
pub struct ServeAsk<'a> {
    /// The model.
    pub model: &'a Model,
    /// Formats.
    pub precision: Precision,
    /// Prompt tokens of a request.
    pub input: u64,
    /// Output tokens of a request.
    pub output: u64,
    /// Longest time to first token.
    pub ttft: Option<Seconds>,
    /// Standard deviation over mean of the prompts' lengths, where 99 of 100 requests must keep that limit; else their mean must.
    pub tail: Option<f64>,
    /// Longest mean time per output token.
    pub tpot: Option<Seconds>,
    /// How requests come.
    pub arrivals: Arrivals,
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// At random times, as from many users.
    Steady,
    /// A benchmark client: all slots start at once, and each finished request is followed by the next.
    ClosedLoop,
}
