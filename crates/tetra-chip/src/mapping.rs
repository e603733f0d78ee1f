//! What the mapper finds: how an op lies on the cores, and what it then moves and computes.

use crate::mapper::Space;

/// Largest dimension: far above any model, small enough for exact integers.
pub(crate) const MOST: u64 = 1 << 40;
/// Fewest rows of a tile.
pub(crate) const ROWS_MIN: u64 = 16;
/// A split keeps at least this much of the summed dimension.
pub(crate) const SPLIT_MIN: u64 = 256;
/// The mapspace of an op on a chip.
#[derive(Debug, Clone, Copy)]
pub enum Mapping {
    /// A single plan.
    One(Plan),
    /// Tiles and splits of a matrix product.
    Tiles(Tiles),
}

/// Tiles and splits of a matrix product on a chip.
#[derive(Debug, Clone, Copy)]
pub struct Tiles(pub(crate) Space);

impl Mapping {
    /// Visits every plan, in a fixed order.
    pub fn each(&self, mut visit: impl FnMut(Plan)) {
        match self {
            Self::One(plan) => visit(*plan),
            Self::Tiles(space) => space.0.each(visit),
        }
    }
}

/// How an op lies on the cores.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Plan {
    /// Rows of the result tile of one core.
    pub tile_rows: u64,
    /// Columns of the result tile of one core.
    pub tile_columns: u64,
    /// Parts into which the summed dimension (for attention: the keys) is split.
    pub split: u64,
    /// Tiles in all, splits included.
    pub tiles: u64,
    /// Tiles that one core holds at once.
    pub resident: u64,
    /// What moves and what is computed.
    pub counts: Counts,
}

/// What an op does on the chip, in integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// MACs that the op asks for.
    pub macs: u64,
    /// Index of the type in which they are multiplied (`MacRates` order: fp32, fp16, fp8, int8, fp4).
    pub mac_index: usize,
    /// Tiles, splits included.
    pub tiles: u64,
    /// Tiles that one core holds at once.
    pub resident: u64,
    /// Parts of the summed dimension.
    pub split: u64,
    /// Cores that tiles are launched on together.
    pub cluster: u64,
    /// Array cycles of one tile.
    pub tile_array_cycles: u64,
    /// Bytes that the arrays take from the core's scratchpad for one tile.
    pub tile_local_bytes: u64,
    /// Bytes that one tile takes from the global memory.
    pub tile_global_bytes: u64,
    /// Bytes of result of one tile.
    pub tile_store_bytes: u64,
    /// Bytes at the edges of the arrays (operands in, partial sums in and out), all tiles.
    pub edge_bytes: u64,
    /// Bytes read from off-chip memory.
    pub hbm_read: u64,
    /// Bytes written to off-chip memory.
    pub hbm_write: u64,
    /// Bytes of partial sums exchanged through the global memory.
    pub reduce_bytes: u64,
    /// Elements that the vector lanes treat: of a vector op, scores of attention, weights widened for a matrix product.
    pub elements: u64,
    /// Rows that are reduced independently.
    pub rows: u64,
    /// Elements of a row.
    pub row_elements: u64,
    /// Rows that all cores hold at once.
    pub rows_at_once: u64,
    /// Bytes that later passes over a row read again, from the global memory where they fit.
    pub reread_bytes: u64,
    /// Bytes of the rows that are in work at once.
    pub working_set: u64,
}
