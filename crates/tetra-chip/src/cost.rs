//! What an op costs on a chip. Found, never given.

use tetra_quantity::{Bytes, Flop, Joules, Seconds};
use tetra_workload::Op;

/// What bounds an op.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundBy {
    /// The MAC arrays.
    Compute,
    /// The vector lanes.
    Vector,
    /// Off-chip memory.
    Hbm,
    /// The memory shared by all cores.
    GlobalBuffer,
    /// A core's own scratchpad.
    LocalBuffer,
    /// Launch, fill and drain.
    Latency,
    /// The power cap.
    Power,
    /// Links between chips.
    Link,
}

/// Time and energy of one op on one chip.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct OpCost {
    /// Time on the device, launch included.
    pub time: Seconds,
    /// Dynamic energy on the device.
    pub energy: Joules,
    /// Operations done (a MAC is two).
    pub flop: Flop,
    /// Bytes to and from off-chip memory.
    pub hbm_bytes: Bytes,
    /// What bounds it.
    pub bound_by: BoundBy,
}

/// Anything that times ops: a chip with its constants behind a memo, a frozen table, a measurement.
pub trait OpTimer {
    /// Cost of one op. Collectives cost nothing here: the cluster times them.
    fn cost(&self, op: &Op) -> OpCost;
}
