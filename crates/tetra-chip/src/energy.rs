//! Power of a chip at full load, by part: arrays at their peak in the fastest type, global and off-chip memory at their bandwidth.

use crate::area::breakdown;
use crate::chip::Chip;
use crate::constants::ChipConstants;
use crate::machine::SUM_BYTES;

/// Bytes of a 16-bit operand.
const OPERAND_BYTES: u64 = 2;

/// Power at full load in watts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct FullLoad {
    /// MACs and the edges of their arrays.
    pub arrays_w: f64,
    /// Scratchpads.
    pub local_w: f64,
    /// Global memory at half its bandwidth.
    pub global_w: f64,
    /// Off-chip memory.
    pub hbm_w: f64,
    /// Links.
    pub link_w: f64,
    /// Leakage and clocks.
    pub static_w: f64,
}

impl FullLoad {
    /// All but static power.
    pub fn dynamic_w(&self) -> f64 {
        self.arrays_w + self.local_w + self.global_w + self.hbm_w + self.link_w
    }
}

impl FullLoad {
    /// Power while a large matrix product runs at the arrays' full rate: operands come out of scratchpads and global memory, and
    /// off-chip memory and links stand nearly still.
    pub fn gemm_w(&self) -> f64 {
        self.arrays_w + self.local_w + self.global_w + self.static_w
    }

    /// Dynamic power that a kernel sustains: the compute side or the memory side in full, the other one by half, and the links.
    pub fn sustained_w(&self) -> f64 {
        let compute = self.arrays_w + self.local_w + self.global_w;
        compute.max(self.hbm_w) + 0.5 * compute.min(self.hbm_w) + self.link_w
    }
}

/// Power of a chip when everything runs at once at its clock.
pub fn full_load(chip: &Chip, constants: &ChipConstants) -> FullLoad {
    let scale = constants.node(&chip.silicon.node).map_or(1.0, |n| n.energy);
    let e = &constants.energy;
    let c = &chip.compute;
    let memory = constants.memory(&chip.memory.hbm_kind).map_or(0.0, |m| m.j_per_byte);
    let (rows, columns) = (c.array_rows.max(1) as f64, c.array_columns.max(1) as f64);
    let cycles = c.cores as f64 * c.clock.value();
    let macs = cycles * c.arrays_per_core as f64 * rows * columns;
    // Bytes at the array edge per 16-bit MAC: an operand per column, a 32-bit sum in and out per row.
    let edge = OPERAND_BYTES as f64 / columns + (2 * SUM_BYTES) as f64 / rows;
    FullLoad {
        arrays_w: macs * (e.mac_j[1] + edge * e.edge_j_per_byte) * scale,
        local_w: cycles * chip.memory.local_bytes_per_cycle * 0.5 * e.local_j_per_byte * scale,
        global_w: c.clock.value() * chip.memory.global_bytes_per_cycle * 0.5 * e.global_j_per_byte(chip.memory.global.value()) * scale,
        hbm_w: chip.memory.hbm_bandwidth.value() * memory,
        link_w: chip.links.scale_up.value() * e.link_j_per_byte,
        static_w: breakdown(chip, constants).total_mm2 * constants.template.static_w_per_mm2,
    }
}
