//! Model error: a multiplicative log-normal discrepancy per mechanism, the same for every row, source, model and chip of a kind.
//!
//! `data/discrepancy.csv` holds, per mechanism, half of the 80 % interval of ln(measured/predicted). Training is skewed: a run meets more that slows it than
//! the model knows, and nothing that speeds it up, so each side has its own width (P10 and P90 of the time). `scripts/widths` estimates it on the rows of the
//! public tables: the largest of the 80 % quantiles found with each source left out in turn, all sources weighing the same, times `√(1 + 1/n)` for
//! `n` sources.

use tetra_quantity::{DataError, Tables};

use super::row::Prediction;

/// Widths of the two sides of ln(measured/predicted) of a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Skew {
    /// Down to P10.
    pub fast: f64,
    /// Up to P90.
    pub slow: f64,
}

/// Half-widths of ln(measured/predicted) that hold 80 % of it, by mechanism.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelError {
    /// Matrix products.
    pub gemm: f64,
    /// Attention.
    pub attention: f64,
    /// Vector ops.
    pub vector: f64,
    /// Collectives.
    pub collective: f64,
    /// Training step time, both sides alike.
    pub training: f64,
    /// Training step time, each side.
    pub step: Skew,
    /// Time of a whole run, convergence included.
    pub run: Skew,
    /// Memory of the fullest chip in training.
    pub training_memory: f64,
    /// Time to first token.
    pub ttft: f64,
    /// Time per output token.
    pub tpot: f64,
    /// Throughput of a service.
    pub throughput: f64,
    /// Ratio of the times of two chips at the same work.
    pub between_chips: f64,
    /// Factor on the width for chips of which no measurement was seen.
    pub unseen_chip: f64,
}

impl ModelError {
    /// Reads `discrepancy` rows.
    ///
    /// # Errors
    /// A missing row or a wrong unit.
    pub fn from_tables(tables: &Tables) -> Result<Self, DataError> {
        let width = |mechanism: &str| tables.number("discrepancy", mechanism, "ln");
        Ok(Self {
            gemm: width("gemm")?,
            attention: width("attention")?,
            vector: width("vector")?,
            collective: width("collective")?,
            training: width("training")?,
            step: Skew { fast: width("training_fast")?, slow: width("training_slow")? },
            run: Skew { fast: width("time_to_train_fast")?, slow: width("time_to_train_slow")? },
            training_memory: width("training_memory")?,
            ttft: width("ttft")?,
            tpot: width("tpot")?,
            throughput: width("throughput")?,
            between_chips: width("between_chips")?,
            unseen_chip: tables.number("discrepancy", "unseen_chip", "factor")?,
        })
    }
}

/// A prediction with the interval of a mechanism.
pub fn with_interval(value: f64, width: f64) -> Result<Prediction, String> {
    between(value, width, width)
}

/// The same with a skewed interval: of a time (`slower_is_more`), or of what grows as time falls.
pub fn with_skew(value: f64, skew: Skew, widen: f64, slower_is_more: bool) -> Result<Prediction, String> {
    let (down, up) = if slower_is_more { (skew.fast, skew.slow) } else { (skew.slow, skew.fast) };
    between(value, down * widen, up * widen)
}

fn between(value: f64, down: f64, up: f64) -> Result<Prediction, String> {
    if value > 0.0 && value.is_finite() {
        Ok(Prediction { value, low: value * (-down).exp(), high: value * up.exp() })
    } else {
        Err("the prediction is not a positive number".into())
    }
}
