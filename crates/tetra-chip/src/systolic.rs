//! Cycles of a GEMM on a systolic array, by rule: the array's fill and drain are counted, its memories are taken to keep up.
//!
//! An array of R rows and C columns works in folds of one R x C tile of what stays in it, while T values stream through. SCALE-Sim
//! 3.0.0 starts each fold after the last has drained; edge folds take as long as full ones, and cycles count from zero:
//! `folds (2R + C + T - 2) - 1` where operands are loaded first (weights or inputs stay), `folds (R + C + T - 2) - 1` where sums
//! stay. With shadow registers the next tile loads while the present one streams (Jouppi et al. 2017): `folds max(T, R) + R + C - 1`.
//! Leaves out: stalls for memory, and with shadow registers the load of the very first tile, which the op before hides.

/// What stays in the array during a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dataflow {
    /// Weights (the K x N operand): K on rows, N on columns, M streams.
    #[serde(rename = "ws")]
    Weights,
    /// Sums (the M x N result): M on rows, N on columns, K streams.
    #[serde(rename = "os")]
    Sums,
    /// Inputs (the M x K operand): K on rows, M on columns, N streams.
    #[serde(rename = "is")]
    Inputs,
}

/// A systolic array and its dataflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct Systolic {
    /// Rows of PEs.
    pub rows: u64,
    /// Columns of PEs.
    pub columns: u64,
    /// What stays.
    pub dataflow: Dataflow,
}

impl Systolic {
    /// Folds, and values that stream through in each.
    fn folds(&self, [m, n, k]: [u64; 3]) -> (u64, u64) {
        let (down, across, streamed) = match self.dataflow {
            Dataflow::Weights => (k, n, m),
            Dataflow::Sums => (m, n, k),
            Dataflow::Inputs => (k, m, n),
        };
        (down.div_ceil(self.rows.max(1)).saturating_mul(across.div_ceil(self.columns.max(1))), streamed)
    }

    /// Cycles from the first weight in to the last sum out when each fold waits for the one before, of a GEMM M x N x K. An empty
    /// GEMM or array takes none; more than fits 64 bits is the largest number.
    pub fn cycles(&self, mnk: [u64; 3]) -> u64 {
        if self.is_idle(mnk) {
            return 0;
        }
        let (folds, streamed) = self.folds(mnk);
        let loads = if self.dataflow == Dataflow::Sums { 0 } else { self.rows };
        let fill_and_drain = loads.saturating_add(self.rows - 1).saturating_add(self.columns - 1);
        match folds.checked_mul(streamed.saturating_add(fill_and_drain)) {
            Some(lines) if lines < u64::MAX => lines - 1,
            _ => u64::MAX,
        }
    }

    /// Cycles with shadow registers: a fold takes as long as its values stream or its successor loads, and one fill and drain is left.
    pub fn cycles_shadowed(&self, mnk: [u64; 3]) -> u64 {
        if self.is_idle(mnk) {
            return 0;
        }
        let (folds, streamed) = self.folds(mnk);
        folds.saturating_mul(streamed.max(self.rows)).saturating_add(self.rows - 1).saturating_add(self.columns)
    }

    fn is_idle(&self, mnk: [u64; 3]) -> bool {
        self.rows == 0 || self.columns == 0 || mnk.contains(&0)
    }
}
